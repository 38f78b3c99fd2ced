"""`convergence`: who learns how fast, at equal work."""

from __future__ import annotations

from fl.studies.rates import BUDGET, LOOK, contenders
from fl.studies.show import WORK, accuracy_table, curves, reaching_table
from fl.studies.study import BASE, Figure, Results, Study, Table, over_seeds

TARGETS = (0.65, 0.70, 0.75, 0.80)
LOSSES = (0.60, 0.57, 0.55, 0.53)
EXTRA = (
    ("perplexity", "perplexity"),
    ("rounds", "rounds"),
    ("forward passes", "forwards"),
    ("backward passes", "backwards"),
    ("trained weights", "trainable"),
)


DRAWN = (
    "pairzero", "pairzero-ideal", "sign-pairzero", "mezo", "mezo, all weights", "mezo, all weights, B = 16",
    "decomfl, all weights", "fedkseed, all weights", "fedavg-adamw", "fedavg-adamw, all weights",
)  # fmt: skip


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    drawn = results.only("method", DRAWN)
    figures = [
        curves(drawn, "work", f"{WORK} (a backward pass as two)"),
        curves(drawn, "round", "rounds"),
        curves(drawn, "uplink_bits", "uplink bits, all devices", logarithmic=True),
        curves(drawn, "uplink_uses", "uplink channel uses", logarithmic=True),
    ]
    return [accuracy_table(results, EXTRA), reaching_table(results, TARGETS, losses=LOSSES)], figures


STUDY = Study(
    "convergence",
    "how much work, and how many rounds and bits, does each algorithm take to an accuracy?",
    f"""
The same initial weights, examples of every device, batch size and held-out sentences for all, and the same work:
{BUDGET:,.0f} forward passes of one example, a backward pass counted as two. `pairzero`, `pairzero-central` and
`sign-pairzero` are private and over a fading air at 20 dB; everything else has neither privacy nor noise. Each method
trains the same 256 gains (`fedspzo`, which needs some on both sides of its cut, those of the same norm of every layer,
1,024); where its authors train all weights it is there a second time, as they define it. B is a device's, 4 unless said:
`mezo`, which takes the batches of all together, sees 20 examples a step (its authors 16), and 80 with B = 16. Every
other method is our re-implementation (docs/algorithms.md). Rates: `fl/studies/rates.py`, chosen by `pairzero reproduce
tune` on validation sentences (page `tune` says on how many seeds, and which lie at the edge of what was tried).
Perplexity is that of the right answer among the options, e to the loss. On the way accuracy is that of
{LOOK["run.evaluate_examples"]} sentences, every
{BUDGET * LOOK["run.evaluate_every"] / BASE["learning.rounds"]:,.0f} forward passes, and "reached" the first time it was
seen; zero-shot is of the same sentences. The last point of a curve is of all 872 and counts for no target.
""",
    lambda scale: over_seeds(scale, contenders),
    show,
)
