from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.air import ChannelState
from radio.errors import InputError
from radio.inversion import check_payloads, plan_inversion


def state_of(gains: list[complex], quality: list[bool] | None = None) -> ChannelState:
    h = np.array(gains, dtype=np.complex128)
    good = np.ones(h.size, dtype=bool) if quality is None else np.array(quality)
    return ChannelState(h, np.zeros(h.size), np.zeros(h.size), 1e-3, good)


gain_lists = st.lists(st.complex_numbers(min_magnitude=1e-6, max_magnitude=1e3), min_size=1, max_size=12)


@given(gain_lists, st.floats(1e-3, 1e6), st.floats(0.0, 0.99), st.floats(0.01, 1.0))
def test_peak_is_never_exceeded_and_the_weakest_attains_it(
    gains: list[complex], peak: float, truncation: float, limit: float
) -> None:
    plan = plan_inversion(state_of(gains), peak, truncation=truncation, amplitude_max=limit)
    drive = np.abs(plan.precoders) * peak
    assert (drive <= limit * (1 + 1e-9)).all()
    assert drive.max() == pytest.approx(limit)
    assert plan.active.any() and not plan.precoders[~plan.active].any()
    assert np.allclose(plan.precoders[plan.active] * np.array(gains)[plan.active], plan.alignment, rtol=1e-9)
    power = np.abs(np.array(gains)) ** 2
    below = power < truncation * power.mean() * (1 - 1e-9)
    assert not plan.active[below].any()


def test_closed_form() -> None:
    plan = plan_inversion(state_of([2.0, 0.5j, -1.0]), 4.0, truncation=0.0)
    assert plan.alignment == pytest.approx(0.5 / 4.0)  # eta = min |h| A_max / X
    assert np.allclose(plan.precoders, [0.0625, -0.25j, -0.125])
    assert plan.payload_peak == 4.0


def test_fades_bad_estimates_and_non_finite_gains_are_left_out() -> None:
    plan = plan_inversion(state_of([1.0, 0.01, 1.0, complex("nan"), 0.0], [True, True, False, True, True]), 1.0)
    assert plan.active.tolist() == [True, False, False, False, False]
    nobody = plan_inversion(state_of([1.0, 1.0], [False, False]), 1.0)
    assert not nobody.active.any() and nobody.alignment == 0.0


def test_known_mean_power_decides_when_given() -> None:
    faded = state_of([0.2, 0.2])
    assert plan_inversion(faded, 1.0, truncation=0.1).active.all()
    assert not plan_inversion(faded, 1.0, truncation=0.1, mean_gain_power=1.0).active.any()


@pytest.mark.parametrize(
    "bad",
    [{"payload_peak": 0.0}, {"payload_peak": 1.0, "truncation": -1.0}, {"payload_peak": 1.0, "amplitude_max": 1.1}],
)
def test_bad_settings(bad: dict) -> None:
    with pytest.raises(InputError, match=list(bad)[-1]):
        plan_inversion(state_of([1.0]), **bad)


def test_payloads_are_checked() -> None:
    plan = plan_inversion(state_of([1.0, 0.001]), 1.0)
    with pytest.raises(InputError, match="shape"):
        check_payloads(np.zeros(2), plan, 2)
    with pytest.raises(InputError, match="not finite"):
        check_payloads(np.array([[np.nan], [0.0]]), plan, 2)
    check_payloads(np.array([[0.0], [np.nan]]), plan, 2)  # that device is not active
    with pytest.raises(InputError, match="plan is for 2"):
        check_payloads(np.zeros((3, 1)), plan, 3)
