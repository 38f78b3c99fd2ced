from __future__ import annotations

import math
from dataclasses import fields

import pytest

from radio.errors import InputError
from radio.impairments import NONE, Impairments, switched
from radio.profiles import PROFILES


def test_everything_is_off_by_default_and_every_clock_common() -> None:
    switches = {field.name: getattr(NONE, field.name) for field in fields(Impairments)}
    for name in (
        "oscillator_ppm",
        "phase_noise_deg",
        "linewidth_hz",
        "start_jitter_s",
        "gain_error_db",
        "burst_rate_hz",
    ):
        assert switches[name] == 0.0
    assert NONE.common_clock and not Impairments(oscillator_ppm=1.0).common_clock
    assert not Impairments(drift_ppm_per_s=0.1).common_clock
    assert Impairments(oscillator_ppm=1.0, drift_ppm_per_s=0.1, shared_clock=True).common_clock


@pytest.mark.parametrize(
    "settings",
    [
        {"oscillator_ppm": -1.0},
        {"start_jitter_s": math.nan},
        {"phase_noise_hz": 0.0},
        {"burst_s": 0.0},
        {"agc_time_s": 0.0},
        {"lo_leakage_dbfs": -math.inf},
    ],
)
def test_bad_settings_are_named(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(settings))):
        Impairments(**settings)


def test_settings_are_switched_by_name() -> None:
    bench = PROFILES["pluto-bench"].impairments
    changed = switched(bench, {"start_jitter_s": 0.0, "lo_leakage_dbfs": False, "agc": True})
    assert (changed.start_jitter_s, changed.lo_leakage_dbfs, changed.agc) == (0.0, None, True)
    assert changed.oscillator_ppm == bench.oscillator_ppm and switched(bench, {}) == bench
    for wrong in ({"jitter": 1.0}, {"agc": 1.0}, {"iq_gain_db": True}, {"iq_gain_db": False}, {"burst_s": 0.0}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            switched(NONE, wrong)
