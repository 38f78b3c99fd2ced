"""Whether a slot of the coherent mode can be trusted: from its own samples, and by the reference slot that ends a round."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from radio.air import AirPlan
from radio.outlier import DEVIATIONS, FALSE_ALARM, block_statistics, floor_change
from radio.pilot import saturated_fraction
from radio.sounding import Sounding
from radio.tone import Tone, ToneEstimate

REFERENCE_LEVEL = 0.5  # of the payload's peak: with all devices in phase, an ADC set for likely sums is not saturated
_REMEDY = "switch automatic gain control off, hold the channel still, or sound more often"


@dataclass(frozen=True)
class SlotJudge:
    """What a slot must satisfy; attributes as the arguments of `CoherentAir`, as ratios."""

    tone: Tone
    guard_samples: int
    floor_variance: float
    interference: float
    distortion: float
    max_saturated: float

    def fault(
        self, heard: NDArray[np.complex128], start: int, estimate: ToneEstimate, sounding: Sounding, plan: AirPlan
    ) -> str:
        """Why a slot cannot be trusted by its own samples and the noise floor, or ""."""
        state = sounding.state
        if not np.all(np.isfinite(heard.view(np.float64))):
            return "received samples are not finite"
        saturated = saturated_fraction(heard)
        if saturated > self.max_saturated:
            return f"ADC saturated: {100.0 * saturated:.2g} % of the samples at full scale; lower receive_gain_db"
        one = (plan.alignment * plan.payload_peak) ** 2
        signal = one * float(plan.active.sum()) + abs(estimate.amplitude) ** 2
        allowed = self.interference * state.noise_variance + self.distortion * signal
        if estimate.residual_power > allowed:
            above = 10.0 * math.log10(estimate.residual_power / max(state.noise_variance, 1e-300))
            return f"interference: residual {above:.1f} dB above the sounded noise floor"
        bins = self.tone.noise_bins
        moved = floor_change(
            state.noise_variance,
            max(estimate.noise_variance, self.floor_variance),
            bins,
            added=min(self.distortion, sounding.own_residual) * signal,
            quantisation=self.floor_variance,
        )
        if moved:
            change = "rose (or there is interference)" if moved > 0 else "fell (or the idle slot had interference)"
            return f"the noise {change} since sounding: the receive gain moved; switch automatic gain control off"
        tone = self.tone.samples(self.tone.window)
        blocks = block_statistics(
            heard[self.guard_samples :],
            tone,
            estimate.amplitude * complex(self.tone.samples(1, start)[0]),
            dc=estimate.dc,
            image=estimate.image,
            noise_variance=max(estimate.noise_variance, self.floor_variance),
            noise_bins=bins,
        )
        if blocks.burst and blocks.burst_power > self.distortion * signal:
            return f"interference: a burst {blocks.burst_db:.1f} dB above the rest of the window"
        if blocks.wander and blocks.wander_power > self.distortion * signal:
            away = 10.0 * math.log10(blocks.wander_power / signal)
            return f"interference: the tone is not steady within the window ({away:.0f} dB of full scale)"
        # Half as much again as all devices at full scale: the channel's estimates are not that wrong.
        most = 1.5 * float(np.abs(state.gains[plan.active]).sum()) + 6.0 * estimate.standard_error
        if abs(estimate.amplitude) > most:
            return f"interference: received amplitude {abs(estimate.amplitude):.3g}, devices send {most:.3g} at most"
        return ""


@dataclass(frozen=True)
class Reference:
    """The reference slot: n devices send one known payload, and n of it must arrive.

    What the receiver, the channel or a device have done to a sum since sounding, they do to this one. `deviation` is
    relative; `chance` its standard deviation by noise and the pilots' errors; `phases` the loss that the known errors of
    the phases explain.
    """

    deviation: float
    chance: float
    phases: float

    @classmethod
    def of(cls, total: float, variance: float, phase_variance: NDArray[np.float64], sent: float) -> Reference:
        """Of the estimated sum `total` with `variance`, the (n,) active devices' phase errors, and what each has sent."""
        n = phase_variance.size
        # Gaussian phases take (s^2/2) chi^2_n / n.
        phases = 0.5 * float(phase_variance.max()) * float(chdtri(n, FALSE_ALARM)) / n
        return cls(total / (n * sent) - 1.0, math.sqrt(variance) / (n * sent), phases)

    def fault(self, tolerance: float) -> str:
        """Why the round's sums cannot be trusted, or ""."""
        allowed = tolerance + DEVIATIONS * self.chance + self.phases
        if abs(self.deviation) <= allowed:
            return ""
        return (
            f"gain or channel moved since sounding: a reference of known payloads arrived {100.0 * self.deviation:+.2g} % "
            f"off, {100.0 * allowed:.2g} % are allowed; {_REMEDY}"
        )

    def variance(self, total: NDArray[np.float64]) -> NDArray[np.float64]:
        """(P,) what a tolerated deviation that chance does not explain (3 standard deviations) adds to the sums' variance."""
        seen = abs(self.deviation) > 3.0 * self.chance + self.phases
        return np.asarray((self.deviation * total) ** 2 if seen else 0.0 * total)
