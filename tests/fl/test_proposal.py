"""What the server proposes follows from the sounding, and the noise from who takes part."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from fl.guarantee import Guarantee, guarantee_of
from fl.proposal import limits_of, propose
from privacy.accounting import Charge
from privacy.grid import Grid
from privacy.mechanism import OwnNoise
from privacy.threats import OWN_NOISE, Threat, threats
from privacy.unit import EXAMPLE
from radio.air import ChannelState
from radio.coherent import COHERENT
from radio.errors import InputError
from radio.ideal import IdealAir

GAINS = np.array([1.0, 0.8, 0.5, 0.3, 0.01])  # the last is in a fade
SAMPLES = 1000


class Coherent(IdealAir):
    """All that `propose` asks of an air."""

    mode = COHERENT
    on_air_samples = SAMPLES


def state(noise_variance=1e-3) -> ChannelState:
    gains = GAINS * np.exp(1j * np.arange(5))
    return ChannelState(gains, np.full(5, 1e-4), np.zeros(5), noise_variance, np.ones(5, bool))


def guarantee(threat: Threat = OWN_NOISE) -> Guarantee:
    mechanism = OwnNoise(Grid(10.0, 16.0), 1, Charge(0.1, 1.6))
    return Guarantee(EXAMPLE, threat, mechanism, 1e-5, 0.0, 4.0)


def limits(make_experiment, threat: Threat = OWN_NOISE, **changes):
    made = limits_of(make_experiment({"radio.truncation": 0.05, "privacy.clip": 10.0}), guarantee(threat))
    return dataclasses.replace(made, **changes)


def test_own_noise_leaves_room_for_itself_at_the_weakest_active_device(make_experiment):
    found = propose(state(), Coherent(5), limits(make_experiment))
    assert found.active == 4 and not found.plan.active[4]
    assert found.noise_std == pytest.approx(1.6 * 10 / 16, rel=1e-5)
    assert found.plan.alignment == pytest.approx(0.3 / (10 + 4 * found.noise_std))
    assert found.receiver_variance == pytest.approx(1e-3 / (2 * SAMPLES) / found.plan.alignment**2)
    assert found.csi_error == pytest.approx(0.01 / 0.3)  # of the worst that is inverted, not of the one left out
    assert found.record()["active"] == 4


def test_aggregate_noise_is_that_of_the_announced_set_and_so_is_its_room(make_experiment):
    found = propose(state(), Coherent(5), limits(make_experiment, threats(0, 1, 1.2)["aggregate"]))
    assert found.noise_std == pytest.approx(1.0 / math.sqrt(1 + 2 / 1.2), rel=1e-5)
    assert found.plan.alignment == pytest.approx(0.3 / (10 + 4 * found.noise_std))


def test_a_trusted_receiver_holds_the_amplitude_to_the_noise_that_is_wanted(make_experiment):
    trusted = limits(make_experiment, threats(csi_margin=1.25)["trusted-receiver"])
    quiet = propose(state(1e-3), Coherent(5), trusted)
    assert quiet.noise_std == 0.0
    assert quiet.receiver_variance / 1.25 == pytest.approx(trusted.guarantee.wanted)
    loud = propose(state(10.0), Coherent(5), trusted)  # more noise than wanted even at full power
    assert loud.plan.alignment == pytest.approx(0.3 / 10)
    assert loud.receiver_variance / 1.25 > trusted.guarantee.wanted


@pytest.mark.parametrize("announced, counted", [(1e-4, 1e-4), (1.0, 1e-3)])
def test_the_smaller_of_announced_and_measured_noise_counts(make_experiment, announced, counted):
    trusted = limits(make_experiment, threats()["trusted-receiver"], receiver_noise=announced)
    found = propose(state(1e-3), Coherent(5), trusted)
    assert found.plan.alignment == pytest.approx(math.sqrt(counted / (2 * SAMPLES) / trusted.guarantee.wanted))


def test_a_mode_without_receiver_noise_records_none(make_experiment):
    found = propose(state(), IdealAir(5), limits(make_experiment))
    assert (found.receiver_variance, found.csi_error) == (None, None)


def test_truncation_by_least_error_leaves_out_whom_the_receiver_noise_says(make_experiment):
    made = limits_of(make_experiment({"radio.truncation": "auto", "radio.window": SAMPLES}), guarantee())
    assert made.minimum_error is not None and made.truncation == 0.0
    few, many = (propose(state(noise), Coherent(5), made).active for noise in (1e3, 1e-9))
    assert few < 4
    assert many >= 4


def test_aggregate_backs_off_until_nothing_is_limited(make_experiment):
    changes = {"privacy.threat": "aggregate", "privacy.assume_perfect_csi": True}
    found = guarantee_of(make_experiment(changes))
    assert (found.delta, found.failures) == (pytest.approx(0.99e-5), pytest.approx(1e-7))
    sent = 14 * 3  # slots and devices
    assert (1 + math.exp(0.5)) * sent * math.erfc(found.backoff / math.sqrt(2)) <= 1e-7 * (1 + 1e-9)
    with pytest.raises(InputError, match=r"privacy.backoff = 3 .*at least 6"):
        guarantee_of(make_experiment({**changes, "privacy.backoff": 3.0}))
