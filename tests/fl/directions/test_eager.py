"""The torch form has the bits of the compiled one, on every device."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from fl.directions import eager
from fl.directions.direction import Operations
from fl.directions.eager import EagerDirection, EagerLowRank
from fl.directions.gaussian import Gaussian
from fl.directions.low_rank import LowRank
from fl.directions.rademacher import Rademacher
from fl.update import Move

SEED = 0xFEDCBA9876543210
MOVES = [
    Move(SEED, 0, 0.3), Move(SEED, 0, -0.7), Move(2**64 - 1, 2**32 - 1, 1e-3), Move(0, 0, 0.01), Move(SEED ^ 1, 7, -0.3),
]  # fmt: skip
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
KINDS = [Rademacher, Gaussian]


def start(size: int) -> np.ndarray:
    return np.random.default_rng(size).normal(0, 0.1, size).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size, chunks", [(1, 0), (129, 3), (5000, 0), (20_000, 1_000_000)])
def test_tensors_move_by_the_bits_of_the_kernel(device, kind, size, chunks):
    wanted, first = start(size), chunks * kind.chunk
    kind().apply("w", wanted, first, Operations.of(MOVES))
    tensor = torch.tensor(start(size), device=device)
    EagerDirection(kind.name).apply_tensor("w", tensor, first, Operations.of(MOVES))
    np.testing.assert_array_equal(tensor.cpu().numpy(), wanted)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_pieces_and_shapes_change_no_bit(monkeypatch, device, kind):
    wanted = start(30_000)
    kind().apply("w", wanted, 0, Operations.of(MOVES))
    monkeypatch.setattr(eager, "PIECE", 8192)
    monkeypatch.setattr(eager, "PIECE_ELSEWHERE", 8192)
    tensor = torch.tensor(start(30_000).reshape(100, 300), device=device)
    EagerDirection(kind.name).apply_tensor("w", tensor, 0, Operations.of(MOVES))
    np.testing.assert_array_equal(tensor.cpu().numpy().reshape(-1), wanted)


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_numpy_arrays_move_in_place(monkeypatch, kind, kernels):
    monkeypatch.setattr(eager, "available", kernels)
    direction, wanted, found = EagerDirection(kind.name), start(9000), start(9000)
    kind().apply("w", wanted, 0, Operations.of(MOVES))
    direction.apply("w", found, 0, Operations.of(MOVES))
    np.testing.assert_array_equal(found, wanted)
    assert (direction.name, direction.chunk) == (kind.name, kind.chunk)
    np.testing.assert_array_equal(direction.values("w", (30, 3), SEED, 2), kind().values("w", (30, 3), SEED, 2))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("piece", [1, 700, 1 << 18])
@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("shape", [(50, 257), (3, 5000), (4097, 1), (1, 9000), (70,), (2, 5, 7)])
def test_low_rank_tensors_move_by_the_bits_of_the_kernel_and_of_the_definition(monkeypatch, device, piece, rank, shape):
    monkeypatch.setattr(eager, "PIECE", piece if piece * 20 > np.prod(shape) else 700)  # not thousands of pieces
    monkeypatch.setattr(eager, "PIECE_ELSEWHERE", 1 << 12)
    compiled, torch_form = LowRank({"w": shape}, rank, Rademacher()), EagerLowRank({"w": shape}, rank)
    size, operations = int(np.prod(shape)), Operations.of(MOVES)
    wanted = start(size)
    for move in MOVES:
        product = np.float32(move.amount) * compiled.values("w", shape, move.seed, move.perturbation).reshape(-1)
        wanted = wanted + product
    for first in range(0, size, compiled.chunk):
        for last in {min(first + compiled.chunk, size), size}:
            kernel, tensor = start(size)[first:last], torch.tensor(start(size)[first:last], device=device)
            compiled.apply("w", kernel, first, operations)
            torch_form.apply_tensor("w", tensor, first, operations)
            np.testing.assert_array_equal(kernel, wanted[first:last])
            np.testing.assert_array_equal(tensor.cpu().numpy(), kernel)
    for kernels in (True, False):
        monkeypatch.setattr(eager, "available", kernels)
        array = start(size)
        torch_form.apply("w", array, 0, operations)
        np.testing.assert_array_equal(array, wanted)


def test_weights_that_inference_uses_may_be_moved():
    with torch.inference_mode():
        tensor = torch.zeros(100)
        EagerDirection("rademacher").apply_tensor("w", tensor, 0, Operations.of([Move(1, 0, 0.5)]))
    assert tensor.abs().tolist() == [0.5] * 100
    parameter = torch.nn.Parameter(torch.zeros(100))
    EagerDirection("rademacher").apply_tensor("w", parameter, 0, Operations.of([Move(1, 0, 0.5)]))
    assert torch.equal(parameter, tensor)


def test_torch_is_not_imported_before_it_is_needed():
    code = "import sys, fl.directions.registry as r; r.direction('gaussian'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
