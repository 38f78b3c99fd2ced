"""Settings that are right one by one and make no sense together, and keys without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radio.errors import InputError
from radio.impairments import NONE, switched

if TYPE_CHECKING:
    from pydantic import BaseModel

    from fl.config import Experiment, Learning, Privacy


# Keys of `radio` that say what the air is like; a profile says all of it.
SURROUNDINGS = (
    "fading", "rician_k_db", "coherence_rounds", "doppler_hz", "round_s", "tap_delays_s", "tap_powers_db", "snr_db",
    "path_loss_db", "channel", "offset_hz", "timing_samples", "dac_bits", "adc_bits",
)  # fmt: skip

# Those of them that say how gains are drawn; a measured channel has them.
_FADING = ("fading", "rician_k_db", "coherence_rounds", "doppler_hz", "tap_delays_s", "tap_powers_db", "path_loss_db")

# What a key belongs to, and the values of that with which it does something; none: all but the default.
_BELONGS_TO: dict[str, tuple[str, tuple[str, ...]]] = {
    "model.lora_alpha": ("model.lora_rank", ()),
    "task.dirichlet_alpha": ("task.partition", ("dirichlet",)),
    "learning.split_layer": ("learning.estimator", ("split",)),
    "learning.split_width": ("learning.estimator", ("split",)),
    "learning.mask": ("learning.density", ()),
    "learning.absent_rounds": ("learning.absent", ()),
    "learning.rank": ("learning.direction", ("low-rank",)),
    "learning.refresh": ("learning.direction", ("low-rank",)),
    "learning.momentum": ("learning.optimiser", ("momentum", "adam")),
    "privacy.contraction": ("privacy.schedule", ()),
    "radio.mapping": ("radio.mode", ("energy",)),
    "radio.rician_k_db": ("radio.fading", ("rician",)),
    "radio.coherence_rounds": ("radio.fading", ("rayleigh", "rician")),
    "radio.doppler_hz": ("radio.fading", ("rayleigh", "rician")),
    "radio.shared_clock": ("radio.profile", ()),
}


def check(experiment: Experiment) -> None:
    """Raises ValueError naming keys, values and what to do."""
    _check_effects(experiment)
    _check_split(experiment.learning)
    _check_method(experiment.learning)
    _check_sizes(experiment)
    _check_air(experiment)
    if experiment.privacy.enabled:
        _check_privacy(experiment)
    else:
        _refuse(experiment.privacy, _GUARANTEE, "privacy", "privacy.enabled = false")


def _check_effects(experiment: Experiment) -> None:
    """Raises ValueError where a key is set that does nothing as the others are."""
    for key, (other, effective) in _BELONGS_TO.items():
        (section, name), (owner, belongs) = key.split("."), other.split(".")
        present = getattr(getattr(experiment, owner), belongs)
        idle = present not in effective if effective else not _changed(getattr(experiment, owner), belongs)
        if _changed(getattr(experiment, section), name) and idle:
            remedy = f"use {other} = {' or '.join(map(repr, effective))}" if effective else f"set {other} too"
            value = getattr(getattr(experiment, section), name)
            raise ValueError(f"{key} = {value!r} has no effect with {other} = {present!r}; {remedy}, or leave it out")


def _changed(section: BaseModel, key: str) -> bool:
    return bool(getattr(section, key) != type(section).model_fields[key].default)


def _refuse(section: BaseModel, keys: tuple[str, ...], name: str, beside: str) -> None:
    """The first of `keys` that is set has no effect."""
    for key in keys:
        if _changed(section, key):
            raise ValueError(f"{name}.{key} = {getattr(section, key)!r} has no effect with {beside}; leave it out")


def _check_sizes(experiment: Experiment) -> None:
    learning, task = experiment.learning, experiment.task
    if learning.batch > task.examples_per_device:
        raise ValueError(
            f"learning.batch = {learning.batch:g} is more than task.examples_per_device = {task.examples_per_device}; a "
            "device cannot draw more than it has"
        )
    if task.held_out != "test" and not task.validation_examples:
        raise ValueError(
            f"task.held_out = {task.held_out!r} with task.validation_examples = 0; set how many examples to set apart, or leave "
            "held_out out"
        )
    if task.name == "reviews" and task.examples_per_device > 1000:
        raise ValueError(
            f"task.examples_per_device = {task.examples_per_device}; the generated reviews give at most 1000"
        )


def _check_air(experiment: Experiment) -> None:
    radio, learning = experiment.radio, experiment.learning
    losses = radio.path_loss_db
    if isinstance(losses, tuple) and len(losses) != learning.devices:
        raise ValueError(
            f"radio.path_loss_db has {len(losses)} values for learning.devices = {learning.devices}; "
            "give one number for all or one per device"
        )
    if learning.silent and radio.mode not in ("coherent", "ideal"):
        raise ValueError(
            f"learning.silent = {learning.silent:g} with radio.mode = {radio.mode!r}: who is silent is missed only where "
            "amplitudes add; use coherent or ideal, or learning.absent"
        )
    if radio.mode == "vote" and learning.payload != "sign":
        raise ValueError(
            f"radio.mode = 'vote' carries signs, but learning.payload = {learning.payload!r}; set learning.payload = "
            "'sign' (a round then moves by learning.rate along the majority's sign), or use another mode"
        )
    for key in SURROUNDINGS if radio.profile != "none" else ():
        if _changed(radio, key):
            raise ValueError(
                f"radio.{key} = {getattr(radio, key)!r} beside radio.profile = {radio.profile!r}, which says "
                "what the air is like; leave one of them out (--set radio.profile=none)"
            )
    if radio.channel is not None:
        _refuse(radio, _FADING, "radio", f"radio.channel = {radio.channel!r}, which has the gains")
    elif radio.doppler_hz == 0.0:
        _refuse(radio, ("round_s",), "radio", "neither radio.doppler_hz nor radio.channel set")
    try:
        switched(NONE, radio.impairments)
    except InputError as error:
        raise ValueError(f"radio.impairments: {error}") from None
    if radio.truncation == "auto" and (radio.mode != "coherent" or experiment.privacy.threat != "own-noise"):
        raise ValueError(
            f"radio.truncation = 'auto' with radio.mode = {radio.mode!r} and privacy.threat = {experiment.privacy.threat!r}: "
            "the rule is for channel inversion with a noise that does not depend on who takes part; give a share such as 0.05"
        )
    if experiment.run.record_every and (radio.mode == "ideal" or radio.fidelity == "symbol"):
        raise ValueError(
            f"run.record_every = {experiment.run.record_every}, but an air with radio.mode = {radio.mode!r} and "
            f"radio.fidelity = {radio.fidelity!r} has no samples to record; leave one of them out"
        )


_GUARANTEE = (
    "unit", "threat", "colluders", "dropouts", "csi_margin_db", "assume_perfect_csi", "receiver_noise", "schedule",
)  # fmt: skip
_OTHERS = ("colluders", "dropouts", "csi_margin_db", "assume_perfect_csi", "receiver_noise")


def _check_privacy(experiment: Experiment) -> None:
    privacy, task, learning = experiment.privacy, experiment.task, experiment.learning
    if privacy.schedule != "constant":
        _check_schedule(privacy, learning)
    if privacy.unit == "example" and privacy.delta >= 1 / task.examples_per_device:
        raise ValueError(
            f"privacy.delta = {privacy.delta:g} is not below 1/task.examples_per_device = "
            f"{1 / task.examples_per_device:g}; such a delta promises nothing"
        )
    if privacy.unit == "device" and privacy.delta >= 1 / max(2, learning.devices):
        raise ValueError(
            f"privacy.delta = {privacy.delta:g} is not below 1/learning.devices = {1 / learning.devices:g}; such a delta "
            "promises nothing"
        )
    if privacy.unit == "device" and privacy.saturation != 1.0:
        raise ValueError(
            f"privacy.saturation = {privacy.saturation:g}, but with privacy.unit = 'device' the largest payload is what the "
            "noise hides, and is the clip: allowed 1; raise privacy.clip"
        )
    if privacy.threat != "own-noise":
        _check_threat(experiment)
    elif experiment.radio.mode != "coherent":
        _refuse(privacy, _OTHERS, "privacy", f"radio.mode = {experiment.radio.mode!r}, where only own noise counts")
    else:
        _refuse(privacy, ("assume_perfect_csi",), "privacy", "privacy.threat = 'own-noise', which no channel can touch")


def _check_schedule(privacy: Privacy, learning: Learning) -> None:
    named = f"privacy.schedule = {privacy.schedule!r}"
    if learning.payload == "sign":
        raise ValueError(
            f"{named} with learning.payload = 'sign': it weighs the noise of a mean of values, which a vote does not have; "
            "use payload = 'value' or leave schedule out"
        )
    if learning.schedule == "constant" and privacy.contraction == 1.0:
        raise ValueError(
            f"{named} with learning.schedule = 'constant' and privacy.contraction = 1: all rounds weigh the same; set "
            "privacy.contraction (0.998 in arXiv 2604.12401), or leave schedule out"
        )


def _check_threat(experiment: Experiment) -> None:
    """Of a threat that counts more than own noise."""
    privacy, radio, learning = experiment.privacy, experiment.radio, experiment.learning
    named = f"privacy.threat = {privacy.threat!r}"
    if radio.mode != "coherent":
        raise ValueError(
            f"{named} with radio.mode = {radio.mode!r}: an observer of this mode tells the devices apart by slot, sequence or "
            "phase, so nobody else's noise protects them; use radio.mode = 'coherent' or privacy.threat = 'own-noise'"
        )
    if learning.payload == "sign":
        raise ValueError(
            f"{named} with learning.payload = 'sign': a sum of signs is no function of the sum of the noised numbers, so "
            "the others' noise does not add up; use payload = 'value' or privacy.threat = 'own-noise'"
        )
    if learning.local_steps > 1:
        raise ValueError(
            f"{named} with learning.local_steps = {learning.local_steps}: a device moves by its own noised numbers before it "
            "is known who will be on the air; use local_steps = 1 or privacy.threat = 'own-noise'"
        )
    if privacy.csi_margin_db is None and not privacy.assume_perfect_csi:
        raise ValueError(
            f"{named} needs a margin for the errors of the channel estimates: privacy.csi_margin_db (1 dB is usual behind a "
            "good pilot; the statement prints what would have been sure), or privacy.assume_perfect_csi = true"
        )
    if privacy.csi_margin_db == 0.0:
        raise ValueError(
            f"{named} with privacy.csi_margin_db = 0: that no device ever arrives louder than planned is an assumption of its "
            "own; say privacy.assume_perfect_csi = true instead, or give a margin"
        )
    if privacy.csi_margin_db is not None and privacy.assume_perfect_csi:
        raise ValueError(
            f"privacy.csi_margin_db = {privacy.csi_margin_db:g} beside privacy.assume_perfect_csi = true; leave one of them out"
        )
    if privacy.threat == "aggregate":
        _refuse(privacy, ("receiver_noise",), "privacy", f"{named}, which does not count the receiver's noise")
        _check_others(privacy, learning)


def _check_others(privacy: Privacy, learning: Learning) -> None:
    if privacy.colluders + privacy.dropouts > learning.devices - 2:
        raise ValueError(
            f"privacy.colluders = {privacy.colluders} and privacy.dropouts = {privacy.dropouts} of learning.devices = "
            f"{learning.devices} leave nobody whose noise could be counted beside a device's own; use privacy.threat = "
            "'own-noise'"
        )


def _check_split(learning: Learning) -> None:
    if learning.estimator != "split":
        return
    if learning.perturbations % learning.split_width:
        raise ValueError(
            f"learning.perturbations = {learning.perturbations} is not a multiple of learning.split_width = "
            f"{learning.split_width}; split sends one number for each of the upper block's directions"
        )
    if learning.local_steps > 1:
        raise ValueError(
            f"learning.local_steps = {learning.local_steps} with learning.estimator = 'split' is not provided for; use "
            "central or one-sided"
        )
    if learning.functional:
        raise ValueError(
            "learning.functional = true with learning.estimator = 'split': it moves the weights while it keeps activations; "
            "leave functional out"
        )


def _check_method(learning: Learning) -> None:
    if learning.optimiser == "normalised" and learning.perturbations < 2:
        raise ValueError(
            "learning.optimiser = 'normalised' divides by the standard deviation over a round's directions, and "
            "learning.perturbations = 1 has none; use 2 at least, 8 is usual, or optimiser = 'sgd'"
        )
    if learning.optimiser == "normalised" and learning.payload == "sign":
        raise ValueError(
            "learning.optimiser = 'normalised' needs the size of what is measured, and learning.payload = 'sign' sends "
            "none; use payload = 'value' or optimiser = 'sgd'"
        )
    if learning.local_steps > 1 and learning.optimiser in ("adam", "normalised"):
        raise ValueError(
            f"learning.local_steps = {learning.local_steps} with learning.optimiser = {learning.optimiser!r}: between its "
            "measurements a device moves by learning.rate, while the round's step is scaled by what everybody sent; the "
            "two would be of different size. Use sgd or momentum"
        )
    if learning.density < 1 and learning.direction == "low-rank":
        raise ValueError(
            f"learning.density = {learning.density:g} with learning.direction = 'low-rank': the weights left by a "
            "mask have no rows and columns; use rademacher or gaussian, or density = 1"
        )
    if learning.seed_pool is not None and learning.direction == "low-rank":
        raise ValueError(
            f"learning.seed_pool = {learning.seed_pool} with learning.direction = 'low-rank': half of a low-rank seed names "
            "the basis, which changes, so the pool would not be one; use another direction"
        )
