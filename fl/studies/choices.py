"""`choices`: what makes zeroth-order learning here reach accuracy in the fewest forward passes, one choice at a time."""

from __future__ import annotations

from fl.baselines.harness import NOISELESS
from fl.studies.budget import work_a_round
from fl.studies.cell import Cell
from fl.studies.convergence import LOSSES, TARGETS
from fl.studies.rates import BUDGET
from fl.studies.show import WORK, accuracy_table, curves, reaching_table
from fl.studies.study import ONE_DIRECTION, Figure, Results, Scale, Settings, Study, Table, over_seeds
from fl.studies.training import Run

FIRST_NORM = "*layers.0.self_attn_layer_norm"
EVERY = 1_000.0  # forward passes from one evaluation to the next
LOOK = 400  # sentences it is made on
CASES: dict[str, Settings] = {
    "default": {},
    "central, P = 1, no normalisation": ONE_DIRECTION,
    "the same, B = 16": {**ONE_DIRECTION, "learning.batch": 16},
    "the same, momentum": {**ONE_DIRECTION, "learning.optimiser": "momentum", "learning.rate": 1e-3},
    "the same, Adam": {**ONE_DIRECTION, "learning.optimiser": "adam", "learning.rate": 3e-3},
    "the same, four local steps": {**ONE_DIRECTION, "learning.local_steps": 4, "learning.rate": 3e-3},
    "no normalisation": {"learning.optimiser": "sgd"},
    "central": {"learning.estimator": "central"},
    "Gaussian directions": {"learning.direction": "gaussian"},
    "P = 4": {"learning.perturbations": 4, "learning.rate": 2e-2},
    "P = 16": {"learning.perturbations": 16, "learning.rate": 5e-2},
    "B = 1": {"learning.batch": 1},
    "B = 2": {"learning.batch": 2},
    "B = 8": {"learning.batch": 8},
    "B = 16": {"learning.batch": 16},
    "constant rate": {"learning.schedule": "constant"},
    "a third of the rate": {"learning.rate": 1e-2},
    "three times the rate": {"learning.rate": 1e-1},
    "first norm's biases": {"learning.parameters": [f"{FIRST_NORM}.bias"]},
    "all gains": {"learning.parameters": ["*layer_norm.weight"], "learning.rate": 1e-2},
    "all gains and biases": {"learning.parameters": ["*layer_norm*", "*.bias"], "learning.rate": 3e-3},
    "low rank, first attention": {
        "learning.direction": "low-rank", "learning.functional": True, "learning.rate": 7.5e-3,
        "learning.parameters": ["*layers.0.self_attn.*_proj.weight"],
    },
    "0.1 % of all weights": {"learning.parameters": ["*"], "learning.density": 0.001},
    # a projection is three times as large
    "all weights": {"learning.parameters": ["*"], "learning.rate": 2e-2, "learning.mu": 1e-3, "privacy.clip": 30.0},
    "all weights, B = 1": {
        "learning.parameters": ["*"], "learning.rate": 1.3e-2, "learning.mu": 1e-3, "privacy.clip": 100.0, "learning.batch": 1,
    },
}  # fmt: skip
DRAWN = (
    "default", "central, P = 1, no normalisation", "the same, B = 16", "no normalisation", "P = 4", "P = 16", "B = 16",
    "all gains", "0.1 % of all weights", "all weights", "all weights, B = 1",
)  # fmt: skip
FEW = ("default", "Gaussian directions", "P = 4")


def configurations(scale: Scale, seed: int) -> list[Cell]:
    cells = []
    for name in FEW if scale.quick else CASES:
        once = scale.experiment(seed, NOISELESS, {"radio.snr_db": None}, CASES[name])
        if scale.quick:
            cells.append(Cell({"choice": name}, seed, Run(once)))
            continue
        each = work_a_round("run", once, {})
        paid = {
            "learning.rounds": max(1, round(BUDGET / each)),
            "run.evaluate_every": max(1, round(EVERY / each)),
            "run.evaluate_examples": LOOK,
        }
        layers = (NOISELESS, {"radio.snr_db": None}, CASES[name], paid)
        cells.append(Cell({"choice": name}, seed, Run(scale.experiment(seed, *layers))))
    return cells


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    extra = (("rounds", "rounds"), ("forward passes", "forwards"), ("trained weights", "trainable"))
    tables = [accuracy_table(results, extra), reaching_table(results, TARGETS, "choice", LOSSES)]
    return tables, [curves(results.only("choice", DRAWN), "work", WORK, "choice")]


STUDY = Study(
    "choices",
    "what makes zeroth-order learning reach an accuracy in the fewest forward passes?",
    f"""
One choice at a time is changed from the default (256 gains of the first attention norm, eight Rademacher directions
measured one-sided, steps divided by their spread as in FZOO, B = 4, cosine rate 3e-2), at equal work of {BUDGET:,.0f}
forward passes, without noise, fading or privacy. Rates of the other choices are one guess for each and are not tuned: a
choice that loses here may win at another rate. Accuracy on the way is that of {LOOK} sentences, every {EVERY:,.0f}
forward passes, and "reached" the first time it was seen.
""",
    lambda scale: over_seeds(scale, configurations),
    show,
)
