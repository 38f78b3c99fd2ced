"""`pairzero emulate` as a process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "fl.cli", "emulate", "--host", "127.0.0.1", "--port"]


@contextmanager
def emulator(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process, once it is ready, and the lines it printed before."""
    process = subprocess.Popen([*COMMAND, "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.strip() == "ready":
                break
        yield process, lines
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_leave_and_leaves_with_zero(number: signal.Signals) -> None:
    with emulator("--count", "2", "--clock", "shared") as (process, lines):
        assert lines[-1] == "ready" and len(lines) == 3
        uri, serial = lines[1].split()
        assert serial == "virtual-01"
        _, host, port = uri.split(":")
        with socket.create_connection((host, int(port)), timeout=10.0) as link:
            link.sendall(b"VERSION\r\n")
            assert link.recv(100).startswith(b"0.")
            process.send_signal(number)
            assert process.wait(20) == 0
            assert link.recv(1) == b""
        assert process.stderr is not None and process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0", "--count", "0"], "count is 0"),
        (["0", "--profile", "moon"], "profile is 'moon'"),
        (["0", "--clock", "atomic"], "clock is 'atomic'"),
        (["0", "--faults", "9:stall@capture=1"], "unit 9"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr and not done.stdout


def test_an_address_in_use_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run([*COMMAND, str(port)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr and "another `pairzero emulate`" in done.stderr


def test_neither_torch_nor_the_driver_is_imported() -> None:
    code = (
        "import sys; import fl.cli; from radio.emulator.server import serve; "
        "serve(2, host='127.0.0.1', port=0).close(); "
        "print(sorted({'torch', 'transformers', 'adi', 'iio', 'numba', 'scipy.signal'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
