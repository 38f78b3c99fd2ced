"""The server on its sockets: what a client sees that libiio would hide."""

from __future__ import annotations

import errno
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from radio.emulator.faults import parse_fault
from radio.emulator.server import Plutos, serve
from radio.errors import InputError


class Client:
    """The protocol by hand."""

    def __init__(self, plutos: Plutos, unit: int = 0) -> None:
        _, host, port = plutos.uris[unit].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=10.0)
        self.file = self.socket.makefile("rb")

    def say(self, text: str, payload: bytes = b"") -> int:
        self.socket.sendall(text.encode() + b"\r\n" + payload)
        return self.number()

    def number(self) -> int:
        line = self.file.readline()
        if not line:
            raise ConnectionResetError("the server closed the connection")
        return int(line)

    def read(self, where: str) -> str:
        length = self.say(f"READ {where}")
        assert length > 0, os.strerror(-length)
        return self.file.read(length + 1)[:-2].decode()

    def write(self, where: str, value: str) -> int:
        raw = value.encode() + b"\0"
        return self.say(f"WRITE {where} {len(raw)}", raw)

    def block(self, samples: int) -> np.ndarray:
        got = self.say(f"READBUF iio:device3 {4 * samples}")
        assert got == 4 * samples, os.strerror(-got)
        assert self.file.readline() == b"00000003\n"
        return np.frombuffer(self.file.read(got), dtype="<i2").reshape(-1, 2)

    def push(self, codes: np.ndarray) -> int:
        raw = codes.astype("<i2").tobytes()
        answer = self.say(f"WRITEBUF iio:device2 {len(raw)}")
        if answer < 0:
            return answer
        self.socket.sendall(raw)
        return self.number()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextmanager
def client(plutos: Plutos, unit: int = 0) -> Iterator[Client]:
    made = Client(plutos, unit)
    try:
        yield made
    finally:
        made.close()


def soon(happened: Callable[[], bool]) -> bool:
    """Whether it comes true: a closed socket is noticed by another thread."""
    until = time.monotonic() + 10.0
    while not happened() and time.monotonic() < until:
        time.sleep(0.005)
    return happened()


def tone(n: int = 1024) -> np.ndarray:
    wave = 16000 * np.exp(2j * np.pi * 5 * np.arange(n) / n)
    return np.stack([wave.real, wave.imag], axis=1)


def test_a_session_by_hand(plutos: Plutos) -> None:
    with client(plutos) as one:
        assert one.say("ZPRINT") == one.say("BINARY") == -errno.EINVAL
        document = one.file.read(one.say("PRINT") + 1)
        assert document.startswith(b"<?xml") and document.endswith(b"</context>\n")
        one.socket.sendall(b"\r\n")  # blank lines are not answered
        assert one.say("TIMEOUT 2500") == 0
        assert one.say("GETTRIG iio:device3") == -errno.ENOENT
        assert one.read("iio:device0 INPUT voltage0 gain_control_mode") == "slow_attack"
        assert one.write("iio:device0 INPUT voltage0 gain_control_mode", "manual") == 7
        assert one.write("iio:device0 INPUT voltage0 gain_control_mode", "bold") == -errno.EINVAL
        assert one.read("ad9361-phy INPUT voltage0 gain_control_mode") == "manual"
        assert one.say("READ iio:device9 x") == -errno.ENODEV
        assert one.say("READ iio:device0 x") == -errno.ENOENT
        assert one.say("SET iio:device0 BUFFERS_COUNT 4") == -errno.EINVAL
        assert one.say("CLOSE iio:device3") == -errno.EBADF
        assert one.say("READBUF iio:device3 64") == -errno.EBADF
        assert one.say("WRITEBUF iio:device2 64") == -errno.EBADF
        one.socket.sendall(b"EXIT\r\n")
        assert one.file.read() == b""


def test_all_attributes_of_a_list_at_once(plutos: Plutos) -> None:
    with client(plutos) as one:
        body = one.file.read(one.say("READ iio:device4 ") + 1)[:-1]
        length = int.from_bytes(body[:4], "big")
        assert body[4 : 4 + length] == b"-1\0"  # mark, the first of them


def test_reads_of_any_size_are_one_stream(plutos: Plutos) -> None:
    with client(plutos) as one:
        assert one.write("iio:device4 mark", "3") > 0
        assert one.say("OPEN iio:device3 100 00000003") == 0
        numbers = np.concatenate([one.block(size)[:, 1] for size in (30, 250, 20)])
        assert np.array_equal(numbers, np.repeat([1, 2, 3], 100))
        assert one.say("OPEN iio:device3 100 00000003") == -errno.EBUSY
        assert one.say("CLOSE iio:device3") == 0


