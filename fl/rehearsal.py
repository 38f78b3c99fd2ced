"""What a round takes of the air, found by letting the air itself go through one, on radios that only keep the time.

The slots of every mode are thus counted by the code that will send them, and no formula here can disagree with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.config import Experiment
from fl.surroundings import surroundings_of
from radio.cell import Cell
from radio.errors import InputError
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.radio import Radio
from radio.station import StationFile
from radio.surroundings import from_settings

_SLOTS = 6  # tried until one is not erased; the first also starts what is held from round to round


@dataclass(frozen=True)
class AirTime:
    """Of one round with all devices taking part.

    slots       receptions by what they hold: "idle", "pilot", "reference", "payload"
    samples     received in them
    seconds     the radios' time for them: at a station also of the blocks that are dropped before each, because they may
                hold older samples
    on_air_s    of the device that sends longest
    """

    slots: dict[str, int]
    samples: int
    seconds: float
    on_air_s: float


class _Timer:
    """Who is sending, and for how long."""

    def __init__(self, devices: int, reception_s: Callable[[int], float]) -> None:
        self.reception_s = reception_s
        self.sending = np.zeros(devices, bool)
        self.reset()

    def reset(self) -> None:
        self.slots: Counter[str] = Counter()
        self.samples = 0
        self.seconds = 0.0
        self.on_air_s = np.zeros(self.sending.size)

    def received(self, n: int) -> None:
        took = self.reception_s(n)
        self.samples += n
        self.seconds += took
        self.on_air_s[self.sending] += took


class _Transmitter(LoopbackRadio):
    """Tells the timer when it sends."""

    def __init__(self, medium: Medium, device: int, timer: _Timer) -> None:
        super().__init__(medium, device)
        self._timer, self._number = timer, device

    def transmit(self, samples: NDArray[np.complex128], cyclic: bool = False) -> None:
        super().transmit(samples, cyclic)
        self._timer.sending[self._number] = True

    def weigh(self, value: complex) -> None:
        super().weigh(value)
        self._timer.sending[self._number] = value != 0.0

    def mute(self) -> None:
        super().mute()
        self._timer.sending[self._number] = False


class _Receiver(LoopbackRadio):
    """Tells the timer what it receives."""

    def __init__(self, medium: Medium, timer: _Timer) -> None:
        super().__init__(medium)
        self._timer = timer

    def receive(self, n: int) -> NDArray[np.complex128]:
        heard = super().receive(n)
        self._timer.received(n)
        return heard

    def mark(self, label: str, start: int, length: int, **facts: Any) -> None:
        """See `radio.marker`."""
        self._timer.slots[label] += 1


def rehearse(experiment: Experiment, file: StationFile | None = None, check_every: int = 0) -> AirTime:
    """A round of the experiment at that station, or on the loopback (at sample fidelity). Every `check_every` rounds one more
    scalar is sent; a round has its share of that.

    Raises InputError where the mode cannot work with these settings.
    """
    scalars = experiment.learning.scalars
    one = _round(experiment, file, 1)
    if scalars == 1 and not check_every:
        return one
    two = _round(experiment, file, 2)
    whole = scalars - 1  # further scalars take what the second takes
    more = whole + (1.0 / check_every if check_every else 0.0)
    slots = {label: one.slots[label] + whole * (two.slots[label] - one.slots[label]) for label in one.slots}
    return AirTime(
        slots,
        one.samples + whole * (two.samples - one.samples),
        one.seconds + more * (two.seconds - one.seconds),
        one.on_air_s + more * (two.on_air_s - one.on_air_s),
    )


def _round(experiment: Experiment, file: StationFile | None, scalars: int) -> AirTime:
    radio, devices, seed = experiment.radio, experiment.learning.devices, experiment.run.seed
    # Strong, still and punctual, so that every slot of a round is gone through.
    place = from_settings(
        devices, seed, window=radio.window, snr_db=60.0, fading="static", rate_sps=_rate(experiment, file)
    )
    medium = place.medium()
    timer = _Timer(devices, _reception_s(experiment, file))
    transmitters = [_Transmitter(medium, k, timer) for k in range(devices)]
    cell = replace(
        _cell(experiment, file, transmitters, _Receiver(medium, timer)),
        receive_gain_db=place.receive_gain_db,
        mean_power=place.channel.mean_power,
        on_phase=medium.begin if file is None else None,  # real tones run on from round to round
    )
    assert radio.mode != "ideal", "no radio, no time"
    air = cell.air(
        radio.mode,
        seed,
        mapping="signed" if radio.mapping == "reed" else radio.mapping,
        average_power=radio.mapping == "reed",
        window=radio.window,
        pilot_window=radio.pilot_window,
        truncation=0.0,
    )
    for slot in range(_SLOTS):
        timer.reset()
        plan = air.mode.plan(air.sound(slot), 1.0, truncation=0.0)
        received = air.aggregate(slot, np.full((devices, scalars), 0.5), plan)
        if slot and plan.active.all() and not received.erased:
            break
    else:
        raise InputError(
            f"a rehearsed round on a still and noiseless air was erased ({received.reason}); radio.window = {radio.window} or "
            f"radio.pilot_window = {radio.pilot_window} are too short for {radio.mode} mode with {devices} devices"
        )
    air.close()
    return AirTime(dict(timer.slots), timer.samples, timer.seconds, float(timer.on_air_s.max()))


def _rate(experiment: Experiment, file: StationFile | None) -> float:
    return experiment.radio.rate_sps if file is None else file.station.rate_sps


def _reception_s(experiment: Experiment, file: StationFile | None) -> Callable[[int], float]:
    """Seconds that a radio needs to hand over n samples."""
    rate = _rate(experiment, file)
    return (lambda n: n / rate) if file is None else file.reception_s


def _cell(experiment: Experiment, file: StationFile | None, transmitters: Sequence[Radio], receiver: Radio) -> Cell:
    """The radios with the guard times, starts and offsets that are to be expected."""
    if file is not None:
        return file.cell(transmitters, receiver)
    radio = experiment.radio
    place = surroundings_of(experiment)
    return Cell(
        transmitters,
        receiver,
        rate_sps=radio.rate_sps,
        guard_samples=place.guard_samples,
        late_starts=place.impairments.start_jitter_s > 0.0,
        receive_gain_db=0.0,
        pilot_repeats=place.pilot_repeats,
        offset_max_hz=place.offset_max_hz,
    )
