"""Processes of a lab that are killed at every named seam, and at random: nothing is lost, nothing is spent twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.chaos_kills import kill_again_and_again
from bench.forks import Forks
from bench.seams import DEVICE, SEAMS, SERVER
from bench.toy import toy_experiment

RANDOM = 10  # bench/chaos.py has two hundred


@pytest.fixture(scope="module")
def toy(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Forks, Path]]:
    file = tmp_path_factory.mktemp("toy") / "experiment.toml"
    file.write_text(toy_experiment(tiny_model, rounds=40).to_toml(), encoding="utf-8")
    with Forks([file]) as forks:
        yield forks, file


def test_seams_have_names_of_their_own() -> None:
    assert len({str(seam) for seam in SEAMS}) == len(SEAMS) == len(SERVER) + len(DEVICE) > 60


def test_a_kill_at_every_seam_and_some_at_random(toy: tuple[Forks, Path], tmp_path: Path) -> None:
    tally = kill_again_and_again(*toy, tmp_path, SEAMS, RANDOM, seed=2)
    assert set(tally.seams) == set(SEAMS) and tally.random == RANDOM
    assert tally.mismatches == tally.lost == tally.overspends == 0
    assert tally.burned <= tally.kills and tally.replicas >= 3
