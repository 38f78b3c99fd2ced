"""Every study as it is designed: what is asked can be set up, fits its time, and is compared at equal work."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from fl.studies.choices import CASES
from fl.studies.rates import BUDGET, CHOSEN, CONTENDERS, contenders
from fl.studies.registry import STUDIES
from fl.studies.study import Scale
from fl.studies.training import Run, Train
from radio.errors import InputError

ISSUE = {"memory", "convergence", "snr", "privacy", "devices", "air", "communication", "heterogeneity"}


@pytest.fixture(scope="module")
def designs():
    return {name: study.design(Scale(seeds=study.seeds)) for name, study in STUDIES.items()}


def test_the_studies_are_those_of_the_issue_and_two_that_choose():
    assert set(STUDIES) == ISSUE | {"tune", "choices"}


@pytest.mark.parametrize("name", STUDIES)
def test_cells_differ_and_fit_into_ninety_minutes_of_two_cores(designs, name):
    cells = designs[name]
    assert len({cell.digest for cell in cells}) == len(cells)
    assert len({(tuple(cell.factors.items()), cell.seed) for cell in cells}) == len(cells)
    assert sum(cell.work.seconds for cell in cells) <= 92 * 60


@pytest.mark.parametrize("name", sorted(set(STUDIES) - {"memory"}))
def test_trained_cells_have_three_seeds_and_secrets_that_derive_from_them(designs, name):
    for cell in designs[name]:
        experiment = cell.work.prepared if isinstance(cell.work, Train) else cell.work.experiment
        assert experiment.run.seed == cell.seed
        assert experiment.privacy.reproducible and experiment.task.public
        if experiment.privacy.enabled and name != "privacy":
            assert experiment.privacy.delta <= 1e-5 or "paper" in str(cell.factors)
    seeds = {cell.seed for cell in designs[name]}
    assert len(seeds) >= (2 if name == "tune" else 3)


def test_the_page_lists_them_with_their_cells(designs):
    page = (Path(__file__).parents[3] / "docs" / "studies.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| ([\w ]+) \| [^|]+\|$", page, re.MULTILINE))
    assert list(listed) == list(STUDIES)
    assert listed.pop("communication") == "the same"
    assert listed == {name: str(len(cells)) for name, cells in designs.items() if name != "communication"}


def test_pairs_of_the_headlines_have_ten_seeds_and_5872_sentences(designs):
    for name, one, other in (
        ("privacy", {"rule": "none", "epsilon": None}, {"rule": "own-noise", "epsilon": 5.0}),
        ("air", {"mode": "ideal", "surroundings": "none"}, {"mode": "coherent", "surroundings": "Rayleigh, 10 dB"}),
    ):
        for factors in (one, other):
            cells = [cell for cell in designs[name] if cell.factors == factors]
            assert {cell.seed for cell in cells} == set(range(1, 11))
            task = cells[0].work.experiment.task
            assert (task.validation_examples, task.held_out) == (5000, "both")


def test_contenders_work_as_much_as_each_other():
    for cell in contenders(Scale(seeds=1), 1):
        spent = (cell.work.seconds - 8.0) * 640.0
        # evaluations come on top
        assert BUDGET <= spent + 1 < 1.6 * BUDGET, cell.name


def test_chosen_rates_are_of_contenders():
    assert set(CHOSEN) <= set(CONTENDERS)
    assert len(CASES) >= 15


def test_a_digest_knows_the_weights_and_not_where_things_lie(tmp_path: Path):
    def digest(**overrides):
        layers = {key.replace("__", "."): value for key, value in overrides.items()}
        model = layers.pop("model.source", "embedded")
        return Run(Scale(model=model, overrides=layers).experiment(1)).identity

    assert digest(task__root="/a") == digest(task__root="/b")
    assert digest(run__threads=1) == digest(run__threads=2)
    assert digest(learning__rate=0.02) != digest()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"one")
    assert digest(model__source=str(folder)) != digest()


def test_what_does_not_go_together_is_explained():
    with pytest.raises(InputError, match=r"study: learning\.mu = 2"):
        Scale(overrides={"learning.mu": 2.0}).experiment(1)


@pytest.mark.parametrize("name", sorted(set(STUDIES) - {"communication"}))
def test_what_is_kept_with_the_repository_is_of_the_cells_of_today(designs, name):
    """A change that would have everything measured again, or leaves rows behind that nothing asks for, is seen here."""
    kept = Path(__file__).parents[3] / "docs" / "results" / "studies" / name / "cells.csv"
    with kept.open(encoding="utf-8", newline="") as file:
        rows = {row["digest"] for row in csv.DictReader(file)}
    assert rows == {cell.digest for cell in designs[name]}
