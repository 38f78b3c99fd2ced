"""Majority vote by frequency-shift keying: one bit a device, no channel state at all.

Every device sends a tone at one of two frequencies, by the sign of its value, with a public random phase; the receiver
compares the two energies (Sahin, Everette, Hoque, "Distributed learning over a wireless network with non-coherent
majority vote computation"; demonstrated on Plutos in arXiv 2209.09954). Nothing is equalised, so that near devices
outvote far ones; kept as the one-bit baseline. With free-running clocks a tone lies anywhere within +-the largest offset,
and a band of that width is compared.

What a device sends is the sign of the noised value (reference/privacy.md 2.6): post-processing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from radio.air import AirPlan, ChannelState, Mode, Received
from radio.bank import RadioBank, sounded_state
from radio.cue import Cue
from radio.equalisation import plan_votes
from radio.errors import InputError
from radio.inversion import check_payloads
from radio.modulator import VoteModulator, vote_bin
from radio.presence import Presence
from radio.tone import DC_GUARD_BINS, SMALLEST_WINDOW

VOTE = Mode("vote", "none", ("own",), plan_votes, one_bit=True, uses_per_scalar=2, per_codeword=True)
_LEAKAGE_BINS = 2  # of a tone between two bins


def posterior(plus: NDArray[np.float64], minus: NDArray[np.float64], noise: float, voters: int) -> NDArray[np.float64]:
    """(..., voters + 1) probability that m of the voters voted +1, given both energies (...).

    Under Rayleigh fading m votes of mean power g arrive with an energy that is exponential with mean m g + noise. g is
    taken from the sum of both energies, and votes are fair coins beforehand. Where energies vary less (line of sight,
    tones that carrier offsets keep apart) this is too modest.
    """
    m = np.arange(voters + 1)
    prior = gammaln(voters + 1) - gammaln(m + 1) - gammaln(voters - m + 1)
    power = np.maximum((plus + minus - 2.0 * noise) / voters, 0.0)[..., None]
    up = np.maximum(m * power + noise, 1e-300)
    down = np.maximum((voters - m) * power + noise, 1e-300)
    log = prior - plus[..., None] / up - np.log(up) - minus[..., None] / down - np.log(down)
    return np.asarray(np.exp(log - logsumexp(log, axis=-1, keepdims=True)))


def confidence(plus: NDArray[np.float64], minus: NDArray[np.float64], noise: float, voters: int) -> NDArray[np.float64]:
    """Probability (...) that the majority is the one the larger energy says, by `posterior`; a tie counts half."""
    m = np.arange(voters + 1)
    weight = np.where(2 * m > voters, 1.0, np.where(2 * m == voters, 0.5, 0.0))
    probability = (posterior(plus, minus, noise, voters) * weight).sum(axis=-1)
    return np.asarray(np.where(plus >= minus, probability, 1.0 - probability))


def decide(
    plus: NDArray[np.float64], minus: NDArray[np.float64], noise: float, voters: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(P,) totals +-voters, their variance and SNR in dB, from both energies (P,).

    The variance is the mean square error of what is reported: (2 n)^2 where the majority is the other one, n^2 where the
    vote is tied (`Mode.outcome` 0), by `posterior`. For odd n that is (2 n)^2 (1 - q), q the confidence.
    """
    truth = voters * np.sign(2 * np.arange(voters + 1) - voters)
    total = np.where(plus >= minus, 1.0, -1.0) * voters
    with np.errstate(divide="ignore"):
        ratio = np.maximum((plus + minus - 2.0 * noise) / voters, 0.0) / noise if noise > 0.0 else plus + np.inf
        error = (posterior(plus, minus, noise, voters) * (total[..., None] - truth) ** 2).sum(axis=-1)
        return total, error, np.asarray(10.0 * np.log10(ratio))


UNHEARD = "no signal: the energies of a vote are not above the noise floor, nor are those before it"


