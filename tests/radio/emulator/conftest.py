"""Virtual units on free ports of this machine, and pyadi-iio's own class on them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from shutil import which
from typing import Any

import pytest

from radio.emulator.server import Plutos, serve


@pytest.fixture
def plutos() -> Iterator[Plutos]:
    """Three units with one reference."""
    with serve(3, clock="shared", seed=5, host="127.0.0.1", port=0) as units:
        yield units


@pytest.fixture
def connect() -> Iterator[Callable[[str], Any]]:
    """`adi.Pluto` of a URI; buffers are destroyed afterwards, without which libiio 0.x crashes when Python ends."""
    import adi

    opened = []

    def pluto(uri: str) -> Any:
        opened.append(adi.Pluto(uri=uri))
        return opened[-1]

    yield pluto
    for one in opened:
        one.rx_destroy_buffer()
        one.tx_destroy_buffer()


@pytest.fixture
def tool() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs one of libiio's command-line tools."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        path = which(name)
        assert path is not None, f"{name} is not installed; apt-get install libiio-utils (hardware.md)"
        return subprocess.run([path, *arguments], capture_output=True, timeout=30, check=False)

    return run
