"""`lab.server(...)`, `lab.device(...)`: commands in processes of their own, over real sockets, with keys of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.forks import Forks
from bench.lab import Lab


@pytest.fixture
def lab(forks: Forks, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(forks, tmp_path)
    yield made
    made.close()