def test_a_cyclic_buffer_takes_one_block_and_nobody_else_gets_the_device(plutos: Plutos) -> None:
    with client(plutos) as one, client(plutos) as two:
        assert one.say("OPEN iio:device2 1024 00000003 CYCLIC") == 0
        assert two.say("OPEN iio:device2 1024 00000003") == -errno.EBUSY
        assert one.push(tone()) == 4096
        assert one.push(tone()) == -errno.EBUSY
        assert one.say("CLOSE iio:device2") == 0
        assert two.say("OPEN iio:device2 1024 00000003") == 0


def test_a_lost_socket_takes_its_signal_off_the_air(plutos: Plutos) -> None:
    with client(plutos) as one:
        assert one.say("OPEN iio:device2 1024 00000003 CYCLIC") == 0
        assert one.push(tone()) == 4096
        assert plutos.units[0].air.senders[0].waves
    assert soon(lambda: not plutos.units[0].air.senders[0].waves)
    with client(plutos) as again:
        assert again.say("OPEN iio:device2 1024 00000003 CYCLIC") == 0


def arm(plutos: Plutos, text: str, unit: int = 0) -> None:
    with plutos.lock:
        plutos.units[unit].faults.arm(parse_fault(text, unit))


def test_fault_eio_and_the_next_command_is_served(plutos: Plutos) -> None:
    with client(plutos) as one:
        assert one.write("iio:device4 fault", "eio@command=1,count=2") > 0
        assert one.say("READ iio:device0 xo_correction") == -errno.EIO
        assert one.write("iio:device0 INPUT voltage0 gain_control_mode", "manual") == -errno.EIO
        assert one.read("iio:device0 INPUT voltage0 gain_control_mode") == "slow_attack"
        assert one.write("iio:device4 fault", "explode@command=1") == -errno.EINVAL


def test_fault_ebusy_at_opening(plutos: Plutos) -> None:
    arm(plutos, "ebusy@open=1")
    with client(plutos) as one:
        assert one.say("OPEN iio:device3 64 00000003") == -errno.EBUSY
        assert one.say("OPEN iio:device3 64 00000003") == 0


def test_fault_drop_closes_the_connection_only(plutos: Plutos) -> None:
    with client(plutos) as one, client(plutos) as two:
        assert one.say("OPEN iio:device3 64 00000003") == 0
        arm(plutos, "drop@capture=2")
        one.block(64)
        with pytest.raises(ConnectionResetError):
            one.say("READBUF iio:device3 256")
        assert two.read("iio:device0 xo_correction") == "40000000"
        assert soon(lambda: plutos.units[0].capture_buffer is None)


def test_fault_stall_ends_when_the_client_leaves(plutos: Plutos) -> None:
    with client(plutos) as one:
        assert one.say("OPEN iio:device3 64 00000003") == 0
        arm(plutos, "stall@capture=1,seconds=1000")
        one.socket.sendall(b"READBUF iio:device3 256\r\n")
        one.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            one.socket.recv(1)
    assert soon(lambda: plutos.units[0].capture_buffer is None)


def test_fault_stall_is_over_after_its_time(plutos: Plutos) -> None:
    with client(plutos) as one:
        arm(plutos, "stall@command=1,seconds=0.05")
        assert one.read("iio:device0 xo_correction") == "40000000"


def test_fault_gap_loses_samples_in_the_middle_of_a_block(plutos: Plutos) -> None:
    with client(plutos) as receiver, client(plutos, 1) as sender, client(plutos, 1) as control:
        for number, one in ((0, receiver), (1, control)):
            assert one.write(f"iio:device0 OUTPUT altvoltage{number} frequency", "915000000") > 0
        assert receiver.write("iio:device0 INPUT voltage0 gain_control_mode", "manual") > 0
        assert receiver.write("iio:device0 INPUT voltage0 hardwaregain", "20") > 0
        assert sender.say("OPEN iio:device2 1024 00000003 CYCLIC") == 0
        assert sender.push(tone()) == 4096
        assert receiver.say("OPEN iio:device3 32768 00000003") == 0
        for _ in range(55):
            before = receiver.block(32768)
        arm(plutos, "gap@capture=1,seconds=3.2552083e-06")  # 100 samples at 30.72 MS/s
        after = receiver.block(32768)
        turn = np.exp(-2j * np.pi * 5 / 1024 * np.arange(32768))

        def halves(block: np.ndarray) -> list[complex]:
            flat = (block[:, 0] + 1j * block[:, 1]) * turn
            return [flat[:16384].mean(), flat[16384:].mean()]

        whole, torn = halves(before), halves(after)
        assert np.angle(whole[1] / whole[0]) == pytest.approx(0.0, abs=0.01)
        assert np.angle(torn[1] / torn[0]) == pytest.approx(2 * np.pi * 5 * 100 / 1024 - 2 * np.pi, abs=0.02) or (
            np.angle(torn[1] / torn[0]) == pytest.approx(2 * np.pi * 5 * 100 / 1024, abs=0.02)
        )


