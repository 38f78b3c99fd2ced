"""The simulated air that an experiment describes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fl.config import Experiment
from radio.impairments import switched
from radio.modes import surroundings
from radio.surroundings import Surroundings

# Keys of `radio` that say how the air is used, or how it is checked, and not what it is like.
USE = {"mode", "fidelity", "mapping", "pilot_window", "truncation", "check_every"}


def surroundings_of(experiment: Experiment) -> Surroundings:
    radio = experiment.radio
    settings = radio.model_dump(exclude={*USE, "impairments"})
    place = surroundings(experiment.learning.devices, experiment.run.seed, **settings)
    return replace(place, impairments=switched(place.impairments, radio.impairments))


def described(experiment: Experiment) -> dict[str, Any]:
    """All that determines the simulated air: what a profile of it is bound to."""
    own = experiment.radio.model_dump(mode="json", exclude=USE, exclude_none=True)
    if own["profile"] == "none":  # its noise is stated per received scalar, so the window is part of it
        del own["shared_clock"]
    else:
        own = {key: own[key] for key in ("profile", "shared_clock", "impairments", "rate_sps")}
    return own | {"devices": experiment.learning.devices, "seed": experiment.run.seed}
