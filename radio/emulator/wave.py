"""What a unit's converters turn samples into: the IQ stage of the transmit core, the DAC, and the tone generators."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ONE = 1 << 14  # of the IQ stage's coefficients
DAC_SHIFT = 4  # the 12 most significant bits of 16 are converted
DAC_SCALE = 2048.0


class IqStage(NamedTuple):
    """`calibscale` and `calibphase` of the two rails, in steps of 2^-14:

        I' = I i_scale + Q i_phase,   Q' = Q q_scale + I q_phase

    A complex factor a + jc is (a, -c, a, c). Saturating, after the multiplexer of DMA and tone generators
    (`ad_iqcor` in axi_ad9361_tx_channel.v).
    """

    i_scale: int = ONE
    i_phase: int = 0
    q_scale: int = ONE
    q_phase: int = 0

    def apply(self, codes: NDArray[np.int16]) -> NDArray[np.int16]:
        """(n, 2) to (n, 2)."""
        if self == NEUTRAL:
            return codes
        wide = codes.astype(np.int64)
        turned = np.empty_like(wide)
        turned[:, 0] = wide[:, 0] * self.i_scale + wide[:, 1] * self.i_phase
        turned[:, 1] = wide[:, 1] * self.q_scale + wide[:, 0] * self.q_phase
        turned >>= 14
        return np.clip(turned, -32768, 32767).astype(np.int16)


NEUTRAL = IqStage()


def converted(codes: NDArray[np.int16]) -> NDArray[np.complex128]:
    """(n, 2) codes to the DAC's output (n,), full scale 1."""
    rails = (codes >> DAC_SHIFT).astype(np.float64)
    rails /= DAC_SCALE
    return np.ascontiguousarray(rails).view(np.complex128).reshape(-1)


@dataclass(eq=False)
class Wave:
    """Samples on their way out of one unit.

    Attributes:
        codes: (N, 2) as the DMA delivers them.
        cyclic: they repeat; else there is silence before and after.
        start_s: when the first leaves.
        stage: the IQ stage they go through.
        renderings: by receiver, what `radio.emulator.air` made of them.
    """

    codes: NDArray[np.int16]
    cyclic: bool
    start_s: float
    stage: IqStage = NEUTRAL
    renderings: dict[int, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def corrected(self) -> NDArray[np.int16]:
        """(N, 2) codes behind the IQ stage."""
        return self.stage.apply(self.codes)

    @cached_property
    def silent(self) -> bool:
        """Nothing of it reaches the DAC: weighed to nothing, for example."""
        return not any(self.stage) or not self.corrected.any()

    @cached_property
    def analog(self) -> NDArray[np.complex128]:
        """(N,) the DAC's output."""
        return converted(self.corrected)

    def staged(self, stage: IqStage) -> Wave:
        """The same samples, started at the same instant, through another setting of the IQ stage."""
        return Wave(self.codes, self.cyclic, self.start_s, stage)

    def played(self, position: int, n: int) -> NDArray[np.int16]:
        """(n, 2) codes behind the IQ stage from sample `position` on, 0 where nothing is sent."""
        result = np.zeros((n, 2), dtype=np.int16)
        first = max(0, -position)
        if self.cyclic:
            if first < n:
                result[first:] = self.corrected.take(np.arange(position + first, position + n), 0, mode="wrap")
        else:
            part = self.corrected[max(0, position) : max(0, position + n)]
            result[first : first + part.shape[0]] = part[: n - first] if first < n else part[:0]
        return result


class Tone(NamedTuple):
    """One generator of a rail."""

    scale: float = 0.0
    frequency_hz: float = 0.0
    phase_deg: float = 0.0


@dataclass(frozen=True)
class Tones:
    """The four generators, two a rail (I F1, I F2, Q F1, Q F2), started together at `start_s`."""

    tones: tuple[Tone, Tone, Tone, Tone]
    start_s: float
    stage: IqStage = NEUTRAL

    @property
    def silent(self) -> bool:
        return all(tone.scale == 0.0 for tone in self.tones)

    def codes(self, seconds: NDArray[np.float64]) -> NDArray[np.int16]:
        """(n, 2) codes behind the IQ stage at `seconds` (n,) after the start."""
        rails = np.zeros((seconds.size, 2))
        for index, tone in enumerate(self.tones):
            if tone.scale != 0.0:
                turns = np.remainder(tone.frequency_hz * seconds, 1.0) + tone.phase_deg / 360.0
                rails[:, index // 2] += tone.scale * np.sin(2.0 * math.pi * turns)
        codes = np.clip(np.rint(rails * 32767.0), -32768, 32767).astype(np.int16)
        return self.stage.apply(codes)
