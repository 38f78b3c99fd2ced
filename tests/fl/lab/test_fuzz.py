"""Nonsense, and sense at the wrong time: no uncaught error, and no change of state that the protocol does not want."""

from __future__ import annotations

from bench.chaos_messages import fuzz

COUNT = 100_000  # bench/chaos.py has ten times as many


def test_a_server_is_not_moved_by_nonsense() -> None:
    seen = fuzz(COUNT, 1)
    assert seen.uncaught == seen.moved == 0
    assert seen.nonsense + seen.sense == COUNT and seen.nonsense > COUNT // 10 and seen.sense > COUNT // 2
