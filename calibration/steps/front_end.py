"""Mixers: the receiver's DC offset, carriers that leak, images of transmitters and receiver, and what muted devices let out.

A transmitter's image and the receiver's are told apart by the device's carrier offset. With one reference there is none:
the device's LO is then moved a little for this step, where that is allowed and does anything; else the sum of both images
is what can be known, and said to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from calibration.finding import Finding, Limit, Outcome
from calibration.lines import fit_lines
from calibration.mixer_ratios import Ratio, leakage, over_tone, receive_image, transmit_image
from calibration.probe import (
    Floor,
    Probe,
    Reading,
    bound_db,
    floor_findings,
    floor_of,
    in_db,
    listen,
    probe_for,
    trouble,
)
from calibration.rig import Rig
from calibration.step import Known
from radio.errors import InputError
from radio.palette import SERIES
from radio.pictures import Picture

WINDOW = 16384
AMPLITUDE = 0.5  # where nothing is known of the amplifier
STRAIGHT = 0.6  # of the amplitude at which it loses 0.1 dB: it weakens images, relative to their tone, by 0.03 dB then
LO_SHIFT = 0.3  # of the tone's frequency, where a device has no carrier offset


class Kind(NamedTuple):
    """A quantity: in words, in the facts, its unit and what is allowed."""

    words: str
    key: str
    unit: str
    limit: Limit
    advice: str = ""


_IMAGE_ADVICE = "let the chip's quadrature calibration and tracking run; payloads then stay on one side of the carrier"
DC = Kind(
    "DC offset", "dc", "dBFS", Limit(high=-20.0), "switch the chip's DC tracking on, and keep payloads off the carrier"
)
IMAGE = Kind("image", "image", "dB", Limit(high=-30.0), _IMAGE_ADVICE)
BOTH = Kind("image, its own and the receiver's together", "both_images", "dB", Limit(high=-30.0), _IMAGE_ADVICE)
LEAK = Kind(
    "LO leakage", "leak", "dBFS", Limit(high=-35.0), "keep payloads off the carrier, or let the chip calibrate anew"
)
MUTED = Kind(
    "heard while muted", "muted", "dBFS", Limit(high=-60.0), "a muted device leaks: put an attenuator behind it"
)


class _Device(NamedTuple):
    number: int
    reading: Reading
    amplitude: float
    moved: bool  # its LO, for the reading


class FrontEnd:
    name = "front_end"
    about = "mixers: DC offset, LO leakage, images, what muted devices let out"
    needs: tuple[str, ...] = ()

    def run(self, rig: Rig, known: Known) -> Outcome:
        probe, idle = probe_for(rig, WINDOW), floor_of(rig, WINDOW)
        findings = floor_findings(self.name, idle)
        if idle.problem == "lost":
            return Outcome(tuple(findings))
        receiver: dict[str, Any] = {"receive_gain_db": rig.receiver.receive_gain_db}
        findings.append(self._judge("receiver", DC, Ratio(abs(idle.dc), idle.dc_error), receiver))
        heard: list[_Device] = []
        facts: list[dict[str, Any]] = []
        for k, name in enumerate(rig.names):
            rig.say(f"front end of {name}")
            device = _read(rig, k, probe, idle, _amplitude(known, k))
            fact: dict[str, Any] = {"name": name, "told_apart": device.reading.apart}
            if device.reading.problem:
                findings.append(trouble(self.name, name, device.reading.problem))
            if device.reading.usable:
                findings += self._device(name, device, idle, fact)
                heard.append(device)
            facts.append(fact)
        apart = [device.reading for device in heard if device.reading.apart]
        if apart:
            findings.append(self._judge("receiver", IMAGE, receive_image(apart), receiver))
        samples = rig.idle(WINDOW)
        for device in heard:
            if device.reading.apart and not device.moved and np.isfinite(samples).all():
                level = _while_muted(samples, device, probe, rig)
                findings.append(self._judge(rig.names[device.number], MUTED, level, facts[device.number]))
        pictures = (_picture(rig, heard, idle),) if heard else ()
        return Outcome(tuple(findings), {**receiver, "device": facts}, pictures)

    def _device(self, name: str, device: _Device, idle: Floor, fact: dict[str, Any]) -> list[Finding]:
        reading, amplitude = device.reading, device.amplitude
        if reading.apart:
            return [
                self._judge(name, IMAGE, transmit_image(reading), fact),
                self._judge(name, LEAK, leakage(reading, amplitude), fact),
            ]
        both = over_tone(reading.receive_image, reading.errors[2], reading)
        # The leak falls on the receiver's DC offset, which is there without it as well.
        error = float(np.hypot(reading.errors[0], idle.dc_error))
        leak = over_tone(reading.dc - idle.dc, error, reading).times(amplitude)
        return [self._judge(name, BOTH, both, fact), self._judge(name, LEAK, leak, fact)]

    def _judge(self, subject: str, kind: Kind, ratio: Ratio, fact: dict[str, Any]) -> Finding:
        """The level, or where it is lost in the noise what it lies below; both into the facts."""
        estimate = in_db(ratio.magnitude, ratio.standard_error, kind.unit)
        if estimate is not None:
            fact |= {f"{kind.key}_db": estimate.value, f"{kind.key}_error_db": estimate.standard_error}
            return Finding.judged(self.name, subject, kind.words, estimate, kind.limit, kind.advice)
        bound = bound_db(ratio.magnitude, ratio.standard_error)
        fact[f"{kind.key}_below_db"] = bound
        fine = kind.limit.high is None or bound <= kind.limit.high
        words = f"{kind.words}: below {bound:.1f} {kind.unit}"
        advice = "" if fine else "too much noise to say more: raise transmit_gain_db or receive_gain_db and repeat"
        return Finding(self.name, subject, words, None, kind.limit, "pass" if fine else "unknown", advice)


def _amplitude(known: Known, device: int) -> float:
    """Digital, so far down that the amplifier is straight: it would change images."""
    swept = known.get("power_sweep", {}).get("device", [])
    linear = swept[device].get("linear_amplitude") if device < len(swept) else None
    return AMPLITUDE if linear is None else STRAIGHT * float(linear)


def _read(rig: Rig, device: int, probe: Probe, idle: Floor, amplitude: float) -> _Device:
    """At half the amplitude while the receiver is saturated; with the LO moved where there is no offset."""
    reading = listen(rig, device, probe, idle, amplitude)
    while reading.problem == "saturated" and amplitude > 0.05:
        amplitude /= 2.0
        reading = listen(rig, device, probe, idle, amplitude)
    if not reading.usable or reading.apart:
        return _Device(device, reading, amplitude, False)
    radio, shift_hz = rig.transmitters[device], LO_SHIFT * probe.cycles * rig.rate_sps
    before = radio.lo_hz
    for sign in (1.0, -1.0):
        try:
            radio.lo_hz = before + sign * shift_hz
            moved = listen(rig, device, probe, idle, amplitude, offset_hz=sign * shift_hz)
        except InputError:  # outside the permitted band
            continue
        finally:
            radio.lo_hz = before
        if moved.usable and moved.apart:
            return _Device(device, moved, amplitude, True)
        break
    return _Device(device, reading, amplitude, False)


def _while_muted(samples: np.ndarray, device: _Device, probe: Probe, rig: Rig) -> Ratio:
    """What is on the air at the device's carrier while nobody sends, relative to its full scale."""
    reading = device.reading
    carrier = reading.offset_hz / rig.rate_sps * rig.lo_hz / (rig.lo_hz + probe.cycles * rig.rate_sps)
    fitted = fit_lines(samples, [0.0, carrier])
    line, error = complex(fitted.amplitudes[1]), float(fitted.standard_errors[1])
    return over_tone(line, error, reading).times(device.amplitude)


