"""A station as one experiment uses it: what fits together, what of the experiment does not apply, and the air over its radios.

Everything that can be refused without asking a radio is refused here, before any is opened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.profile import Profile, check_radios
from fl.calibrated import mean_power, profile_for
from fl.config import Experiment
from fl.config_checks import SURROUNDINGS
from fl.station_air import StationAir
from radio.cast import Cast
from radio.errors import InputError
from radio.mapping import MappingName
from radio.pluto.permit import PermitError, TransmitPermit
from radio.radio import Radio
from radio.station import OpenStation, StationFile, open_receiver, open_station

_log = logging.getLogger(__name__)

# Keys of `radio` that say what a simulated air is like, or what the station file says.
SIMULATED = ("profile", "shared_clock", "impairments", *SURROUNDINGS, "rate_sps")


@dataclass(frozen=True)
class Bench:
    """What an experiment takes of a station; nothing is open.

    file     the station, with as many devices as the experiment has, at the profile's receive gain if there is one
    permit   under which they transmit
    spare    devices of the station that are left alone: a station file describes a bench, and experiments are smaller
    profile  of a calibration, valid here
    """

    file: StationFile
    permit: TransmitPermit
    spare: int = 0
    profile: Profile | None = None

    def described(self, experiment: Experiment) -> str:
        """The air in a few words."""
        station, many = self.file.station, len(self.file.device)
        used = f"{many} of its {many + self.spare} devices, " if self.spare else ""
        clock = "one reference clock" if station.clock == "shared" else "free-running clocks"
        return f"{experiment.radio.mode} mode on station {station.name} ({used}{clock}, {station.lo_hz / 1e6:g} MHz)"


def device_names(experiment: Experiment, bench: Bench | None) -> list[str]:
    """For messages; on a station with the radio."""
    if bench is None:
        return [f"device {k}" for k in range(experiment.learning.devices)]
    return [f"device {k} ({radio.named})" for k, radio in enumerate(bench.file.device)]


def not_used(experiment: Experiment) -> str:
    """The line that says which settings of the experiment describe a simulated air, and so do nothing on a station."""
    radio = experiment.radio
    fields = type(radio).model_fields
    changed = [key for key in SIMULATED if getattr(radio, key) != fields[key].default]
    named = ", ".join(f"radio.{key} = {getattr(radio, key)!r}" for key in changed)
    return "the air is the station's: " + (
        f"{named} and the defaults of the other simulated surroundings are not used"
        if named
        else "the simulated surroundings in [radio] are not used"
    )


def bench_for(
    experiment: Experiment, file: StationFile, *, allow_tx: bool = False, profile: Path | None = None
) -> Bench:
    """What the experiment takes of the station.

    allow_tx  see `permit_of`
    profile   of a calibration of this station

    Raises InputError for what cannot go over these radios, PermitError where nothing permits it.
    """
    learning, station = experiment.learning, file.station
    check_fidelity(experiment)
    if len(file.device) < learning.devices:
        raise InputError(
            f"learning.devices = {learning.devices}, but station {station.name} has {len(file.device)}; name more of "
            f"them in [[device]], or take --set learning.devices={len(file.device)}"
        )
    used = file.model_copy(update={"device": file.device[: learning.devices]})
    calibrated = None if profile is None else profile_for(experiment, profile, used)
    check_air(experiment, file, calibrated is not None and mean_power(calibrated, learning.devices) is not None)
    if calibrated is not None:
        gain = {"receive_gain_db": calibrated.receive_gain_db}
        used = used.model_copy(update={"station": station.model_copy(update=gain)})
    return Bench(used, permit_of(used, allow_tx), len(file.device) - learning.devices, calibrated)


def check_fidelity(experiment: Experiment) -> None:
    """Raises InputError for an air that has no radios."""
    radio = experiment.radio
    if radio.mode == "ideal":
        raise InputError(
            "radio.mode = 'ideal' adds without a radio, so it has no use for --station; leave --station out, or take "
            "--set radio.mode=energy (or coherent, tdma, vote)"
        )
    if radio.fidelity == "symbol":
        raise InputError(
            "radio.fidelity = 'symbol' draws the statistics of an air and has no samples for a radio to send; take "
            "--set radio.fidelity=sample, or leave --station out"
        )


def check_air(experiment: Experiment, file: StationFile, powers_known: bool = False) -> None:
    """Raises InputError for an air that cannot be had over the radios of this station, however many they are.

    powers_known  a calibration has measured the mean power of every channel
    """
    radio, station = experiment.radio, file.station
    check_fidelity(experiment)
    if radio.mode == "coherent" and station.clock == "free":
        raise InputError(
            f"radio.mode = 'coherent' needs one reference clock for all radios, and station {station.name} says clock = "
            "'free'; feed all of them one 40 MHz reference and set clock = 'shared', or take --set radio.mode=energy"
        )
    if radio.mapping == "reed" and not powers_known:
        raise InputError(
            "radio.mapping = 'reed' needs the mean power of every channel, which nothing has measured at station "
            f"{station.name}; calibrate it (pairzero calibrate --station FILE) and name the --profile, or take "
            "--set radio.mapping=signed"
        )


def permit_of(file: StationFile, allow_tx: bool) -> TransmitPermit:
    """Under which the devices of `file` transmit.

    allow_tx  the operator vouches for this transmission where the file has no permit: its LO, rate and gains, and no others

    Raises PermitError where nothing permits it.
    """
    station = file.station
    if file.permit is not None:
        return file.permit.transmit_permit()
    if allow_tx:
        half = station.rate_sps / 2.0
        return TransmitPermit(station.lo_hz - half, station.lo_hz + half, max(map(file.eirp_dbm, file.device)))
    raise PermitError(
        f"nothing permits station {station.name} to transmit at {station.lo_hz / 1e6:g} MHz; state band, power and duty "
        "in its [permit], or pass --allow-tx if you may transmit there at these gains (pairzero plan prints them)"
    )


def open_air(
    experiment: Experiment, bench: Bench, listen: Callable[[Radio], Radio] | None = None, remedy: str = ""
) -> StationAir:
    """Open the radios and lay the experiment's air over them; the air's `close` closes them. Nothing is on the air yet.

    listen  wraps the receiver
    remedy  how to go on after a radio has failed, the end of a message

    Raises InputError for a radio that is missing or cannot do what is asked, with all of them closed again.
    """
    coherent = experiment.radio.mode == "coherent"
    opened = open_station(bench.file, bench.permit, listen=listen, coherent=coherent)
    return _over(experiment, opened, None, remedy, bench.profile)


def open_receiver_air(
    experiment: Experiment,
    file: StationFile,
    cast: Cast,
    listen: Callable[[Radio], Radio] | None = None,
    remedy: str = "",
) -> StationAir:
    """As `open_air` of a station whose transmitters are elsewhere, in `cast`: the receiver alone is opened."""
    return _over(experiment, OpenStation(file, (), open_receiver(file), listen), cast, remedy)


def _over(
    experiment: Experiment, opened: OpenStation, cast: Cast | None, remedy: str, profile: Profile | None = None
) -> StationAir:
    radio = experiment.radio
    assert radio.mode != "ideal", "see check_air"
    mapping: MappingName = "signed" if radio.mapping == "reed" else radio.mapping
    try:
        cell = opened.cell(cast)
        if profile is not None:
            _check_radios(profile, opened)
            cell = replace(cell, mean_power=mean_power(profile, len(opened.transmitters)))
        air = cell.air(
            radio.mode,
            experiment.run.seed,
            mapping=mapping,
            average_power=radio.mapping == "reed",
            window=radio.window,
            pilot_window=radio.pilot_window,
            truncation=radio.least_share,
        )
    except BaseException:
        opened.close()
        raise
    return StationAir(air, opened, remedy)


def _check_radios(profile: Profile, opened: OpenStation) -> None:
    """Raises InputError for radios that are not the profile's; warns of others that are colder or warmer than they were."""
    found = opened.metadata()
    problems = check_radios(profile, found["receiver"], found["devices"])
    if refused := [problem.text for problem in problems if problem.refuse]:
        raise InputError(
            f"the profile of {profile.made:%Y-%m-%d %H:%M} UTC is of other radios: {'; '.join(refused)}. Calibrate again, or "
            "leave --profile out"
        )
    for problem in problems:
        _log.warning("%s", problem)
