"""The experiment file: TOML sections `model`, `task`, `learning`, `radio`, `privacy`, `run`, validated before anything starts.

Every error names the file (or `--set`), the key, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fl.config_checks import SURROUNDINGS, check
from fl.tasks.registry import TASKS, is_task
from radio.errors import InputError
from radio.toml_file import read_toml

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _task_name(name: str) -> str:
    if not is_task(name):
        raise ValueError(f"allowed: {', '.join(TASKS)}, or the path of a task file that ends in .toml")
    return name


class Model(_Section):
    source: str = "embedded"  # `embedded`, a local Hugging Face folder, or a hub id such as facebook/opt-125m
    forward: Literal["fp32", "bf16"] = "fp32"  # what the forward pass computes in; the weights and their log are fp32
    lora_rank: Annotated[int, Field(ge=0, le=1024)] = 0  # adapters beside q_proj and v_proj, named *lora_*; 0: none
    lora_alpha: Positive = 16.0  # their scale is alpha/rank


class Task(_Section):
    name: Annotated[str, AfterValidator(_task_name)] = (
        "reviews"  # built in, or the path of a task file (fl/tasks/task_file.py)
    )
    root: str | None = (
        None  # folder with the task's files; without it they come from the hub, or lie beside the task file
    )
    public: bool | None = None  # true: a public data set, whose ledger is thrown away; default: what the task says
    examples_per_device: Annotated[int, Field(ge=1)] = 1000
    test_examples: Annotated[int, Field(ge=1)] | None = None  # default: all that are held out
    validation_examples: Annotated[int, Field(ge=0)] = (
        0  # set apart from training, the same for all seeds; they count as public
    )
    held_out: Literal["test", "validation", "both"] = (
        "test"  # what accuracy is measured on; choose settings on validation
    )
    partition: Literal["iid", "dirichlet"] = "iid"
    dirichlet_alpha: Positive = 0.5


class Learning(_Section):
    devices: Count = 5
    rounds: Count = 150
    perturbations: Annotated[int, Field(ge=1, le=4096)] = 8  # P: directions a round, each a number that is sent
    mu: Annotated[float, Field(gt=0, lt=1)] = 1e-2
    rate: Positive = 3e-2  # of normalised steps; plain ones want another
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    batch: Positive = 4  # expected examples a device draws each round, and the fixed denominator B
    # shell patterns of parameter names; ("*",) trains all. Of OPT the gains of the first attention norm (docs/results.md)
    parameters: tuple[str, ...] = ("*layers.0.self_attn_layer_norm.weight",)
    estimator: Literal["central", "one-sided", "split"] = "one-sided"
    split_layer: Count | None = None  # decoder blocks below the cut of `split`; absent: half of them
    split_width: Annotated[int, Field(ge=1, le=4096)] = (
        4  # of `split`: directions of the upper block for each of the lower
    )
    functional: bool | None = None  # evaluate without touching the weights; absent: where all that is trained lets one
    direction: Literal["rademacher", "gaussian", "low-rank"] = "rademacher"
    density: Annotated[float, Field(gt=0, le=1)] = 1.0  # share of the selected weights that move, all rounds the same
    mask: Literal["magnitude", "random"] = "magnitude"  # which: the largest at the start, or any
    rank: Annotated[int, Field(ge=1, le=64)] = 2  # of a low-rank direction
    refresh: Count = 50  # slots a low-rank direction keeps its right factor
    optimiser: Literal["sgd", "momentum", "adam", "normalised"] = "normalised"
    momentum: Annotated[float, Field(gt=0, le=0.99)] = 0.9  # of momentum and of adam's first moment
    payload: Literal["value", "sign"] = "value"  # sign: Sign-pAirZero, one bit; the rate is then per vote
    local_steps: Annotated[int, Field(ge=1, le=1024)] = (
        1  # L: measurements, each a release, before a device sends L P numbers
    )
    seed_pool: Count | None = (
        None  # N: rounds draw their seeds from N fixed ones (FedKSeed); absent: a fresh seed a round
    )
    absent: Annotated[float, Field(ge=0, lt=1)] = 0.0  # in simulation: probability that a device is away in a round,
    absent_rounds: Count = 1  # and how many rounds it stays away then
    silent: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # in simulation: probability that an announced device sends nothing
    )
    micro_batch: Annotated[int, Field(ge=1, le=1024)] = 4  # examples of 64 tokens a forward pass has room for

    @property
    def probe(self) -> str:
        """The estimator's full name (fl.estimators.registry)."""
        return f"split:{self.split_width}" if self.estimator == "split" else self.estimator

    @property
    def basis_slots(self) -> int:
        """How many slots' seeds share their upper half (`fl.rounds.round_seed`); 0: none."""
        return self.refresh if self.direction == "low-rank" else 0

    @property
    def scalars(self) -> int:
        """L P: what a device sends in a round."""
        return self.local_steps * self.perturbations


