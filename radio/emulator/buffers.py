"""Buffers that a client opens: blocks that wait to be read, and samples that wait to be sent."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radio.emulator.attributes import refuse

LONGEST_BLOCK = 1 << 26  # bytes


@dataclass(frozen=True)
class Block:
    """A capture that has happened: `samples` gives it, (n, 2) codes, when it is read."""

    end_s: float
    samples: Callable[[bool, float], NDArray[np.int16]]


def _rails(mask: int) -> list[int]:
    rails = [rail for rail in range(2) if mask >> rail & 1]
    if not rails or mask >> 2:
        raise refuse(errno.EINVAL)
    return rails


def _checked(samples: int, rails: list[int]) -> int:
    if not 0 < samples * 2 * len(rails) <= LONGEST_BLOCK:
        raise refuse(errno.EINVAL)
    return samples


class CaptureBuffer:
    """The kernel's queue of a receiver.

    Its blocks are filled as soon as it is opened, and one that was read is filled again at once: with a queue of `depth`,
    a reader finds `depth` blocks from before whatever it changed last.

    Args:
        samples: of a block.
        mask: rails that are wanted, one bit each.
        depth: kernel buffers.
        capture: takes a block of so many samples now.
    """

    def __init__(self, samples: int, mask: int, depth: int, capture: Callable[[int], Block]) -> None:
        self.mask = mask
        self._rails = _rails(mask)
        self._samples = _checked(samples, self._rails)
        self._capture = capture
        self._queue = deque(capture(samples) for _ in range(depth))
        self._rest = b""

    def next_block(self) -> Block:
        """The oldest block; another is captured in its place."""
        block = self._queue.popleft()
        self._queue.append(self._capture(self._samples))
        return block

    def enough(self, size: int) -> bool:
        """Whether `size` bytes are left over from blocks read before."""
        return len(self._rest) >= size

    def feed(self, codes: NDArray[np.int16]) -> None:
        if len(self._rails) < 2:
            codes = codes[:, self._rails]
        self._rest += np.ascontiguousarray(codes, dtype="<i2").tobytes()

    def take(self, size: int) -> bytes:
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


class TransmitBuffer:
    """The kernel's queue of a transmitter.

    Args:
        samples: of a block.
        mask: rails that are sent; the other is 0.
        cyclic: the one block that may be written repeats until the buffer is closed.
        send: takes (n, 2) codes.
    """

    def __init__(self, samples: int, mask: int, cyclic: bool, send: Callable[[NDArray[np.int16], bool], None]) -> None:
        self._rails = _rails(mask)
        self.size = 2 * len(self._rails) * _checked(samples, self._rails)
        self.cyclic = cyclic
        self._send = send
        self._written = False

    def check(self, size: int) -> None:
        """Whether `size` bytes may be written now: EBUSY, EINVAL."""
        if self.cyclic and self._written:
            raise refuse(errno.EBUSY)
        if not 0 < size <= self.size or size % (2 * len(self._rails)):
            raise refuse(errno.EINVAL)

    def write(self, data: bytes) -> None:
        values = np.frombuffer(data, dtype="<i2").reshape(-1, len(self._rails))
        codes = np.zeros((values.shape[0], 2), dtype=np.int16)
        codes[:, self._rails] = values
        self._written = True
        self._send(codes, self.cyclic)
