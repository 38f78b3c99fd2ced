"""What was spent after how many rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fl.reporting.facts import charges_after, completed, epsilon_points
from fl.reporting.run_files import RunFiles, evaluations, read_run
from privacy.accounting import Charge, epsilon
from privacy.record_log import encode

# Slot 1 was erased, slot 3 burned, slot 5 erased after the last commit.
JOURNAL = [("round", 0, 1), ("erased", 1, 0), ("round", 2, 2), ("burned", 3, 0), ("round", 4, 3), ("erased", 5, 0)]


def read(folder: Path, charges: dict[str, list[int]]) -> RunFiles:
    """A run with the journal above, whose devices were charged at these slots."""
    records = [{"type": kind, "slot": slot} | ({"round": t} if t else {}) for kind, slot, t in JOURNAL]
    (folder / "journal.jsonl").write_bytes(b"".join(encode(record) for record in records))
    copies = [{"owner": owner, "slot": slot, "times": 1} for owner, slots in charges.items() for slot in slots]
    (folder / "charges.jsonl").write_bytes(b"".join(encode(copy) for copy in copies))
    return read_run(folder)


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        ({}, [(1, 1), (2, 3), (3, 6)]),  # none copied yet: every slot may have been charged
        ({"a": [0, 1, 2, 3, 4, 5], "b": [0]}, [(1, 1), (2, 3), (3, 6)]),
        ({"a": [0, 2, 5], "b": [1, 2, 3, 4]}, [(1, 1), (2, 2), (3, 4)]),  # left out of some slots by the channel
        ({"a": [0, 1], "b": [0]}, [(1, 1), (2, 3), (3, 6)]),  # copied at an interruption after slot 1
        ({"a": [0, 1, 2, 3, 4, 5, 6]}, [(1, 1), (2, 3), (3, 7)]),  # slot 6 was charged and never journalled
    ],
)
def test_charges_of_the_device_charged_most(
    tmp_path: Path, charges: dict[str, list[int]], expected: list[tuple[int, int]]
) -> None:
    assert charges_after(read(tmp_path, charges)) == expected


def test_every_local_step_is_a_charge(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text("[learning]\nlocal_steps = 3\n")
    read(tmp_path, {})
    copies = [{"owner": "a", "slot": 0, "times": 3}, {"owner": "a", "slot": 1, "times": 2}]
    (tmp_path / "charges.jsonl").write_bytes(b"".join(encode(copy) for copy in copies))
    # slots 2 to 5 were not copied yet, and are counted with all their releases
    assert charges_after(read_run(tmp_path)) == [(1, 3), (2, 8), (3, 17)]


def test_epsilon_is_that_of_the_charges(tmp_path: Path) -> None:
    run = read(tmp_path, {"a": [0, 2, 5], "b": [1, 2, 3, 4]})
    known: dict[str, Any] = completed(run, evaluations(run)) | {"delta": 1e-5}
    assert epsilon_points(run, known) == ([], [])
    known |= {"sampling_rate": 0.01, "noise_multiplier": 1.0}
    rounds, spent = epsilon_points(run, known)
    assert rounds == [1, 2, 3]
    assert spent == [epsilon([(Charge(0.01, 1.0), n)], 1e-5) for n in (1, 2, 4)]