class VoteAir:
    """`Air` by majority vote: `total` is +n or -n for n active devices, so that the mean over the active set is +-1.

    Payloads may be any real numbers; their signs are sent. `snr_db` is a vote's mean received power over the noise in
    one detector.

    A slot that is likelier silent than 1 in 100 is an erasure (`radio.presence`). Good rounds that this loses, of the first
    1000 with flat Rayleigh fading, by SNR per received scalar (Monte Carlo):

        SNR       -10 dB    0 dB   10 dB    20 dB    30 dB
        K = 5       67 %   1.2 %   0.13 %   0.05 %  < 0.02 %
        K = 20       5 %   0.3 %   0.02 %  < 0.02 % < 0.02 %

    Almost all of them are the first ones, until there is evidence that anybody sends. Devices that fall silent after 200
    rounds (K = 5) are noticed after 12 slots at 0 dB, 2 at 10 dB and mostly at once above 20 dB; until then a vote of noise is
    a number, whose variance says so.

    Args:
        bank: the radios.
        seed: public, of the votes' phases.
        window: samples of a slot.
        offset_max_hz: largest carrier offset between a device and the receiver; 0 with a common clock.
        interference_db: a slot is erased when the power outside both detectors is this far above the noise floor.
        distortion_dbc: such power, relative to the signal, that is our own.
    """

    def __init__(
        self,
        bank: RadioBank,
        seed: int,
        *,
        window: int = 4096,
        offset_max_hz: float = 0.0,
        interference_db: float = 6.0,
        distortion_dbc: float = -25.0,
    ) -> None:
        if window < SMALLEST_WINDOW:
            raise InputError(f"window is {window} samples; at least {SMALLEST_WINDOW} are needed")
        self.window = window
        self.reach = detector_reach(window, bank.rate_sps, offset_max_hz)
        self.devices = bank.devices
        self.interference = 10.0 ** (interference_db / 10.0)
        self.distortion = 10.0 ** (distortion_dbc / 10.0)
        self._presence = Presence(2 * self.reach + 1, window)
        self._bank = bank
        bank.equip(VoteModulator(seed, bank.devices, window))
        self._sounded: tuple[int, ChannelState] | None = None
        self._idle_fault = ""

    @property
    def mode(self) -> Mode:
        return VOTE

    def sound(self, round_index: int) -> ChannelState:
        """The noise floor, from an idle slot. `gains` are 1: nothing is known of them."""
        with self._bank.phase(round_index, "sound"):
            idle = self._bank.slot({}, self.window)
            near = np.arange(-self.reach, self.reach + 1)
            self._idle_fault = self._bank.idle_fault(
                idle, np.concatenate([self._bin(1.0) + near, self._bin(-1.0) + near])
            )
        floor = self._bank.noise_floor(idle)
        ones = np.ones(self.devices)
        state = ChannelState(
            ones.astype(np.complex128), np.inf * ones, 0.0 * ones, floor, self._bank.present & (not self._idle_fault)
        )
        self._sounded = (round_index, state)
        return state

    def aggregate(self, round_index: int, payloads: NDArray[np.float64], plan: AirPlan) -> Received:
        """`receive`, of `payloads` (K, P), whose signs are sent."""
        payloads = check_payloads(payloads, plan, self.devices)
        self._bank.load(payloads, plan)
        return self._bank.account(self.receive(round_index, payloads.shape[1], plan), self.window)

    def receive(self, round_index: int, scalars: int, plan: AirPlan) -> Received:
        """One slot for each of `scalars` numbers."""
        floor = sounded_state(round_index, self._sounded).noise_variance
        active = np.flatnonzero(plan.active)
        energies = np.full((2, scalars), np.nan)
        noise = (2 * self.reach + 1) * floor / self.window
        reason = ""
        if self._idle_fault or not active.size:
            reason = "no active device" + (f"; idle slot: {self._idle_fault}" if self._idle_fault else "")
        if not reason:
            with self._bank.phase(round_index, "air"):
                for p in range(scalars):
                    heard = self._bank.slot({int(k): Cue("payload", round_index, p) for k in active}, self.window)
                    energies[:, p], reason = self._energies(heard, floor)
                    if not reason and not self._presence.hear(energies[:, p].sum(), floor / self.window, active.size):
                        reason = UNHEARD
                    if reason:
                        break
        nothing = np.full(scalars, np.nan)
        total, variance, snr = (nothing,) * 3 if reason else decide(energies[0], energies[1], noise, active.size)
        return Received(
            total=total,
            variance=variance,
            snr_db=snr,
            erased=bool(reason),
            reason=reason,
            clipped=np.full(self.devices, -1),
            transmit_power_dbfs=self.mode.peak_dbfs(plan),
        )

    def _bin(self, vote: float) -> int:
        return vote_bin(vote, self.window)

    def _energies(self, heard: NDArray[np.complex128], floor: float) -> tuple[NDArray[np.float64], str]:
        """(2,) energies of both detectors in tone powers, noise included; and why they cannot be trusted."""
        if fault := self._bank.fault(heard):
            return np.full(2, np.nan), fault
        bins = np.abs(np.fft.fft(heard) / self.window) ** 2
        beside = np.ones(self.window, dtype=bool)
        beside[: DC_GUARD_BINS + 1] = beside[self.window - DC_GUARD_BINS :] = False
        energies = []
        for vote in (1.0, -1.0):
            centre = self._bin(vote)
            energies.append(float(bins[centre - self.reach : centre + self.reach + 1].sum()))
            beside[centre - self.reach - 8 : centre + self.reach + 9] = False
        # A tone between two bins leaks into all of them unless the window's edges are tapered.
        taper = np.hanning(self.window)
        residual = float((np.abs(np.fft.fft(heard * taper)[beside]) ** 2).mean()) / float(taper @ taper)
        if residual > self.interference * floor + self.distortion * sum(energies):
            above = 10.0 * math.log10(residual / max(floor, 1e-300))
            return np.array(energies), f"interference: residual {above:.1f} dB above the sounded noise floor"
        return np.array(energies), ""

    def close(self) -> None:
        """Mute and close every radio. Safe to call more than once."""
        self._bank.close()

    def __enter__(self) -> VoteAir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def detector_reach(window: int, rate_sps: float, offset_max_hz: float) -> int:
    """Bins either side of a vote's frequency that belong to its detector.

    Raises InputError where offsets of that size would carry one frequency into the other's band.
    """
    if not offset_max_hz > 0.0:
        return 0
    reach = math.ceil(offset_max_hz * window / rate_sps) + _LEAKAGE_BINS
    if reach + 8 > 0.08 * window:
        raise InputError(
            f"a carrier offset of up to {offset_max_hz:g} Hz moves a vote by {reach} of {window} bins; allowed: "
            f"{int(0.08 * window) - 8}. Raise rate_sps, or give the radios a common clock"
        )
    return reach
