"""CUDA devices without storage on a machine that has none: torch's fake tensors, which refuse operands on different devices.

Values are not computed.  A few Python bindings of torch ask for a CUDA runtime before the fake tensor sees the call; those are
answered here, with the same check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode

NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.int16: np.int16}


class Bindings(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        tensor = args[0] if args else None
        if isinstance(tensor, torch.Tensor) and tensor.device.type == "cuda":
            if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
                return _indexed(tensor, *args[1:])
            if func is torch.Tensor.contiguous:
                return torch.clone(tensor, memory_format=torch.contiguous_format)
            if func is torch.Tensor.copy_:
                assert args[1].shape == tensor.shape
                return tensor
        return func(*args, **(kwargs or {}))


def _indexed(tensor: torch.Tensor, index: Any, new: Any = None) -> torch.Tensor:
    items = index if isinstance(index, tuple) else (index,)
    for item in (*items, *([] if new is None else [new])):
        if isinstance(item, torch.Tensor):  # an index may be in main memory, as torch has it
            assert item.device == tensor.device or (item is not new and item.device.type == "cpu")
    shape = _shape_only(tensor)[tuple(map(_shape_only, items))]
    return torch.empty_strided(shape.shape, shape.stride(), dtype=tensor.dtype, device=tensor.device)


def _shape_only(item: Any) -> Any:
    if not isinstance(item, torch.Tensor):
        return item
    return torch.empty_strided(item.shape, item.stride(), dtype=item.dtype, device="meta")


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    assert tensor.device.type == "cpu", tensor.device
    return np.ones(tuple(tensor.shape), NUMPY[tensor.dtype])


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch, network: Any, parts: Mapping[str, str]) -> Iterator[None]:
    """`network` with the parameters whose names begin with a key on that device, the first key that fits; the rest stays real."""
    monkeypatch.setattr(FakeTensor, "numpy", _numpy, raising=False)
    mode, made = FakeTensorMode(allow_non_fake_inputs=True), {}
    with mode, Bindings():
        for name, parameter in network.named_parameters():
            device = next((device for start, device in parts.items() if name.startswith(start)), "cpu")
            fake = torch.empty(parameter.shape, device=device) if device != "cpu" else parameter.data
            made[id(parameter)] = torch.nn.Parameter(fake, requires_grad=False)
        for module in network.modules():
            for leaf, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[leaf] = made[id(parameter)]  # tied ones stay tied
        yield
