"""A thousand random runs with crashes, dropouts, colluders and errors of the channel estimates: no budget is exceeded."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from privacy.power.kinked import carry
from privacy.power.online import CertaintyEquivalent, ShareRule
from privacy.power.schedule import round_weights
from privacy.threats import hard_csi_margin

RELATIVE_ERROR = 0.05  # sigma_e / |h_hat| of the estimates


class Run(RuleBasedStateMachine):
    """One run under an untrusted receiver. What the rule gives out is charged; what an adversary of full means sees of every
    slot that went on air, crashed or not, is added up beside it from the true gains."""

    @initialize(
        rounds=st.integers(1, 12),
        devices=st.integers(2, 6),
        missing=st.tuples(st.integers(0, 2), st.integers(0, 2)),
        contraction=st.floats(0.3, 1.0),
        rho=st.floats(0.01, 10.0),
        trusted=st.sampled_from([0.0, 0.2]),
        informed=st.booleans(),
    )
    def begin(
        self,
        rounds: int,
        devices: int,
        missing: tuple[int, int],
        contraction: float,
        rho: float,
        trusted: float,
        informed: bool,
    ) -> None:
        self.colluders = min(missing[0], devices - 1)
        self.dropouts = min(missing[1], devices - 1 - self.colluders)
        self.rounds, self.devices, self.rho, self.trusted = rounds, devices, rho, trusted
        self.margin = hard_csi_margin(RELATIVE_ERROR, rounds * devices, 1e-6)
        weights, planned = round_weights(rounds, contraction), rho / self.margin
        self.rule: ShareRule | CertaintyEquivalent = ShareRule(weights, 1.0, planned)
        if informed:
            self.rule = CertaintyEquivalent(weights, 1.0, planned, [1e-3, 0.1, 10.0], every=4, last=2)
        self.round = 0
        self.charged: list[float] = []
        self.seen: list[float] = []

    def _slot(self, seed: int, snr_db: float, silent: int, on_air: bool, index: int | None = None) -> None:
        draws = np.random.default_rng(seed)
        power = 10 ** (snr_db / 10) * np.maximum(draws.exponential(size=self.devices), 1e-3)
        cap = power.min() / self.trusted if self.trusted else math.inf
        u = self.rule.next(self.round if index is None else index, cap)
        self.charged.append(2.0 * u)
        if u == 0.0 or not on_air:
            return
        plan = carry([1.0 / u], power[None, :], 1.0, 1.0, self.trusted, self.colluders, self.dropouts)
        noise, y = plan.artificial[0], float(plan.inverse_power[0])
        # every gain off by as much as the margin allows for, in whatever direction
        worst = RELATIVE_ERROR * math.sqrt(math.log(self.rounds * self.devices / 1e-6))
        gain = (1.0 + worst * draws.choice([-1.0, 0.0, 1.0], size=self.devices)) ** 2
        gone = draws.permutation(self.devices)[: self.colluders + min(silent, self.dropouts)]
        heard = np.setdiff1d(np.arange(self.devices), gone)
        against = (gain[heard] * noise[heard]).sum() + self.trusted * y
        self.seen.append(2.0 * float(gain[heard].max() / against))

    @precondition(lambda self: self.round < self.rounds)
    @rule(seed=st.integers(0, 10**6), snr_db=st.floats(-30, 30), silent=st.integers(0, 2))
    def transmit(self, seed: int, snr_db: float, silent: int) -> None:
        self._slot(seed, snr_db, silent, on_air=True)
        self.round += 1

    @precondition(lambda self: self.round < self.rounds)
    @rule(seed=st.integers(0, 10**6), snr_db=st.floats(-30, 30), silent=st.integers(0, 2), on_air=st.booleans())
    def crash(self, seed: int, snr_db: float, silent: int, on_air: bool) -> None:
        """The slot is burned, whether anything was sent or not, and the round is asked for again."""
        self._slot(seed, snr_db, silent, on_air)

    @precondition(lambda self: self.round == self.rounds)
    @rule(seed=st.integers(0, 10**6))
    def resume_a_finished_run(self, seed: int) -> None:
        self._slot(seed, 0.0, 0, on_air=False, index=self.rounds - 1)

    @invariant()
    def nothing_is_overspent(self) -> None:
        if hasattr(self, "charged"):
            assert math.fsum(self.charged) * self.margin <= self.rho
            assert math.fsum(self.seen) <= self.rho
            assert math.fsum(self.seen) <= math.fsum(self.charged) * self.margin * (1 + 1e-9)


TestRun = Run.TestCase
TestRun.settings = settings(
    max_examples=1000,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
