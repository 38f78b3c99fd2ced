"""First-order federated learning against torch.optim on copies of the network, device by device."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from fl.baselines.first_order import FedAvg, FedSGD
from fl.first_order import option_loss
from radio.errors import InputError

RATE = 0.03
CONSTANT = {"learning.schedule": "constant", "learning.rate": RATE}


def local_training(setting, batches, make_optimiser):
    """What torch.optim makes of a copy of the network on these batches: the trained weights in a row."""
    model = setting.replica.model
    names = set(model.select(setting.experiment.learning.parameters))
    network = copy.deepcopy(model.network)
    trained = [p.requires_grad_(True) for name, p in network.named_parameters() if name in names]
    optimiser = make_optimiser(trained)
    for batch in batches:
        optimiser.zero_grad()
        option_loss(network, setting.replica.likelihood, batch).backward()
        optimiser.step()
    return torch.cat([p.detach().reshape(-1) for p in trained]).numpy()


def test_fedsgd_is_sgd_on_the_mean_gradient(make_setting):
    setting = make_setting("fedsgd", changes=CONSTANT)
    ends = [
        local_training(setting, setting.batches(0, k), lambda p: torch.optim.SGD(p, lr=RATE))
        for k in range(setting.devices)
    ]
    start = setting.flat()
    cost = FedSGD(setting).round(0)
    np.testing.assert_allclose(setting.flat(), np.mean(ends, axis=0), rtol=1e-5, atol=1e-7)
    assert np.abs(setting.flat() - start).max() > 1e-4
    assert (cost.forwards, cost.backwards, cost.passes) == (8, 8, 2)
    assert cost.uplink_bits == cost.downlink_bits == 2 * 256 * 32
    assert cost.uplink_uses == 0


@pytest.mark.parametrize(
    "kind, make",
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=RATE)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.01)),
    ],
)
def test_fedavg_averages_what_local_optimisers_reach(make_setting, kind, make):
    setting = make_setting(f"fedavg-{kind}", changes=CONSTANT)
    ends = [local_training(setting, setting.batches(0, k, 3), make) for k in range(setting.devices)]
    cost = FedAvg(setting, optimiser=kind, local_steps=3).round(0)
    np.testing.assert_allclose(setting.flat(), np.mean(ends, axis=0), rtol=1e-5, atol=1e-6)
    assert (cost.forwards, cost.backwards, cost.passes) == (2 * 3 * 4, 2 * 3 * 4, 6)
    assert cost.uplink_bits == cost.downlink_bits == 2 * 256 * 32


def test_local_epochs_go_once_through_a_devices_data(make_setting):
    setting = make_setting("fedavg-sgd")
    seen = setting.batches(0, 0, 3)
    assert sorted(e.ids for batch in seen for e in batch) == sorted(e.ids for e in setting.shares[0])
    cost = FedAvg(setting, local_epochs=1).round(0)
    assert (cost.forwards, cost.passes) == (24, 6)


def test_over_an_ideal_air_the_gradients_average_is_the_digital_one(make_setting):
    digital, analog = make_setting("fedsgd", changes=CONSTANT), make_setting("fedsgd-ota", changes=CONSTANT)
    FedSGD(digital).round(0)
    cost = FedSGD(analog, over_the_air=True).round(0)
    np.testing.assert_allclose(analog.flat(), digital.flat(), rtol=1e-6)
    assert cost.uplink_uses == 256 and cost.uplink_bits == 2 * 32


def test_over_a_noisy_air_only_active_devices_work_and_the_error_is_the_channels(make_setting):
    changes = {**CONSTANT, "learning.devices": 4, "radio.mode": "coherent", "radio.snr_db": 0, "radio.truncation": 0.5}
    setting = make_setting("fedsgd-ota", changes=changes)
    algorithm = FedSGD(setting, over_the_air=True)
    active = algorithm._air.active(0)
    assert 0 < len(active) < 4
    start = setting.flat()
    gradients = [
        start - local_training(setting, setting.batches(0, int(k)), lambda p: torch.optim.SGD(p, lr=1.0))
        for k in active
    ]
    variance = algorithm._air.error_variance(0, np.stack(gradients))
    cost = algorithm.round(0)
    error = (start - setting.flat()) / RATE - np.mean(gradients, axis=0)
    assert cost.forwards == 4 * len(active)
    assert error.var() == pytest.approx(variance, rel=0.45)  # 256 entries: 9 % standard deviation


def test_half_precision_is_refused(make_setting):
    setting = make_setting("fedsgd", changes={"model.forward": "bf16"})
    with pytest.raises(InputError, match=r"model\.forward = 'bf16'"):
        FedSGD(setting)


def test_adapters_can_be_trained(make_setting):
    changes = {"model.lora_rank": 2, "learning.parameters": ["*lora_*"], "learning.rate": 0.02}
    setting = make_setting("fedsgd", changes=changes)
    before = setting.training_loss()
    algorithm = FedSGD(setting)
    for t in range(3):
        algorithm.round(t)
    assert setting.training_loss() < before
