"""Power cuts, played on a journal: at any sync, of what is not yet synced any part is left, or zeros where it should be."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np

from fl.journal import NAME, History, Journal, read_history
from fl.update import RoundUpdate, own_moves
from privacy import record_log
from radio.errors import InputError
from radio.streams import stream

LONGEST = 8  # syncs that a process lives
CUTS = 20  # of one journal


class _PowerCut(BaseException):
    pass


class _Disk:
    """Stands in for `record_log._sync`: knows what is durable, and cuts the power when its time has come."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.durable, self.left, self.file, self.draw = b"", 0, -1, draw

    def sync(self, file: int) -> None:
        self.left, self.file = self.left - 1, file
        before = self.left == 0 and self.draw.random() < 0.5
        if before:
            raise _PowerCut
        self.durable = os.pread(file, os.fstat(file).st_size, 0)
        if self.left == 0:
            raise _PowerCut

    def lose(self, path: Path) -> None:
        """Leave on the disk what a power cut may leave."""
        now, durable, draw = path.read_bytes(), self.durable, self.draw
        if len(now) < len(durable):  # a cut-off tail that was not synced may be back
            now = durable if draw.random() < 0.5 else now
        else:
            assert now.startswith(durable)
            tail = now[len(durable) :]
            kept = tail[: int(draw.integers(len(tail) + 1))]
            zeros = bytes(int(draw.integers(len(tail) - len(kept) + 1)))
            now = durable + (zeros + tail[len(zeros) :] if draw.random() < 0.25 else kept + zeros)
        path.write_bytes(now)
        self.durable = now


def power_cuts(count: int, seed: int) -> int:
    """Journals that could not be opened after a power cut, or had lost an acknowledged record or gained one."""
    draw = stream(seed, "power cuts")
    disk = _Disk(draw)
    corrupt = cuts = 0
    with tempfile.TemporaryDirectory() as folder, patch.object(record_log, "_sync", disk.sync):
        while cuts < count:
            run = Path(folder) / str(cuts)
            run.mkdir()
            disk.durable, said = b"", 0
            for _ in range(min(CUTS, count - cuts)):
                said, asked = _live(run, disk, said)
                cuts += 1
                disk.lose(run / NAME)
                try:
                    kept = _records(read_history(run)) if disk.durable.count(b"\n") else 0
                except InputError:
                    kept = -1 if said else 0  # a header that never was durable is no loss
                if not said <= kept <= asked:
                    corrupt += 1
                    break
                said = kept
    return corrupt


def _live(run: Path, disk: _Disk, said: int) -> tuple[int, int]:
    """A process that writes records until the power is cut; (acknowledged records, those and the one in flight)."""
    disk.left = int(disk.draw.integers(1, LONGEST))
    asked = max(said, 1)  # the header
    journal: Journal | None = None
    try:
        journal = Journal(run, {"name": "chaos"})
        said = asked = _records(journal.history)
        while True:
            asked = said + 1
            slot = journal.history.slots.last + 1
            update = RoundUpdate(slot, 0.01, 1, "central", own_moves(slot, (0.5,)))
            match slot % 4:
                case 0 | 1:
                    journal.commit(slot, update, 0.5, [1.0], 3)
                case 2:
                    journal.erase(slot, RoundUpdate(slot, 0.01, 1, "central", ()), "nothing heard")
                case _:
                    journal.burn(slot)
            said = asked
    except _PowerCut:
        return said, asked
    finally:
        if journal is not None:
            journal.close()
        else:  # the power went while it was opened
            with contextlib.suppress(OSError):
                os.close(disk.file)


def _records(history: History) -> int:
    return 1 + len(history.slots)