def _picture(rig: Rig, heard: Sequence[_Device], idle: Floor) -> Picture:
    """Every device's lines over its tone."""
    names = ("LO leakage", "its image", "receiver's image", "both images")

    def level(ratio: Ratio) -> float:
        return 20.0 * float(np.log10(max(ratio.magnitude, 1e-6)))

    rows = []
    for device in heard:
        reading = device.reading
        image = level(over_tone(reading.receive_image, reading.errors[2], reading))
        if reading.apart:
            rows.append([level(leakage(reading, 1.0)), level(transmit_image(reading)), image, np.nan])
        else:
            rows.append([level(over_tone(reading.dc - idle.dc, reading.errors[0], reading)), np.nan, np.nan, image])
    table = np.array(rows)

    def draw(axes: Axes) -> None:
        places = np.arange(len(heard))
        for i, name in enumerate(names):
            if np.isfinite(table[:, i]).any():
                axes.plot(places + 0.1 * (i - 1), table[:, i], "o", color=SERIES[i], markersize=5, label=name)
        axes.set_xticks(places, [rig.names[device.number] for device in heard], rotation=15 if len(heard) > 3 else 0)
        axes.set_ylabel("over the device's tone (dB)")
        axes.set_xlim(-0.6, len(heard) - 0.4)
        axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    title = f"Mixers: the strongest unwanted line is {-float(np.nanmax(table)):.0f} dB below its tone."
    caption = "Lines of one capture for each device."
    if not all(device.reading.apart for device in heard):
        caption += " Where a device has no carrier offset, the receiver's image and its own are one line."
    return Picture("front-end", title, caption, draw)
