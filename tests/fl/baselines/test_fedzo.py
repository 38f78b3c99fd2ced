"""FedZO: local steps on a device's own sphere, whole differences averaged; what they cost, digital and over the air."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fl.baselines.fedzo import FedZO
from fl.first_order import option_loss

CHANGES = {"learning.rate": 0.02, "learning.perturbations": 2, "learning.batch": 4}


def walk(setting, t, k, steps):
    """A device's walk by the formula, in double precision but for the losses."""
    learning = setting.experiment.learning
    start = setting.flat()
    local = start.astype(np.float64)

    def loss(weights, batch):
        setting.put(weights)
        return setting.replica.losses(batch).mean()

    for h, batch in enumerate(setting.batches(t, k, steps)):
        rng = setting.stream("fedzo", t, k, h)
        radius, gradient, here = learning.mu * 16, 0.0, loss(local, batch)  # 16 = sqrt(256)
        for _ in range(learning.perturbations):
            u = rng.standard_normal(256, np.float32).astype(np.float64)
            u /= np.linalg.norm(u)
            gradient = gradient + 256 / radius * (loss(local + radius * u, batch) - here) * u
        local = local - learning.rate * gradient / learning.perturbations
    setting.put(start)
    return local - start


def test_a_round_averages_the_devices_walks(make_setting):
    setting = make_setting("fedzo", changes=CHANGES)
    start = setting.flat()
    expected = np.mean([walk(setting, 2, k, 2) for k in range(2)], axis=0)
    cost = FedZO(setting, local_steps=2).round(2)
    np.testing.assert_allclose(setting.flat() - start, expected, rtol=0.02, atol=2e-3 * np.abs(expected).max())
    assert (cost.passes, cost.forwards) == (3 * 2 * 2, 3 * 2 * 2 * 4)
    assert cost.uplink_bits == cost.downlink_bits == 2 * 256 * 32
    assert cost.uplink_uses == 0


def test_over_an_ideal_air_it_is_the_same(make_setting):
    digital, analog = (make_setting(name, changes=CHANGES) for name in ("fedzo", "fedzo-ota"))
    FedZO(digital, local_steps=1).round(0)
    cost = FedZO(analog, local_steps=1, over_the_air=True).round(0)
    np.testing.assert_array_equal(analog.flat(), digital.flat())
    assert (cost.uplink_uses, cost.uplink_bits) == (256, 2 * 32)


def test_over_a_noisy_air_the_difference_carries_the_channels_error(make_setting):
    changes = {**CHANGES, "radio.mode": "coherent", "radio.snr_db": 0, "radio.fading": "static"}
    noisy, clean = make_setting("fedzo-ota", changes=changes), make_setting("fedzo", changes=CHANGES)
    deltas = np.array([walk(clean, 0, k, 1) for k in range(2)])
    FedZO(clean, local_steps=1).round(0)
    algorithm = FedZO(noisy, local_steps=1, over_the_air=True)
    algorithm.round(0)
    error = (noisy.flat() - clean.flat()).astype(np.float64)
    assert error.var() == pytest.approx(algorithm._air.error_variance(0, deltas), rel=0.45)  # 256 entries: 9 %


def test_the_estimate_is_the_gradient_on_average(make_setting):
    """E d/mu' (F(w + mu' u) - F(w)) u = grad F; the average over P directions has |found|^2 = (1 + (d - 1)/P) |grad|^2."""
    count = 60
    setting = make_setting("fedzo", changes={"learning.perturbations": count, "learning.mu": 1e-3, "learning.batch": 2})
    batch = setting.batches(0, 0)[0]
    found = FedZO(setting)._gradient(setting.flat(), batch, setting.stream("test"))
    model = setting.replica.model
    name = next(iter(model.select(setting.experiment.learning.parameters)))
    parameter = dict(model.network.named_parameters())[name].requires_grad_(True)
    (gradient,) = torch.autograd.grad(option_loss(model.network, setting.replica.likelihood, batch), parameter)
    g = gradient.numpy().astype(np.float64)
    # d <u, g>^2 / |g|^2 has mean 1 and variance 2
    assert found @ g / (g @ g) == pytest.approx(1.0, abs=4 * (2 / count) ** 0.5)
    assert (found @ found) / (g @ g) == pytest.approx(1 + 255 / count, rel=0.6)
