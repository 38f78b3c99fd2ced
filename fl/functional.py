"""The network at several points w + offset mu z_j at once, the weights untouched.

The rows of a batch are repeated for every point, [x; x; ...], before the first block that has a trained parameter, and each
copy meets its own point's parameters:

* parameters that are not matrices (gains and biases) are moved copies, fl(w + fl(offset mu z)), as a walk would make them;
* matrices, under a low-rank direction z = U V' / sqrt(r), stay where they are and their output is corrected,
  y = x W' + offset mu (x V) U' / sqrt(r), as rows of U V' are added to the rows of an embedding (LOZO, arXiv 2410.07698, still
  writes z into the weights).

Nothing is left in the weights, so the log has no trace of such a probe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fl.decoder import EMBEDDINGS, depth, place
from fl.directions.direction import Direction, Operations, Values
from fl.estimators.estimator import HOME, Point
from fl.models import in_place
from fl.update import Move

# A product with a matrix of a few columns is left to kernels whose last bits depend on where a row stands (MKL: one column, or
# two and the matrix transposed), so that an example's loss would depend on its batch-mates.  This many columns are safe.
TILE = 16


@dataclass(frozen=True)
class Change:
    """What a parameter is at several points: moved copies (points, ...), or a correction u v' of each point's matrix."""

    moved: Tensor | None = None
    u: Tensor | None = None  # (points, rows, r), amounts included
    v: Tensor | None = None  # (points, columns, r and columns of zeros to fill a tile)

    def __getitem__(self, points: slice) -> Change:
        return Change(*(None if t is None else t[points] for t in (self.moved, self.u, self.v)))


class Functional:
    """Where a network's trained parameters go, and how its modules are told.

    trained    names to fp32 arrays or tensors, the weights themselves; what a point changes is where they are
    direction  what z is; with matrices among the trained it has `factors` and `scale` (fl.directions.low_rank)
    """

    def __init__(self, network: Any, trained: Mapping[str, Values], direction: Direction) -> None:
        self._network = network
        self._trained = trained
        self._direction = direction
        places = [place(name, depth(network)) for name in trained]
        self._first = min(places, default=EMBEDDINGS)

    @staticmethod
    def supports(network: Any, trained: Mapping[str, Values], direction: Direction) -> bool:
        """Whether every trained parameter can be evaluated functionally, which is then as cheap as in place."""
        low_rank = hasattr(direction, "factors")
        modules = dict(network.named_modules())
        for name, array in trained.items():
            owner = modules.get(name.rpartition(".")[0])
            known = isinstance(owner, torch.nn.LayerNorm | torch.nn.Linear | torch.nn.Embedding)
            if not known or not (array.ndim == 1 or (low_rank and array.ndim == 2)):
                return False
        return True

    def at(self, seed: int, points: Sequence[Point], mu: float) -> Points:
        """The network at w + offset mu z(seed, j) for each point."""
        steps = [
            None if p.perturbation == HOME else Operations.of([Move(seed, p.perturbation, p.offset * mu)])
            for p in points
        ]
        changes = {
            name: self._moved(name, array, steps) if array.ndim == 1 else self._corrected(name, array, seed, points, mu)
            for name, array in self._trained.items()
        }
        return Points(self._network, changes, len(points), self._first)

    def _moved(self, name: str, array: Values, steps: Sequence[Operations | None]) -> Change:
        copies = torch.as_tensor(array).repeat(len(steps), 1)
        for copy, step in zip(in_place(copies), steps, strict=True):
            if step is not None:
                self._direction.apply(name, copy, 0, step)
        return Change(moved=copies)

    def _corrected(self, name: str, array: Values, seed: int, points: Sequence[Point], mu: float) -> Change:
        direction: Any = self._direction
        shape = tuple(array.shape)
        drawn = {j: direction.factors(name, shape, seed, j) for j in {max(p.perturbation, 0) for p in points}}
        amounts = [np.float32(0.0 if p.perturbation == HOME else p.offset * mu) * direction.scale for p in points]
        pairs = [drawn[max(p.perturbation, 0)] for p in points]
        rank = pairs[0][0].shape[1]
        wide = -(-rank // TILE) * TILE
        u = np.zeros((len(points), shape[0], rank), np.float32)
        v = np.zeros((len(points), shape[1], wide), np.float32)
        for k, (amount, pair) in enumerate(zip(amounts, pairs, strict=True)):
            u[k], v[k, :, :rank] = amount * pair[0], pair[1]
        return Change(u=torch.from_numpy(u).to(array.device), v=torch.from_numpy(v).to(array.device))


class Points:
    """Some points of a network.

    copies  how often a batch's rows are repeated, point by point
    first   the block before which they are; `EMBEDDINGS`: from the start
    """

    def __init__(self, network: Any, changes: Mapping[str, Change], copies: int, first: int) -> None:
        self._network = network
        self._changes = changes
        self.copies = copies
        self.first = first

    def __getitem__(self, points: slice) -> Points:
        count = len(range(self.copies)[points])
        return Points(self._network, {n: change[points] for n, change in self._changes.items()}, count, self.first)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While it lasts, modules with trained parameters take the rows of `copies` points, and only those."""
        owners: dict[str, dict[str, Change]] = {}
        for name, change in self._changes.items():
            owner, _, parameter = name.rpartition(".")
            owners.setdefault(owner, {})[parameter] = change
        modules = [(self._network.get_submodule(owner), changes) for owner, changes in owners.items()]
        before = [vars(module).get("forward") for module, _ in modules]  # accelerate's, where a network is spread
        for module, changes in modules:
            module.forward = partial(_forward_of(module), module, self.copies, **changes)
        try:
            yield
        finally:
            for (module, _), forward in zip(modules, before, strict=True):
                if forward is None:
                    del module.forward
                else:
                    module.forward = forward

    def head(self, options: Tensor | slice) -> Tensor:
        """The head's rows for some tokens at every point, (points or 1, options, width); `slice(None)`: for all."""
        rows = self._network.lm_head.weight[options][None]
        change = self._changes.get("lm_head.weight")
        if self._network.lm_head.weight is self._network.model.decoder.embed_tokens.weight:
            change = self._changes.get("model.decoder.embed_tokens.weight")
        if change is None or change.u is None or change.v is None:
            return rows
        return rows + change.u[:, options] @ change.v[..., : change.u.shape[-1]].mT


