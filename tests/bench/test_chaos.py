"""The chaos benchmark's power cuts are survived by the journal, and would not be by a worse one."""

from __future__ import annotations

import os

import pytest

from bench.chaos_disk import power_cuts
from privacy import record_log
from privacy.record_log import RecordLog, encode


def test_the_journal_survives() -> None:
    assert power_cuts(200, 1) == 0


def test_a_log_that_keeps_torn_tails_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = record_log._parse
    monkeypatch.setattr(record_log, "_parse", lambda data, path: (parse(data, path)[0], len(data)))
    assert power_cuts(200, 1) > 10


def test_a_log_that_syncs_now_and_then_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(log: RecordLog, record: dict[str, object]) -> None:
        os.write(log._file, encode(record))
        if int(str(record.get("slot", 2))) % 4 == 2:
            record_log._sync(log._file)

    monkeypatch.setattr(RecordLog, "append", append)
    assert power_cuts(200, 1) > 10
