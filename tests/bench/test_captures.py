"""No stale sample is taken for a fresh one, nothing leaks; the benchmark in small, and proof that it would notice."""

from __future__ import annotations

import pytest

from bench.captures import measure, stale_receptions
from radio.emulator.server import serve
from radio.pluto.stream import ReceiveStream
from radio.pluto.transceiver import open_radio

pytestmark = pytest.mark.libiio


def test_two_hundred_captures_and_twenty_openings() -> None:
    rows = {row.name: row.value for row in measure(quick=True)}
    assert rows["stale_captures"] == 0 and rows["lost_captures"] < 40
    assert rows["descriptors_grown"] == 0
    assert rows["rss_grown_mib"] < 4.0


def test_too_few_blocks_thrown_away_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(ReceiveStream):
        def take(self, n: int):  # type: ignore[no-untyped-def]
            self.blocks -= 2
            try:
                return super().take(n)
            finally:
                self.blocks += 2

    monkeypatch.setattr("radio.pluto.transceiver.ReceiveStream", Hasty)
    with (
        serve(2, clock="shared", host="127.0.0.1", port=0) as plutos,
        open_radio(plutos.uris[0], block_samples=64) as receiver,
        open_radio(plutos.uris[1]) as other,
    ):
        stale, _ = stale_receptions(receiver, other, 20, 64, 1)
    assert stale > 10
