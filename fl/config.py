"""The experiment file: TOML sections `model`, `task`, `learning`, `radio`, `privacy`, `run`, validated before anything starts.

Every error names the file (or `--set`), the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from radio.errors import InputError

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Section):
    source: str = "embedded"  # `embedded`, a local Hugging Face folder, or a hub id such as facebook/opt-125m


class Task(_Section):
    name: Literal["reviews", "sst2"] = "reviews"
    root: str | None = None  # folder with the task's files; sst2 without it comes from the hub
    public: bool | None = None  # true: a public data set, whose ledger is thrown away; default: what the task says
    examples_per_device: Annotated[int, Field(ge=1)] = 1000
    test_examples: Annotated[int, Field(ge=1)] | None = None  # default: the whole test split
    partition: Literal["iid", "dirichlet"] = "iid"
    dirichlet_alpha: Positive = 0.5


class Learning(_Section):
    devices: Count = 5
    rounds: Count = 600
    perturbations: Annotated[int, Field(ge=1, le=4096)] = 1
    mu: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    rate: Positive = 1e-2
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    batch: Positive = 16  # expected examples a device draws each round, and the fixed denominator B
    parameters: tuple[str, ...] = ("*layer_norm*", "*.bias")  # shell patterns of parameter names; ("*",) trains all
    micro_batch: Annotated[int, Field(ge=1, le=1024)] = 16


class Radio(_Section):
    mode: Literal["coherent", "energy", "vote", "tdma", "ideal"] = "coherent"  # vote: learning.rate steps of +-1
    fidelity: Literal["sample", "symbol"] = "sample"  # symbol: exact statistics of flat fading and noise, no waveforms
    profile: Literal["none", "textbook", "pluto-room", "pluto-bench"] = "none"  # none: fading to adc_bits below
    shared_clock: bool = False  # one reference clock for all radios of a profile
    mapping: Literal["signed", "augmented", "affine", "reed"] = "signed"  # of energy mode
    fading: Literal["rayleigh", "rician", "static"] = "rayleigh"
    rician_k_db: float = 6.0
    coherence_rounds: Count = 1
    snr_db: Annotated[float, Field(ge=-60, le=120)] = 20.0  # per received scalar at full-scale payload, channel average
    path_loss_db: float | tuple[float, ...] = 0.0
    offset_hz: Annotated[float, Field(ge=0)] = 1.0  # standard deviation of the residual carrier offset
    timing_samples: Annotated[int, Field(ge=0)] = 64
    dac_bits: Annotated[int, Field(ge=2, le=24)] = 12
    adc_bits: Annotated[int, Field(ge=2, le=24)] = 12
    window: Annotated[int, Field(ge=64, le=1 << 20)] = 4096
    pilot_window: Annotated[int, Field(ge=64, le=1 << 20)] = 1024
    rate_sps: Positive = 1e6
    truncation: Annotated[float, Field(ge=0, lt=1)] = 0.05  # devices with |h|^2 below this share of the mean sit out

    @property
    def described(self) -> str:
        """The air in a few words."""
        if self.mode == "ideal":
            return "ideal air"
        place = f"{self.fading} fading at {self.snr_db:g} dB" if self.profile == "none" else f"profile {self.profile}"
        return f"{self.mode} mode, {place}"


class Privacy(_Section):
    enabled: bool = True
    epsilon: Positive = 8.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    clip: Positive = 10.0  # gamma: bound of one example's projected gradient
    spare_rounds: Annotated[float, Field(ge=0)] = 0.01  # share of the rounds kept for interrupted slots (at least 8)
    backoff: Annotated[float, Field(ge=0)] = 4.0  # noise standard deviations that fit below DAC full scale
    ledger: str | None = None  # folder of ledgers, one per data owner; default: see fl.session.ledger_folder
    reproducible: bool = False  # testing only: secrets derived from the seed; the guarantee is void


class Run(_Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "run"
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 1
    evaluate_every: Count = 100
    evaluate_examples: Count = 500  # held-out examples at intervals; the last evaluation uses all of them
    threads: Annotated[int, Field(ge=1)] | None = None
    record_every: Annotated[int, Field(ge=0)] = 0  # record what the receiver heard in slots 0, N, 2 N, ...; 0: nothing
    first_order: bool = False  # also train the same model with first-order AdamW, as a yardstick


class Experiment(_Section):
    model: Model = Model()
    task: Task = Task()
    learning: Learning = Learning()
    radio: Radio = Radio()
    privacy: Privacy = Privacy()
    run: Run = Run()

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        if self.learning.batch > self.task.examples_per_device:
            raise ValueError(
                f"learning.batch = {self.learning.batch:g} is more than task.examples_per_device = "
                f"{self.task.examples_per_device}; a device cannot draw more than it has"
            )
        losses = self.radio.path_loss_db
        if isinstance(losses, tuple) and len(losses) != self.learning.devices:
            raise ValueError(
                f"radio.path_loss_db has {len(losses)} values for learning.devices = {self.learning.devices}; "
                "give one number for all or one per device"
            )
        surroundings = (
            "fading", "rician_k_db", "coherence_rounds", "snr_db", "path_loss_db", "offset_hz", "timing_samples",
            "dac_bits", "adc_bits",
        )  # fmt: skip
        for key in surroundings if self.radio.profile != "none" else ():
            if getattr(self.radio, key) != Radio.model_fields[key].default:
                raise ValueError(
                    f"radio.{key} = {getattr(self.radio, key)!r} beside radio.profile = {self.radio.profile!r}, which says "
                    "what the air is like; leave one of them out"
                )
        if self.run.record_every and (self.radio.mode == "ideal" or self.radio.fidelity == "symbol"):
            raise ValueError(
                f"run.record_every = {self.run.record_every}, but an air with radio.mode = {self.radio.mode!r} and "
                f"radio.fidelity = {self.radio.fidelity!r} has no samples to record; leave one of them out"
            )
        if self.task.name == "reviews" and self.task.examples_per_device > 1000:
            raise ValueError(
                f"task.examples_per_device = {self.task.examples_per_device}; the generated reviews give at most 1000"
            )
        if self.privacy.enabled and self.privacy.delta >= 1 / self.task.examples_per_device:
            raise ValueError(
                f"privacy.delta = {self.privacy.delta:g} is not below 1/task.examples_per_device = "
                f"{1 / self.task.examples_per_device:g}; such a delta promises nothing"
            )
        return self

    @property
    def sampling_rate(self) -> float:
        """q = B/n: the public probability with which every example joins a round's batch; n is nominal, whatever a device
        really holds."""
        return self.learning.batch / self.task.examples_per_device

    @property
    def slots(self) -> int:
        """Air slots the privacy noise is sized for: the rounds plus the spares that replace interrupted ones."""
        return self.learning.rounds + max(8, -int(-self.learning.rounds * self.privacy.spare_rounds // 1))

    def digest(self) -> str:
        """Identity of what determines the weights: everything but where files lie."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        lines: list[str] = []
        for section, values in self.model_dump(mode="json").items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
            lines.append("")
        return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    # JSON's strings, numbers and booleans are TOML's, but for surrogate pairs and a bare DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def load(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file, apply `section.key=value` overrides and validate the whole.

    Relative `task.root` and `model.source` folders are looked up from the working directory.
    Raises InputError naming file, key, value and what is allowed.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"experiment file {path} not found; `pairzero run` without a file uses examples/demo.toml"
        ) from None
    except IsADirectoryError:
        raise InputError(
            f"{path} is a folder, not an experiment file; a run is continued with --resume {path}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: not a readable TOML file: {error}") from None
    origin = {f"{s}.{k}": str(path) for s, values in raw.items() if isinstance(values, dict) for k in values}
    origin |= {section: str(path) for section in raw}
    for override in overrides:
        key, equals, text = override.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and section and name):
            raise InputError(f"--set {override}: expected section.key=value, for example --set learning.rounds=60")
        table = raw.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {override}: {section} is not a section of {path}")
        table[name] = _value(text.strip())
        origin[f"{section}.{name}"] = "--set"
        origin.setdefault(section, "--set")
    return validate(raw, str(path), origin)


def validate(raw: dict, source: str, origin: dict[str, str] | None = None) -> Experiment:
    try:
        return Experiment.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(problem, source, origin or {}) for problem in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from None


def _value(text: str) -> Any:
    """A `--set` value as TOML reads it; bare words are strings."""
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(problem: Any, source: str, origin: dict[str, str]) -> str:
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location[:2])
    where = origin.get(key, source)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        close = difflib.get_close_matches(location[-1], known, 1)
        hint = f"did you mean {'.'.join([*location[:-1], close[0]])}?" if close else f"known: {', '.join(known)}"
        kind = "section" if len(location) == 1 else "key"
        return f"{where}: unknown {kind} {key}; {hint}"
    if not location:
        return f"{source}: {problem['msg'].removeprefix('Value error, ')}"
    return f"{where}: {key} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _known_keys(location: list[str]) -> list[str]:
    model: Any = Experiment
    for part in location:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
