"""Directions on a static mask: z is another direction's on a few weights of each parameter and 0 on all others.

As in SensZOQ (arXiv 2406.02913) and Meerkat (arXiv 2506.03337), which tune 0.1 % of the weights: a pass costs next to nothing,
and the variance of the estimate, which grows with the number of weights that move, falls.  They choose by squared gradients on
public text; Sparse-MeZO (arXiv 2402.15751) takes the small weights, anew at every step.  The masks here cost no gradient and
never change: the largest weights at the start, or any.  They are public and the same on every device.

The masked weights of a parameter, in order of their index, are numbered anew from 0; z at number n is the other direction's
value at index n of a parameter called NAME#mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fl.directions.compiled import available, compiled, uint32
from fl.directions.direction import Direction, Operations, Values, as_array, name_key
from fl.philox import block, reference
from radio.streams import stream_seed

PIECE = 1 << 20  # scores that exist at one time; a multiple of 4
Mask = NDArray[np.int64]  # (n,) indices into the flattened parameter, ascending


class Sparse(Direction):
    """`base` on `masks` (by parameter), 0 elsewhere."""

    chunk = 1 << 40  # never cut: what a piece has to do does not show in its size.  Any cut would be right

    def __init__(self, base: Direction, masks: Mapping[str, Mask]) -> None:
        self.name = f"{base.name} on a mask"
        self.base = base
        self._masks = masks
        self._there: dict[tuple[str, Any], Any] = {}  # masks on the devices of the weights, by parameter and device

    def moved(self, parameter: str, size: int) -> int:
        return self._masks[parameter].size

    def apply(self, parameter: str, weights: Values, first: int, operations: Operations) -> None:
        mask = self._masks[parameter]
        start, end = np.searchsorted(mask, (first, first + len(weights)))
        if start == end:
            return
        where = self._mask(parameter, weights)[start:end] - first
        # The other direction is cut only where it likes: a few numbers before `start` are moved for nothing.
        cut = start // self.base.chunk * self.base.chunk
        compact = np.zeros(end - cut, np.float32) if isinstance(weights, np.ndarray) else weights.new_zeros(end - cut)
        compact[start - cut :] = weights[where]
        self.base.apply(f"{parameter}#mask", compact, int(cut), operations)
        weights[where] = compact[start - cut :]

    def _mask(self, parameter: str, weights: Values) -> Any:
        """Where the weights are."""
        mask = self._masks[parameter]
        if isinstance(weights, np.ndarray):
            return mask
        import torch

        if (key := (parameter, weights.device)) not in self._there:
            self._there[key] = torch.from_numpy(mask).to(weights.device)
        return self._there[key]

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        mask = self._masks[parameter]
        z = np.zeros(int(np.prod(shape)), np.float32)
        z[mask] = self.base.values(f"{parameter}#mask", mask.shape, seed, perturbation)
        return z.reshape(shape)


def magnitude(parameters: Mapping[str, Values], density: float) -> dict[str, Mask]:
    """The largest |w| of all parameters together; among equals the first by name and index.

    `density` in (0, 1] is the share of all weights that is taken, rounded to a whole number of them, at least one.
    """
    flat = {name: values.reshape(-1) for name, values in parameters.items()}

    def scores(name: str, at: int, count: int) -> NDArray[np.uint32]:
        return as_array(flat[name][at : at + count]).view(np.uint32) & np.uint32(0x7FFFFFFF)  # ordered as |w| is

    return _largest({name: len(values) for name, values in flat.items()}, scores, density)


def random(sizes: Mapping[str, int], density: float, seed: int) -> dict[str, Mask]:
    """Any weights, a pure function of the public seed and the sizes; `density` as above.

    Weight i has the score Philox4x32-10(counter = (i // 4, 0, name_lo, name_hi), key = 64 bits of `seed`)[i % 4], and the
    largest are taken.
    """
    key = stream_seed(seed, "mask") & (2**64 - 1)
    k0, k1 = key & 0xFFFFFFFF, key >> 32

    def scores(name: str, at: int, count: int) -> NDArray[np.uint32]:
        out = np.empty((-(-count // 4), 4), np.uint32)
        if available:
            _score(out, at // 4, *name_key(name), k0, k1)
        else:
            counter = np.zeros_like(out)
            counter[:, 0] = np.arange(at // 4, at // 4 + len(out))
            counter[:, 2:] = name_key(name)
            out = reference(counter, (k0, k1))
        return out.reshape(-1)[:count]

    return _largest(sizes, scores, density)


@compiled
def _score(out, first, low, high, k0, k1):
    for i in range(out.shape[0]):
        a, b, c, d = block(uint32(first + i), uint32(0), uint32(low), uint32(high), uint32(k0), uint32(k1))
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a, b, c, d


def _largest(
    sizes: Mapping[str, int], scores: Callable[[str, int, int], NDArray[np.uint32]], density: float
) -> dict[str, Mask]:
    """Where the scores are largest, found digit by digit (16 bits each), so that they never exist all at one time.

    `scores(name, first, count)` are those of a stretch of a parameter.
    """
    missing = max(1, round(density * sum(sizes.values())))

    def pieces() -> Iterator[tuple[str, int, NDArray[np.uint32]]]:
        for name in sorted(sizes):
            for at in range(0, sizes[name], PIECE):
                yield name, at, scores(name, at, min(PIECE, sizes[name] - at))

    high, missing = _digit((s >> 16 for _, _, s in pieces()), missing)
    low, ties = _digit((s[s >> 16 == high] & 0xFFFF for _, _, s in pieces()), missing)
    threshold = high << 16 | low
    found: dict[str, list[Mask]] = {name: [] for name in sizes}
    for name, at, s in pieces():
        taken = s > threshold
        equal = np.flatnonzero(s == threshold)[:ties]
        taken[equal] = True
        ties -= equal.size
        found[name].append(np.flatnonzero(taken) + at)
    return {name: np.concatenate([np.empty(0, np.int64), *where]) for name, where in found.items()}


def _digit(pieces: Iterable[NDArray[Any]], wanted: int) -> tuple[int, int]:
    """The `wanted`-th largest of many 16-bit digits, and its place among its equals (1: the first)."""
    counts = np.zeros(1 << 16, np.int64)
    for digits in pieces:
        counts += np.bincount(digits, minlength=1 << 16)
    counts = counts[::-1]
    at = int(np.searchsorted(np.cumsum(counts), wanted))
    return 0xFFFF - at, wanted - int(counts[:at].sum())
