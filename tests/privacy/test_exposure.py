"""What a run cost against each threat, from its slots."""

from __future__ import annotations

import math

import pytest

from privacy.accounting import Charge, epsilon, gaussian_epsilon
from privacy.exposure import SlotNoise, exposure
from privacy.threats import threats

FOUND = threats(csi_margin=1.25)
SLOTS = {SlotNoise(2.0, 5, 1.0): 30, SlotNoise(3.0, 3, 0.5): 10}


def test_without_sampling_costs_add_up_exactly():
    sensitivity = 0.4
    for name, variances in {
        "own-noise": (4.0, 9.0),
        "aggregate": (4 + 16 / 1.25, 9 + 18 / 1.25),
        "trusted-receiver": (4 + 17 / 1.25, 9 + 18.5 / 1.25),
    }.items():
        mu = sensitivity * math.sqrt(30 / variances[0] + 10 / variances[1])
        found = exposure(FOUND[name], sensitivity, 1.0, SLOTS, 1e-5)
        assert found == pytest.approx(gaussian_epsilon(mu, 1e-5), rel=1e-9), name


def test_with_sampling_it_is_the_accountants_figure():
    wanted = epsilon([(Charge(0.1, 4.0), 30), (Charge(0.1, 6.0), 10)], 1e-5)
    assert exposure(FOUND["own-noise"], 0.5, 0.1, SLOTS, 1e-5) == pytest.approx(wanted, rel=1e-9)


def test_no_noise_protects_nothing_and_no_slot_costs_nothing():
    silent = {SlotNoise(0.0, 5, 2.0): 3}
    assert exposure(FOUND["own-noise"], 1.0, 1.0, silent, 1e-5) == math.inf
    assert exposure(FOUND["aggregate"], 1.0, 0.1, silent, 1e-5) == math.inf
    assert exposure(FOUND["trusted-receiver"], 1.0, 1.0, silent, 1e-5) < math.inf
    assert exposure(FOUND["own-noise"], 1.0, 1.0, {}, 1e-5) == 0.0
