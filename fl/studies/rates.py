"""What the comparison of algorithms trains, at which rates, at equal work.

`tune` is the study that chooses rates; `CHOSEN` is what it chose, and who runs it again enters it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fl.baselines.harness import NOISELESS, PRESETS
from fl.config import Experiment
from fl.studies.budget import work_a_round
from fl.studies.cell import Cell
from fl.studies.study import BASE, Scale
from fl.studies.training import Train

# Forward passes of one example, backward passes counted as two: the base's 90 rounds of five batches of 4, 9 passes each.
BUDGET = 16_200.0
ALL = ["*"]
LOOK = {"run.evaluate_every": 5, "run.evaluate_examples": 400}
RATE = float(BASE["learning.rate"])
MULTIPLES = (0.1, 0.33, 1.0, 3.3)
# where the best of those was the largest
FURTHER = (*MULTIPLES, 10.0)
FURTHEST = (*FURTHER, 33.0)


@dataclass(frozen=True)
class Contender:
    """One line of the comparison.

    preset    of `fl.baselines.harness`
    around    the rate that `tune` tries multiples of
    changes   keys over the preset's; `options`: of its class
    rows      learning.micro_batch, the fastest for batches of 4: it changes last bits of losses
    multiples what `tune` tries, times `around`
    """

    preset: str
    around: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 1
    multiples: tuple[float, ...] = MULTIPLES

    @property
    def rates(self) -> list[float]:
        """The grid."""
        return [float(f"{multiple * self.around:.3g}") for multiple in self.multiples]

    def experiment(self, base: Experiment, rate: float, work: float) -> Train:
        """The contender at a rate, for as many rounds as `work` pays for."""
        changes = {"learning.micro_batch": self.rows, **self.changes, "learning.rate": rate}
        once = Train(self.preset, _rounds(base, 1), changes, self.options)
        options = {**PRESETS[self.preset].options, **self.options}
        rounds = max(1, round(work / work_a_round(self.preset, once.prepared, options)))
        every = max(1, round(rounds * base.run.evaluate_every / base.learning.rounds))
        return Train(self.preset, _rounds(base, rounds, every), changes, self.options)


def _rounds(experiment: Experiment, rounds: int, every: int = 1) -> Experiment:
    learning = experiment.learning.model_copy(update={"rounds": rounds})
    run = experiment.run.model_copy(update={"evaluate_every": every})
    return experiment.model_copy(update={"learning": learning, "run": run})


def _subset(preset: str, **more: Any) -> Contender:
    return Contender(preset, RATE * PRESETS[preset].rate, **more)


def _whole(preset: str, around: float, changes: Mapping[str, Any] = MappingProxyType({}), **more: Any) -> Contender:
    """As its authors define it: all weights, their mu.  A projection is three times as large as on our subset."""
    return Contender(preset, around, {"learning.parameters": ALL, "learning.mu": 1e-3, **changes}, **more)


# On our subset of 256 gains, without noise and fading unless the name says otherwise; then as the authors define them.
CONTENDERS: dict[str, Contender] = {
    "pairzero": _subset("pairzero", rows=4),
    "pairzero-ideal": _subset("pairzero-ideal", rows=4),
    "sign-pairzero": _subset("sign-pairzero"),
    "pairzero-central": _subset("pairzero-central"),
    "mezo": _subset("mezo"),
    "decomfl": _subset("decomfl", rows=2),
    "fedzo": _subset("fedzo"),
    "fedspzo": Contender("fedspzo", RATE / 3.0, dict(NOISELESS)),
    "fedkseed": _subset("fedkseed"),
    "fedsgd": _subset("fedsgd", multiples=FURTHEST),
    "fedavg-sgd": _subset("fedavg-sgd", multiples=FURTHEST),
    "fedavg-adamw": _subset("fedavg-adamw", multiples=FURTHER),
    "fzoo, all weights": _whole("fzoo", 2e-2, {**NOISELESS, "privacy.clip": 30.0}),
    "mezo, all weights": _whole("mezo", 4e-4),
    "mezo, all weights, B = 16": _whole("mezo", 4e-4, {"learning.batch": 16}, rows=2, multiples=FURTHER),
    "decomfl, all weights": _whole("decomfl", 4e-4),
    "fedzo, all weights": _whole("fedzo", 1.32e-4, multiples=FURTHER),
    "fedspzo, all weights": _whole("fedspzo", 4e-4, {**NOISELESS, "privacy.clip": 100.0}, multiples=FURTHER),
    "fedkseed, all weights": _whole("fedkseed", 4e-5, multiples=FURTHER),
    "fedavg-adamw, all weights": Contender("fedavg-adamw", 2e-4, {"learning.parameters": ALL}, multiples=FURTHER),
}
QUICK = ("pairzero", "sign-pairzero", "mezo", "fedsgd", "mezo, all weights")

# Rates chosen by `pairzero reproduce tune`; a name that is not here takes the middle of its grid.
CHOSEN: dict[str, float] = {
    "pairzero": 0.03,
    "pairzero-ideal": 0.03,
    "sign-pairzero": 0.01,
    "pairzero-central": 0.01,
    "mezo": 0.0033,
    "decomfl": 0.01,
    "fedzo": 0.0033,
    "fedspzo": 0.01,
    "fedkseed": 0.001,
    "fedsgd": 0.3,
    "fedavg-sgd": 0.33,
    "fedavg-adamw": 0.033,
    "fzoo, all weights": 0.02,
    "mezo, all weights": 0.0004,
    "mezo, all weights, B = 16": 0.00132,
    "decomfl, all weights": 0.0004,
    "fedzo, all weights": 0.000436,
    "fedspzo, all weights": 0.00132,
    "fedkseed, all weights": 0.000132,
    "fedavg-adamw, all weights": 0.00066,
}


def rate_of(name: str) -> float:
    return CHOSEN.get(name, CONTENDERS[name].around)


def contenders(scale: Scale, seed: int, work: float = BUDGET) -> list[Cell]:
    """A cell each, at equal work, looked at every eighteenth of it."""
    base = scale.experiment(seed, {} if scale.quick else LOOK)
    names = QUICK if scale.quick else CONTENDERS
    # quick: what two rounds of the base take
    paid = 4.0 * base.learning.devices * base.learning.batch if scale.quick else work
    return [Cell({"method": name}, seed, CONTENDERS[name].experiment(base, rate_of(name), paid)) for name in names]
