"""Majority vote at symbol fidelity: both detectors' energies, without samples.

The votes for one side arrive as y = sum_k h_k e^{j theta_k}, public random theta, and noise in a detector of L bins makes
the energy a noncentral chi-square, exactly:

    E = v/2 chi'^2(2 L, 2 S / v),   v = E|n|^2/M,   S = sum_{k, l} y_k conj(y_l) sinc((f_k - f_l) T)

S is |y|^2 with a common clock; carrier offsets f_k keep tones apart, so that energies add rather than amplitudes (for
tones inside their detector: what leaks out of it is left out). Over Rayleigh fading with a common clock and L = 1 the
energies are exponential with means n_+- E|h|^2 + v.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.equalisation import power_dbfs
from radio.inversion import check_payloads
from radio.modulator import signs, vote_phases
from radio.presence import Presence
from radio.symbol_channel import SymbolChannel
from radio.vote import UNHEARD, VOTE, decide, detector_reach


def vote_energies(
    received: NDArray[np.complex128],
    votes: NDArray[np.float64],
    bin_noise: float,
    bins: int,
    draws: np.random.Generator,
    cycles: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """(..., 2) energies for +1 and -1.

    Args:
        received: (..., K) complex amplitude of each vote at the receiver, random phase included; 0: silent.
        votes: (..., K) +-1.
        bin_noise: v = E|n|^2/M.
        bins: L.
        cycles: (..., K) f_k T, carrier offset in cycles a window; None: a common clock.
    """
    sides = np.stack([np.where(votes > 0.0, received, 0.0), np.where(votes > 0.0, 0.0, received)], axis=-2)
    if cycles is None:
        signal = np.abs(sides.sum(axis=-1)) ** 2
    else:
        apart = np.sinc(cycles[..., :, None] - cycles[..., None, :])
        signal = np.einsum("...sk,...kl,...sl->...s", sides, apart, sides.conj()).real
    signal = np.maximum(signal, 0.0)
    if not bin_noise > 0.0:
        return np.asarray(signal)
    return np.asarray(bin_noise / 2.0 * draws.noncentral_chisquare(2 * bins, 2.0 * signal / bin_noise))


class SymbolVoteAir:
    """`Air` by majority vote at symbol fidelity; see `VoteAir`.

    Args:
        channel: gains and noise.
        window: samples of a slot.
        rate_sps: sampling rate.
        offset_hz: standard deviation of the devices' carrier offsets, drawn for each round.
        offset_max_hz: what the detector expects; default 4 standard deviations.
    """

    def __init__(
        self,
        channel: SymbolChannel,
        *,
        window: int = 4096,
        rate_sps: float = 1e6,
        offset_hz: float = 0.0,
        offset_max_hz: float | None = None,
    ) -> None:
        self.devices = channel.devices
        self.window = window
        self.rate_sps = rate_sps
        self.offset_hz = offset_hz
        self.reach = detector_reach(window, rate_sps, 4.0 * offset_hz if offset_max_hz is None else offset_max_hz)
        self._presence = Presence(2 * self.reach + 1, window)
        self._channel = channel

    @property
    def mode(self) -> Mode:
        return VOTE

    def sound(self, round_index: int) -> ChannelState:
        """The noise floor, as its mean: an idle slot knows it to 1/sqrt(M), which moves a confidence and no vote."""
        ones = np.ones(self.devices)
        return ChannelState(
            ones.astype(np.complex128), np.inf * ones, 0.0 * ones, self._channel.noise_variance, ones.astype(bool)
        )

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        payloads = check_payloads(payloads, plan, self.devices)
        count, voters = payloads.shape[1], int(plan.active.sum())
        votes = signs(np.where(plan.active[:, None], payloads, 0.0)).T  # (P, K)
        amplitudes = np.where(plan.active, np.minimum(np.abs(plan.precoders), 1.0), 0.0)
        turn = np.exp(1j * vote_phases(self._channel.seed, round_index, self.devices, count)).T
        draws = self._channel.draws(round_index, "air")
        bins = 2 * self.reach + 1
        bin_noise = self._channel.noise_variance / self.window
        nothing = np.full(count, np.nan)
        total, variance, snr = (nothing,) * 3
        reason = "" if voters else "no active device"
        if voters:
            cycles = None
            if self.offset_hz > 0.0:
                offsets = self.offset_hz * self._channel.draws(round_index, "offsets").standard_normal(self.devices)
                cycles = offsets * self.window / self.rate_sps
            received = self._channel.gains(round_index) * amplitudes * turn
            energies = vote_energies(received, votes, bin_noise, bins, draws, cycles)
            plus, minus, noise = energies[:, 0], energies[:, 1], bins * bin_noise
            if not all(self._presence.hear(e, bin_noise, voters) for e in energies.sum(axis=1)):
                reason = UNHEARD
            if not reason:
                total, variance, snr = decide(plus, minus, noise, voters)
        return Received(
            total=total,
            variance=variance,
            snr_db=snr,
            erased=bool(reason),
            reason=reason,
            clipped=np.zeros(self.devices, dtype=np.int64),
            transmit_power_dbfs=power_dbfs(np.repeat(amplitudes[:, None], count, axis=1)),
        )

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> SymbolVoteAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
