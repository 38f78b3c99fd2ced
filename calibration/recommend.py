"""How to use a station, from what its session measured, and why.

The expected error is the closed form of the mode (`calibration.prediction`) with measured noise, gains and pilots, and what
the known scalars had beyond it; nothing else of a recommendation is measured twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from calibration.expectation import Measured, measured
from calibration.profile import Recommendation

Candidate = Literal["coherent", "energy"]
CANDIDATES: tuple[Candidate, ...] = ("coherent", "energy")
TARGET = 0.01  # rms error of the sum, share of full scale, that a window is chosen for
COMPARED = 16384  # samples of the window at which modes are compared
WINDOWS = tuple(1 << power for power in range(10, 17))
PILOT_WINDOWS = tuple(1 << power for power in range(10, 15))
PILOT_SHARE = 0.25  # of the rest of the error that pilots may add
FADES_DB = 1.0  # rms, of a gain from round to round
FADING_TRUNCATION = 0.05
MARGIN = 0.5  # of the weakest device's share of the mean power, below which the truncation is put


def recommend(
    known: Mapping[str, Mapping[str, Any]], receive_gain_db: float, fixed_window: int | None = None
) -> Recommendation | None:
    """From the facts of the steps; None where no mode fit for a recommendation has carried a known scalar.

    `fixed_window`: on a simulated air whose noise is stated per received scalar, which another window would change.
    """
    tried = known.get("known_scalar", {})
    found = {mode: one for mode in CANDIDATES if (one := measured(known, mode)) is not None}
    if not found:
        return None
    mode = min(found, key=lambda name: found[name].rms(COMPARED))
    best = found[mode]
    window = fixed_window or _window(best)
    pilot_window = _pilot_window(best, window)
    error = best.at(window, pilot_window)
    relative = float(np.nanmax(best.relative)) * best.pilots / pilot_window
    # Only the part of a gain's error in phase with the payload shows in a coherent sum, half of it; all of an amplitude's does.
    moving = max(best.extra, 0.0) * (2.0 if mode == "coherent" else 0.25)
    csi_error = math.sqrt(relative + moving)
    truncation, left_out = _truncation(mode, best, window)
    heard = int(np.count_nonzero(best.power))
    pilots = 2 * heard if mode == "coherent" else heard + 1
    expected = math.sqrt(error.of(best.devices)) / best.devices
    reasons = [
        _why_mode(mode, found, tried),
        "" if fixed_window else _why_window(best, window, expected),
        _why_pilots(best, pilots, pilot_window, csi_error),
        _why_believed(best),
        left_out,
        *_why_coherence(known),
    ]
    return Recommendation(
        mode=mode,
        window=window,
        pilot_window=pilot_window,
        pilots=pilots,
        receive_gain_db=receive_gain_db,
        truncation=truncation,
        csi_error=csi_error,
        csi_moving=math.sqrt(moving),
        error=error,
        expected_error=expected,
        reasons=tuple(reason for reason in reasons if reason),
    )


def _window(best: Measured) -> int:
    """The shortest that reaches the target, or beyond which a longer one gains little: what moves stays."""
    for window in WINDOWS:
        error = best.at(window)
        by_chance = error.of(best.devices) - error.payload * best.devices / 3.0
        if best.rms(window) <= TARGET or by_chance <= 0.1 * error.of(best.devices):
            return window
    return WINDOWS[-1]


def _pilot_window(best: Measured, window: int) -> int:
    rest = best.at(window, 1 << 40)  # with pilots that make no error
    for pilot_window in PILOT_WINDOWS:
        added = best.at(window, pilot_window).of(best.devices) - rest.of(best.devices)
        if added <= PILOT_SHARE * rest.of(best.devices) or pilot_window >= max(window, best.pilots):
            return pilot_window
    return PILOT_WINDOWS[-1]


def _truncation(mode: Candidate, best: Measured, window: int) -> tuple[float, str]:
    """The share of the mean gain power below which a device costs the others more than its payload is worth, and why."""
    if best.spread_db > FADES_DB:
        return FADING_TRUNCATION, (
            f"The channel fades (gains vary by {best.spread_db:.1f} dB rms between rounds): truncation {FADING_TRUNCATION:g} "
            "leaves deep fades out."
        )
    order = np.sort(best.power[best.power > 0.0])
    mean, weakest, k = float(order.mean()), float(order[0]), order.size
    error, powers = best.at(window), {"coherent": 1, "energy": 2}[mode]

    def cost(dropped: int) -> float:
        """Noise that the weakest one left sets, and the payloads that are missing."""
        gained = weakest / float(order[dropped])
        return error.noise * gained**powers + error.size * gained * (k - dropped) / 2.0 + dropped / 3.0

    dropped = min(range(k), key=cost)
    if dropped:
        share = math.sqrt(float(order[dropped - 1] * order[dropped])) / mean
        return share, (
            f"{dropped} device(s) arrive so weakly that inverting their channel would cost the sum more than their payload: "
            f"truncation {share:.2g} leaves them out. Mend their antennas or raise their transmit gain."
        )
    share = round(MARGIN * weakest / mean, 4)
    at = f"{10.0 * math.log10(weakest / mean):+.1f} dB".replace("-", "\u2212")
    return (
        share,
        f"All devices are worth hearing; the weakest arrives {at} from the mean, and truncation is put 3 dB below it.",
    )


def _why_mode(mode: Candidate, found: Mapping[Candidate, Measured], tried: Mapping[str, Any]) -> str:
    best = found[mode].rms(COMPARED)
    other = next(name for name in CANDIDATES if name != mode)
    said = f"{mode.capitalize()} mode: {_percent(best)} of full scale in {COMPARED:,} samples"
    if other in found:
        there = found[other].rms(COMPARED)
        return f"{said}, {20.0 * math.log10(there / best):.1f} dB better than {other} mode ({_percent(there)})."
    if other not in tried:
        return f"{said}; {other} mode was not tried, it needs one reference clock for all radios."
    reasons = tried[other].get("reasons") or ["it carried no sum"]
    return f"{said}; {other} mode does not work here: {reasons[0]}."


def _why_window(best: Measured, window: int, expected: float) -> str:
    if expected <= TARGET:
        return f"A window of {window:,} samples is the shortest with an error below {_percent(TARGET)}: {_percent(expected)}."
    if window == WINDOWS[-1]:
        return f"Even {window:,} samples, the longest window, leave {_percent(expected)}; more power or less noise would help."
    return (
        f"Beyond {window:,} samples the error stays at {_percent(expected)}: gains and phases that move make most of it, and no "
        "window averages them."
    )


def _why_pilots(best: Measured, pilots: int, pilot_window: int, csi_error: float) -> str:
    return (
        f"{pilots} pilots of {pilot_window:,} samples a round leave the worst channel estimate {_percent(csi_error)} off when "
        "it is used, which power control and privacy take as its uncertainty."
    )


def _why_believed(best: Measured) -> str:
    measured, closed = math.sqrt(best.mse) / best.devices, math.sqrt(best.closed.of(best.devices)) / best.devices
    said = f"Known sums were {_percent(measured)} off at {best.window:,} samples, where the closed form says {_percent(closed)}"
    if best.extra == 0.0:
        return f"{said}: the same within chance."
    more = (
        "more than chance explains, and put down to gains and phases that move"
        if best.extra > 0.0
        else "less than chance explains, and expected so"
    )
    return f"{said}: {more}."


def _why_coherence(known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    devices = known.get("channel", {}).get("device", [])
    times = [float(one["coherence_s"]) for one in devices if "coherence_s" in one]
    if times:
        return [
            f"The channel holds for {min(times):.3g} s (the shortest coherence time): pilots must be much younger than that "
            "when payloads are sent."
        ]
    watched = [float(one["coherence_above_s"]) for one in devices if "coherence_above_s" in one]
    return [f"No gain was seen to move in {min(watched):.0f} s: pilots once a round are plenty."] if watched else []


def _percent(share: float) -> str:
    return f"{100.0 * share:.2g} %"
