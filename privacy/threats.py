"""Who listens, and which noise counts against them.

A threat turns the noise of a slot into the variance that is counted for each device, in payload units and per real
dimension:

    counted_j = sigma_j^2 + (the other active devices' sigma^2, less the C + D largest, + N0 / c^2) / kappa

with the bracket's terms only where the threat grants them. C colluders know their own noise and subtract it; D silent
dropouts were announced as active and sent nothing. kappa bounds how much louder a device can arrive than another one, or
than planned, because its channel was estimated wrongly; own noise rides on the same gain as the payload it protects and
needs no margin. N0 is the receiver's noise per real dimension integrated over the whole time on air, c the alignment.

Only own noise is counted by default (design decision 5). Noise of others counts where amplitudes add in phase
(`Mode.counts_for_privacy`), and there only against an observer of the aligned sum: one that also uses the quadrature, or
several antennas, or stands near a device, tells devices apart whatever kappa is (K = 5, any phase error at all, no receiver
noise: 3 dB on average).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radio.air import NoiseSource
from radio.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Threat:
    """One adversary.

    name         as in `privacy.threat`
    observer     who it is, for statements
    counts       whose noise is counted
    colluders    C, devices that tell the adversary their own noise
    dropouts     D, devices announced as active that may stay silent
    csi_margin   kappa >= 1, a ratio of powers; see `hard_csi_margin`
    enforceable  False: figures are reported, no budget is kept by it
    """

    name: str
    observer: str
    counts: tuple[NoiseSource, ...]
    colluders: int = 0
    dropouts: int = 0
    csi_margin: float = 1.0
    enforceable: bool = True

    def __post_init__(self) -> None:
        if self.colluders < 0 or self.dropouts < 0:
            raise InputError(f"{self.colluders} colluders and {self.dropouts} dropouts; allowed: 0 or more of each")
        if not (math.isfinite(self.csi_margin) and self.csi_margin >= 1.0):
            raise InputError(f"the CSI margin is a factor of {self.csi_margin!r}; allowed: finite, 1 (0 dB) or more")

    def __str__(self) -> str:
        """What a ledger keeps it by: charges against different limits do not add up."""
        if self.counts == ("own",):
            return self.name
        margin = 10.0 * math.log10(self.csi_margin)
        return f"{self.name} (C = {self.colluders}, D = {self.dropouts}, CSI margin {margin:g} dB)"

    @property
    def missing(self) -> int:
        """C + D: how many of the others' noise contributions are not counted."""
        return self.colluders + self.dropouts

    def counted_variance(self, noise_std: ArrayLike, active: ArrayLike, receiver_variance: float = 0.0) -> Floats:
        """(K,) variance counted for each device, payload units squared, per real dimension; inf for one that is silent.

        noise_std          (K,) or one number, own noise of each device on each scalar
        active             (K,) who was announced as active
        receiver_variance  N0 / c^2: the receiver's noise on the sum, per real dimension, over the whole time on air
        """
        heard = np.asarray(active, dtype=bool)
        own = np.where(heard, np.broadcast_to(np.asarray(noise_std, dtype=np.float64), heard.shape) ** 2, 0.0)
        rest = np.zeros(heard.shape)
        if "others" in self.counts:
            for j in np.flatnonzero(heard):
                others = np.sort(np.delete(own, j))
                rest[j] = others[: max(0, others.size - self.missing)].sum()
        if "receiver" in self.counts:
            rest += receiver_variance
        return np.where(heard, own + rest / self.csi_margin, np.inf)

    def credit(self, active: int) -> float:
        """How many devices' noise is counted where `active` of them add the same: 1 + (m - 1) / kappa, with
        m = max(1, active - C - D); 1 where only own noise counts."""
        if "others" not in self.counts:
            return 1.0
        return 1.0 + max(0, active - 1 - self.missing) / self.csi_margin

    def counted_equally(self, noise_std: float, active: int, receiver_variance: float = 0.0) -> float:
        """`counted_variance` of each of `active` devices that add the same noise."""
        of_receiver = receiver_variance / self.csi_margin if "receiver" in self.counts else 0.0
        return noise_std**2 * self.credit(active) + of_receiver

    def own_share(self, active: int) -> float:
        """sigma^2 of each of `active` devices over the variance that must be counted, so that a round costs the same
        whoever is in a fade: 1 / credit; 0 where the receiver's noise counts, for then the amplitude is held down instead
        (`alignment_limit`)."""
        return 0.0 if "receiver" in self.counts else 1.0 / self.credit(active)

    def alignment_limit(self, noise_variance: float, wanted: float) -> float:
        """Largest alignment c at which the receiver's noise alone is counted as `wanted`: c^2 = N0 / (kappa wanted).

        noise_variance  N0, per real dimension over the whole time on air
        wanted          variance to be counted, payload units squared
        """
        return math.sqrt(noise_variance / (self.csi_margin * wanted))


OWN_NOISE = Threat(
    "own-noise",
    "anybody who receives anything, near any device, over any channel, with any number of antennas; may be the server; any "
    "number of devices may collude or drop out",
    ("own",),
)
AGGREGATE = Threat(
    "aggregate",
    "the server, observing the aligned sum with a receiver as good as it likes",
    ("own", "others"),
)
TRUSTED_RECEIVER = Threat(
    "trusted-receiver",
    "the server, observing the aligned sum with a receiver as noisy as it was measured to be (arXiv 2604.12401)",
    ("own", "others", "receiver"),
)
BROADCAST_ONLY = Threat(
    "broadcast-only",
    "somebody who sees the broadcast mean of every round and nothing of the air",
    ("own", "others", "receiver"),
    enforceable=False,
)


def threats(colluders: int = 0, dropouts: int = 0, csi_margin: float = 1.0) -> dict[str, Threat]:
    """All threats by name, the strictest first."""

    def limited(threat: Threat) -> Threat:
        return replace(threat, colluders=colluders, dropouts=dropouts, csi_margin=csi_margin)

    found = (OWN_NOISE, limited(AGGREGATE), limited(TRUSTED_RECEIVER), limited(BROADCAST_ONLY))
    return {threat.name: threat for threat in found}


def hard_csi_margin(relative_error: float, estimates: int, delta: float) -> float:
    """kappa that holds for all `estimates` channel estimates at once but for a probability of `delta`, which adds to the
    guarantee's delta: ((1 + x) / (1 - x))^2, x = sigma_e sqrt(ln(estimates / delta)) / |h_hat|.

    relative_error  sigma_e / |h_hat| of the worst estimate that was inverted, sigma_e^2 = E|h_hat - h|^2 (complex, so |e|^2
                    is exponential); an estimate below the truncation is never inverted, so |h_hat| is bounded below
    returns         a ratio of powers; infinite where an estimate may be all error
    """
    if not (0.0 < delta < 1.0 and estimates >= 1 and relative_error >= 0.0):
        raise InputError(
            f"CSI margin for a relative error of {relative_error!r}, {estimates} estimates and delta {delta!r}; allowed: error "
            "0 or more, 1 estimate or more, delta between 0 and 1"
        )
    x = relative_error / largest_csi_error(estimates, delta)
    return ((1.0 + x) / (1.0 - x)) ** 2 if x < 1.0 else math.inf


def largest_csi_error(estimates: int, delta: float) -> float:
    """sigma_e / |h_hat| from which on no margin holds for all `estimates` but for a probability of `delta`:
    1 / sqrt(ln(estimates / delta)); see `hard_csi_margin`."""
    return 1.0 / math.sqrt(math.log(estimates / delta))
