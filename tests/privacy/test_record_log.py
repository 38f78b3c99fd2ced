from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy.record_log import RecordLog, encode, exact, from_exact, read_records
from radio.errors import InputError

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
records = st.lists(st.dictionaries(st.text(), plain, max_size=4), max_size=6)


def write(path: Path, items: list[dict]) -> None:
    with RecordLog(path) as log:
        for item in items:
            log.append(item)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=records)
def test_what_is_written_is_read_back_equal(items: list[dict], tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.unlink(missing_ok=True)
    write(path, items)
    assert read_records(path) == items
    with RecordLog(path) as log:
        assert log.found == items
        assert log.trimmed == 0


def test_the_format_is_checksum_space_canonical_json(tmp_path: Path) -> None:
    write(tmp_path / "log", [{"b": 0.1, "a": "ü"}])
    line = (tmp_path / "log").read_bytes()
    text = b'{"a":"\\u00fc","b":0.1}'
    assert line == f"{zlib.crc32(text):08x}".encode() + b" " + text + b"\n"


@settings(derandomize=True, deadline=None)
@given(st.floats())
def test_floats_are_exact(value: float) -> None:
    back = from_exact(exact(value))
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


def test_a_file_cut_at_any_byte_opens_with_every_complete_record(tmp_path: Path) -> None:
    """A power cut keeps everything up to the last sync and any part of what was being written."""
    items = [{"n": n, "text": "x" * n} for n in range(5)]
    whole = b"".join(encode(item) for item in items)
    ends = [sum(len(encode(item)) for item in items[:n]) for n in range(6)]
    path = tmp_path / "log"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in ends) - 1
        assert read_records(path) == items[:complete]  # a reader cuts nothing off
        assert path.stat().st_size == cut
        with RecordLog(path) as log:
            assert log.found == items[:complete]
            assert log.trimmed == cut - ends[complete]
            log.append({"after": cut})
        assert read_records(path) == [*items[:complete], {"after": cut}]


def test_a_torn_page_in_the_last_record_is_cut_off(tmp_path: Path) -> None:
    """The file's length may reach the disk before its contents: zeros, with or without the final newline."""
    good, torn = encode({"n": 1}), encode({"n": 2, "text": "y" * 50})
    for tail in (b"\0" * len(torn), b"\0" * 20 + torn[20:], torn[:20] + b"\0" * (len(torn) - 20)):
        (tmp_path / "log").write_bytes(good + tail)
        assert read_records(tmp_path / "log") == [{"n": 1}]
        with RecordLog(tmp_path / "log") as log:
            assert log.found == [{"n": 1}]
        assert (tmp_path / "log").read_bytes() == good


def test_damage_in_the_middle_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = b"".join(encode({"n": n}) for n in range(4))
    length = len(encode({"n": 0}))
    for position in range(length, 2 * length):
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        for opening in (RecordLog, read_records):
            with pytest.raises(InputError, match=r"log line 2 is damaged"):
                opening(path)
        assert path.read_bytes() == damaged


def test_only_one_may_write_and_readers_need_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with RecordLog(path) as log:
        log.append({"n": 1})
        with pytest.raises(InputError, match="log is in use by another process"):
            RecordLog(path)
        script = "import sys; from privacy.record_log import RecordLog; RecordLog(sys.argv[1])"
        other = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
        assert "in use by another process" in other.stderr
        assert read_records(path) == [{"n": 1}]
    with RecordLog(path) as log:
        assert log.found == [{"n": 1}]


def test_folders_are_made_and_impossible_paths_explained(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "log", [{}])
    assert read_records(tmp_path / "a" / "b" / "log") == [{}]
    with pytest.raises(InputError, match=r"cannot read .*nothing"):
        read_records(tmp_path / "nothing")
    with pytest.raises(InputError, match="cannot open"):
        RecordLog(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot open"):
        RecordLog(tmp_path / "file" / "log")


def test_what_json_cannot_say_is_refused_before_writing(tmp_path: Path) -> None:
    with RecordLog(tmp_path / "log") as log:
        with pytest.raises(ValueError):
            log.append({"x": math.nan})
        with pytest.raises(TypeError):
            log.append({"x": object()})
        log.append({"x": 1})
    assert read_records(tmp_path / "log") == [{"x": 1}]
    with pytest.raises(ValueError, match="closed"):
        log.append({})


def test_a_full_disk_leaves_only_whole_records_and_can_be_continued(tmp_path: Path) -> None:
    """The kernel's file-size limit stops a write in the middle of a record, as a full disk does."""
    path = tmp_path / "log"
    script = (
        "import resource, sys\n"
        "from privacy.record_log import RecordLog\n"
        "from radio.errors import InputError\n"
        "log = RecordLog(sys.argv[1])\n"
        "log.append({'n': 1})\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))\n"
        "try:\n"
        "    log.append({'n': 2, 'text': 'z' * 200})\n"
        "except InputError as problem:\n"
        "    print(problem)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "log.append({'n': 3})\n"
    )
    shown = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "cannot write to" in shown.stdout and "free some space" in shown.stdout
    assert read_records(path) == [{"n": 1}, {"n": 3}]


def test_killed_at_random_moments_no_acknowledged_record_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log"
    script = (
        "import os, sys\n"
        "from privacy.record_log import RecordLog\n"
        "log = RecordLog(sys.argv[1])\n"
        "n = len(log.found)\n"
        "while True:\n"
        "    log.append({'n': n, 'pad': 'p' * (n % 3000)})\n"
        "    os.write(1, b'%d\\n' % n)\n"
        "    n += 1\n"
    )
    moments = random.Random(4)
    for _ in range(6):
        child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        first = child.stdout.readline()  # it is up and writing
        time.sleep(moments.uniform(0.0, 0.05))
        os.kill(child.pid, signal.SIGKILL)
        acknowledged = (first + child.stdout.read()).split()
        child.wait()
        child.stdout.close()
        found = [record["n"] for record in read_records(path)]
        assert found == list(range(len(found)))
        assert len(found) > int(acknowledged[-1])
    assert json.loads(path.read_bytes().split(b"\n")[0][9:])["n"] == 0
