"""MeZO's step as written, against the same arithmetic in numpy; and the harness's MeZO against its formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fl.baselines.mezo import MeZO, mezo_step


def dense_step(start, target, seed, mu, rate, decay):
    """MeZO's algorithm 1 on plain fp32 arrays: z drawn once, in the order of the parameters; loss |w - target|^2 / 2."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        z = [torch.normal(mean=0, std=1, size=w.shape).numpy() for w in start]

    def loss(weights):
        return sum(float(((w - x).astype(np.float64) ** 2).sum()) / 2 for w, x in zip(weights, target, strict=True))

    one, s = np.float32(1.0), np.float32(mu)
    up = [w + one * v * s for w, v in zip(start, z, strict=True)]
    down = [w + np.float32(-2.0) * v * s for w, v in zip(up, z, strict=True)]
    back = [w + one * v * s for w, v in zip(down, z, strict=True)]
    g = (loss(up) - loss(down)) / (2 * mu)
    r, p, d = np.float32(rate), np.float32(g), np.float32(decay)
    return g, [w - r * (p * v + (d * w if w.ndim > 1 else 0)) for w, v in zip(back, z, strict=True)]


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_is_the_papers(decay):
    rng = np.random.default_rng(4)
    shapes = [(7, 5), (5,), (3, 2, 4)]
    start = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    target = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    parameters = [torch.nn.Parameter(torch.from_numpy(w.copy()), requires_grad=False) for w in start]

    def loss():
        return sum(
            float(((p.numpy() - x).astype(np.float64) ** 2).sum()) / 2 for p, x in zip(parameters, target, strict=True)
        )

    projected = mezo_step(parameters, loss, seed=11, mu=1e-2, rate=1e-2, weight_decay=decay)
    expected, weights = dense_step(start, target, 11, 1e-2, 1e-2, decay)
    assert projected == pytest.approx(expected, rel=1e-9)
    for parameter, w in zip(parameters, weights, strict=True):
        np.testing.assert_allclose(parameter.numpy(), w, rtol=1e-6, atol=1e-7)
    # the derivative along z, which for a square is exact: <w - target, z>
    assert loss() < sum(((w - x) ** 2).sum() / 2 for w, x in zip(start, target, strict=True))


def test_the_global_generator_is_left_alone():
    parameter = torch.nn.Parameter(torch.ones(4), requires_grad=False)
    before = torch.random.get_rng_state()
    mezo_step([parameter], lambda: float(parameter.sum()), 3, 1e-3, 1e-3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_round_moves_by_rate_times_the_pooled_batchs_derivative(make_setting):
    setting = make_setting("mezo")
    learning = setting.experiment.learning
    assert (learning.direction, learning.schedule, learning.perturbations) == ("gaussian", "constant", 1)
    start, seed = setting.flat(), setting.seed(0)
    z = np.zeros_like(start)
    with setting.excursion():
        setting.put(z)
        setting.replica.move(seed, 0, 1.0)
        z = setting.flat()
    pooled = setting.batches(0, 0)[0] + setting.batches(0, 1)[0]
    losses = []
    for sign in (1, -1):
        with setting.excursion():
            setting.put(start + np.float32(sign * learning.mu) * z)
            losses.append(setting.replica.losses(pooled).mean())
    derivative = (losses[0] - losses[1]) / (2 * learning.mu)
    cost = MeZO(setting).round(0)
    np.testing.assert_allclose(setting.flat() - start, -learning.rate * derivative * z, rtol=1e-2, atol=1e-6)
    assert (cost.forwards, cost.passes, cost.uplink_bits, cost.uplink_uses) == (2 * 8, 2, 0, 0)