def test_fault_saturate_drives_the_adc_into_its_stops(plutos: Plutos) -> None:
    with client(plutos) as one:
        assert one.write("iio:device0 INPUT voltage0 gain_control_mode", "manual") > 0
        assert one.write("iio:device0 INPUT voltage0 hardwaregain", "20") > 0
        assert one.say("OPEN iio:device3 512 00000003") == 0
        assert np.abs(one.block(512)).max() < 1000
        arm(plutos, "saturate@capture=1")
        assert np.abs(one.block(512)).min() == 2047
        assert int(one.read("iio:device4 adc_clipped")) == 512
        assert np.abs(one.block(512)).max() < 1000


def test_fault_phase_turns_the_carrier(plutos: Plutos) -> None:
    with client(plutos) as one:
        before = plutos.units[0].air.senders[0].phase
        arm(plutos, "phase@command=1")
        one.read("iio:device0 xo_correction")
        assert plutos.units[0].air.senders[0].phase != before


def test_fault_power_disconnects_everybody_and_boots(plutos: Plutos) -> None:
    with client(plutos) as one, client(plutos) as two, client(plutos, 1) as other:
        assert one.write("iio:device0 OUTPUT altvoltage1 frequency", "915000000") > 0
        assert two.say("OPEN iio:device2 1024 00000003 CYCLIC") == 0
        assert two.push(tone()) == 4096
        arm(plutos, "power@command=1,seconds=0.2")
        with pytest.raises(ConnectionError):
            one.say("READ iio:device0 xo_correction")
        assert two.socket.recv(1) == b""
        assert not plutos.units[0].air.senders[0].waves
        assert other.read("iio:device0 xo_correction") == "40000000"

    def back() -> bool:
        try:
            with client(plutos) as again:
                return again.read("iio:device0 OUTPUT altvoltage1 frequency") == "2449999998"
        except OSError:
            return False

    assert not back()  # away
    assert soon(back)


def test_real_time_paces_the_samples() -> None:
    with serve(1, host="127.0.0.1", port=0, realtime=True) as plutos, client(plutos) as one:
        begin = time.monotonic()
        assert one.say("OPEN iio:device3 307200 00000003") == 0  # 10 ms at 30.72 MS/s
        for _ in range(8):
            one.block(307200)
        assert time.monotonic() - begin >= 0.08


def test_addresses() -> None:
    with serve(2, host="127.0.0.1", port=0) as plutos:
        taken = int(plutos.uris[1].rsplit(":", 1)[1])
        with pytest.raises(InputError, match=rf"127\.0\.0\.1:{taken}.*--port"):
            serve(1, host="127.0.0.1", port=taken)
    with serve(1, host="127.0.0.1", port=taken) as again:  # free at once after a close
        assert again.uris == [f"ip:127.0.0.1:{taken}"]


@pytest.mark.parametrize(
    "wrong",
    [{"count": 0}, {"count": 65}, {"profile": "moon"}, {"clock": "atomic"}, {"host": "localhost"}, {"port": 70000}],
)
def test_wrong_settings_are_input_errors(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        serve(**{"host": "127.0.0.1", "port": 0, **({"port": None} if "host" in wrong else {}), **wrong})  # type: ignore[arg-type]


def test_five_hundred_clients_leave_nothing_behind(plutos: Plutos) -> None:
    def descriptors() -> int:
        gc.collect()
        return len(os.listdir("/dev/fd"))

    def gone() -> bool:
        return not any(station._connections for station in plutos._stations)

    with client(plutos) as one:
        one.read("iio:device0 xo_correction")
    assert soon(gone)
    before, threads = descriptors(), threading.active_count()
    for _ in range(500):
        with client(plutos) as one:
            assert one.say("OPEN iio:device3 64 00000003") in (0, -errno.EBUSY)  # the last one may still be closing
    assert soon(gone) and soon(lambda: threading.active_count() <= threads)
    assert descriptors() <= before
