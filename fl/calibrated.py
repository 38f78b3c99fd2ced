"""A profile in a run: whether it may be used, what is said of it, and what the run's air takes from it.

A profile describes a station at one time, all of its radios and the air between them, and it changes more often than the
station file; so it is named on the command line (`--profile`), and the run keeps its own copy beside that of the station.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.expectation import Measured, measured
from calibration.profile import Problem, Profile, check, load_profile
from calibration.watch import EVERY, WatchedAir
from fl.config import Experiment
from fl.surroundings import described
from radio.air import Air
from radio.errors import InputError
from radio.station import StationFile
from radio.wording import duration


def profile_for(experiment: Experiment, path: Path, file: StationFile | None) -> Profile:
    """The profile, if it is one of this station, or of this experiment's simulated air. Raises InputError with the reasons why
    it cannot be used."""
    profile = load_profile(path)
    if experiment.radio.mode == "ideal":
        raise InputError(
            "radio.mode = 'ideal' adds without a radio, so it has no use for --profile; leave --profile out"
        )
    problems = _problems(experiment, profile, file)
    if refused := [problem.text for problem in problems if problem.refuse]:
        again = "--loopback EXPERIMENT" if file is None else "--station FILE"
        raise InputError(
            f"profile {path} is not valid here: {'; '.join(refused)}. Calibrate again (pairzero calibrate {again}), or leave "
            "--profile out"
        )
    return profile


def _problems(experiment: Experiment, profile: Profile, file: StationFile | None) -> list[Problem]:
    found = check(profile, file)
    if file is None and profile.air == "loopback":
        here = described(experiment)
        differing = [key for key in sorted({*here, *profile.settings}) if here.get(key) != profile.settings.get(key)]
        found += [
            Problem(True, f"{key} is {here.get(key)!r} and was {profile.settings.get(key)!r} when the profile was made")
            for key in differing
        ]
    return found


def about(experiment: Experiment, profile: Profile, file: StationFile | None) -> list[str]:
    """Lines for the person who starts the run: what the profile is, what speaks against it, what it recommends and expects."""
    radio = experiment.radio
    lines = [f"profile {profile.name} of {profile.made:%Y-%m-%d %H:%M} UTC, {duration(max(0.0, profile.age_s()))} old"]
    lines += [f"warning: {problem}" for problem in _problems(experiment, profile, file) if not problem.refuse]
    known = _known(profile, experiment)
    if known is None:
        how = f" with mapping {radio.mapping}" if radio.mapping != "signed" else ""
        lines.append(f"the profile has no error to expect of {radio.mode} mode{how}")
    else:
        share = known.rms(radio.window, radio.pilot_window)
        lines.append(
            f"expected error of the sum: {100 * share:.2g} % of full scale, rms, for payloads uniform in \u00b1X"
        )
    advised = profile.recommendation
    if advised is not None:
        other = {
            key: value
            for key, value in advised.settings.items()
            if getattr(radio, key.removeprefix("radio.")) != value
        }  # fmt: skip
        if other:
            named = " ".join(f"--set {key}={value}" for key, value in other.items())
            lines.append(f"the profile recommends other settings ({100 * advised.expected_error:.2g} %): {named}")
        else:
            lines.append("settings are those that the profile recommends")
    every = check_every(experiment, profile)
    lines.append(f"a public scalar checks the radio every {every} rounds" if every else "no checks during the run")
    return lines


def check_every(experiment: Experiment, profile: Profile | None) -> int:
    """Rounds from check to check; 0: none."""
    if experiment.radio.check_every is not None:
        return experiment.radio.check_every
    return 0 if profile is None else EVERY


def watched(experiment: Experiment, air: Air, profile: Profile | None, remedy: str) -> Air:
    """The air with its checks and with the profile's uncertainty of the channel; the air itself where there is neither."""
    radio = experiment.radio
    every = check_every(experiment, profile)
    if not every and profile is None:
        return air
    known = None if profile is None else _known(profile, experiment)
    expected = None if known is None else known.at(radio.window, radio.pilot_window)
    return WatchedAir(air, every or 1 << 62, experiment.run.seed, profile, expected, remedy)


def _known(profile: Profile, experiment: Experiment) -> Measured | None:
    """What the profile knows of the sums of this experiment's mode. Energy mode was measured with signed payloads."""
    radio = experiment.radio
    if radio.mode == "energy" and radio.mapping not in ("signed", "reed"):
        return None
    return measured(profile.facts, radio.mode)


def mean_power(profile: Profile, devices: int) -> NDArray[np.float64] | None:
    """(K,) mean |h_k|^2 of the run's devices at the profile's receive gain; None where it is not known of each."""
    for mode in ("energy", "coherent"):
        known = measured(profile.facts, mode)
        if known is not None and known.power.size >= devices and np.all(known.power[:devices] > 0.0):
            return known.power[:devices]
    return None


def expected_nmse_db(profile: Profile, experiment: Experiment, lines: Sequence[Mapping[str, Any]]) -> float | None:
    """What the profile expects of the sums in `fl.diagnostics` lines, against which `nmse_db` can be held.

    The sums' power is taken from their truths; payloads as independent and Gaussian, which noise for privacy makes them. None
    for a mode without a closed form, or where truths are not on record.
    """
    known = _known(profile, experiment)
    if known is None:
        return None
    error = known.at(experiment.radio.window, experiment.radio.pilot_window)
    mse = power = 0.0
    told = [line for line in lines if not line["erased"] and "truth" in line and "payload_peak" in line]
    square = np.mean([np.mean(np.square(line["truth"])) / line["payload_peak"] ** 2 for line in told]) if told else 0.0
    for line in told:
        many, each = sum(line["active"]), float(square) / max(1, sum(line["active"]))
        mse += len(line["truth"]) * line["payload_peak"] ** 2 * error.of(many, math.sqrt(2.0 * each / math.pi), each)
        power += float(np.square(line["truth"]).sum())
    return 10.0 * math.log10(mse / power) if power > 0.0 else None
