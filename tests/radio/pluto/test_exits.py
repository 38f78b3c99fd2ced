"""Silence, an orderly exit code and nothing left behind, on every way out of a program."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import pytest

from radio.emulator.server import Plutos
from radio.pluto.transceiver import open_radio
from radio.pluto.unit import Unit

pytestmark = pytest.mark.libiio

PROGRAM = """
import signal, sys, time
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
from radio.pluto.permit import TransmitPermit
from radio.pluto.transceiver import open_radio

radio = open_radio(sys.argv[1], permit=TransmitPermit(902e6, 928e6, 10.0), drain=sys.argv[2] == "drained")
radio.rate_sps, radio.lo_hz, radio.transmit_gain_db = 1e6, 915e6, -20.0
radio.transmit(np.ones(64, complex), cyclic=True)
radio.receive(64)
print("on the air", flush=True)
way = sys.argv[2]
if way == "exception":
    raise RuntimeError("on purpose")
if way == "exit":
    sys.exit(5)
if way == "wait":
    time.sleep(60)
"""


def leave(uri: str, way: str, number: int | None = None) -> tuple[int, str]:
    """Exit code and standard error of a program that transmits and leaves in that way."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, uri, way], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "on the air\n"
    if number is not None:
        process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("way", "number", "code"),
    [
        ("end", None, 0),
        ("exit", None, 5),
        ("drained", None, 0),  # a thread still reads
        ("exception", None, 1),
        ("wait", signal.SIGTERM, 143),
        ("wait", signal.SIGHUP, 129),
        ("wait", signal.SIGINT, -2),  # Python's own way to leave through KeyboardInterrupt
    ],
)
def test_a_program_that_leaves_while_transmitting(plutos: Plutos, way: str, number: int | None, code: int) -> None:
    """The code is that of the way out and never that of a segmentation fault (-11), which a context that dies before its
    buffers is."""
    returned, errors = leave(plutos.uris[0], way, number)
    assert returned == code, errors
    unit = plutos.units[0]
    settings = unit.transceiver.settings
    assert settings.tx_gain_db == -89.75 and settings.tx_down and settings.loopback == 0
    assert unit.transmit_buffer is None and unit.capture_buffer is None and not unit.core.generating


def test_five_hundred_openings_leak_no_descriptor(uri: str) -> None:
    def descriptors() -> int:
        gc.collect()
        return len([n for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")])

    def once(turn: int) -> None:
        if turn % 10:
            Unit(uri).close()
            return
        with open_radio(uri, block_samples=64, kernel_blocks=1) as radio:
            radio.receive(10)

    once(0)
    before = descriptors()
    for turn in range(500):
        once(turn)
    assert descriptors() <= before + 2  # the server's side may be one connection behind
