"""A study: a question, the cells that answer it, and how their results are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from fl.config import Experiment, validate
from fl.studies.cell import INDIFFERENT, Cell
from fl.studies.outcome import Measured, Value

Settings = Mapping[str, Any]

# The common ground: the embedded model on SST-2, five devices with 10,000 sentences each, 20 examples a round, the directions and
# steps that `choices` found best.  Secrets derive from the seed: whoever repeats a cell gets its figures, two cells of one seed
# differ in nothing but what the study varies, and the guarantee is void, which on public data harms nobody.
BASE: Settings = {
    "model.source": "embedded",
    "task.name": "sst2",
    "task.public": True,
    "task.examples_per_device": 10_000,
    "learning.devices": 5,
    "learning.rounds": 90,
    "learning.perturbations": 8,
    "learning.estimator": "one-sided",
    "learning.optimiser": "normalised",
    "learning.batch": 4,
    "learning.parameters": ["*layers.0.self_attn_layer_norm.weight"],
    "learning.mu": 1e-2,
    "learning.rate": 3e-2,
    "radio.mode": "coherent",
    "radio.fidelity": "symbol",
    "radio.snr_db": 20.0,
    "privacy.epsilon": 8.0,
    "privacy.delta": 1e-5,
    "privacy.clip": 5.0,
    "privacy.reproducible": True,
    "run.evaluate_every": 15,
    "run.evaluate_examples": 872,
}
# The paper's rounds: two passes instead of nine.
ONE_DIRECTION: Settings = {
    "learning.perturbations": 1,
    "learning.estimator": "central",
    "learning.optimiser": "sgd",
    "learning.rate": 1e-2,
    "learning.micro_batch": 1,  # the fastest for two passes over four examples
}

# For a glance at a study's shape: generated reviews, few of them, each in every batch (so no accountant to wait for).
QUICK: Settings = {
    "task.name": "reviews",
    "task.examples_per_device": 4,
    "task.test_examples": 16,
    "learning.devices": 2,
    "learning.rounds": 2,
    "learning.perturbations": 2,
    "learning.batch": 4,
    "learning.micro_batch": 8,
    "learning.parameters": ["*layers.0.*layer_norm.weight"],
    "radio.window": 256,
    "radio.pilot_window": 128,
    "privacy.delta": 1e-2,
    "run.evaluate_every": 1,
    "run.evaluate_examples": 16,
    "run.threads": 1,
}


def merged(*layers: Settings) -> dict[str, dict[str, Any]]:
    """Sections of keys from "section.key" layers, later ones first; None takes a key back to its default."""
    raw: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for key, value in layer.items():
            section, _, name = key.partition(".")
            raw.setdefault(section, {})[name] = value
    return {section: {k: v for k, v in keys.items() if v is not None} for section, keys in raw.items()}


@dataclass(frozen=True)
class Scale:
    """How much is measured, and on what.

    quick      a shape in seconds instead of figures
    seeds      as many, beginning with 1
    model      `model.source`, for all cells
    overrides  keys that rule over everything, for all cells
    """

    quick: bool = False
    seeds: int = 3
    model: str = "embedded"
    overrides: Settings | None = None

    def one_direction(self, rounds: int) -> Settings:
        """The paper's rounds, as many as take the forward passes of `rounds` of the base's."""
        many = round(4.5 * rounds)
        return (
            ONE_DIRECTION if self.quick else {**ONE_DIRECTION, "learning.rounds": many, "run.evaluate_every": many // 6}
        )

    def experiment(self, seed: int, *layers: Settings) -> Experiment:
        """The base, made quick if so, with `layers` over it.  Raises InputError for keys that do not go together."""
        small = QUICK if self.quick else {}
        last = {"model.source": self.model, **(self.overrides or {}), "run.seed": seed}
        return validate(merged(BASE, small, *layers, last), "study")

    @property
    def changed(self) -> str:
        """The overrides that change what is measured, in words."""
        kept = {key: value for key, value in (self.overrides or {}).items() if key not in INDIFFERENT}
        model = {} if self.model == "embedded" or self.quick else {"model.source": self.model}
        return ", ".join(f"{key} = {value}" for key, value in {**model, **kept}.items())

    def some(self, many: Sequence[Any], few: Sequence[Any]) -> Sequence[Any]:
        """The levels of a factor."""
        return few if self.quick else many


@dataclass(frozen=True)
class Table:
    """`rows` of text under `header`; written as CSV and Markdown."""

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    """Drawn on one axes; written as SVG and PNG.  `caption` says how to read it."""

    name: str
    caption: str
    draw: Callable[[Axes], None]
    height: float = 3.2


@dataclass(frozen=True)
class Results:
    """What has been measured of a study's cells, one entry a configuration (seeds together), in the study's order."""

    cells: Sequence[Cell]
    measured: Mapping[str, Measured]  # by digest

    def only(self, factor: str, values: Sequence[Value]) -> Results:
        """Those whose factor is one of the values: two dozen curves would hide each other."""
        return Results([cell for cell in self.cells if cell.factors[factor] in values], self.measured)

    def groups(self) -> list[Group]:
        found: dict[tuple[tuple[str, Value], ...], dict[int, Measured]] = {}
        for cell in self.cells:
            seeds = found.setdefault(tuple(cell.factors.items()), {})
            if cell.digest in self.measured:
                seeds[cell.seed] = self.measured[cell.digest]
        return [Group(dict(factors), seeds) for factors, seeds in found.items()]


@dataclass(frozen=True)
class Group:
    """One configuration over seeds."""

    factors: Mapping[str, Value]
    seeds: Mapping[int, Measured]

    def values(self, key: str) -> dict[int, float]:
        """Of a figure, by seed."""
        numbers = ((seed, measured.number(key)) for seed, measured in self.seeds.items())
        return {seed: number for seed, number in numbers if number is not None}

    def matches(self, **factors: Value) -> bool:
        return all(self.factors.get(key) == value for key, value in factors.items())


@dataclass(frozen=True)
class Study:
    """design   the cells of a scale, seed by seed, so that whatever is done first covers everything once
    show     tables and figures of what there is
    text     what it shows, in Markdown, before the tables"""

    name: str
    question: str
    text: str
    design: Callable[[Scale], list[Cell]]
    show: Callable[[Results], tuple[list[Table], list[Figure]]]
    seeds: int = 3  # unless asked for otherwise
    cells_of: str = ""  # the study whose cells it shows, if not its own
    models: bool = True  # whether its cells are of `Scale.model`


def over_seeds(scale: Scale, configurations: Callable[[Scale, int], list[Cell]]) -> list[Cell]:
    return [cell for seed in range(1, scale.seeds + 1) for cell in configurations(scale, seed)]
