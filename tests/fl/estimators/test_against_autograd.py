"""Every estimator along every direction on a tiny OPT: estimate times direction is the gradient on average.

What a round's moves add to the weights at rate 1, negated, is the estimate e of the mean gradient.  For a unit vector u the
mean of <e, u> over independent seeds is <gradient, u> up to O(mu^2), one-sided differences included: their bias mu/2 z'Hz is
even in z, so it has no part in the mean of bias times z.  Tested to 4 standard errors, along the gradient and along three fixed
random vectors, with seeds that never change.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fl.decoder import place
from fl.directions.direction import Direction
from fl.directions.registry import direction
from fl.directions.split import Split as TwoBlocks
from fl.estimators.registry import estimator
from fl.estimators.split import LOWER
from fl.likelihood import OptionLikelihood
from fl.models import load_model
from fl.replica import Replica
from fl.tasks.registry import load_task

NORMS = ("*layers.*.final_layer_norm.weight",)
MIXED = (*NORMS, "*v_proj.weight")  # 64 gains and two matrices of 1,024
MU, SEEDS, ERRORS = 1e-2, 90, 4.0
KINDS = [
    ("rademacher", {}),
    ("gaussian", {}),
    ("low-rank", {"rank": 2}),
    ("rademacher", {"density": 0.2, "mask": "magnitude"}),
    ("gaussian", {"density": 0.2, "mask": "random"}),
]
Shapes = dict[str, tuple[int, ...]]


class Case:
    """A tiny OPT, two examples and their gradient by autograd in fp64."""

    def __init__(self, folder) -> None:
        self.task = load_task("reviews", seed=4, devices=1, train_examples=20)
        self.folder = folder
        self.examples = [self.likelihood().encode(self.task.prompt(e), e.label) for e in self.task.train]
        first = -(-len(self.examples[0].ids) // 8)
        self.examples = [e for e in self.examples if -(-len(e.ids) // 8) == first][:2]
        network = load_model(str(folder)).network.double().requires_grad_(True)
        network.set_attn_implementation("eager")  # the one with second derivatives
        self.parameters = dict(network.named_parameters())
        self.loss = self._loss(network)
        grads = torch.autograd.grad(self.loss, list(self.parameters.values()), create_graph=True)
        self.slopes = dict(zip(self.parameters, grads, strict=True))

    def likelihood(self, model=None) -> OptionLikelihood:
        return OptionLikelihood(model or load_model(str(self.folder)), self.task.options, 2)

    def _loss(self, network):
        options = self.likelihood().option_ids
        logits = [network(input_ids=torch.tensor([e.ids])).logits[0, -1, options] for e in self.examples]
        return torch.nn.functional.cross_entropy(torch.stack(logits), torch.tensor([e.label for e in self.examples]))

    def replica(self, patterns, name, settings, kind, functional=False) -> tuple[Replica, Direction, Shapes]:
        model = load_model(str(self.folder))
        trained = model.select(patterns)
        z = direction(name, trained, **settings)
        if kind.startswith("split"):
            z = TwoBlocks(z, [n for n in trained if place(n, 2) < 1])
        made = Replica(model, self.likelihood(model), patterns, z, estimator(kind), functional=functional)
        return made, z, {n: a.shape for n, a in trained.items()}

    def gradient(self, names) -> np.ndarray:
        return np.concatenate([self.slopes[n].detach().numpy().reshape(-1) for n in names])


@pytest.fixture(scope="module")
def case(tiny_model):
    return Case(tiny_model)


def vector(z, shapes, seed: int, perturbation: int) -> np.ndarray:
    return np.concatenate([z.values(n, s, seed, perturbation).reshape(-1) for n, s in shapes.items()]).astype(float)


def seeds() -> list[int]:
    return [int(s) for s in np.random.default_rng(20).integers(0, 2**63, SEEDS)]  # low-rank's V is in the upper half


@pytest.mark.parametrize(
    ("kind", "functional", "patterns", "name", "settings"),
    [(kind, False, MIXED, *z) for kind in ("central", "one-sided", "split:2") for z in KINDS]
    + [(kind, True, NORMS, *z) for kind in ("central", "one-sided") for z in (KINDS[0], KINDS[3])]
    + [(kind, True, MIXED, *KINDS[2]) for kind in ("central", "one-sided")],
)
def test_the_mean_of_estimate_times_direction_is_the_gradient(case, kind, functional, patterns, name, settings):
    replica, z, shapes = case.replica(patterns, name, settings, kind, functional)
    wanted = case.gradient(shapes)
    if "density" in settings:
        wanted = wanted * ((vector(z, shapes, 1, 0) != 0) | (vector(z, shapes, 1, LOWER) != 0))
    rng = np.random.default_rng(3)
    units = np.vstack([wanted, rng.standard_normal((3, wanted.size))])
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    measured = []
    for seed in seeds():
        scalars = replica.projections(case.examples, seed, 2, MU).mean(axis=0)
        moves = estimator(kind).moves(seed, tuple(scalars / 2))
        measured.append(units @ -sum(m.amount * vector(z, shapes, seed, m.perturbation) for m in moves))
    mean, error = np.mean(measured, axis=0), np.std(measured, axis=0, ddof=1) / np.sqrt(SEEDS)
    assert error[0] < 0.25 * np.linalg.norm(wanted)  # sharp enough to tell a gradient from none and from twice
    np.testing.assert_array_less(np.abs(mean - units @ wanted), ERRORS * error)


@pytest.mark.parametrize("functional", [False, True])
def test_a_one_sided_estimate_is_off_by_half_mu_times_the_curvature(case, functional):
    mu, last = (
        0.1,
        ("model.decoder.final_layer_norm.*",),
    )  # no ReLU behind it, whose kinks are curvature that autograd misses
    replica, z, shapes = case.replica(last, "rademacher", {}, "one-sided", functional)
    central, _, _ = case.replica(last, "rademacher", {}, "central", functional)
    wanted, curved = [], []
    for seed in range(12):
        directions = {n: torch.from_numpy(z.values(n, s, seed, 0)).double() for n, s in shapes.items()}
        slope = torch.stack([(case.slopes[n] * d).sum() for n, d in directions.items()]).sum()
        bent = torch.autograd.grad(slope, [case.parameters[n] for n in shapes], retain_graph=True)
        wanted.append(slope.item())
        curved.append(mu / 2 * sum((h * d).sum().item() for h, d in zip(bent, directions.values(), strict=True)))
    measured = [float(replica.projections(case.examples, s, 1, mu).mean()) for s in range(12)]
    balanced = [float(central.projections(case.examples, s, 1, mu).mean()) for s in range(12)]
    bias, scale = np.subtract(measured, wanted), np.abs(curved).max()
    assert scale > 1e-5
    np.testing.assert_allclose(bias, curved, atol=0.1 * scale)
    assert np.abs(np.subtract(balanced, wanted)).max() < 0.1 * scale
