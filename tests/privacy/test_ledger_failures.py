"""Every system call that may fail while a charge is written, made to fail: InputError, and no permission."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from privacy.accounting import Charge
from privacy.ledger import Budget, Ledger, Owner
from privacy.record_log import read_records
from radio.errors import InputError

OWNER = Owner("device-0", "d" * 64)
BUDGET = Budget(2.0, 1e-5)
CHARGE = Charge(1.0, 20.0)
CALLS = ("open", "write", "fsync", "ftruncate", "pread")


class Disk:
    """Lets the first `good` calls through and fails `bad` of those that follow; a failing write may be short first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, good: int, bad: int, code: int, short: bool = False) -> None:
        self.good, self.bad, self.code, self.short = good, bad, code, short
        self.calls = 0
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, call):  # type: ignore[no-untyped-def]
        def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
            self.calls += 1
            if self.good < self.calls <= self.good + self.bad:
                if name == "write" and self.short:
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise OSError(self.code, os.strerror(self.code))
            return call(*arguments, **named)

        return wrapped


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("bad", [1, 2, 1000])
@pytest.mark.parametrize("short", [False, True])
def test_a_failure_at_any_point_gives_no_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, bad: int, short: bool
) -> None:
    reached = 0
    for good in range(40):
        path = tmp_path / str(good) / "ledger"
        permitted = 0
        with monkeypatch.context() as patch:
            disk = Disk(patch, good, bad, code, short)
            try:
                with Ledger(path, OWNER, BUDGET) as ledger:
                    for slot in range(3):
                        try:
                            ledger.charge("run", slot, CHARGE)
                        except InputError:
                            continue
                        permitted += 1
            except InputError:
                pass
            reached = max(reached, disk.calls)
            if disk.calls <= good:
                assert permitted == 3
        found = [r for r in read_records(path) if r["kind"] == "charge"] if path.exists() else []
        assert len(found) >= permitted
        with Ledger(path, OWNER, BUDGET) as ledger:  # whatever happened, the ledger opens again and goes on
            assert sum(count for _, count in ledger.spent()) == len(found)
            ledger.charge("run", 9, CHARGE)
    assert reached < 40  # every call was made to fail once


def test_after_a_failed_sync_no_charge_is_taken_until_reopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger"
    with Ledger(path, OWNER, BUDGET) as ledger:
        ledger.charge("run", 0, CHARGE)
        with monkeypatch.context() as patch:
            Disk(patch, 1, 1, errno.EIO)  # the write succeeds, the sync does not
            with pytest.raises(InputError, match="cannot write to"):
                ledger.charge("run", 1, CHARGE)
        for _ in range(2):
            with pytest.raises(InputError, match="mend the disk"):
                ledger.charge("run", 1, CHARGE)
    with Ledger(path, OWNER, BUDGET) as ledger:
        assert ledger.spent() == [(CHARGE, 1)]
        ledger.charge("run", 1, CHARGE)


def test_killed_at_random_moments_every_permitted_charge_of_a_schedule_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    script = (
        "import os, sys\n"
        "from privacy.accounting import Charge\n"
        "from privacy.ledger import Budget, Ledger, Owner\n"
        "ledger = Ledger(sys.argv[1], Owner('device-0', 'd' * 64), Budget(2.0, 1e-5))\n"
        "for slot in range(10**6):\n"
        "    multiplier = 100.0 + slot % 7\n"
        "    ledger.charge(sys.argv[2], slot, Charge(1.0, multiplier))\n"
        "    os.write(1, b'%d\\n' % slot)\n"
    )
    moments, permitted, kills = random.Random(3), [], 5
    for run in range(kills):
        child = subprocess.Popen([sys.executable, "-c", script, str(path), str(run)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.1))
        os.kill(child.pid, signal.SIGKILL)
        told = (first + child.stdout.read()).split(b"\n")
        permitted += [(str(run), int(slot)) for slot in told if slot]
        child.wait()
        child.stdout.close()
    charged = [(r["run"], r["slot"]) for r in read_records(path) if r["kind"] == "charge"]
    assert set(permitted) <= set(charged)
    assert kills <= len(permitted) <= len(charged) <= len(permitted) + kills
