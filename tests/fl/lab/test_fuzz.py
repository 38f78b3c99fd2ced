"""Nonsense, and sense at the wrong time: no uncaught error, and no change of state that the protocol does not want."""

from __future__ import annotations

from bench.chaos_messages import fuzz_device, fuzz_server

COUNT = 50_000  # bench/chaos.py has twenty times as many of each


def test_a_server_is_not_moved_by_nonsense() -> None:
    seen = fuzz_server(COUNT, 1)
    assert seen.uncaught == seen.moved == 0
    assert seen.nonsense + seen.sense == COUNT and seen.nonsense > COUNT // 10 and seen.sense > COUNT // 2


def test_a_device_is_not_moved_by_nonsense() -> None:
    seen = fuzz_device(COUNT, 1)
    assert seen.uncaught == seen.moved == 0
    assert seen.nonsense + seen.sense == COUNT and seen.nonsense > COUNT // 10 and seen.sense > COUNT // 2
