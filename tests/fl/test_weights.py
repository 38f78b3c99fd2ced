"""The log of rounds is the weights, bit for bit, however passes are merged, cut or shared among threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fl import weights as module
from fl.directions.eager import EagerDirection
from fl.directions.rademacher import Rademacher, signs
from fl.update import Move, RoundUpdate, own_moves
from fl.weights import Weights, digest

SHAPES = {"embed.weight": (37, 11), "a.bias": (1,), "norm.weight": (127,), "b.bias": (129,), "fc.weight": (50, 256)}
SEED = 0xFEDCBA9876543210


def arrays(seed: int = 3, shapes: dict[str, tuple[int, ...]] | None = None) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in (shapes or SHAPES).items()}


def log(rounds: int, perturbations: int, probe: str = "central") -> list[RoundUpdate]:
    """Rounds as a run has them, some of them erased."""
    rng = np.random.default_rng(rounds + perturbations)
    updates = []
    for t in range(rounds):
        seed = int(rng.integers(2**64, dtype=np.uint64))
        steps = () if t % 7 == 3 else tuple(rng.normal(0, 1e-3, perturbations).tolist())
        updates.append(RoundUpdate(seed, 1e-3, perturbations, probe, own_moves(seed, steps)))
    return updates


def live(weights: Weights, updates: list[RoundUpdate], settle: bool = True) -> None:
    """Pass by pass, as the replica does it, or queueing everything."""
    for u in updates:
        for move in u.operations():
            weights.move([move])
            if settle:
                weights.settle()
    weights.settle()


def canonical(start: dict[str, np.ndarray], updates: list[RoundUpdate]) -> dict[str, np.ndarray]:
    """The canonical arithmetic once more, in numpy, one fp32 rounding an operation."""
    out = {}
    for name, array in start.items():
        w = array.reshape(-1).copy()
        for u in updates:
            z = [signs(name, w.size, u.seed, j) for j in range(u.perturbations)]
            for j in range(u.perturbations):
                for amount in (u.mu, -2.0 * u.mu, u.mu):
                    w = w + np.float32(amount) * z[j]
            for move in u.moves:
                w = w + np.float32(move.amount) * z[move.perturbation]
        assert w.dtype == np.float32
        out[name] = w.reshape(array.shape)
    return out


def test_which_other_parameters_are_trained_changes_nothing():
    every, few = arrays(), arrays()
    updates = log(20, 2)
    Weights(every, Rademacher()).replay(updates)
    Weights({n: few[n] for n in ("b.bias", "a.bias")}, Rademacher()).replay(updates)
    for name in ("b.bias", "a.bias"):
        np.testing.assert_array_equal(every[name], few[name])
    np.testing.assert_array_equal(few["fc.weight"], arrays()["fc.weight"])


@pytest.mark.parametrize("perturbations", [1, 3])
def test_live_rounds_and_every_fused_replay_end_in_the_same_bits(perturbations):
    updates = log(300, perturbations)
    lived = arrays()
    live(Weights(lived, Rademacher()), updates)
    wanted = digest(lived)
    assert wanted != digest(arrays())
    queued = arrays()
    live(Weights(queued, Rademacher()), updates, settle=False)
    assert digest(queued) == wanted
    for fused in (1, 7, 32, 1000):
        replayed = arrays()
        Weights(replayed, Rademacher()).replay(updates, fused)
        assert digest(replayed) == wanted
    # in two parts, as a run that was resumed
    parts = arrays()
    Weights(parts, Rademacher()).replay(updates[:113])
    live(Weights(parts, Rademacher()), updates[113:])
    assert digest(parts) == wanted


def test_10_000_live_rounds_equal_their_fused_replay():
    updates = log(10_000, 1)
    lived, replayed = arrays(shapes={"w": (9, 9)}), arrays(shapes={"w": (9, 9)})
    live(Weights(lived, Rademacher()), updates)
    Weights(replayed, Rademacher()).replay(updates)
    assert digest(lived) == digest(replayed)


def test_the_live_arithmetic_is_the_canonical_one():
    updates = log(40, 3)
    lived = arrays()
    live(Weights(lived, Rademacher()), updates)
    assert digest(lived) == digest(canonical(arrays(), updates))


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("jobs", [1, 4])
def test_threads_and_shares_change_no_bit(monkeypatch, threads, jobs):
    updates, start = log(12, 2), {"w": (300, 100), "b": (17,), "v": (4097,)}
    one, many = arrays(shapes=start), arrays(shapes=start)
    Weights(one, Rademacher()).replay(updates)
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "JOBS", jobs)
    Weights(many, Rademacher(), threads).replay(updates)
    assert digest(one) == digest(many)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_table_read_row_by_row_ends_in_the_same_bits(monkeypatch, threads):
    monkeypatch.setattr(module, "SMALL", 0)
    shapes = {"table": (3000, 100), "w": (17, 3)}
    updates, rng = log(60, 1), np.random.default_rng(1)
    eager, lazy = arrays(shapes=shapes), arrays(shapes=shapes)
    plain = Weights(eager, Rademacher())
    paged = Weights(lazy, Rademacher(), threads, tables=("table", "absent"))
    for update in updates:
        for move in update.operations():
            rows = rng.integers(0, 3000, rng.integers(0, 30))
            for weights in (plain, paged):
                weights.move([move])
                weights.settle({"table": rows})
            np.testing.assert_array_equal(lazy["table"][rows], eager["table"][rows])
            np.testing.assert_array_equal(lazy["w"], eager["w"])
    assert digest(lazy) != digest(eager)  # most pages are behind
    paged.settle()
    assert digest(lazy) == digest(eager) == digest(canonical(arrays(shapes=shapes), updates))
    paged.settle()
    paged.replay(updates[:3])
    plain.replay(updates[:3])
    assert digest(lazy) == digest(eager)


@pytest.mark.parametrize("threads", [1, 2])
def test_tensors_beside_arrays_end_in_the_same_bits_and_no_page_waits(monkeypatch, threads):
    monkeypatch.setattr(module, "SMALL", 0)
    shapes, updates = {"table": (3000, 100), "w": (17, 3), "v": (4097,)}, log(3, 1)
    plain, mixed = arrays(shapes=shapes), arrays(shapes=shapes)
    Weights(plain, Rademacher()).replay(updates)
    told: list[tuple[str, int, int]] = []
    placed = mixed | {name: torch.from_numpy(mixed[name]) for name in ("table", "w")}
    weights = Weights(
        placed, EagerDirection("rademacher"), threads, tables=("table",), settled=lambda *where: told.append(where)
    )
    for update in updates:
        weights.move(update.operations())
        weights.settle({"table": np.array([5])})
        assert ("table", 0, 300_000) in told  # in one piece
    assert digest(placed) == digest(mixed) == digest(plain)
    assert weights.size == 300_000 + 51 + 4097


def test_everything_that_moved_is_told_once():
    told: list[tuple[str, int, int]] = []
    weights = Weights(arrays(shapes={"w": (9000,), "b": (3,)}), Rademacher(), settled=lambda *where: told.append(where))
    weights.settle()
    assert told == []
    weights.move([Move(1, 0, 0.1)])
    assert told == []
    weights.settle()
    assert sorted(told) == [("b", 0, 3), ("w", 0, 9000)]


def test_a_snapshot_is_bit_exact_and_forgets_what_was_queued():
    told: list[tuple[str, int, int]] = []
    shapes = {"table": (300, 1000), "b.bias": (129,)}
    moved = arrays(shapes=shapes)
    weights = Weights(moved, Rademacher(), tables=("table",), settled=lambda *where: told.append(where))
    weights.move([Move(SEED, 0, 0.1)])
    kept = weights.snapshot()
    wanted = digest(moved)
    assert wanted != digest(arrays(shapes=shapes))
    weights.move([Move(SEED, 1, 0.3)])
    weights.settle({"table": np.array([3, 250])})  # the other rows are behind
    assert digest(moved) != wanted
    weights.move([Move(SEED, 2, 0.3)])
    told.clear()
    weights.restore(kept)
    assert sum(last - first for _, first, last in told) == weights.size
    weights.settle()
    assert digest(moved) == wanted
    weights.move([Move(SEED, 1, 0.3)])
    weights.settle()
    again = arrays(shapes=shapes)
    once = Weights(again, Rademacher())
    once.move([Move(SEED, 0, 0.1), Move(SEED, 1, 0.3)])
    once.settle()
    assert digest(again) == digest(moved)


def test_an_erased_round_is_probed_but_moves_only_by_rounding():
    moved, update = arrays(), RoundUpdate(SEED, 1e-3, 2)
    Weights(moved, Rademacher()).replay([update])
    for name, array in moved.items():
        np.testing.assert_allclose(array, arrays()[name], atol=1e-7)
    assert digest(moved) == digest(canonical(arrays(), [update]))


def test_a_probe_that_leaves_the_weights_untouched_leaves_no_bit():
    moved = arrays()
    Weights(moved, Rademacher()).replay([RoundUpdate(SEED, 1e-3, 2, "untouched")])
    assert digest(moved) == digest(arrays())


def test_the_same_log_gives_the_same_weights_on_every_machine():
    # What journals in the field rely on: this may never change.
    assert digest(arrays(shapes={"w": (2, 3)})) != digest(arrays(shapes={"w": (3, 2)}))
    grid = {n: (np.arange(np.prod(s), dtype=np.float32) / 1024 - 0.25).reshape(s) for n, s in SHAPES.items()}
    updates = [
        RoundUpdate(SEED + t, 0.01, 2, "central", () if t == 3 else own_moves(SEED + t, (0.001 * t, -0.0007 * t)))
        for t in range(10)
    ]
    Weights(grid, Rademacher()).replay(updates)
    assert digest(grid) == GOLDEN


def test_arrays_that_could_not_be_changed_in_place_are_refused():
    with pytest.raises(ValueError, match="contiguous float32"):
        Weights({"w": np.zeros(4)}, Rademacher())
    with pytest.raises(ValueError, match="contiguous float32"):
        Weights({"w": np.zeros((4, 4), np.float32)[:, ::2]}, Rademacher())
    with pytest.raises(ValueError, match=r"torch\.float64.*contiguous float32"):
        Weights({"w": torch.zeros(4, dtype=torch.float64)}, Rademacher())
    with pytest.raises(ValueError, match="contiguous float32"):
        Weights({"w": torch.zeros(4, 4)[:, ::2]}, Rademacher())


# from `canonical`, the numpy form
GOLDEN = "c0629a598f058f7f219785a5c6d393167077395093c540cb3d4278c2fb7966b0"
