"""Every dense direction in plain torch operations, on any device, with the compiled kernels' bits.

For weights on an accelerator, for machines on which numba does not run, and as a second implementation for the tests.  Arrays
in main memory, beside other weights on an accelerator, still move by the kernels where those run.

Philox's 32-bit words are held in int64, whose products wrap modulo 2^64 on every device, which is all that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fl.directions import gaussian, rademacher
from fl.directions.compiled import available
from fl.directions.direction import Direction, Operations, Values, name_key
from fl.directions.low_rank import UPPER, LowRank
from fl.philox import MULTIPLIERS, ROUNDS, WEYL

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Elements drawn at a time, multiples of both chunks: on a processor what stays in its cache, elsewhere what hides the launches.
PIECE, PIECE_ELSEWHERE = 1 << 18, 1 << 22
WORD = 0xFFFFFFFF
SIGN, ONE = -(1 << 31), 0x3F800000  # of an fp32 number, as int32

KINDS: dict[str, type[Direction]] = {kind.name: kind for kind in (rademacher.Rademacher, gaussian.Gaussian)}


class EagerDirection(Direction):
    """`kind` ("rademacher" or "gaussian") in torch.  torch is imported with the first move, not before."""

    def __init__(self, kind: str) -> None:
        self.name = kind
        self._compiled = KINDS[kind]()
        self.chunk = self._compiled.chunk
        self._tables: dict[str, Tensor] = {}  # the Gaussian table, by device

    def values(self, parameter: str, shape: tuple[int, ...], seed: int, perturbation: int) -> NDArray[np.float32]:
        return self._compiled.values(parameter, shape, seed, perturbation)

    def apply(self, parameter: str, weights: Values, first: int, operations: Operations) -> None:
        import torch

        if available and isinstance(weights, np.ndarray):
            self._compiled.apply(parameter, weights, first, operations)
        else:
            self.apply_tensor(parameter, torch.as_tensor(weights), first, operations)

    def apply_tensor(self, parameter: str, tensor: Tensor, first: int, operations: Operations) -> None:
        """`apply` for a contiguous fp32 tensor of any shape, in place on its own device."""
        import torch

        with torch.no_grad():
            flat = tensor.view(-1)
            step = PIECE if flat.device.type == "cpu" else PIECE_ELSEWHERE
            for start in range(0, flat.numel(), step):
                piece = flat[start : start + step]
                for seed, perturbation, amounts in operations.directions():
                    z = self.draw(parameter, first + start, piece.numel(), seed, perturbation, piece.device)
                    for amount in amounts.tolist():
                        # not add_(z, alpha=amount), which may contract into a fused multiply-add
                        piece.add_(z * amount)

    def draw(
        self, parameter: str, first: int, count: int, seed: int, perturbation: int, device: torch.device
    ) -> Tensor:
        """z (count,) from element `first`, a multiple of `chunk`, on a device."""
        import torch

        chunks = -(-count // self.chunk)
        blocks = rademacher.BLOCKS if self.name == "rademacher" else gaussian.BLOCKS
        begin = first // self.chunk * blocks
        counter = torch.arange(begin, begin + chunks * blocks, device=device)
        drawn = _philox(counter & WORD, (perturbation, *name_key(parameter)), (seed & WORD, seed >> 32))
        words = torch.stack([w.view(chunks, blocks) for w in drawn], 1).view(chunks, 1, 4 * blocks).to(torch.int32)
        if self.name == "rademacher":
            shifts = torch.arange(31, -1, -1, device=device, dtype=torch.int32).view(32, 1)
            bits = ((words << shifts) & SIGN) | ONE
            return bits.view(torch.float32).view(-1)[:count]
        shifts = torch.tensor([[0], [16]], device=device, dtype=torch.int32)
        return self._table(device).index_select(0, ((words >> shifts) & 0xFFFF).view(-1)[:count])

    def _table(self, device: torch.device) -> Tensor:
        import torch

        if (key := str(device)) not in self._tables:
            self._tables[key] = torch.from_numpy(gaussian.table().copy()).to(device)
        return self._tables[key]


class EagerLowRank(LowRank):
    """Low-rank directions in torch, some rows at a time.  Sums of signs are whole numbers, exact in any order."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], rank: int) -> None:
        self._signs = EagerDirection("rademacher")
        super().__init__(shapes, rank, self._signs)

    def apply(self, parameter: str, weights: Values, first: int, operations: Operations) -> None:
        import torch

        if available and isinstance(weights, np.ndarray):
            super().apply(parameter, weights, first, operations)
        else:
            self.apply_tensor(parameter, torch.as_tensor(weights), first, operations)

    def apply_tensor(self, parameter: str, tensor: Tensor, first: int, operations: Operations) -> None:
        """`apply` for a contiguous fp32 tensor of any shape, in place on its own device."""
        import torch

        if len(self.shapes[parameter]) != 2:
            return self._signs.apply_tensor(parameter, tensor, first, operations)
        columns = self.shapes[parameter][1]
        with torch.no_grad():
            flat = tensor.view(-1)
            device, last = flat.device, first + flat.numel()
            rows = max(1, (PIECE if device.type == "cpu" else PIECE_ELSEWHERE) // columns)
            for seed, perturbation, amounts in operations.directions():
                v = self._draw(f"{parameter}#v", 0, self.rank * columns, seed & UPPER, perturbation, device)
                for top in range(first // columns, -(-last // columns), rows):
                    bottom = min(top + rows, -(-last // columns))
                    u = self._draw(f"{parameter}#u", top * self.rank, bottom * self.rank, seed, perturbation, device)
                    z = (u.view(-1, self.rank) @ v.view(self.rank, columns)).mul_(float(self.scale)).view(-1)
                    start, stop = max(first, top * columns), min(last, bottom * columns)
                    piece, z = flat[start - first : stop - first], z[start - top * columns : stop - top * columns]
                    for amount in amounts.tolist():
                        piece.add_(z * amount)

    def _draw(self, name: str, first: int, last: int, seed: int, perturbation: int, device: torch.device) -> Tensor:
        """Signs [first, last) of a name, cut anywhere."""
        before = first % self.chunk
        return self._signs.draw(name, first - before, last - first + before, seed, perturbation, device)[before:]


def _philox(counter: Tensor, rest: tuple[int, int, int], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Four words of Philox4x32-10 for every (counter, *rest), each (N,) like `counter`."""
    import torch

    c0, (c1, c2, c3) = counter, (torch.full_like(counter, word) for word in rest)
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        # the shift copies the sign, so the upper word is masked too
        c0, c1 = ((p1 >> 32) & WORD) ^ c1 ^ k0, p1 & WORD
        c2, c3 = ((p0 >> 32) & WORD) ^ c3 ^ k1, p0 & WORD
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return c0, c1, c2, c3
