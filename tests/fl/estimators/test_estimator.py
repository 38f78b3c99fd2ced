"""Where estimators evaluate, what that leaves in the weights, and that they are exact where theory says so."""

from __future__ import annotations

import numpy as np
import pytest

from fl.estimators.estimator import HOME, Point, walk
from fl.estimators.registry import estimator, probe_trace


def test_a_walk_goes_by_differences_along_a_direction_and_home_between_directions():
    points = [Point(HOME, 0.0), Point(0, 1.0), Point(0, -1.0), Point(1, 1.0)]
    assert list(walk(points, 0.5)) == [[], [(0, 0.5)], [(0, -1.0)], [(0, 0.5), (1, 0.5)], [(1, -0.5)]]


def test_traces():
    mu = 1e-3
    assert probe_trace("central", 2, mu) == ((0, mu), (0, -2 * mu), (0, mu), (1, mu), (1, -2 * mu), (1, mu))
    assert probe_trace("one-sided", 2, mu) == ((0, mu), (0, -mu), (1, mu), (1, -mu))
    assert probe_trace("untouched", 2, mu) == ()
    with pytest.raises(ValueError, match="no estimator 'three-point'"):
        probe_trace("three-point", 1, mu)


class Quadratic:
    """F_i(w) = g_i w + w' H_i w / 2 in two dimensions, with directions of its own: a prober without a model."""

    def __init__(self, gradients: np.ndarray, hessians: np.ndarray, directions: np.ndarray) -> None:
        self.g, self.h, self.z, self.w = gradients, hessians, directions, np.zeros(2)

    def move(self, seed: int, perturbation: int, amount: float) -> None:
        self.w = self.w + amount * self.z[perturbation]

    def losses(self, examples):
        return self.g @ self.w + 0.5 * np.einsum("i,nij,j->n", self.w, self.h, self.w)

    def losses_at(self, examples, seed, points, mu):
        out = []
        for index, steps in enumerate(walk(points, mu)):
            for perturbation, amount in steps:
                self.move(seed, perturbation, amount)
            if index < len(points):
                out.append(self.losses(examples))
        return np.array(out)


@pytest.mark.parametrize(("name", "bias"), [("central", 0.0), ("one-sided", 0.5)])
def test_the_bias_on_a_quadratic_is_the_known_one(name, bias):
    rng = np.random.default_rng(2)
    g, z = rng.normal(size=(3, 2)), rng.choice([-1.0, 1.0], size=(4, 2))
    h = rng.normal(size=(3, 2, 2))
    h = h + h.transpose(0, 2, 1)
    prober = Quadratic(g, h, z)
    measured = estimator(name).measure(prober, range(3), 0, 4, 0.1)
    wanted = g @ z.T + bias * 0.1 * np.einsum("pi,nij,pj->np", z, h, z)
    np.testing.assert_allclose(measured, wanted, atol=1e-12)
    np.testing.assert_allclose(prober.w, 0.0, atol=1e-15)


def test_forward_passes():
    assert estimator("central").passes(5) == 10
    assert estimator("one-sided").passes(5) == 6
