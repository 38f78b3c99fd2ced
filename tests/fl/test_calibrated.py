"""What a run makes of a profile: its expectation, its checks' cost, its lines."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from calibration.profile import Profile
from calibration.watch import EVERY, WatchedAir
from fl.calibrated import about, check_every, expected_nmse_db, mean_power, watched
from fl.config import Experiment
from fl.rehearsal import rehearse
from fl.surroundings import described
from radio.ideal import IdealAir

NOISE, CROSS = 4e-4, 1e-3


def experiment(**radio: Any) -> Experiment:
    return Experiment.model_validate(
        {"radio": {"mode": "energy", "profile": "textbook"} | radio, "learning": {"devices": 3}}
    )


def profile(of: Experiment, **facts: Any) -> Profile:
    known = {
        "window": 4096, "pilot_window": 1024, "works": True, "over_predicted": 1.0, "over_predicted_standard_error": 1.0,
        "closed": {"noise": NOISE, "size": 0.0, "cross": CROSS, "payload": 0.0}, "power": [1.0, 2.0, 3.0],
        "power_spread_db": 0.0, "relative_variance": [0.0] * 3, "devices": 3.0, "noise_variance": 1e-4,
    } | facts  # fmt: skip
    return Profile.model_validate(
        {
            "name": "b", "air": "loopback", "made": "2026-01-01T00:00:00Z", "complete": True, "clock": "free", "lo_hz": 1e9,
            "rate_sps": 1e6, "receive_gain_db": 0.0, "radio_s": 1.0, "receiver": {"name": "r"}, "device": [],
            "facts": {"known_scalar": {"energy": known}}, "settings": described(of),
        }
    )  # fmt: skip


def test_the_expected_error_of_a_run_s_sums() -> None:
    """Gaussian payloads: E|x| = sqrt(2/pi) times their rms, so the cross terms are (K E|x|)^2 times their share."""
    of = experiment()
    rng = np.random.default_rng(1)
    peak, rms = 5.0, 0.7
    sums = rms * math.sqrt(3) * rng.standard_normal(4000)
    lines = [{"erased": False, "truth": [x], "payload_peak": peak, "active": [True] * 3} for x in sums]
    lines += [{"erased": True, "truth": [9.0], "payload_peak": peak, "active": [True] * 3}]
    mse = NOISE * peak**2 + CROSS * (3 * math.sqrt(2 / math.pi) * rms) ** 2
    assert expected_nmse_db(profile(of), of, lines) == pytest.approx(10 * math.log10(mse / (3 * rms**2)), abs=0.15)
    assert expected_nmse_db(profile(of), of, []) is None
    assert expected_nmse_db(profile(of), experiment(mode="tdma"), lines) is None
    twice = experiment(window=8192)
    assert expected_nmse_db(profile(of), twice, lines) == pytest.approx(
        expected_nmse_db(profile(of), of, lines) - 10 * math.log10(2)
    )


def test_how_often_a_run_is_checked() -> None:
    of = experiment()
    assert check_every(of, None) == 0 and check_every(of, profile(of)) == EVERY
    assert (
        check_every(experiment(check_every=0), profile(of)) == 0 and check_every(experiment(check_every=7), None) == 7
    )
    air = IdealAir(3)
    assert watched(of, air, None, "") is air
    assert isinstance(watched(experiment(check_every=7), air, None, ""), WatchedAir)


def test_a_check_takes_its_share_of_the_air() -> None:
    of = experiment()
    plain, often = rehearse(of), rehearse(of, None, 4)
    two = rehearse(Experiment.model_validate(of.model_dump() | {"learning": {"devices": 3, "perturbations": 9}}))
    assert often.seconds - plain.seconds == pytest.approx((two.seconds - plain.seconds) / 4)
    assert often.on_air_s > plain.on_air_s and often.slots == plain.slots


def test_mean_powers_are_those_of_the_run_s_devices() -> None:
    of = experiment()
    assert np.array_equal(mean_power(profile(of), 2), [1.0, 2.0])
    assert mean_power(profile(of), 4) is None
    assert mean_power(profile(of, power=[1.0, 0.0, 3.0]), 3) is None


def test_what_is_said() -> None:
    of = experiment()
    said = about(of, profile(of), None)
    assert "profile b of 2026-01-01" in said[0]
    assert any("h old and vouches for 24 h" in line for line in said)
    assert any("recommends nothing" in line for line in said)
    affine = experiment(mapping="affine")
    assert any(
        "no error to expect of energy mode with mapping affine" in one for one in about(affine, profile(affine), None)
    )
    share = 100 * math.sqrt(NOISE + CROSS * 1.5**2) / 3
    assert any(f"expected error of the sum: {share:.2g} %" in line for line in said)
    assert said[-1] == f"a public scalar checks the radio every {EVERY} rounds"
