from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from radio.streams import stream
from radio.surroundings import from_settings
from radio.symbol_tdma import SymbolTdmaAir
from radio.tdma import TdmaAir

ROUNDS = 500


def play(air, rounds: int = ROUNDS) -> tuple[np.ndarray, float]:
    """Errors of the sum over their predicted standard deviation, and mean share of active devices."""
    errors, who = [], []
    for t in range(rounds):
        plan = air.mode.plan(air.sound(t), 2.0, truncation=0.1)
        payloads = stream(3, "payloads", t).uniform(-2, 2, (air.devices, 1))
        got = air.aggregate(t, payloads, plan)
        who.append(plan.active.mean())
        if not got.erased:
            errors.append((got.total[0] - payloads[plan.active].sum()) / np.sqrt(got.variance[0]))
    return np.array(errors), float(np.mean(who))


def test_errors_are_distributed_as_those_of_samples() -> None:
    place = replace(from_settings(3, 6, window=64, dac_bits=None, adc_bits=None), noise_variance=0.05)
    sampled, active = play(TdmaAir(place.bank(place.medium()), window=256))
    drawn, expected = play(SymbolTdmaAir(place.symbols(), window=256))
    assert active == pytest.approx(expected, abs=0.03)
    assert ks_2samp(sampled, drawn).pvalue > 1e-3
    for errors in (sampled, drawn):
        assert errors.std() == pytest.approx(1.0, abs=0.15)


def test_nobody_active_is_an_erasure() -> None:
    place = replace(from_settings(2, 6, window=64), noise_variance=1e6)
    air = SymbolTdmaAir(place.symbols(), window=256)
    got = air.aggregate(0, np.ones((2, 1)), air.mode.plan(air.sound(0), 1.0, truncation=0.1))
    assert got.erased and np.isnan(got.total).all() and np.isneginf(got.transmit_power_dbfs).all()
