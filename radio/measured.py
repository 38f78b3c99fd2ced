"""A measured channel as the simulated one: complex gains of K devices over time, from a file of `pairzero calibrate export`.

    times_s  (N,) rising
    gains    (K, N) complex

Between measurements gains are interpolated. At its end the series is played backwards, and so on: time never jumps.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError


@dataclass(frozen=True)
class MeasuredChannel:
    """`Channel` of a series.

    Attributes:
        times_s: (N,) rising; shifted to begin at 0.
        series: (K, N) complex gains; scaled so that the mean power of all devices is 1, as simulated fading has it: how strong
            the signal is against the noise is the experiment's `snr_db`.
        round_s: time from round to round; 0: the series' own step.
    """

    times_s: NDArray[np.float64]
    series: NDArray[np.complex128]
    round_s: float = 0.0
    kind: str = field(default="measured", init=False)
    tap_delays_s: tuple[float, ...] = field(default=(), init=False)
    tap_powers_db: tuple[float, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        times, series = np.asarray(self.times_s, np.float64), np.asarray(self.series, np.complex128)
        if times.ndim != 1 or times.size < 2 or series.ndim != 2 or series.shape[1] != times.size:
            raise InputError(
                f"a measured channel has times_s of shape {times.shape} and gains of shape {series.shape}; needed: (N,) and "
                "(K, N) with at least two times"
            )
        if not (np.all(np.diff(times) > 0.0) and np.all(np.isfinite(times)) and np.all(np.isfinite(series))):
            raise InputError("a measured channel needs rising finite times and finite gains")
        scale = np.sqrt(np.mean(np.abs(series) ** 2))
        if not scale > 0.0:
            raise InputError("the gains of a measured channel are all 0")
        object.__setattr__(self, "times_s", times - times[0])
        object.__setattr__(self, "series", series / scale)

    @property
    def devices(self) -> int:
        return self.series.shape[0]

    @property
    def step_s(self) -> float:
        """Between two measurements."""
        return float(np.median(np.diff(self.times_s)))

    @property
    def doppler_hz(self) -> float:
        """The fastest that the series can show."""
        return 0.5 / self.step_s

    @property
    def mean_power(self) -> NDArray[np.float64]:
        """(K,) mean |h_k|^2."""
        return np.asarray((np.abs(self.series) ** 2).mean(axis=1))

    @property
    def shares(self) -> NDArray[np.float64]:
        """(1,): one path."""
        return np.ones(1)

    def gains(self, round_index: int) -> NDArray[np.complex128]:
        """(K,) as the round begins."""
        return self.track(round_index, np.zeros(1))[:, 0]

    def paths(self, round_index: int) -> NDArray[np.complex128]:
        """(K, 1) as the round begins."""
        return self.gains(round_index)[:, None]

    def track(self, round_index: int, seconds: NDArray[np.float64]) -> NDArray[np.complex128]:
        """(K, n) at `seconds` (n,) after the round began."""
        span = float(self.times_s[-1])
        at = np.remainder(round_index * (self.round_s or self.step_s) + seconds, 2.0 * span)
        at = np.minimum(at, 2.0 * span - at)
        return np.stack(
            [np.interp(at, self.times_s, h.real) + 1j * np.interp(at, self.times_s, h.imag) for h in self.series]
        )


def load_channel(path: Path, devices: int, round_s: float = 0.0) -> MeasuredChannel:
    """The first `devices` of a file. Raises InputError for one that is missing, no such file, or of fewer devices."""
    try:
        with np.load(path, allow_pickle=False) as data:
            times, gains = data["times_s"], data["gains"]
    except FileNotFoundError:
        raise InputError(f"radio.channel: {path} not found; make one with: pairzero calibrate export") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
        raise InputError(
            f"radio.channel: {path} is no measured channel (npz with times_s and gains): {problem}; make one with: pairzero "
            "calibrate export"
        ) from None
    if gains.ndim == 2 and gains.shape[0] < devices:
        raise InputError(
            f"radio.channel: {path} has {gains.shape[0]} devices and learning.devices is {devices}; take --set "
            f"learning.devices={gains.shape[0]}"
        )
    return MeasuredChannel(times, gains[:devices], round_s)
