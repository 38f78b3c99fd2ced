"""Fading: complex gains of K devices by round, in independent blocks or correlated in time, on one path or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError
from radio.streams import stream

FadingKind = Literal["rayleigh", "rician", "static"]


_SCATTERERS = 64  # plane waves from random directions that make up one Jakes-correlated gain


@dataclass(frozen=True)
class Fading:
    """Fading of unit mean power, times path loss. One path:

    rayleigh  h ~ CN(0, 1)
    rician    h = sqrt(k/(k+1)) e^{j phi} + sqrt(1/(k+1)) CN(0, 1), k = 10^(rician_k_db/10)
    static    h = e^{j phi}

    phi is one phase per device for the whole experiment (the line of sight does not move). CN(0, 1) is drawn afresh every
    `coherence_rounds` rounds; or, with a Doppler spread, it is a sum of plane waves from random directions,

        N^(-1/2) sum_n exp(j (2 pi f_D cos(a_n) t + b_n)),   E h(t + s) h(t)* = J_0(2 pi f_D s)

    at t = round * round_s + time within the round (Clarke and Jakes; N = 64 is Gaussian for every practical purpose).

    Several paths (`tap_delays_s`): each scatters independently with its share of the power and delays the signal; the
    line of sight belongs to the first. static: each path has its own fixed phase.

    Attributes:
        devices: K.
        seed: of every draw.
        kind: see above.
        rician_k_db: line-of-sight power over scattered power.
        path_loss_db: one value, or one for each device.
        coherence_rounds: rounds for which gains hold.
        doppler_hz: largest Doppler shift f_D; 0 is block fading.
        round_s: time from one round to the next; needed with `doppler_hz`.
        tap_delays_s: (L,) delays of the paths; () is one path without delay.
        tap_powers_db: (L,) their mean powers, relative to each other.
    """

    devices: int
    seed: int
    kind: FadingKind = "rayleigh"
    rician_k_db: float = 6.0
    path_loss_db: float | Sequence[float] = 0.0
    coherence_rounds: int = 1
    doppler_hz: float = 0.0
    round_s: float = 0.0
    tap_delays_s: Sequence[float] = ()
    tap_powers_db: Sequence[float] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("rayleigh", "rician", "static"):
            raise InputError(f"fading is {self.kind!r}; allowed: rayleigh, rician, static")
        if self.devices < 1:
            raise InputError(f"devices is {self.devices}; at least 1 is needed")
        if self.coherence_rounds < 1:
            raise InputError(f"coherence_rounds is {self.coherence_rounds}; at least 1 is needed")
        loss = np.atleast_1d(np.asarray(self.path_loss_db, dtype=np.float64))
        if loss.shape not in ((1,), (self.devices,)) or not np.all(np.isfinite(loss)):
            raise InputError(
                f"path_loss_db has {loss.size} value(s) {loss.tolist()}; allowed: one finite number, "
                f"or one for each of the {self.devices} devices"
            )
        if not math.isfinite(self.rician_k_db):
            raise InputError(f"rician_k_db is {self.rician_k_db}; allowed: a finite number of dB (or fading 'static')")
        if not (math.isfinite(self.doppler_hz) and self.doppler_hz >= 0.0):
            raise InputError(f"doppler_hz is {self.doppler_hz}; allowed: a finite number of Hz, at least 0")
        if self.doppler_hz > 0.0 and not (math.isfinite(self.round_s) and self.round_s > 0.0):
            raise InputError(f"round_s is {self.round_s}; with doppler_hz, a positive time between rounds is needed")
        delays = np.asarray(self.tap_delays_s, dtype=np.float64)
        if delays.shape != np.shape(self.tap_powers_db) or not np.all(np.isfinite(delays)) or np.any(delays < 0.0):
            raise InputError(
                f"tap_delays_s is {list(self.tap_delays_s)} and tap_powers_db {list(self.tap_powers_db)}; "
                "one power for each delay and delays of at least 0 are needed"
            )

    @property
    def mean_power(self) -> NDArray[np.float64]:
        """(K,) E|h_k|^2, path loss included."""
        loss = np.broadcast_to(np.asarray(self.path_loss_db, dtype=np.float64), (self.devices,))
        return 10.0 ** (-loss / 10.0)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(L,) share of the mean power in each path."""
        if not len(self.tap_delays_s):
            return np.ones(1)
        power = 10.0 ** (np.asarray(self.tap_powers_db, dtype=np.float64) / 10.0)
        return np.asarray(power / power.sum())

    def gains(self, round_index: int) -> NDArray[np.complex128]:
        """(K,) complex amplitude gains at the carrier as the round begins: the sum over the paths."""
        return np.asarray(self.paths(round_index).sum(axis=1))

    def paths(self, round_index: int) -> NDArray[np.complex128]:
        """(K, L) complex amplitude gains of the paths as the round begins."""
        shape = (self.devices, self.shares.size)
        if self.kind == "static":
            scatter = np.zeros(shape, dtype=np.complex128)
        elif self.doppler_hz > 0.0:
            scatter = self._scattered(round_index, np.zeros(1))[:, :, 0]
        else:
            draws = stream(self.seed, "fading", "block", round_index // self.coherence_rounds)
            scatter = draws.standard_normal((*shape, 2)) @ np.array([1.0, 1j]) / math.sqrt(2.0)
        return self._mixed(scatter)

    def track(self, round_index: int, seconds: NDArray[np.float64]) -> NDArray[np.complex128]:
        """(K, n) gains at the carrier at `seconds` (n,) after the round began."""
        if self.doppler_hz == 0.0 or self.kind == "static":
            return np.repeat(self.gains(round_index)[:, None], seconds.size, axis=1)
        scattered = np.moveaxis(self._scattered(round_index, seconds), 2, 0)  # (n, K, L)
        return np.asarray(np.stack([self._mixed(one).sum(axis=1) for one in scattered], axis=1))

    def _scattered(self, round_index: int, seconds: NDArray[np.float64]) -> NDArray[np.complex128]:
        """(K, L, n) Jakes-correlated CN(0, 1)."""
        draws = stream(self.seed, "fading", "jakes")
        shape = (self.devices, self.shares.size, _SCATTERERS)
        doppler, phase = self.doppler_hz * np.cos(2.0 * np.pi * draws.random(shape)), draws.random(shape)
        begin = np.remainder(doppler * (round_index * self.round_s) + phase, 1.0)
        turns = begin[..., None] + doppler[..., None] * seconds
        return np.asarray(np.exp(2j * np.pi * turns).sum(axis=2) / math.sqrt(_SCATTERERS))

    def _mixed(self, scatter: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """(K, L) paths from their scattered parts: line of sight, shares of the power and path loss."""
        if self.kind == "rayleigh":
            return np.asarray(np.sqrt(self.mean_power)[:, None] * (scatter * np.sqrt(self.shares)), dtype=np.complex128)
        draws = stream(self.seed, "fading", "line of sight")
        los = np.exp(2j * np.pi * draws.random(self.devices))
        if self.kind == "static":
            unit = np.ones_like(scatter)
            unit[:, 0] = los
            if scatter.shape[1] > 1:
                unit[:, 1:] = np.exp(2j * np.pi * draws.random((self.devices, scatter.shape[1] - 1)))
            unit = unit * np.sqrt(self.shares)
        else:
            factor = 10.0 ** (self.rician_k_db / 10.0)
            unit = math.sqrt(1.0 / (factor + 1.0)) * (scatter * np.sqrt(self.shares))
            unit[:, 0] = math.sqrt(factor / (factor + 1.0)) * los + unit[:, 0]
        return np.asarray(np.sqrt(self.mean_power)[:, None] * unit, dtype=np.complex128)
