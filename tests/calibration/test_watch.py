"""Checks during a run: what they cost, that they change nothing, and when they stop it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from calibration.expectation import measured
from calibration.loopback_rig import LoopbackRig
from calibration.prediction import SumError
from calibration.profile import Profile
from calibration.steps.known_scalar import KnownScalar
from calibration.trial import Sweep
from calibration.watch import CONFIRMED, ERRORS, LeftBox, WatchedAir
from radio.air import AirPlan, ChannelState, Received
from radio.coherent import COHERENT
from radio.surroundings import from_settings

K, PEAK = 3, 2.0


class Steady:
    """Adds with a Gaussian error of `error` payload peaks; gains and noise as told."""

    devices = K
    mode = COHERENT

    def __init__(self, error: float = 0.0) -> None:
        self.error, self.noise, self.gains = error, 1e-4, np.full(K, 0.1, dtype=np.complex128)
        self.columns: list[int] = []
        self.draws = np.random.default_rng(1)
        self.erased = False

    def sound(self, round_index: int) -> ChannelState:
        return ChannelState(self.gains, np.full(K, 1e-6), np.zeros(K), self.noise, np.ones(K, bool))

    def aggregate(self, round_index: int, payloads: np.ndarray, plan: AirPlan) -> Received:
        self.columns.append(payloads.shape[1])
        total = payloads[plan.active].sum(axis=0) + self.error * PEAK * self.draws.standard_normal(payloads.shape[1])
        ones = np.ones(payloads.shape[1])
        return Received(total, ones, ones, self.erased, "", np.zeros(K, np.int64), np.zeros(K))

    def close(self) -> None:
        pass


def profile(error: float = 0.01) -> Profile:
    """That expects `error` payload peaks, noise of 1e-4 and gains of 0.1."""
    known = {
        "window": 64, "pilot_window": 64, "works": True, "over_predicted": 1.0, "over_predicted_standard_error": 1.0,
        "closed": {"noise": error**2, "size": 0.0, "cross": 0.0, "payload": 0.0}, "power": [0.01] * K,
        "power_spread_db": 0.0, "relative_variance": [0.0] * K, "devices": 3.0, "noise_variance": 1e-4,
    }  # fmt: skip
    recommendation = {
        "mode": "coherent", "window": 64, "pilot_window": 64, "pilots": 6, "receive_gain_db": 0.0, "truncation": 0.1,
        "csi_error": 0.1, "csi_moving": 0.05, "error": {"noise": 1.0}, "expected_error": 0.1,
    }  # fmt: skip
    return Profile.model_validate(
        {
            "name": "b", "air": "station", "made": "2026-01-01T00:00:00Z", "complete": True, "clock": "free", "lo_hz": 1e9,
            "rate_sps": 1e6, "receive_gain_db": 0.0, "radio_s": 1.0, "receiver": {"name": "r"}, "device": [],
            "recommendation": recommendation, "facts": {"known_scalar": {"coherent": known}},
        }
    )  # fmt: skip


def play(air: WatchedAir, rounds: int, first: int = 0) -> list[Any]:
    """The checks of these rounds."""
    found = []
    for t in range(first, first + rounds):
        plan = replace(COHERENT.plan(air.sound(t), PEAK), active=np.array([True, True, False]))
        received = air.aggregate(t, np.ones((K, 2)), plan)
        assert received.total.shape == received.variance.shape == received.snr_db.shape == (2,)
        found.append(air.take())
    return found


def watched(air: Steady, every: int = 3, known: Profile | None = None) -> WatchedAir:
    expected = None if known is None else SumError(0.01**2)
    return WatchedAir(air, every, 7, known, expected, ". Calibrate again")


def test_every_third_round_carries_one_scalar_more_and_the_sums_are_the_same() -> None:
    inner = Steady()
    checks = play(watched(inner), 7)
    assert inner.columns == [3, 2, 2, 3, 2, 2, 3]
    assert [check is not None for check in checks] == [True, False, False] * 2 + [True]
    for check in filter(None, checks):
        assert check.received == pytest.approx(check.sent) and abs(check.sent) <= 2.0  # of the two that are active
        assert check.outside == "" and np.isnan(check.score) and check.record()["score"] is None


def test_an_erased_check_is_made_in_the_next_round() -> None:
    inner = Steady()
    air = watched(inner)
    inner.erased = True
    assert play(air, 2) == [None, None]
    inner.erased = False
    assert play(air, 1, 2)[0] is not None


def test_a_radio_as_calibrated_is_never_stopped() -> None:
    inner = Steady(error=0.01)
    checks = play(watched(inner, 1, profile()), 400)
    scores = np.array([check.score for check in checks])
    assert np.mean(scores**2) == pytest.approx(1.0, abs=0.2) and not any(check.outside for check in checks)


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"noise": 4e-4}, "noise is +6.0 dB off"),
        ({"gains": np.array([0.1, 0.04, 0.1], dtype=np.complex128)}, "gain of device 1 is -8.0 dB off"),
        ({"error": 0.1}, "known scalars are"),
    ],
)
def test_a_radio_that_leaves_its_box_is_stopped_before_the_next_round(changes: dict[str, Any], named: str) -> None:
    inner = Steady(error=0.01)
    air = watched(inner, 1, profile())
    play(air, ERRORS)
    for key, value in changes.items():
        setattr(inner, key, value)
    with pytest.raises(LeftBox, match=r"Calibrate again") as stopped:
        play(air, ERRORS + CONFIRMED + 1, 100)
    assert named in str(stopped.value)
    assert len(inner.columns) >= ERRORS + CONFIRMED  # one check outside is not enough


def test_what_moves_after_the_pilots_is_in_the_variance_of_the_gains() -> None:
    state = watched(Steady(), 1, profile()).sound(0)
    assert np.allclose(state.gain_variance, 1e-6 + (0.05 * 0.1) ** 2)
    assert np.allclose(watched(Steady(), 1).sound(0).gain_variance, 1e-6)


def test_the_box_of_a_measured_station_holds_its_own_rounds() -> None:
    """From known scalars on a simulated air to a run's checks on it, without anything in between."""
    place = from_settings(3, 4, window=2048, fading="static", snr_db=35.0)
    sweeps = {"energy": Sweep(2048, 1024, 6, 8)}
    facts = {"known_scalar": KnownScalar(sweeps).run(LoopbackRig(place), {}).facts}
    known = measured(facts, "energy")
    assert known is not None
    made = profile().model_copy(update={"facts": facts})
    air = place.cell(place.medium()).air("energy", 5, window=2048, pilot_window=1024)
    watching = WatchedAir(air, 1, 5, made, known.at(2048, 1024))
    scores = []
    for t in range(30):
        plan = air.mode.plan(watching.sound(t), 1.0)
        watching.aggregate(t, np.zeros((3, 1)), plan)
        check = watching.take()
        assert check is not None and check.outside == "" and abs(check.noise_db) < 0.5
        scores.append(check.score)
    assert 0.3 < np.mean(np.square(scores)) < 2.5
