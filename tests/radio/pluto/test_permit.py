"""Band, power and duty."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radio.pluto.permit import FULL_SCALE_DBM, DutyMeter, PermitError, TransmitPermit

PERMIT = TransmitPermit(868.0e6, 868.6e6, max_eirp_dbm=-10.0, duty=0.1, duty_period_s=100.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low_hz": 869e6}, "must be positive and rise"),
        ({"max_eirp_dbm": float("nan")}, "finite power"),
        ({"duty": 0.0}, "duty is 0"),
        ({"duty": 1.5}, "duty is 1.5"),
    ],
)
def test_a_permit_that_makes_no_sense(change: dict[str, float], message: str) -> None:
    settings = {"low_hz": 868e6, "high_hz": 868.6e6, "max_eirp_dbm": 0.0, "duty": 0.1} | change
    with pytest.raises(PermitError, match=message):
        TransmitPermit(**settings)


def test_the_whole_signal_must_lie_in_the_band() -> None:
    PERMIT.check_band("unit", 868.3e6, 0.6e6)
    for lo_hz, bandwidth_hz in ((868.3e6, 0.61e6), (868.0e6, 1.0), (915e6, 1.0)):
        with pytest.raises(PermitError, match=r"outside the permitted 868 to 868\.6 MHz"):
            PERMIT.check_band("unit", lo_hz, bandwidth_hz)


@given(st.floats(-30, 30), st.floats(0, 60), st.floats(-60, 20))
def test_power_is_gain_and_antenna_less_cable(antenna: float, cable: float, eirp: float) -> None:
    permit = TransmitPermit(1e9, 2e9, eirp)
    most = permit.max_gain_db(antenna, cable)
    assert FULL_SCALE_DBM + most + antenna - cable == pytest.approx(eirp, abs=1e-9)
    permit.check_gain("unit", most - 0.25, antenna, cable)
    with pytest.raises(PermitError, match="permitted are"):
        permit.check_gain("unit", most + 0.25, antenna, cable)


def test_duty_is_counted_in_a_sliding_window() -> None:
    now = 0.0
    meter = DutyMeter(PERMIT, lambda: now)
    assert meter.left_s == pytest.approx(10.0)
    meter.on()
    now = 6.0
    meter.on()  # again: still the same transmission
    assert meter.left_s == pytest.approx(4.0)
    meter.off()
    meter.off()
    now = 50.0
    meter.check("unit", 4.0)
    with pytest.raises(PermitError, match=r"10 % of 100 s leaves 4 s"):
        meter.check("unit", 4.1)
    meter.on()
    now = 54.5
    with pytest.raises(PermitError, match="leaves 0 s"):
        meter.check("unit")
    meter.off()
    now = 103.0  # the first three seconds have left the window
    assert meter.left_s == pytest.approx(10.0 - 3.0 - 4.5)
    now = 300.0
    assert meter.left_s == pytest.approx(10.0)


def test_full_duty_never_runs_out() -> None:
    now = 0.0
    meter = DutyMeter(TransmitPermit(1e9, 2e9, 0.0), lambda: now)
    meter.on()
    now = 1e6
    meter.check("unit")


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 3.0)), min_size=1, max_size=60),
)
def test_duty_is_never_counted_too_low(turns: list[tuple[float, float]]) -> None:
    """Against the sum over all transmissions, each cut to the window; short ones in a row are kept as one, 0.1 s at most."""
    now, spans = 0.0, []
    meter = DutyMeter(PERMIT, lambda: now)
    for pause, length in turns:
        now += pause
        meter.on()
        begin, now = now, now + length
        meter.off()
        spans.append((begin, now))
        used = sum(max(0.0, stop - max(start, now - 100.0)) for start, stop in spans)
        assert -1e-9 <= (10.0 - meter.left_s) - used <= 0.1 + 1e-9


def test_many_short_transmissions_take_little_memory() -> None:
    now = 0.0
    meter = DutyMeter(PERMIT, lambda: now)
    for _ in range(50_000):
        meter.on()
        now += 1e-3
        meter.off()
        now += 1e-3
    assert len(meter._past) <= 1001 and meter.left_s == pytest.approx(10.0 - 50.0)
