"""Nodes of Flower in this process; what needs flwr is imported only where a test that has it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def direct() -> Callable[..., Any]:
    """`direct(settings, fresh=False)`: a grid of nodes with those settings, see `direct.py`."""
    from tests.fl.flower.direct import DirectGrid

    return DirectGrid


@pytest.fixture
def partitions(direct: Callable[..., Any]) -> Callable[..., Any]:
    """`partitions(3)`: nodes as Flower's simulation makes them."""

    def make(number: int, fresh: bool = False) -> Any:
        return direct([{"partition-id": k, "num-partitions": number} for k in range(number)], fresh)

    return make


@pytest.fixture
def strategy() -> Callable[..., Any]:
    from fl.flower.strategy import Strategy

    return lambda folder, **more: Strategy(folder, wait_s=0.0, quiet=True, **more)
