"""The kernel's queues."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from radio.emulator.buffers import Block, CaptureBuffer, TransmitBuffer


def counting(start: int = 0):  # type: ignore[no-untyped-def]
    """Captures whose every sample is the block's number."""
    taken = [start]

    def capture(n: int) -> Block:
        number = taken[0]
        taken[0] += 1
        return Block(0.0, lambda saturated, gap_s: np.full((n, 2), number, dtype=np.int16))

    return capture, taken


@pytest.mark.parametrize("depth", [1, 4, 7])
def test_as_many_blocks_are_stale_as_the_queue_is_deep(depth: int) -> None:
    capture, taken = counting()
    buffer = CaptureBuffer(16, 3, depth, capture)
    assert taken[0] == depth
    seen = [int(buffer.next_block().samples(False, 0.0)[0, 0]) for _ in range(3 * depth)]
    assert seen == list(range(3 * depth))  # in order, nothing lost
    assert taken[0] == 4 * depth  # the block read last was taken `depth` reads ago


def test_rails_and_remainders() -> None:
    capture, _ = counting(5)
    for mask, width in ((1, 1), (2, 1), (3, 2)):
        buffer = CaptureBuffer(4, mask, 1, capture)
        buffer.feed(np.arange(8, dtype=np.int16).reshape(4, 2))
        assert buffer.enough(8 * width) and not buffer.enough(8 * width + 1)
        taken = np.frombuffer(buffer.take(4) + buffer.take(8 * width - 4), dtype="<i2")
        assert taken.tolist() == {1: [0, 2, 4, 6], 2: [1, 3, 5, 7], 3: list(range(8))}[mask]


@pytest.mark.parametrize(("samples", "mask"), [(0, 3), (16, 0), (16, 4), (1 << 30, 3)])
def test_impossible_buffers_are_refused(samples: int, mask: int) -> None:
    capture, _ = counting()
    with pytest.raises(OSError) as refused:
        CaptureBuffer(samples, mask, 4, capture)
    assert refused.value.errno == errno.EINVAL


def test_a_cyclic_buffer_is_written_once() -> None:
    sent: list[tuple[list[list[int]], bool]] = []
    buffer = TransmitBuffer(2, 3, True, lambda codes, cyclic: sent.append((codes.tolist(), cyclic)))
    buffer.check(8)
    buffer.write(np.array([1, 2, 3, 4], dtype="<i2").tobytes())
    with pytest.raises(OSError) as busy:
        buffer.check(8)
    assert busy.value.errno == errno.EBUSY
    assert sent == [([[1, 2], [3, 4]], True)]


def test_a_streaming_buffer_takes_blocks_and_only_whole_samples() -> None:
    sent: list[list[list[int]]] = []
    buffer = TransmitBuffer(2, 2, False, lambda codes, cyclic: sent.append(codes.tolist()))
    for _ in range(2):
        buffer.check(4)
        buffer.write(np.array([1, 2], dtype="<i2").tobytes())
    assert sent == [[[0, 1], [0, 2]]] * 2
    for size in (0, 3, 6):
        with pytest.raises(OSError):
            buffer.check(size)
