"""Every direction by name; each survives merging, threads and segments; without numba the same bits come from torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fl import weights as module
from fl.directions.direction import Direction, Operations, Values
from fl.directions.registry import direction
from fl.update import Move, RoundUpdate, own_moves
from fl.weights import Weights, digest

ROOT = Path(__file__).parents[3]
SHAPES = {"fc.weight": (70, 300), "norm.weight": (127,), "a.bias": (1,), "embed.weight": (4100, 3)}
KINDS = {
    "rademacher": {"name": "rademacher"},
    "gaussian": {"name": "gaussian"},
    "low-rank": {"name": "low-rank", "rank": 3},
    "largest weights": {"name": "rademacher", "density": 0.2},
    "any weights": {"name": "gaussian", "density": 0.05, "mask": "random", "seed": 3},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {n: rng.normal(0, 0.05, s).astype(np.float32) for n, s in SHAPES.items()}


def build(kind: str, start: dict[str, Values] | None = None) -> Direction:
    return direction(parameters=start or arrays(), **KINDS[kind])


def log(rounds: int, perturbations: int = 2) -> list[RoundUpdate]:
    """Rounds as a run has them, one in seven erased, with bases that last four rounds."""
    rng = np.random.default_rng(rounds)
    updates = []
    for t in range(rounds):
        seed = (t // 4 + 77) << 32 | int(rng.integers(2**32))
        steps = () if t % 7 == 3 else tuple(rng.normal(0, 1e-3, perturbations).tolist())
        updates.append(RoundUpdate(seed, 1e-3, perturbations, "central", own_moves(seed, steps)))
    return updates


def canonical(kind: str, updates: list[RoundUpdate]) -> dict[str, np.ndarray]:
    """The canonical arithmetic in numpy, from `values`: one fp32 rounding an operation."""
    z, out = build(kind), arrays()
    for update in updates:
        for move in update.operations():
            for name, w in out.items():
                product = np.float32(move.amount) * z.values(name, w.shape, move.seed, move.perturbation)
                out[name] = w + product
    return out


@every_kind
def test_live_rounds_every_fused_replay_and_the_definition_end_in_the_same_bits(kind):
    updates = log(30)
    lived = arrays()
    weights = Weights(lived, build(kind))
    for update in updates:
        for move in update.operations():
            weights.move([move])
            weights.settle()
    wanted = digest(lived)
    assert wanted != digest(arrays())
    assert digest(canonical(kind, updates)) == wanted
    for fused in (1, 7, 1000):
        replayed = arrays()
        Weights(replayed, build(kind)).replay(updates, fused)
        assert digest(replayed) == wanted


@every_kind
@pytest.mark.parametrize("threads, jobs", [(2, 1), (3, 4)])
def test_threads_and_shares_change_no_bit(monkeypatch, kind, threads, jobs):
    updates, one, many = log(8), arrays(), arrays()
    Weights(one, build(kind)).replay(updates)
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "JOBS", jobs)
    Weights(many, build(kind), threads).replay(updates)
    assert digest(one) == digest(many)


@every_kind
@pytest.mark.parametrize("segment", [1, 3])
def test_segments_change_no_bit(kind, segment):
    # Masked weights are not cut by `Weights`; that any cut is right is tested with them.
    operations = Operations.of([m for update in log(4) for m in update.operations()])
    z, one, parts = build(kind), arrays(), arrays()
    for name in SHAPES:
        whole, cut = one[name].reshape(-1), parts[name].reshape(-1)
        z.apply(name, whole, 0, operations)
        for first in range(0, cut.size, segment * z.chunk):
            z.apply(name, cut[first : first + segment * z.chunk], first, operations)
    assert digest(one) == digest(parts)


@every_kind
def test_tensors_beside_arrays_move_by_the_same_bits(kind):
    wanted, found = arrays(), arrays()
    Weights(wanted, build(kind)).replay(log(5))
    mixed = {n: torch.from_numpy(a) if i % 2 else a for i, (n, a) in enumerate(found.items())}
    weights = Weights(mixed, build(kind, mixed))
    kept = weights.snapshot()
    weights.replay(log(2))
    weights.restore(kept)
    weights.replay(log(5))
    assert digest(mixed) == digest(found) == digest(wanted)


@every_kind
def test_how_many_weights_move(kind):
    total = sum(array.size for array in arrays().values())
    moved, start = arrays(), arrays()
    weights = Weights(moved, build(kind))
    assert weights.size == round(KINDS[kind].get("density", 1) * total)
    weights.replay([RoundUpdate(5, 1e-2, 1, "untouched", (Move(5, 0, 0.5),))])
    differing = sum(int((moved[n] != start[n]).sum()) for n in moved)
    # a rank-3 product is never 0, nor is a Gaussian or a sign
    assert differing == weights.size


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="no direction 'cauchy'; known: rademacher, gaussian, low-rank"):
        direction("cauchy")
    with pytest.raises(ValueError, match="no mask 'best'; known: magnitude, random"):
        direction("gaussian", arrays(), density=0.5, mask="best")
    with pytest.raises(ValueError, match=r"low-rank.*no mask.*0\.5"):
        direction("low-rank", arrays(), density=0.5)


WITHOUT = """
import sys
{before}
import numpy as np
from fl.directions.registry import direction
from fl.update import RoundUpdate, own_moves
from fl.weights import Weights, digest
from tests.fl.directions.test_registry import KINDS, arrays, build, log
for kind in KINDS:
    moved = arrays()
    Weights(moved, build(kind)).replay(log(5))
    print(digest(moved))
"""


@pytest.mark.parametrize("before", ["import os; os.environ['NUMBA_DISABLE_JIT'] = '1'", "sys.modules['numba'] = None"])
def test_without_numba_the_same_bits_come_from_torch_and_one_line_says_so(before):
    wanted = []
    for kind in KINDS:
        moved = arrays()
        Weights(moved, build(kind)).replay(log(5))
        wanted.append(digest(moved))
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_DISABLE_JIT"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(before=before)],
        capture_output=True, text=True, cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout.split() == wanted, done.stderr
    assert done.stderr.count("drawn by torch") == 1
