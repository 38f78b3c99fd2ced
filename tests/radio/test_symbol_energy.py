"""Symbol fidelity against samples: moments, quantiles, and whole rounds through the same plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from radio.energy import EnergyAir
from radio.energy_slot import energy_variance
from radio.errors import InputError
from radio.mapping import Mapping
from radio.streams import stream
from radio.surroundings import from_settings
from radio.symbol_energy import EnergyStatistics, SymbolEnergyAir, slot_power


@pytest.mark.parametrize(
    "powers", [[0.0], [1.0], [0.3, 0.9], [1.0, 0.2, 0.6], [0.8, 0.8, 0.1, 0.5, 0.4, 0.0, 1.0, 0.3]]
)
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_energies_are_distributed_as_those_of_samples(powers, noise) -> None:
    window, count = 128, 4000
    draws = stream(1, "samples", len(powers), int(10 * noise))
    samples = np.exp(2j * np.pi * draws.random((count, window, len(powers)))) @ np.sqrt(powers)
    samples += np.sqrt(noise / 2) * draws.standard_normal((count, window, 2)).view(np.complex128)[..., 0]
    direct = (np.abs(samples) ** 2).mean(axis=1)
    drawn = slot_power(np.broadcast_to(np.array(powers), (200_000, len(powers))), noise, window, stream(2, "symbols"))
    formula = float(energy_variance(np.array(powers), noise, window))
    assert drawn.mean() == pytest.approx(sum(powers) + noise, abs=5 * np.sqrt(formula / 200_000) + 1e-12)
    assert drawn.var() == pytest.approx(formula, rel=0.02, abs=1e-12)
    if formula > 0.0:
        assert ks_2samp(direct, drawn).pvalue > 1e-3
        spread = np.sqrt(formula)
        for q, width in ((0.01, 0.25), (0.1, 0.12), (0.5, 0.1), (0.9, 0.12), (0.99, 0.25)):
            # At 4,000 draws a quantile of a bell is known to 0.06 (1 %), 0.03 (10 %), 0.02 (50 %) standard deviations.
            assert abs(np.quantile(direct, q) - np.quantile(drawn, q)) < width * spread
    else:
        np.testing.assert_allclose(direct, sum(powers), rtol=1e-9)
        np.testing.assert_allclose(drawn, sum(powers), rtol=1e-9)


@pytest.mark.parametrize("mapping", ["signed", "augmented", "affine"])
def test_whole_rounds_have_the_error_of_whole_rounds_of_samples(mapping) -> None:
    """Sounding, plan and slot on the medium, and drawn: over Rayleigh fading, estimated gains, deep fades left out."""
    place = replace(
        from_settings(3, 6, window=64, fading="rayleigh", dac_bits=None, adc_bits=None), noise_variance=0.05
    )
    medium = place.medium()
    airs = (
        EnergyAir(place.bank(medium), 6, window=256, pilot_window=512, mapping=mapping),
        SymbolEnergyAir(place.symbols(), window=256, pilot_window=512, mapping=mapping),
    )
    errors, active = [], []
    rounds = 600
    for air in airs:
        found, who = [], []
        for t in range(rounds):
            plan = air.mode.plan(air.sound(t), 1.0, truncation=0.1)
            payloads = stream(3, "payloads", t).uniform(-1, 1, (3, 1))
            got = air.aggregate(t, payloads, plan)
            who.append(plan.active.sum())
            if not got.erased:
                found.append((got.total[0] - payloads[plan.active].sum()) / np.sqrt(got.variance[0]))
        errors.append(np.array(found))
        active.append(np.mean(who))
    assert len(errors[0]) > 0.98 * rounds
    assert active[0] == pytest.approx(active[1], abs=0.08)  # the same fades, other noise
    assert ks_2samp(*errors).pvalue > 1e-3
    assert np.median(np.abs(errors[0])) == pytest.approx(np.median(np.abs(errors[1])), rel=0.15)


def test_many_rounds_at_once_are_the_rounds_one_by_one() -> None:
    statistics = EnergyStatistics(window=512, pilot_window=512, mapping=Mapping("signed"))
    draws = stream(5, "rounds")
    power = draws.standard_exponential((20_000, 5))
    values = draws.uniform(-1, 1, (20_000, 5))
    total, active = statistics.rounds(power, values, 0.02, draws, truncation=0.1)
    error = total - np.where(active, values, 0.0).sum(axis=1)
    place = replace(from_settings(5, 8, window=64), noise_variance=0.02)
    air = SymbolEnergyAir(place.symbols(), window=512)
    single, who = [], []
    for t in range(2000):
        plan = air.mode.plan(air.sound(t), 1.0, truncation=0.1)
        payloads = stream(4, "payloads", t).uniform(-1, 1, (5, 1))
        got = air.aggregate(t, payloads, plan)
        single.append(got.total[0] - payloads[plan.active].sum())
        who.append(plan.active.mean())
    assert ks_2samp(error, single).pvalue > 1e-3
    assert active.mean() == pytest.approx(np.mean(who), abs=0.015)


def test_nobody_to_trust_is_nan_or_an_erasure() -> None:
    statistics = EnergyStatistics(window=256, pilot_window=256)
    total, active = statistics.rounds(np.full((50, 2), 1e-9), np.ones((50, 2)), 1.0, stream(1, "x"))
    assert active.mean() < 0.05 and np.array_equal(np.isnan(total), ~active.any(axis=1))
    place = replace(from_settings(2, 8, window=64), noise_variance=1e6)
    air = SymbolEnergyAir(place.symbols(), window=256)
    got = air.aggregate(0, np.ones((2, 1)), air.mode.plan(air.sound(0), 1.0, truncation=0.1))
    assert got.erased and got.reason == "no active device" and np.isnan(got.total).all()
    with pytest.raises(InputError, match="sound"):
        air.aggregate(3, np.ones((2, 1)), air.mode.plan(air.sound(0), 1.0, truncation=0.1))
    with pytest.raises(InputError, match="window is 64"):
        EnergyStatistics(window=64)
