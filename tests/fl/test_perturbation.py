"""Perturbations are a pure function of (seed, name, index), and the log of rounds is the weights, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.perturbation import Perturbation, digest, signs
from fl.update import RoundUpdate

SHAPES = {"embed.weight": (37, 11), "a.bias": (1,), "norm.weight": (127,), "b.bias": (129,), "fc.weight": (3, 256)}
SEED = 0xFEDCBA9876543210


def weights(seed: int = 3, shapes: dict[str, tuple[int, ...]] | None = None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in (shapes or SHAPES).items()}


def log(rounds: int, probes: int) -> list[RoundUpdate]:
    """Rounds as a run has them, some of them erased."""
    rng = np.random.default_rng(rounds + probes)
    return [
        RoundUpdate(
            int(rng.integers(2**64, dtype=np.uint64)),
            1e-3,
            probes,
            () if t % 7 == 3 else tuple(rng.normal(0, 1e-3, probes).tolist()),
        )
        for t in range(rounds)
    ]


def live(perturbation: Perturbation, updates: list[RoundUpdate]) -> None:
    for u in updates:
        for j in range(u.probes):
            perturbation.plus(u.seed, j, u.mu)
            perturbation.plus_to_minus(u.seed, j, u.mu)
            perturbation.restore(u.seed, j, u.mu)
        perturbation.update(u)


def canonical(arrays: dict[str, np.ndarray], updates: list[RoundUpdate]) -> dict[str, np.ndarray]:
    """The module's canonical arithmetic once more, in numpy, one fp32 rounding an operation."""
    out = {}
    for name, array in arrays.items():
        w = array.reshape(-1).copy()
        for u in updates:
            z = [signs(name, w.size, u.seed, j) for j in range(u.probes)]
            for j in range(u.probes):
                for amount in (u.mu, -2.0 * u.mu, u.mu):
                    w = w + np.float32(amount) * z[j]
            for j, step in enumerate(u.steps):
                w = w - np.float32(step) * z[j]
        assert w.dtype == np.float32
        out[name] = w.reshape(array.shape)
    return out


@given(size=st.integers(1, 700), seed=st.integers(0, 2**64 - 1), perturbation=st.integers(0, 4095))
def test_the_kernel_applies_exactly_the_reference_signs(size, seed, perturbation):
    array = np.zeros(size, np.float32)
    Perturbation({"w": array}).plus(seed, perturbation, 0.5)
    np.testing.assert_array_equal(array, 0.5 * signs("w", size, seed, perturbation))


def test_signs_do_not_depend_on_shape_or_length():
    long = signs("w", 1000, SEED, 2)
    for size in (1, 127, 128, 129, 513):
        np.testing.assert_array_equal(signs("w", size, SEED, 2), long[:size])
    flat, square = np.zeros(900, np.float32), np.zeros((30, 30), np.float32)
    Perturbation({"w": flat}).plus(SEED, 2, 1.0)
    Perturbation({"w": square}).plus(SEED, 2, 1.0)
    np.testing.assert_array_equal(flat, square.reshape(-1))


def test_which_other_parameters_are_trained_changes_nothing():
    every, few = weights(), weights()
    updates = log(20, 2)
    Perturbation(every).replay(updates)
    Perturbation({n: few[n] for n in ("b.bias", "a.bias")}).replay(updates)
    for name in ("b.bias", "a.bias"):
        np.testing.assert_array_equal(every[name], few[name])
    np.testing.assert_array_equal(few["fc.weight"], weights()["fc.weight"])


@pytest.mark.parametrize("probes", [1, 3])
def test_300_live_rounds_and_every_fused_replay_end_in_the_same_bits(probes):
    updates = log(300, probes)
    lived = weights()
    live(Perturbation(lived), updates)
    wanted = digest(lived)
    assert wanted != digest(weights())
    for fused in (1, 7, 16, 64, 1000):
        replayed = weights()
        Perturbation(replayed).replay(updates, fused)
        assert digest(replayed) == wanted
    # in two parts, as a run that was resumed
    parts = weights()
    Perturbation(parts).replay(updates[:113])
    live(Perturbation(parts), updates[113:])
    assert digest(parts) == wanted


def test_the_live_arithmetic_is_the_canonical_one():
    updates = log(40, 3)
    lived = weights()
    live(Perturbation(lived), updates)
    assert digest(lived) == digest(canonical(weights(), updates))


def test_an_erased_round_is_probed_but_moves_only_by_rounding():
    arrays = weights()
    Perturbation(arrays).replay([RoundUpdate(SEED, 1e-3, 2, ())])
    for name, array in arrays.items():
        np.testing.assert_allclose(array, weights()[name], atol=1e-7)
    assert digest(arrays) == digest(canonical(weights(), [RoundUpdate(SEED, 1e-3, 2, ())]))


def test_signs_are_balanced_and_uncorrelated():
    size = 200_000
    base = signs("w", size, SEED, 0)
    assert set(np.unique(base)) == {-1.0, 1.0}
    others = [
        signs("w", size, SEED, 1),
        signs("w", size, SEED ^ 1, 0),
        signs("w", size, SEED ^ (1 << 63), 0),
        signs("v", size, SEED, 0),
        np.roll(base, 1),
        np.roll(base, 128),
    ]
    five_sigma = 5 / np.sqrt(size)
    assert abs(base.mean()) < five_sigma
    for other in others:
        assert abs(other.mean()) < five_sigma
        assert abs((base * other).mean()) < five_sigma


def test_the_same_log_gives_the_same_weights_on_every_machine():
    # These figures are what journals in the field rely on: they may never change.
    assert digest(weights(shapes={"w": (2, 3)})) != digest(weights(shapes={"w": (3, 2)}))
    assert signs("model.decoder.final_layer_norm.weight", 32, SEED, 5).tolist() == GOLDEN_SIGNS
    grid = {n: (np.arange(np.prod(s), dtype=np.float32) / 1024 - 0.25).reshape(s) for n, s in SHAPES.items()}
    updates = [RoundUpdate(SEED + t, 0.01, 2, () if t == 3 else (0.001 * t, -0.0007 * t)) for t in range(10)]
    Perturbation(grid).replay(updates)
    assert digest(grid) == GOLDEN_DIGEST


def test_arrays_that_could_not_be_changed_in_place_are_refused():
    with pytest.raises(ValueError, match="contiguous float32"):
        Perturbation({"w": np.zeros(4)})
    with pytest.raises(ValueError, match="contiguous float32"):
        Perturbation({"w": np.zeros((4, 4), np.float32)[:, ::2]})


# from `signs` and `canonical`, the numpy forms
GOLDEN_SIGNS = [{"+": 1.0, "-": -1.0}[sign] for sign in "-+++--++++-+--+-+++++-+++-++-+--"]
GOLDEN_DIGEST = "5403356d06ad9f86a68b7fe3be5c995cc2e256412ddf46ce460b27475245ee14"
