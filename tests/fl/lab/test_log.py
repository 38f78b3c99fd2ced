"""The log off the wire says the same moves as the log it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from fl.journal import Journal
from fl.lab.log import Log
from fl.lab.messages import Round
from fl.update import Carried, Move, RoundUpdate
from privacy.record_log import read_records


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
    for position in range(len(ours)):
        theirs.take(ours.round(position))
    assert [u.moves for u in theirs.updates] == [u.moves for u in journal.history.updates]
    assert theirs.updates == journal.history.updates
    assert len(theirs.updates[-1].moves) == 1 + 1 + 2  # own, one round back, two rounds back
    assert [ours.round(p).slot for p in range(4)] == [0, 1, 3, 4]
    assert [theirs.round(p) for p in range(4)] == [ours.round(p) for p in range(4)]


def test_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="entry 1 after 0"):
        Log().take(Round(1, 1, 5, 0.01, 1, "central", True))


def test_nothing_carries_on_before_the_first_round() -> None:
    with pytest.raises(ValueError, match="before it"):
        Log().take(Round(0, 0, 5, 0.01, 1, "central", True, (), (0.9, 1)))
