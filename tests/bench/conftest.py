"""Benchmarks in their quick form, in this process: what they import has been imported once for all of them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """`bench("step")`: what `python -m bench.step --quick` reports, its rows by name."""
    monkeypatch.chdir(ROOT)
    threads = torch.get_num_threads()

    def run(name: str, *words: str) -> dict[str, Any]:
        file = tmp_path / f"{name}.json"
        monkeypatch.setattr(sys, "argv", [f"bench.{name}", *words, "--quick", "--json", str(file)])
        import_module(f"bench.{name}").main()
        written = json.loads(file.read_text(encoding="utf-8"))
        assert written["bench"] == name and written["quick"] is True
        return {row["name"]: row for row in written["rows"]}

    yield run
    torch.set_num_threads(threads)
    logging.disable(
        logging.NOTSET
    )  # some benchmarks say less than a session, and would keep later tests from hearing it
    logging.getLogger("radio").setLevel(logging.NOTSET)