class Radio(_Section):
    mode: Literal["coherent", "energy", "vote", "tdma", "ideal"] = "coherent"  # vote needs learning.payload = "sign"
    fidelity: Literal["sample", "symbol"] = "sample"  # symbol: exact statistics of flat fading and noise, no waveforms
    profile: Literal["none", "textbook", "pluto-room", "pluto-bench"] = "none"  # none: fading to adc_bits below
    shared_clock: bool = False  # one reference clock for all radios of a profile
    mapping: Literal["signed", "augmented", "affine", "reed"] = "signed"  # of energy mode
    # what is wrong with the radios, beside or in place of the profile's; radio/impairments.py has the names
    impairments: dict[str, bool | float] = {}
    fading: Literal["rayleigh", "rician", "static"] = "rayleigh"
    rician_k_db: float = 6.0
    coherence_rounds: Count = 1  # that a block of fading lasts
    channel: str | None = None  # file of `pairzero calibrate export`: its measured gains instead of fading
    doppler_hz: Annotated[float, Field(ge=0)] = 0.0  # above 0: fading correlated in time (Jakes) instead of blocks
    round_s: Annotated[float, Field(ge=0)] = 0.0  # time from round to round, for doppler_hz
    tap_delays_s: tuple[float, ...] = ()  # echoes: delays and mean powers of the paths; none: one path
    tap_powers_db: tuple[float, ...] = ()
    snr_db: Annotated[float, Field(ge=-60, le=120)] = 20.0  # per received scalar at full-scale payload, channel average
    path_loss_db: float | tuple[float, ...] = 0.0
    offset_hz: Annotated[float, Field(ge=0)] = 1.0  # standard deviation of the residual carrier offset
    timing_samples: Annotated[int, Field(ge=0)] = 64
    dac_bits: Annotated[int, Field(ge=2, le=24)] = 12
    adc_bits: Annotated[int, Field(ge=2, le=24)] = 12
    window: Annotated[int, Field(ge=64, le=1 << 20)] = 4096
    pilot_window: Annotated[int, Field(ge=64, le=1 << 20)] = 1024
    rate_sps: Positive = 1e6
    # devices with |h|^2 below this share of the mean sit out; auto: whoever leaves the least error of the mean (coherent)
    truncation: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = 0.05

    # rounds from one public scalar to the next, against which the radio is checked (calibration/watch.py); 0: none; absent:
    # 20 with --profile, else none
    check_every: Annotated[int, Field(ge=0)] | None = None

    @property
    def air_settings(self) -> dict[str, Any]:
        """The arguments of `radio.modes.open_air`."""
        return self.model_dump(exclude={"check_every"}) | {"truncation": self.least_share}

    @property
    def least_share(self) -> float:
        """Of the mean gain power, below which no device is ever inverted."""
        return 0.0 if self.truncation == "auto" else self.truncation

    @property
    def described(self) -> str:
        """The air in a few words."""
        if self.mode == "ideal":
            return "ideal air"
        fading = f"{self.fading} fading" if self.channel is None else f"gains measured in {self.channel}"
        place = (
            f"{fading}, SNR {self.snr_db:g} dB at full scale" if self.profile == "none" else f"profile {self.profile}"
        )
        if self.fidelity == "symbol" and (self.profile != "none" or self.impairments):
            place += " at symbol fidelity (its gains, noise and offsets; no impairments of radios)"
        elif self.impairments:
            place += f" with {', '.join(f'{name} = {value}' for name, value in self.impairments.items())}"
        return f"{self.mode} mode, {place}"


