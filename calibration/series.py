"""Gains of all devices over time: each sends a tone of its own, all at once, and short pilots are cut out of what arrives.

Groups of pilots `OFFSETS_S` apart are heard without interruption, so that phases within a group can be compared; between the
groups the radios wait for gaps of different lengths, so that every lag from 10 ms to the whole span occurs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.lines import noise_near, separate
from calibration.probe import ATTEMPTS, HIGHEST, MOST_SATURATED
from calibration.rig import Rig
from radio.pilot import saturated_fraction
from radio.tone import phasor

WINDOW = 2048
OFFSETS_S = (0.0, 0.01, 0.03, 0.07)
GAPS = (0.2, 0.5, 1.2, 3.1)  # between groups, in turn; relative
MOST_TOGETHER = 16  # devices on the air at a time
APART_BINS = 16  # between two tones as they arrive


@dataclass(frozen=True)
class Series:
    """Attributes:
    devices: (K,) that were on the air.
    times_s: (n,) middle of each pilot, from the first.
    group: (n,) which of the uninterrupted stretches it is of.
    gains: (K, n) complex, ADC full scale over DAC full scale, the tone's own turning taken off within a group: phases
        of one group can be compared, and where clocks are shared they are the channel's.
    errors: (K, n) standard errors of each real dimension.
    offsets_hz: (K, n) carrier offsets.
    problem: "" or one of `calibration.probe.PROBLEMS`.
    """

    devices: tuple[int, ...]
    times_s: NDArray[np.float64]
    group: NDArray[np.intp]
    gains: NDArray[np.complex128]
    errors: NDArray[np.float64]
    offsets_hz: NDArray[np.float64]
    problem: str = ""


def tones_apart(offsets_hz: Sequence[float], rate_sps: float, offset_max_hz: float) -> list[float]:
    """(K,) cycles a sample for devices with these carrier offsets: on bins coprime with the window, above the carrier however
    they are off, and `APART_BINS` from each other and from the carriers that leak, as they arrive (closer where that many have
    no room)."""
    for apart in (APART_BINS, APART_BINS // 2, APART_BINS // 4):
        if len(offsets_hz) * apart > 0.45 * WINDOW:
            continue
        taken = [offset / rate_sps * WINDOW for offset in offsets_hz]
        chosen: list[float] = []
        first = max(apart, math.ceil(1.5 * offset_max_hz / rate_sps * WINDOW)) | 1  # odd: coprime with a power of two
        candidates = list(range(first, int((HIGHEST + 0.12) * WINDOW), 2))
        for offset in offsets_hz:
            shift = offset / rate_sps * WINDOW
            for candidate in candidates:
                place = candidate + shift
                if place < 0.45 * WINDOW and all(abs(place - other) >= apart for other in taken):
                    taken.append(place)
                    chosen.append(candidate / WINDOW)
                    break
        if len(chosen) == len(offsets_hz):
            return chosen
    raise ValueError(f"{len(offsets_hz)} tones have no room in {rate_sps:g} samples/s")


def watch(
    rig: Rig, devices: Sequence[int], offsets_hz: Sequence[float], amplitudes: Sequence[float], span_s: float
) -> Series:
    """Hold the devices' tones for about `span_s` and listen to their gains.

    Args:
        rig: radios.
        devices: at most `MOST_TOGETHER`.
        offsets_hz: (K,) carrier offsets, known to a fraction of a pilot's bin (rate / `WINDOW`).
        amplitudes: (K,) digital.
        span_s: from first to last group.
    """
    rate = rig.rate_sps
    cycles = tones_apart(offsets_hz, rate, rig.offset_max_hz)
    gaps = _gaps(span_s)
    places = [round(offset * rate) for offset in OFFSETS_S]
    length = places[-1] + WINDOW
    expected = [c + offset / rate for c, offset in zip(cycles, offsets_hz, strict=True)]
    times: list[float] = []
    group: list[int] = []
    rows: list[tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64]]] = []
    problem = ""
    waves = {k: a * phasor(c, WINDOW) for k, c, a in zip(devices, cycles, amplitudes, strict=True)}
    with rig.on_air(waves):
        for number, gap in enumerate([0.0, *gaps]):
            if gap:
                rig.wait(gap)
            heard = _hear(rig, length, rig.guard_samples if number == 0 else 0)
            if heard is None:
                problem = "lost"
                continue
            if saturated_fraction(heard) > MOST_SATURATED:
                problem = "saturated"
            begin = rig.now_s - length / rate
            for place in places:
                fitted = separate(heard[place : place + WINDOW], expected, fixed=[0.0])
                middle = place + (WINDOW - 1) / 2.0
                k = len(cycles)
                turn = np.exp(-2j * np.pi * np.remainder(np.asarray(cycles) * middle, 1.0))
                scale = np.asarray(amplitudes)
                pilot = heard[place : place + WINDOW]
                near = np.array([noise_near(pilot, fitted, float(c)) for c in fitted.cycles[:k]])
                rows.append(
                    (
                        fitted.amplitudes[:k] * turn / scale,
                        near / (2.0 * WINDOW) / scale**2,
                        (fitted.cycles[:k] - np.asarray(cycles)) * rate,
                    )
                )
                strong = np.abs(fitted.amplitudes[:k]) > 10.0 * fitted.standard_errors[:k]
                expected = [
                    float(new) if good else old for new, old, good in zip(fitted.cycles, expected, strong, strict=False)
                ]
                times.append(begin + middle / rate)
                group.append(number)
    gains, variances, offsets = (
        np.stack([row[i] for row in rows], axis=1) if rows else np.zeros((len(cycles), 0)) for i in range(3)
    )
    # Of one pilot the noise next to a tone is known poorly, of all of them well; with its bins it covers other tones' skirts.
    errors = (
        np.sqrt(np.broadcast_to(variances.real.mean(axis=1, keepdims=True), variances.shape))
        if rows
        else variances.real
    )
    clock = np.asarray(times) - times[0] if times else np.zeros(0)
    places_of = np.asarray(group, dtype=np.intp)
    return Series(tuple(devices), clock, places_of, gains.astype(complex), errors, offsets.real, problem)


def _gaps(span_s: float) -> list[float]:
    """Waits between groups: a fixed pattern, stretched so that whole rounds of it fill the span; never below what the
    pattern's shortest needs."""
    rounds = max(2, round(span_s / sum(GAPS)))
    scale = max(span_s, 1e-3) / (rounds * sum(GAPS))
    return [scale * gap for _ in range(rounds) for gap in GAPS]


def _hear(rig: Rig, n: int, guard: int) -> NDArray[np.complex128] | None:
    for _ in range(ATTEMPTS):
        heard = rig.more(n, guard=guard)
        if np.isfinite(heard).all():
            return heard
    return None
