"""Every algorithm by name, trained on the same model, task, partition, batch sizes and held-out examples.

`PRESETS` says what each name means: the class that carries out a round, the keys of the experiment that make the method what
it is, and its own options.  A method takes from the experiment what it has use for: only our own rounds and DPZero know
privacy, only our own rounds and the `-ota` methods know a channel.  For `pairzero` and its kin the keys are all there is to
it, so `pairzero run --set KEY=VALUE ...` runs the same method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fl.baselines.algorithm import Algorithm, Cost
from fl.baselines.decomfl import DeComFL
from fl.baselines.dpzero import DPZero
from fl.baselines.fedkseed import FedKSeed
from fl.baselines.fedzo import FedZO
from fl.baselines.first_order import FedAvg, FedSGD
from fl.baselines.mezo import MeZO
from fl.baselines.pairzero import PairZero
from fl.baselines.paper_power import PaperPower
from fl.baselines.setting import Setting
from fl.config import Experiment, validate
from radio.errors import InputError


@dataclass(frozen=True)
class Preset:
    """What a name means.

    build     the algorithm's class
    settings  keys of the experiment, "section.key", that the method prescribes
    options   arguments of the class
    rate      the method's learning rate over the experiment's learning.rate, which is that of eight normalised one-sided steps;
              chosen on `examples/demo.toml`'s 256 weights, so no more than a beginning for other weights
    """

    build: Callable[..., Algorithm]
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1.0


NOISELESS = {"radio.mode": "ideal", "privacy.enabled": False}
# The rounds of arXiv 2604.12401: one direction, both sides, and what is received is the step.
CENTRAL = {"learning.estimator": "central", "learning.perturbations": 1, "learning.optimiser": "sgd"}
GAUSSIAN = {**CENTRAL, "learning.direction": "gaussian", "learning.schedule": "constant"}
THIRD = 1.0 / 3.0  # rate of CENTRAL

PRESETS: dict[str, Preset] = {
    "pairzero": Preset(PairZero),
    "pairzero-ideal": Preset(PairZero, NOISELESS),
    "pairzero-central": Preset(PairZero, CENTRAL, rate=THIRD),
    "sign-pairzero": Preset(PairZero, {**CENTRAL, "learning.payload": "sign"}, rate=THIRD),
    "fzoo": Preset(
        PairZero,
        {"learning.estimator": "one-sided", "learning.perturbations": 8, "learning.optimiser": "normalised"},
    ),
    "lozo": Preset(
        PairZero,
        {
            **CENTRAL,
            "learning.direction": "low-rank",
            "learning.functional": True,
            "learning.parameters": ["*layers.0.self_attn.*_proj.weight"],
        },
        rate=0.25 * THIRD,
    ),
    "fedspzo": Preset(
        PairZero,
        {
            "learning.estimator": "split",
            "learning.perturbations": 4,
            "learning.split_width": 4,
            "learning.optimiser": "sgd",
            "learning.parameters": ["*self_attn_layer_norm.weight"],
        },
        rate=THIRD,
    ),
    "sparse": Preset(PairZero, {**CENTRAL, "learning.parameters": ["*"], "learning.density": 0.001}, rate=5.0 * THIRD),
    "paper-solution": Preset(PaperPower, CENTRAL, rate=THIRD),
    "paper-static": Preset(PaperPower, CENTRAL, {"control": "static"}, rate=THIRD),
    "paper-reversed": Preset(PaperPower, CENTRAL, {"control": "reversed"}, rate=THIRD),
    "paper-perfect": Preset(PaperPower, CENTRAL, {"control": "perfect"}, rate=THIRD),
    "mezo": Preset(MeZO, GAUSSIAN, rate=THIRD),
    "decomfl": Preset(
        DeComFL, {**GAUSSIAN, "learning.estimator": "one-sided", "learning.perturbations": 5}, rate=THIRD
    ),
    "fedkseed": Preset(
        FedKSeed, {**GAUSSIAN, "learning.micro_batch": 1}, {"local_steps": 16, "batch": 1}, rate=0.1 * THIRD
    ),
    "dpzero": Preset(DPZero, GAUSSIAN, rate=THIRD),
    "fedzo": Preset(FedZO, {**CENTRAL, "learning.schedule": "constant"}, rate=THIRD),
    "fedzo-ota": Preset(FedZO, {**CENTRAL, "learning.schedule": "constant"}, {"over_the_air": True}, rate=THIRD),
    "fedsgd": Preset(FedSGD, CENTRAL),
    "fedsgd-ota": Preset(FedSGD, CENTRAL, {"over_the_air": True}),
    "fedavg-sgd": Preset(FedAvg, CENTRAL, {"optimiser": "sgd"}, rate=THIRD),
    "fedavg-adamw": Preset(FedAvg, CENTRAL, {"optimiser": "adamw"}, rate=THIRD),
}


@dataclass(frozen=True)
class Curve:
    """Training as seen on held-out examples: entry i after rounds[i] rounds.  The last one rests on all of them.

    loss       mean held-out loss, nats
    accuracy   held-out accuracy, to be read beside `chance_floor`
    cost       everything spent up to there
    trainable  d, weights that moved
    """

    name: str
    rounds: tuple[int, ...]
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    cost: tuple[Cost, ...]
    trainable: int
    chance_floor: float


def prepare(name: str, experiment: Experiment, rounds: int, changes: Mapping[str, Any] | None = None) -> Experiment:
    """The experiment as the named method runs it for `rounds` rounds; `changes` rule over the preset's keys.

    Raises InputError for an unknown name or keys that do not go together.
    """
    preset = _preset(name)
    raw = experiment.model_dump(mode="json")
    rate = experiment.learning.rate * preset.rate
    settings = {"learning.rounds": rounds, "learning.rate": rate, **preset.settings, **(changes or {})}
    for key, value in settings.items():
        section, _, entry = key.partition(".")
        raw[section][entry] = value
    return validate(raw, f"algorithm {name}")


def build(name: str, setting: Setting, **options: Any) -> Algorithm:
    """The named method on a setting that was built from what `prepare` gave."""
    preset = _preset(name)
    return preset.build(setting, **{**preset.options, **options})


def train(
    name: str,
    experiment: Experiment,
    rounds: int,
    evaluate_every: int,
    changes: Mapping[str, Any] | None = None,
    **options: Any,
) -> Curve:
    """Train from the experiment's weights for `rounds` rounds of the named method.

    changes  keys of the experiment that rule over the preset's, such as {"learning.rate": 0.1}
    options  arguments of the method's class that rule over the preset's, such as local_steps=8
    """
    with Setting.build(prepare(name, experiment, rounds, changes)) as setting:
        algorithm = build(name, setting, **options)
        spent = Cost()
        marks, scores, costs = [0], [setting.evaluate(full=rounds == 0)], [spent]
        for t in range(rounds):
            spent = spent + algorithm.round(t)
            if (t + 1) % evaluate_every == 0 or t + 1 == rounds:
                marks.append(t + 1)
                scores.append(setting.evaluate(full=t + 1 == rounds))
                costs.append(spent)
        return Curve(
            name,
            tuple(marks),
            tuple(score.loss for score in scores),
            tuple(score.accuracy for score in scores),
            tuple(costs),
            setting.replica.trainable,
            setting.task.chance_floor,
        )


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise InputError(f"algorithm {name!r} is not known; allowed: {', '.join(PRESETS)}")
    return PRESETS[name]
