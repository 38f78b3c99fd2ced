"""`choices`: what makes zeroth-order learning here reach accuracy in the fewest forward passes, one choice at a time."""

from __future__ import annotations

from fl.baselines.harness import NOISELESS
from fl.studies.budget import work_a_round
from fl.studies.cell import Cell
from fl.studies.convergence import TARGETS
from fl.studies.rates import BUDGET
from fl.studies.show import accuracy_table, curves, reaching_table
from fl.studies.study import Figure, Results, Scale, Settings, Study, Table, over_seeds
from fl.studies.training import Run

FIRST_NORM = "*layers.0.self_attn_layer_norm"
CASES: dict[str, Settings] = {
    "as it is": {},
    "Gaussian directions": {"learning.direction": "gaussian"},
    "P = 4": {"learning.perturbations": 4, "learning.rate": 2e-2},
    "P = 8, one-sided": {"learning.perturbations": 8, "learning.estimator": "one-sided", "learning.rate": 3e-2},
    "P = 8, one-sided, normalised steps": {
        "learning.perturbations": 8, "learning.estimator": "one-sided", "learning.optimiser": "normalised", "learning.rate": 3e-2,
    },
    "constant rate": {"learning.schedule": "constant"},
    "three times the rate": {"learning.rate": 3e-2},
    "momentum": {"learning.optimiser": "momentum", "learning.rate": 1e-3},
    "Adam": {"learning.optimiser": "adam", "learning.rate": 3e-3},
    "batch 4": {"learning.batch": 4},
    "batch 4, constant rate": {"learning.batch": 4, "learning.schedule": "constant"},
    "batch 2, constant rate of half": {"learning.batch": 2, "learning.schedule": "constant", "learning.rate": 5e-3},
    "batch 4, P = 8, one-sided, normalised steps": {
        "learning.batch": 4, "learning.perturbations": 8, "learning.estimator": "one-sided", "learning.optimiser": "normalised",
        "learning.rate": 3e-2,
    },
    "four local steps": {"learning.local_steps": 4, "learning.rate": 3e-3},
    "first norm's biases": {"learning.parameters": [f"{FIRST_NORM}.bias"]},
    "first norm's gains and biases": {"learning.parameters": [f"{FIRST_NORM}.*"]},
    "all gains": {"learning.parameters": ["*layer_norm.weight"], "learning.rate": 3e-3},
    "all gains and biases": {"learning.parameters": ["*layer_norm*", "*.bias"], "learning.rate": 1e-3},
    "low rank, first attention": {
        "learning.direction": "low-rank", "learning.functional": True, "learning.rate": 2.5e-3,
        "learning.parameters": ["*layers.0.self_attn.*_proj.weight"],
    },
    "0.1 % of all weights": {"learning.parameters": ["*"], "learning.density": 0.001, "learning.rate": 3e-2},
    "all weights": {"learning.parameters": ["*"], "learning.rate": 1.6e-5, "learning.mu": 1e-3},
}  # fmt: skip
FEW = ("as it is", "Gaussian directions", "P = 4")


def configurations(scale: Scale, seed: int) -> list[Cell]:
    cells = []
    for name in FEW if scale.quick else CASES:
        once = scale.experiment(seed, NOISELESS, {"radio.snr_db": None}, CASES[name])
        if scale.quick:
            cells.append(Cell({"choice": name}, seed, Run(once)))
            continue
        rounds = max(1, round(BUDGET / work_a_round("run", once, {})))
        paid = {"learning.rounds": rounds, "run.evaluate_every": max(1, rounds // 12), "run.evaluate_examples": 400}
        layers = (NOISELESS, {"radio.snr_db": None}, CASES[name], paid)
        cells.append(Cell({"choice": name}, seed, Run(scale.experiment(seed, *layers))))
    return cells


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    extra = (("rounds", "rounds"), ("forward passes", "forwards"), ("trained weights", "trainable"))
    tables = [accuracy_table(results, extra), reaching_table(results, TARGETS, "choice")]
    return tables, [curves(results, "forwards", "forward passes, examples of all devices", "choice")]


STUDY = Study(
    "choices",
    "what makes zeroth-order learning reach an accuracy in the fewest forward passes?",
    f"""
One choice at a time is changed from the studies' common ground (256 gains of the first attention norm, Rademacher,
central, P = 1, B = 16, cosine rate 1e-2), at equal work of {BUDGET:,.0f} forward passes, without noise, fading or
privacy. Rates are one guess for each choice and are not tuned: a choice that loses here may win at another rate.
""",
    lambda scale: over_seeds(scale, configurations),
    show,
)