class Privacy(_Section):
    enabled: bool = True
    epsilon: Positive = 8.0
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    clip: Positive = 10.0  # gamma: bound of one example's projected gradient
    # largest payload before noise, in clips (below batch = 1: in clip/batch); more where a device may hold far more than
    # examples_per_device, or of one label, at the price of a weaker signal
    saturation: Positive = 1.0
    spare_rounds: Annotated[float, Field(ge=0)] = 0.01  # share of the rounds kept for interrupted slots (at least 8)
    unit: Literal["example", "device"] = (
        "example"  # device: its whole data set; sensitivity 2 C, sampling hides nothing
    )
    threat: Literal["own-noise", "aggregate", "trusted-receiver"] = "own-noise"  # the one enforced; privacy/threats.py
    colluders: Annotated[int, Field(ge=0)] = 0  # C: devices that tell the server their own noise
    dropouts: Annotated[int, Field(ge=0)] = 0  # D: devices announced as active that may send nothing
    csi_margin_db: Annotated[float, Field(ge=0, le=60)] | None = None  # kappa: how much louder a device may arrive
    assume_perfect_csi: bool = False  # kappa = 1: every device arrives exactly as planned
    # weighted: less noise in rounds that count more in the end, learning rate squared times A^(rounds to go); fixed ahead
    schedule: Literal["constant", "weighted"] = "constant"
    contraction: Annotated[float, Field(gt=0, le=1)] = 1.0  # A: what a round leaves of earlier errors; 1: all of them
    receiver_noise: Positive | None = (
        None  # announced noise per complex sample, ADC full scale = 1; the smaller of it and the measured counts
    )
    backoff: Annotated[float, Field(ge=0)] = 4.0  # noise standard deviations below DAC full scale; aggregate: more
    ledger: str | None = None  # folder of ledgers, one per data owner; default: see fl.session.ledger_folder
    reproducible: bool = False  # testing only: secrets derived from the seed; the guarantee is void


class Run(_Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")] = "run"
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 1
    evaluate_every: Count = 25
    evaluate_examples: Count = 500  # held-out examples at intervals; the last evaluation uses all of them
    threads: Annotated[int, Field(ge=1)] | None = None
    record_every: Annotated[int, Field(ge=0)] = 0  # record what the receiver heard in slots 0, N, 2 N, ...; 0: nothing
    tensorboard: bool = False  # write the run's numbers as TensorBoard events too; needs the extra `tensorboard`
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
        check(self)
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

    @property
    def releases(self) -> int:
        """Charges the privacy noise is sized for: one for every local step of every slot."""
        return self.slots * self.learning.local_steps

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
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(v)}" for key, v in value.items()) + "}"
    # JSON's strings, numbers and booleans are TOML's, but for surrogate pairs and a bare DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def load(path: Path, overrides: Sequence[str] = (), tell: Callable[[str], None] = lambda line: None) -> Experiment:
    """Read an experiment file, apply `section.key=value` overrides and validate the whole.

    An overriding `radio.profile` takes the place of everything that the file says of the surroundings; `tell` is given a line
    that names what was left out.  Relative `task.root` and `model.source` folders are looked up from the working directory.
    Raises InputError naming file, key, value and what is allowed.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder, not an experiment file; a run is continued with --resume {path}")
    raw = read_toml(path, f"experiment file {path} not found; `pairzero run` without a file uses examples/demo.toml")
    origin = {f"{s}.{k}": str(path) for s, values in raw.items() if isinstance(values, dict) for k in values}
    origin |= {section: str(path) for section in raw}
    for override in overrides:
        section, name, value = parse_override(override)
        table = raw.setdefault(section, {})
        if not isinstance(table, dict):
            raise InputError(f"--set {override}: {section} is not a section of {path}")
        table[name] = value
        origin[f"{section}.{name}"] = "--set"
        origin.setdefault(section, "--set")
    radio = raw.get("radio")
    if origin.get("radio.profile") == "--set" and isinstance(radio, dict) and radio["profile"] != "none":
        replaced = [key for key in SURROUNDINGS if key in radio and origin[f"radio.{key}"] != "--set"]
        if replaced:
            named = ", ".join(f"radio.{key} = {radio.pop(key)!r}" for key in replaced)
            tell(f"--set radio.profile={radio['profile']} takes the place of {named} in {path}")
    return validate(raw, str(path), origin)


def validate(raw: dict, source: str, origin: dict[str, str] | None = None) -> Experiment:
    try:
        return Experiment.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(problem, source, origin or {}) for problem in error.errors()]
        raise InputError("\n".join(dict.fromkeys(lines))) from None


def parse_override(override: str) -> tuple[str, str, Any]:
    """Section, key and value of `section.key=value`."""
    key, equals, text = override.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and section and name):
        raise InputError(f"--set {override}: expected section.key=value, for example --set learning.rounds=60")
    return section, name, _value(text.strip())


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
        message = problem["msg"].removeprefix("Value error, ")
        named = [origin[word] for word in re.findall(r"[a-z]+\.[a-z_]+", message) if word in origin]
        return f"{'--set' if '--set' in named else source}: {message}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {key} = {problem['input']!r}: {message[0].lower()}{message[1:]}"


def _known_keys(location: list[str]) -> list[str]:
    model: Any = Experiment
    for part in location:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
