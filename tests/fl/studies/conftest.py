"""A study of nothing, and the quick forms of those there are."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fl.studies.cell import Cell
from fl.studies.registry import STUDIES
from fl.studies.show import accuracy_table, levels
from fl.studies.study import Scale, Study
from tests.fl.studies.fake import CARRIED_OUT, Fake, nothing

Quick = Callable[[str], Path]


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where quick studies are kept."""
    return tmp_path_factory.mktemp("studies")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def quick(pairzero, studies) -> Quick:
    """`quick("snr")`: the study's folder after its quick form, by the command; everything that is common is checked."""

    def run(name: str) -> Path:
        done = pairzero("reproduce", name, "--quick", "--out", studies)
        assert done.code == 0, done.err
        folder, study = studies / f"{name}-quick", STUDIES[name]
        page = (folder / f"{name}.md").read_text()
        assert "shows the study's shape, not its figures" in page and "## Not run" not in page
        tables = [path for path in folder.glob("*.csv") if path.stem not in ("cells", "curves")]
        assert tables and all(len(path.read_text().splitlines()) > 1 for path in tables)
        assert {p.stem for p in folder.glob("*.svg")} == {p.stem for p in folder.glob("*.png")}
        cells = rows_of(studies / f"{study.cells_of or name}-quick" / "cells.csv")
        assert cells and {row["status"] for row in cells} == {"done"}
        return folder

    return run


@pytest.fixture
def carried_out() -> list[tuple[float, int]]:
    CARRIED_OUT.clear()
    return CARRIED_OUT


@pytest.fixture
def make_study() -> Callable[..., Study]:
    def make(
        levels_of: tuple[float, ...] = (1.0, 2.0), fails: Mapping[float, Callable[[Path], None]] | None = None
    ) -> Study:
        def design(scale: Scale) -> list[Cell]:
            return [
                Cell({"level": level, "rule": "fake"}, seed, Fake(level, seed, (fails or {}).get(level, nothing)))
                for seed in range(1, scale.seeds + 1)
                for level in levels_of
            ]

        return Study(
            "fake", "is nothing something?", "It is not.", design,
            lambda results: ([accuracy_table(results)], [levels(results, "level", "rule", "level")]),
        )  # fmt: skip

    return make
