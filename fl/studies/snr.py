"""`snr`: accuracy against SNR, under our rules and under the paper's."""

from __future__ import annotations

from fl.studies.cell import Cell
from fl.studies.show import accuracy_table, levels
from fl.studies.study import ONE_DIRECTION, Figure, Results, Scale, Settings, Study, Table
from fl.studies.training import Run, Train

LEVELS = (0.0, 5.0, 10.0, 20.0)
PAPER_LEVELS = (-20.0, 20.0)
ROUNDS = 60
# at 0 dB, too, most devices' pilots (65,536 samples: 12 dB) are to be heard; no headroom for noise (decision 21)
WEAK: Settings = {"radio.pilot_window": 65536, "radio.truncation": "auto", "privacy.backoff": 0.0}
OURS: Settings = {"privacy.epsilon": 5.0, "privacy.delta": 1e-5, **WEAK}
# the paper's epsilon, delta and gamma; T, mu and the weights trained are this study's
PAPER: Settings = {"privacy.epsilon": 5.0, "privacy.delta": 1e-2, "privacy.clip": 100.0, "privacy.enabled": False}
IDEAL: Settings = {
    "radio.mode": "ideal", "radio.snr_db": None, "radio.truncation": None, "privacy.enabled": False,
}  # fmt: skip
SIGN: Settings = {"learning.payload": "sign"}  # over one direction a round


def design(scale: Scale) -> list[Cell]:
    cells = [cell for seed in range(1, scale.seeds + 1) for cell in _seed(scale, seed)]
    if not scale.quick:  # the paper's own T, once
        full = {
            **ONE_DIRECTION,
            **PAPER,
            "learning.rounds": 8000,
            "run.evaluate_every": 1000,
            "radio.snr_db": 20.0,
            "privacy.enabled": False,
        }
        work = Train("paper-solution", scale.experiment(1, full))
        cells.append(Cell({"method": "paper, solution, T = 8000", "snr_db": 20.0}, 1, work))
    return cells


def _seed(scale: Scale, seed: int) -> list[Cell]:
    rounds: Settings = {} if scale.quick else {"learning.rounds": ROUNDS, "run.evaluate_every": ROUNDS // 2}
    sign = {**scale.one_direction(ROUNDS), **SIGN}

    def run(method: str, snr_db: float | None, *layers: Settings) -> Cell:
        at = {} if snr_db is None else {"radio.snr_db": snr_db}
        return Cell({"method": method, "snr_db": snr_db}, seed, Run(scale.experiment(seed, rounds, OURS, at, *layers)))

    def paper(control: str, snr_db: float | None, corrected: bool) -> Cell:
        at = {} if snr_db is None else {"radio.snr_db": snr_db}
        delta = {"privacy.delta": 1e-5} if corrected else {}
        base = scale.experiment(seed, scale.one_direction(ROUNDS), PAPER, delta, at)
        name = f"paper, {control}" + (", corrected" if corrected else "")
        work = Train(f"paper-{control}", base, options={"corrected": True} if corrected else {})
        return Cell({"method": name, "snr_db": snr_db}, seed, work)

    steps = scale.some(LEVELS, (0.0,))
    cells = [run("ours, analog", level) for level in steps]
    cells += [run("ours, sign", level, sign) for level in steps]
    cells += [run("perfect, analog", None, IDEAL), run("perfect, sign", None, IDEAL, sign)]
    for level in scale.some(PAPER_LEVELS, (0.0,)):
        cells += [paper(control, level, False) for control in ("solution", "static", "reversed")]
    cells += [paper("solution", steps[-1], True), paper("perfect", None, False)]
    return cells


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    extra = (("erased slots", "erased"), ("received SNR, dB", "received_snr_db"), ("epsilon spent", "epsilon_spent"))
    return [accuracy_table(results, extra)], [levels(results, "snr_db", "method", "SNR per received scalar (dB)")]


STUDY = Study(
    "snr",
    "what does the channel take away, under our rules and under the paper's?",
    f"""
*Ours*: (5, 1e-5)-DP for every example by the device's own noise, analog (P = 8, T = {ROUNDS}) or sign (one direction a
round, and so more rounds at the same work), coherent mode over Rayleigh blocks, pilots of 65,536 samples, which at 0 dB
are heard from most devices, and no headroom for noise below full scale. *Paper*: arXiv 2604.12401's power rules
(solution, static, reversed) with its epsilon 5, delta 0.01 and gamma 100, a whole payload clipped, and the receiver's
noise trusted for all privacy; *corrected* mends the defects listed in `privacy/power/paper.py` and takes delta 1e-5.
Its SNR carries the model's dimension as printed; corrected, it is per received scalar like ours. *Perfect*: neither
noise nor privacy. The paper's rules have the rate of *perfect*, which is not tuned to their noise: a smaller one would
leave the model nearer to where it began. One cell has the paper's T of 8,000. Channel noise is no protection that
anybody could check, so the paper's rows are for comparison only.
""",
    design,
    show,
)
