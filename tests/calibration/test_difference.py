"""Two sessions: the same bench measured twice, and one that has changed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from calibration.difference import differences
from calibration.finding import Estimate, Finding
from calibration.profile import Found, Profile, Radio


def session(values: np.ndarray, error: float, **changes: object) -> Profile:
    found = [Found.of(Finding("s", f"d{k}", "gain", Estimate(float(v), error, "dB"))) for k, v in enumerate(values)]
    settings: dict = {
        "name": "b", "air": "station", "made": datetime(2026, 1, 1, tzinfo=UTC), "complete": True, "clock": "free",
        "lo_hz": 1e9, "rate_sps": 1e6, "receive_gain_db": 0.0, "radio_s": 1.0, "receiver": Radio(name="r"), "device": (),
        "finding": tuple(found),
    }  # fmt: skip
    return Profile(**(settings | changes))


def test_an_unchanged_bench_is_called_changed_as_seldom_as_stated() -> None:
    rng = np.random.default_rng(3)
    alarms = 0
    for _ in range(400):
        truth = rng.standard_normal(20)
        a, b = (session(truth + 0.1 * rng.standard_normal(20), 0.1) for _ in range(2))
        alarms += any(one.significant for one in differences(a, b).quantities)
    assert alarms <= 12  # 1 % of 400 is 4


def test_a_change_is_found_and_comes_first() -> None:
    before, after = np.zeros(5), np.zeros(5)
    after[3] = 1.0
    found = differences(session(before, 0.1), session(after, 0.1, receive_gain_db=3.0))
    first = found.quantities[0]
    assert first.subject == "d3" and first.significant and first.score == pytest.approx(1.0 / np.hypot(0.1, 0.1))
    assert [one.significant for one in found.quantities[1:]] == [False] * 4
    assert found.settings == ("receive_gain_db: 0.0 in A, 3.0 in B",)


def test_exact_values_that_differ_differ() -> None:
    (one,) = differences(session(np.zeros(1), 0.0), session(np.ones(1), 0.0)).quantities
    assert one.significant and one.score == np.inf
