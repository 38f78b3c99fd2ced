"""What a direction is: z, a pure function of (seed, perturbation, parameter's name, index), and moving weights along it.

Chunks, threads, shapes, and which other parameters are trained change no bit of it (design decision 1).  `values` is the
definition, in plain numpy; `apply` is the same, compiled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fl.philox import reference
from fl.update import Move

# fp32 numbers that move where they lie: an array in main memory, or a torch tensor on another device (fl.placement)
Values: TypeAlias = Any


def as_array(values: Values) -> NDArray[np.float32]:
    """The numbers as an array: themselves, or what is read back from their device."""
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()


def name_key(name: str) -> tuple[int, int]:
    """The first 64 bits of the name under SHA-256, as (low, high) 32-bit words."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def reference_words(parameter: str, chunks: int, blocks: int, seed: int, perturbation: int) -> NDArray[np.uint32]:
    """Random words (chunks, 4 blocks) of a parameter's first chunks, `blocks` Philox calls each, in plain numpy.

    Call b of chunk c is Philox4x32-10(counter = (blocks c + b, perturbation, name_lo, name_hi), key = seed), and its word w is
    element w blocks + b of the chunk.
    """
    counter = np.empty((chunks * blocks, 4), np.uint32)
    counter[:, 0] = np.arange(chunks * blocks)
    counter[:, 1:] = (perturbation, *name_key(parameter))
    drawn = reference(counter, (seed & 0xFFFFFFFF, seed >> 32)).reshape(chunks, blocks, 4)
    return drawn.transpose(0, 2, 1).reshape(chunks, 4 * blocks)


@dataclass(frozen=True)
class Operations:
    """An ordered list of moves, as arrays: direction d is (key0[d], key1[d], perturbations[d]) with the amounts
    [starts[d], starts[d + 1]), so that moves along one direction in a row draw it once.  D directions, M moves."""

    key0: NDArray[np.uint32]  # (D,) low and
    key1: NDArray[np.uint32]  # (D,) high half of the seed
    perturbations: NDArray[np.uint32]  # (D,)
    starts: NDArray[np.int64]  # (D + 1,)
    amounts: NDArray[np.float32]  # (M,)

    @classmethod
    def of(cls, moves: Iterable[Move]) -> Operations:
        runs = [(key, [m.amount for m in run]) for key, run in groupby(moves, key=lambda m: (m.seed, m.perturbation))]
        seeds = np.array([seed for (seed, _), _ in runs], np.uint64)
        return cls(
            (seeds & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            (seeds >> np.uint64(32)).astype(np.uint32),
            np.array([j for (_, j), _ in runs], np.uint32),
            np.cumsum([0, *(len(amounts) for _, amounts in runs)]).astype(np.int64),
            np.array([a for _, amounts in runs for a in amounts], np.float32),
        )

    def __len__(self) -> int:
        return len(self.amounts)

    def directions(self) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """(seed, perturbation, amounts) of each direction, in order, for what is not compiled."""
        for d in range(len(self.perturbations)):
            seed = int(self.key1[d]) << 32 | int(self.key0[d])
            yield seed, int(self.perturbations[d]), self.amounts[self.starts[d] : self.starts[d + 1]]


class Direction(Protocol):
    name: str
    chunk: int  # a parameter may be cut at multiples of this

    def apply(self, parameter: str, weights: Values, first: int, operations: Operations) -> None:
        """Move `weights`, in place: the elements from `first` (a multiple of `chunk`) on of the flattened parameter.  Kernels
        take arrays, the torch forms tensors too.

        Every operation is w <- fl(w + fl(amount * z)), in order, never re-associated and never contracted.
        """
        ...

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        """z of a whole parameter, by definition."""
        ...

    def moved(self, parameter: str, size: int) -> int:
        """How many of a parameter's weights z moves: all of them, where nothing else is said."""
        return size
