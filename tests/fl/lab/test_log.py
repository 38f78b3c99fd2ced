"""The log off the wire says the same moves as the log it came from."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fl.journal import Journal
from fl.lab.log import STRIDE, Log
from fl.lab.messages import Round
from fl.update import Carried, Move, RoundUpdate
from privacy.record_log import read_records
from radio.errors import InputError


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Three committed rounds, the later ones with momentum, an erased and a burned slot between them."""
    made = Journal(tmp_path, {"run_id": "0" * 16, "experiment": "x"})
    first = RoundUpdate(11, 0.01, 2, "central", (Move(11, 0, -0.1), Move(11, 1, 0.2)))
    made.commit(0, first, 0.1, [1.0, -2.0], 3)
    made.erase(1, RoundUpdate(12, 0.01, 2), "nobody")
    made.burn(2)
    for slot, seed in ((3, 13), (4, 2**64 - 1)):
        carried = Carried(0.9, 8, made.history.last)
        made.commit(slot, RoundUpdate(seed, 0.01, 2, "central", (Move(seed, 0, 0.3),), carried), 0.1, [1.0, 1.0], 3)
    made.close()
    return made


def test_a_log_taken_entry_by_entry_moves_the_same(journal: Journal, tmp_path: Path) -> None:
    ours = Log.of(journal.history, read_records(tmp_path / "journal.jsonl"))
    theirs = Log()
    for entry in ours.rounds(0, len(ours)):
        theirs.take(entry)
    assert [u.moves for u in theirs.updates] == [u.moves for u in journal.history.updates]
    assert theirs.updates == journal.history.updates
    assert len(theirs.updates[-1].moves) == 1 + 1 + 2  # own, one round back, two rounds back
    assert [entry.slot for entry in ours.rounds(0, 4)] == [0, 1, 3, 4]
    assert theirs.rounds(0, 4) == ours.rounds(0, 4)


def test_any_part_of_a_long_log() -> None:
    log = Log()
    for slot in range(2 * STRIDE + 10):
        log.add(slot, RoundUpdate(slot, 0.01, 1, "central", (Move(slot, 0, 0.1),) * (slot % 3)), committed=slot % 3 > 0)
    for first, stop in ((0, 1), (STRIDE - 1, STRIDE + 1), (STRIDE, STRIDE), (7, 2 * STRIDE + 3), (0, len(log))):
        assert [entry.position for entry in log.rounds(first, stop)] == list(range(first, stop))
    assert [len(entry.moves) for entry in log.rounds(STRIDE, STRIDE + 6)] == [s % 3 for s in range(STRIDE, STRIDE + 6)]
    with pytest.raises(IndexError, match="of 522"):
        log.rounds(0, 523)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    log = Log()
    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(InputError, match="No space left on device; free some space there, or set TMPDIR"):
        log.add(0, RoundUpdate(0, 0.01, 1), committed=False)
    assert len(log) == 0


def test_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="entry 1 after 0"):
        Log().take(Round(1, 1, 5, 0.01, 1, "central", True))


def test_nothing_carries_on_before_the_first_round() -> None:
    with pytest.raises(ValueError, match="before it"):
        Log().take(Round(0, 0, 5, 0.01, 1, "central", True, (), (0.9, 1)))
