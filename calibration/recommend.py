"""How to use a station, from what its session measured, and why.

The expected error is the closed form of the mode (`calibration.prediction`) with measured noise, gains and pilots, and what
the known scalars had beyond it; nothing else of a recommendation is measured twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calibration.prediction import SumError, unexplained
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


@dataclass(frozen=True)
class _Measured:
    """One mode: `closed` at its window and pilots, `extra` what was measured beyond it (see `unexplained`)."""

    mode: Candidate
    devices: float  # that took part, on average
    window: int
    pilot_window: int
    closed: SumError
    extra: float
    mse: float
    mse_error: float
    power: NDArray[np.float64]
    spread_db: float
    relative_variance: NDArray[np.float64]

    @classmethod
    def of(cls, mode: Candidate, facts: Mapping[str, Any]) -> _Measured:
        closed = SumError(**facts["closed"])
        power = np.asarray(facts["power"], dtype=np.float64)
        mse, error = float(facts["mse"]), float(facts["mse_standard_error"])
        devices = float(facts["devices"])
        extra = unexplained(closed, devices, mse, error)
        relative = np.asarray(facts["relative_variance"], dtype=np.float64)
        return cls(
            mode, devices, int(facts["window"]), int(facts["pilot_window"]), closed, extra, mse, error,
            power[power > 0.0], float(facts["power_spread_db"]), relative,
        )  # fmt: skip

    def at(self, window: int, pilot_window: int | None = None) -> SumError:
        """With other windows."""
        pilots = 1.0 if pilot_window is None else pilot_window / self.pilot_window
        made = self.closed.longer(window / self.window, pilots)
        if self.extra < 0.0:  # less was measured than the form says
            return made.times(self.mse / self.closed.of(self.devices))
        return replace(made, payload=made.payload + self.extra)

    def rms(self, window: int, pilot_window: int | None = None) -> float:
        """Share of full scale, payloads uniform."""
        return math.sqrt(self.at(window, pilot_window).of(self.devices)) / self.devices


def recommend(
    known: Mapping[str, Mapping[str, Any]], receive_gain_db: float, fixed_window: int | None = None
) -> Recommendation | None:
    """From the facts of the steps; None where no mode fit for a recommendation has carried a known scalar.

    `fixed_window`: on a simulated air whose noise is stated per received scalar, which another window would change.
    """
    tried = known.get("known_scalar", {})
    measured = {mode: _Measured.of(mode, tried[mode]) for mode in CANDIDATES if tried.get(mode, {}).get("works")}
    if not measured:
        return None
    best = min(measured.values(), key=lambda one: one.rms(COMPARED))
    window = fixed_window or _window(best)
    pilot_window = _pilot_window(best, window)
    error = best.at(window, pilot_window)
    relative = best.relative_variance * best.pilot_window / pilot_window
    # Only the part of a gain's error in phase with the payload shows in a coherent sum, half of it; all of an amplitude's does.
    moving = max(best.extra, 0.0) * (2.0 if best.mode == "coherent" else 0.25)
    csi_error = math.sqrt(float(relative.max()) + moving)
    truncation, left_out = _truncation(best, window)
    pilots = 2 * best.power.size if best.mode == "coherent" else best.power.size + 1
    expected = math.sqrt(error.of(best.devices)) / best.devices
    reasons = [
        _why_mode(best, measured, tried),
        "" if fixed_window else _why_window(best, window, expected),
        _why_pilots(best, pilots, pilot_window, csi_error),
        _why_believed(best),
        left_out,
        *_why_coherence(known),
    ]
    return Recommendation(
        mode=best.mode,
        window=window,
        pilot_window=pilot_window,
        pilots=pilots,
        receive_gain_db=receive_gain_db,
        truncation=truncation,
        csi_error=csi_error,
        error=error,
        expected_error=expected,
        reasons=tuple(reason for reason in reasons if reason),
    )


def _window(best: _Measured) -> int:
    """The shortest that reaches the target, or beyond which a longer one gains little: what moves stays."""
    for window in WINDOWS:
        error = best.at(window)
        by_chance = error.of(best.devices) - error.payload * best.devices / 3.0
        if best.rms(window) <= TARGET or by_chance <= 0.1 * error.of(best.devices):
            return window
    return WINDOWS[-1]


def _pilot_window(best: _Measured, window: int) -> int:
    rest = best.at(window, 1 << 40)  # with pilots that make no error
    for pilot_window in PILOT_WINDOWS:
        added = best.at(window, pilot_window).of(best.devices) - rest.of(best.devices)
        if added <= PILOT_SHARE * rest.of(best.devices) or pilot_window >= max(window, best.pilot_window):
            return pilot_window
    return PILOT_WINDOWS[-1]


def _truncation(best: _Measured, window: int) -> tuple[float, str]:
    """The share of the mean gain power below which a device costs the others more than its payload is worth, and why."""
    if best.spread_db > FADES_DB:
        return FADING_TRUNCATION, (
            f"The channel fades (gains vary by {best.spread_db:.1f} dB rms between rounds): truncation {FADING_TRUNCATION:g} "
            "leaves deep fades out."
        )
    order = np.sort(best.power)
    mean, weakest, k = float(order.mean()), float(order[0]), order.size
    error, powers = best.at(window), {"coherent": 1, "energy": 2}[best.mode]

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


def _why_mode(best: _Measured, measured: Mapping[Candidate, _Measured], tried: Mapping[str, Any]) -> str:
    others = [one for one in measured.values() if one is not best]
    said = f"{best.mode.capitalize()} mode: {_percent(best.rms(COMPARED))} of full scale in {COMPARED:,} samples"
    if others:
        (other,) = others
        away = 20.0 * math.log10(other.rms(COMPARED) / best.rms(COMPARED))
        return f"{said}, {away:.1f} dB better than {other.mode} mode ({_percent(other.rms(COMPARED))})."
    missing = next(mode for mode in CANDIDATES if mode != best.mode)
    if missing not in tried:
        return f"{said}; {missing} mode was not tried, it needs one reference clock for all radios."
    reasons = tried[missing].get("reasons") or ["it carried no sum"]
    return f"{said}; {missing} mode does not work here: {reasons[0]}."


def _why_window(best: _Measured, window: int, expected: float) -> str:
    if expected <= TARGET:
        return f"A window of {window:,} samples is the shortest with an error below {_percent(TARGET)}: {_percent(expected)}."
    if window == WINDOWS[-1]:
        return f"Even {window:,} samples, the longest window, leave {_percent(expected)}; more power or less noise would help."
    return (
        f"Beyond {window:,} samples the error stays at {_percent(expected)}: gains and phases that move make most of it, and no "
        "window averages them."
    )


def _why_pilots(best: _Measured, pilots: int, pilot_window: int, csi_error: float) -> str:
    return (
        f"{pilots} pilots of {pilot_window:,} samples a round leave the worst channel estimate {_percent(csi_error)} off when "
        "it is used, which power control and privacy take as its uncertainty."
    )


def _why_believed(best: _Measured) -> str:
    measured, closed = math.sqrt(best.mse) / best.devices, math.sqrt(best.closed.of(best.devices)) / best.devices
    said = f"Known sums were {_percent(measured)} off at {best.window:,} samples, where the closed form says {_percent(closed)}"
    if best.extra == 0.0:
        return f"{said}: the same within chance."
    more = "more than chance explains, and put down to gains and phases that move" if best.extra > 0.0 else "less"
    return f"{said}: {more}."


def _why_coherence(known: Mapping[str, Mapping[str, Any]]) -> list[str]:
    times = known.get("channel", {}).get("coherence_s")
    values = [float(value) for value in np.atleast_1d(np.asarray(times if times is not None else [], dtype=np.float64))]
    finite = [value for value in values if value > 0.0]
    if not finite:
        return []
    least = min(finite)
    return [
        f"The channel holds for {least:.3g} s (the shortest coherence time): pilots must be no older when payloads are sent."
    ]


def _percent(share: float) -> str:
    return f"{100.0 * share:.2g} %"
