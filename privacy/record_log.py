"""An append-only file of records that survives kills and power cuts: the privacy ledger and a run's journal.

One record a line: CRC-32 of the text (8 hex digits), a space, canonical JSON. A record is written with one write
and is on the disk before `append` returns. A crash can therefore only ever damage the last line, and opening the
file cuts such a torn tail off; damage anywhere else is not ours, and the file is refused rather than guessed at.
One writer at a time (`flock`).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from radio.errors import InputError

Record = dict[str, Any]


def exact(value: float) -> str:
    """A float as text that gives back the same bits, infinities and NaN included ('0x1.8p+1')."""
    return float(value).hex()


def from_exact(text: str) -> float:
    """Inverse of `exact`."""
    return float.fromhex(text)


def encode(record: Mapping[str, Any]) -> bytes:
    """One line. Plain JSON types only; floats read back equal; NaN and infinities need `exact`."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_records(path: str | os.PathLike[str]) -> list[Record]:
    """All complete records, without locking, also while another process writes. A torn last line is left out.

    Raises InputError when the file cannot be read or is damaged before its last line.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        raise InputError(f"cannot read {path}: {problem.strerror}") from problem
    return _parse(data, path)[0]


class RecordLog:
    """The one writer of a log. Opening creates the file and its folders if need be.

    found    the records that were in the file when it was opened
    trimmed  bytes of a torn last record that were cut off
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = -1
        self._failed = False
        try:
            _make_folders(self.path.parent)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._lock()
            data = _read_all(self._file)
            self.found, self._good = _parse(data, self.path)
            self.trimmed = len(data) - self._good
            if self.trimmed:
                os.ftruncate(self._file, self._good)
            # A process killed between write and sync leaves records that only the page cache knows: make them
            # durable before building on them.
            _sync(self._file)
            _sync_folder(self.path.parent)
        except OSError as problem:
            self.close()
            raise InputError(f"cannot open {self.path} for appending: {problem.strerror}") from problem
        except InputError:
            self.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            if problem.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise InputError(
                f"{self.path} is in use by another process, and only one may write to it; wait for it to end"
            ) from problem

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record and return once it is on the disk.

        Raises InputError when it cannot be (disk full, ...); the record is then not in the file, whose earlier
        records are intact.
        """
        if self._failed:
            raise InputError(f"{self.path} takes no more records after a failed write; mend the disk and resume")
        if self._file < 0:
            raise ValueError(f"{self.path} is closed")
        line = encode(record)
        try:
            rest = line[os.write(self._file, line) :]
            while rest:  # a short write: the disk is nearly full, and the next write says why
                rest = rest[os.write(self._file, rest) :]
            _sync(self._file)
        except OSError as problem:
            self._take_back(problem)
            hint = "; free some space and resume" if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
            raise InputError(f"cannot write to {self.path}: {problem.strerror}{hint}") from problem
        self._good += len(line)

    def _take_back(self, problem: OSError) -> None:
        try:
            os.ftruncate(self._file, self._good)
            _sync(self._file)
        except OSError:
            problem.errno = None  # the disk is gone altogether; opening again will trim what is left
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            self.close()  # after a failed sync the system may have dropped the data and say nothing at the next one
            self._failed = True

    def close(self) -> None:
        """Release the lock. Closing twice does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> RecordLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _parse(data: bytes, path: str | os.PathLike[str]) -> tuple[list[Record], int]:
    """Records, and the number of bytes they take up."""
    records: list[Record] = []
    good = 0
    lines = data.split(b"\n")  # the last one is what follows the last newline: empty unless torn
    for number, line in enumerate(lines[:-1], start=1):
        record = _decode(line)
        if record is None:
            if good + len(line) + 1 == len(data):
                break  # the last line
            raise InputError(
                f"{path} line {number} is damaged (its checksum does not match) and is not the last line, so this is "
                "not the trace of a crash; restore the file from a copy"
            )
        records.append(record)
        good += len(line) + 1
    return records, good


def _decode(line: bytes) -> Record | None:
    text = line[9:]
    if line[:9] != b"%08x " % zlib.crc32(text):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _read_all(file: int) -> bytes:
    parts = []
    offset = 0
    while part := os.pread(file, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _sync(file: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(file, fcntl.F_FULLFSYNC)  # fsync alone leaves the data in the drive's cache there
    else:
        os.fsync(file)


def _make_folders(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for name in reversed(missing):
        name.mkdir(exist_ok=True)
        _sync_folder(name.parent)


def _sync_folder(folder: Path) -> None:
    """Make a new file's name durable, not only its contents."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
