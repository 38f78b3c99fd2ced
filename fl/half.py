"""A bf16 working copy of the network beside fp32 masters of the weights that move.

bf16 has 8 significant bits: at |w| = 0.3 its spacing is 2e-3, so a step of 1e-6 would be lost on it and so would a probe of
mu = 1e-3 on most weights.  The log of the weights therefore stays fp32: moves happen on the masters and every part that moved
is rounded (to nearest, ties to even) into the copy that the forward pass reads.  LayerNorms keep fp32 parameters: torch mixes
them with bf16 activations, they cost nothing, and they are what is most often trained.

The other weights' masters are given up once their digests are taken, so memory is 2 bytes a weight and 4 more where it moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fl.directions.compiled import compiled, uint32
from fl.directions.direction import Values


@compiled
def _round(bits, out):
    """fp32 given by its bits to bf16, to nearest even; for finite numbers."""
    for i in range(bits.size):
        b = bits[i]
        out[i] = (b + uint32(0x7FFF) + ((b >> uint32(16)) & uint32(1))) >> uint32(16)


def round_to_bfloat16(source: NDArray[np.float32], target: NDArray[np.uint16]) -> None:
    """`target` (n,) becomes the bf16 bits of `source` (n,)."""
    _round(source.view(np.uint32), target)


class HalfCopy:
    """Turns `network` into bf16 in place and keeps it in step with `masters`, fp32 arrays by parameter name, or tensors on the
    network's devices."""

    def __init__(self, network: Any, masters: Mapping[str, Values]) -> None:
        norms = {
            id(parameter)
            for module in network.modules()
            if isinstance(module, torch.nn.LayerNorm)
            for parameter in module.parameters()
        }
        self._pairs: dict[str, tuple[Values, Any]] = {}
        for name, parameter in network.named_parameters():
            if id(parameter) in norms:
                continue
            parameter.data = parameter.data.to(torch.bfloat16)
            if name in masters:
                master, copy = masters[name].reshape(-1), parameter.data.view(-1)
                if isinstance(master, np.ndarray):
                    self._pairs[name] = (master, copy.view(torch.int16).numpy().view(np.uint16))
                else:
                    self._pairs[name] = (master, copy)

    def refresh(self, name: str, first: int, last: int) -> None:
        """The masters' elements [first, last) have moved."""
        if name in self._pairs:
            master, copy = self._pairs[name]
            if isinstance(master, np.ndarray):
                round_to_bfloat16(master[first:last], copy[first:last])
            else:
                copy[first:last].copy_(master[first:last])  # torch's rounding is the same
