"""What is recommended, from facts as a session leaves them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from calibration.prediction import FORMS
from calibration.recommend import TARGET, recommend

POWER = np.array([0.01, 0.02, 0.04])
RELATIVE = np.full(3, 1e-4)


def facts(mode: str, noise: float, extra: float = 0.0, **changes: Any) -> dict[str, Any]:
    """Of a mode that measured what its closed form says, and `extra` per unit of payload power."""
    closed = FORMS[mode](POWER, RELATIVE, noise, 4096)
    mse = closed.of(3) + extra
    return {
        "window": 4096, "pilot_window": 4096, "works": True, "reasons": [], "mse": mse, "mse_standard_error": 0.05 * mse,
        "over_predicted": mse / closed.of(3), "over_predicted_standard_error": 0.05 * mse / closed.of(3),
        "predicted": closed.of(3), "closed": asdict(closed), "power": POWER, "power_spread_db": 0.1,
        "relative_variance": RELATIVE, "devices": 3.0, "noise_variance": noise,
    } | changes  # fmt: skip


def test_nothing_is_recommended_without_known_sums() -> None:
    assert recommend({}, 0.0) is None
    assert recommend({"known_scalar": {"energy": {"works": False}}}, 0.0) is None


def test_the_mode_of_less_error_and_why() -> None:
    tried = {"coherent": facts("coherent", 1e-4), "energy": facts("energy", 1e-4)}
    advised = recommend({"known_scalar": tried}, -3.0)
    assert advised is not None and advised.mode == "coherent" and advised.receive_gain_db == -3.0
    assert "better than energy mode" in advised.reasons[0] and advised.pilots == 6
    # a channel that moves in coherent mode only
    tried["coherent"] = facts("coherent", 1e-4, extra=0.5)
    assert (advised := recommend({"known_scalar": tried}, 0.0)) is not None and advised.mode == "energy"
    tried["coherent"] = {"works": False, "reasons": ["no shared clock"]}
    advised = recommend({"known_scalar": tried}, 0.0)
    assert advised is not None and "does not work here: no shared clock" in advised.reasons[0]


def test_the_window_is_the_shortest_that_reaches_the_target() -> None:
    for noise in (1e-3, 1e-2, 0.1):
        advised = recommend({"known_scalar": {"coherent": facts("coherent", noise)}}, 0.0)
        assert advised is not None and advised.expected_error <= TARGET * 1.05
        half = FORMS["coherent"](POWER, RELATIVE, noise, advised.window // 2).of(3)
        assert advised.window == 1024 or np.sqrt(half) / 3 > TARGET
    longest = recommend({"known_scalar": {"coherent": facts("coherent", 1e3)}}, 0.0)
    assert longest is not None and longest.window == 65536 and "Even 65,536" in longest.reasons[1]
    fixed = recommend({"known_scalar": {"coherent": facts("coherent", 0.1)}}, 0.0, fixed_window=512)
    assert fixed is not None and fixed.window == 512


def test_what_moves_is_no_matter_of_windows_and_goes_to_the_csi() -> None:
    still = recommend({"known_scalar": {"coherent": facts("coherent", 1e-4)}}, 0.0)
    moving = recommend({"known_scalar": {"coherent": facts("coherent", 1e-4, extra=0.04)}}, 0.0)
    assert still is not None and moving is not None
    assert moving.error.payload == pytest.approx(0.04, rel=0.01)
    assert moving.csi_error == pytest.approx(np.sqrt(2 * 0.04), rel=0.01) and still.csi_error < 0.03
    assert moving.expected_error > TARGET and "no window averages" in moving.reasons[1]
    assert "more than chance" in moving.reasons[3] and "within chance" in still.reasons[3]


def test_a_device_that_costs_more_than_it_brings_is_left_out() -> None:
    power = np.array([1e-6, 0.02, 0.04])
    closed = FORMS["coherent"](power, RELATIVE, 0.1, 4096)
    weak = facts(
        "coherent", 0.1, power=power, closed=asdict(closed), over_predicted=1.0, over_predicted_standard_error=0.1
    )
    advised = recommend({"known_scalar": {"coherent": weak}}, 0.0)
    assert advised is not None and (power / power.mean() >= advised.truncation).sum() == 2
    fair = recommend({"known_scalar": {"coherent": facts("coherent", 0.1)}}, 0.0)
    assert fair is not None and fair.truncation == pytest.approx(0.5 * POWER.min() / POWER.mean(), abs=1e-3)
    fading = recommend({"known_scalar": {"coherent": facts("coherent", 0.1, power_spread_db=5.0)}}, 0.0)
    assert fading is not None and fading.truncation == 0.05
