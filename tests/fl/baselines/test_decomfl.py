"""DeComFL: equal to our own local steps where both are defined, and to a walk on plain arrays; what it sends."""

from __future__ import annotations

import numpy as np
import pytest

from fl.baselines.decomfl import DeComFL
from fl.baselines.harness import build
from fl.update import Move

WHOLE = {
    "learning.batch": 12,
    "learning.schedule": "constant",
    "learning.rate": 0.03,
    "learning.direction": "rademacher",
}


@pytest.mark.parametrize("steps", [1, 3])
def test_it_is_our_local_steps_without_noise_radio_and_secrets(make_setting, steps):
    """Everybody takes all its examples in every batch, so both methods see the same data."""
    changes = {**WHOLE, "learning.estimator": "one-sided", "learning.perturbations": 2, "learning.optimiser": "sgd"}
    ours = make_setting("pairzero-ideal", changes={**changes, "learning.local_steps": steps})
    theirs = make_setting("decomfl", changes=changes)
    for name, setting, options in (("pairzero-ideal", ours, {}), ("decomfl", theirs, {"local_steps": steps})):
        algorithm = build(name, setting, **options)
        for t in range(2):
            algorithm.round(t)
    moved = theirs.flat() - make_setting("decomfl").flat()
    assert np.abs(moved).max() > 0.005
    # ours rounds every example's value to 2^-20 of the clip, and its mean crosses a journal; both are far below this
    np.testing.assert_allclose(ours.flat(), theirs.flat(), atol=2e-4 * np.abs(moved).max())


def test_a_round_on_plain_arrays(make_setting):
    """Each device walks from the common weights; everybody then moves by the averages."""
    changes = {"learning.rate": 0.05, "learning.perturbations": 2, "learning.batch": 4}
    setting = make_setting("decomfl", changes=changes)
    start, mu, seed = setting.flat(), setting.experiment.learning.mu, setting.seed(4)
    z = []
    for j in range(4):
        with setting.excursion():
            setting.put(np.zeros_like(start))
            setting.replica._weights.move([Move(seed, j, 1.0)])
            z.append(setting.flat().astype(np.float64))

    def loss(weights, batch):
        setting.put(weights)
        return setting.replica.losses(batch).mean()

    scalars = np.zeros((2, 2, 2))  # device, step, direction
    for k in range(2):
        local = start.astype(np.float64)
        for h, batch in enumerate(setting.batches(4, k, 2)):
            here = loss(local, batch)
            scalars[k, h] = [(loss(local + mu * z[2 * h + j], batch) - here) / mu for j in range(2)]
            local = local - 0.05 / 2 * (scalars[k, h] @ np.array(z[2 * h : 2 * h + 2]))
    setting.put(start)
    expected = -0.05 / 2 * (scalars.mean(axis=0).reshape(-1) @ np.array(z))
    DeComFL(setting, local_steps=2).round(4)
    # fp32 losses over mu = 1e-2: an error of about 1e-5 in a scalar of about 1
    np.testing.assert_allclose(setting.flat() - start, expected, rtol=0.02, atol=2e-3 * np.abs(expected).max())


def test_what_a_round_costs(make_setting):
    setting = make_setting("decomfl", changes={"learning.devices": 4, "learning.batch": 2, "learning.perturbations": 2})
    algorithm = DeComFL(setting, local_steps=3, sampled=2)
    spent, synchronised = [], [0] * 4
    for t in range(6):
        cost = algorithm.round(t)
        chosen = setting.stream("decomfl", "sampled", t).permutation(4)[:2]
        missed = sum(t - synchronised[k] for k in chosen)
        for k in chosen:
            synchronised[k] = t
        # 3 steps, 2 one-sided directions, 2 devices, batches of 2
        assert (cost.passes, cost.forwards) == (3 * 2 * 3, 3 * 2 * 3 * 2)
        assert cost.uplink_bits == 2 * 3 * 2 * 32
        # seeds of this round to those sampled, and seed and averages of every round they missed
        assert cost.downlink_bits == 3 * (2 * 32 + missed * (32 + 2 * 32))
        spent.append(missed)
    assert spent[0] == 0 and max(spent) > 2
