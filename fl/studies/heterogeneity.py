"""`heterogeneity`: devices that drop out, lag, fall silent, or stand far away."""

from __future__ import annotations

from fl.studies.cell import Cell
from fl.studies.show import accuracy_table, difference_table
from fl.studies.study import Figure, Results, Scale, Settings, Study, Table, over_seeds
from fl.studies.training import Run

SKEW: Settings = {"task.partition": "dirichlet", "task.dirichlet_alpha": 0.1}
CASES: dict[str, Settings] = {
    "everybody, always": {},
    "10 % away": {"learning.absent": 0.1},
    "30 % away": {"learning.absent": 0.3},
    "50 % away": {"learning.absent": 0.5},
    "30 % away, 20 rounds at a time": {"learning.absent": 0.3, "learning.absent_rounds": 20},
    "10 % silent": {"learning.silent": 0.1},
    "30 % silent": {"learning.silent": 0.3},
    "no truncation": {"radio.truncation": 0.0},
    "fades below 0.3 sit out": {"radio.truncation": 0.3},
    "fades sit out by least error": {"radio.truncation": "auto"},
    "one device 20 dB farther": {"radio.path_loss_db": [0.0, 0.0, 0.0, 0.0, 20.0]},
    "labels skewed": SKEW,
    "labels skewed, room for 8 clips": {**SKEW, "privacy.saturation": 8.0},
    "labels skewed, 30 % away, 20 rounds at a time": {**SKEW, "learning.absent": 0.3, "learning.absent_rounds": 20},
    "labels skewed, room for 8 clips, 30 % away, 20 rounds at a time": {
        **SKEW,
        "privacy.saturation": 8.0,
        "learning.absent": 0.3,
        "learning.absent_rounds": 20,
    },
}
FEW = ("everybody, always", "30 % away", "10 % silent", "fades sit out by least error")


def configurations(scale: Scale, seed: int) -> list[Cell]:
    names = FEW if scale.quick else CASES
    return [Cell({"case": name}, seed, Run(scale.experiment(seed, CASES[name]))) for name in names]


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    extra = (
        ("error of the sum, dB", "aggregate_nmse_db"),
        ("erased slots", "erased"),
        ("received SNR, dB", "received_snr_db"),
    )
    title = "Against everybody being there always, seed by seed"
    return [accuracy_table(results, extra), difference_table(results, {"case": FEW[0]}, title)], []


STUDY = Study(
    "heterogeneity",
    "what do dropouts, stragglers and deep fades take away?",
    """
(8, 1e-5)-DP by own noise, five devices, T = 90, P = 8, coherent mode over Rayleigh blocks at 20 dB. *Away*: a device
does not answer the sounding and the round's mean is over the others; a straggler is away, too, to everybody who does
not wait, here for 20 rounds in a row. *Silent*: it answered, was counted, and sends nothing, so that the mean comes out
too small. *Fades sit out*: a device below that share of its mean gain is left out of the round, because whoever is
weakest sets the power of all; the default is 0.05. No smaller share changes anything at 20 dB, where a pilot is trusted
from a share of 0.16 on. Nobody is ever left out by data. Who sits a round out is not charged for it. *Labels skewed*
(Dirichlet 0.1) makes shares of one label and of up to 3.5 times the nominal size; a payload saturates at the clip, which
takes from whoever holds the most. *Room for 8 clips* (`privacy.saturation`) gives it back at the price of a weaker
signal, with the same noise for privacy.
""",
    lambda scale: over_seeds(scale, configurations),
    show,
)
