"""Virtual units for the backend's tests: the driver that talks to them is the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from radio.emulator.server import Plutos, serve


@pytest.fixture
def plutos() -> Iterator[Plutos]:
    """Three units on one air with one reference, in this process, on free ports."""
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as units:
        yield units


@pytest.fixture
def uri(plutos: Plutos) -> str:
    return plutos.uris[0]