def _forward_of(module: torch.nn.Module) -> Callable[..., Tensor]:
    if isinstance(module, torch.nn.LayerNorm):
        return _layer_norm
    return _linear if isinstance(module, torch.nn.Linear) else _embedding


def _layer_norm(
    module: torch.nn.LayerNorm, copies: int, x: Tensor, weight: Change | None = None, bias: Change | None = None
) -> Tensor:
    """Each point's rows under its own gain and bias: `layer_norm` with the moved parameters, bit for bit."""
    x = x.to(module.weight.device)
    # parameters may be fp32 where activations are bf16 (fl.half)
    gains = [module.weight] * copies if weight is None or weight.moved is None else weight.moved.to(module.weight.dtype)
    biases = [module.bias] * copies if bias is None or bias.moved is None else bias.moved.to(module.weight.dtype)
    out = [
        functional.layer_norm(part, module.normalized_shape, gain, offset, module.eps)
        for part, gain, offset in zip(x.chunk(copies), gains, biases, strict=True)
    ]
    return torch.cat(out)


def _linear(
    module: torch.nn.Linear, copies: int, x: Tensor, weight: Change | None = None, bias: Change | None = None
) -> Tensor:
    """Bias and correction of each point's rows first, then x W' of all rows added in one product, as `linear` does it."""
    x = x.to(module.weight.device)
    moved = None if bias is None or bias.moved is None else bias.moved.to(x.dtype)
    u, v = (None, None) if weight is None else (weight.u, weight.v)
    if copies == 1 and u is None:
        return functional.linear(x, module.weight, module.bias if moved is None else moved[0])
    flat = x.reshape(-1, x.shape[-1])
    shape = (copies, len(flat) // copies, module.out_features)
    if moved is not None:
        start = moved[:, None]
    else:
        start = x.new_zeros(1) if module.bias is None else module.bias
    if u is not None and v is not None:
        right = flat.view(copies, -1, x.shape[-1]) @ v.to(x.dtype)
        y = torch.baddbmm(start, right[..., : u.shape[-1]], u.to(x.dtype).mT)
    else:
        y = start.expand(shape).clone(memory_format=torch.contiguous_format)
    return y.view(-1, shape[-1]).addmm_(flat, module.weight.mT).view(*x.shape[:-1], shape[-1])


def _embedding(
    module: torch.nn.Embedding, copies: int, *ids: Tensor, weight: Change, position_ids: Tensor | None = None
) -> Tensor:
    """Rows of W and of each point's u v'; OPT's positional embedding takes its indices by name and shifted."""
    shift = int(getattr(module, "offset", 0))
    index = (ids[0] if position_ids is None else position_ids + shift).to(module.weight.device)
    y = functional.embedding(index, module.weight)
    assert weight.u is not None and weight.v is not None
    rows = y.view(copies, -1, y.shape[-1])
    left = weight.u[torch.arange(copies, device=index.device)[:, None], index.reshape(copies, -1)]
    rows.baddbmm_(left.to(y.dtype), weight.v[..., : left.shape[-1]].to(y.dtype).mT)
    return y
