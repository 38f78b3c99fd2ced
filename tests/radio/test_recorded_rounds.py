"""Recorded rounds, replayed: what once went wrong, or right, must go the same way with today's receivers.

The recordings are small (`recordings/`, under 200 kB each); docs/recordings.md says how one is added.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from radio.coherent import CoherentAir
from radio.recording import Recording, read_recording
from radio.replay import ReplayRadio, SilentRadio

FOLDER = Path(__file__).with_name("recordings")


def test_recordings_are_small_and_complete() -> None:
    names = {path.name.removesuffix(".sigmf-meta") for path in FOLDER.glob("*.sigmf-meta")}
    assert names == {path.name.removesuffix(".sigmf-data") for path in FOLDER.glob("*.sigmf-data")} == {"burst"}
    for path in FOLDER.glob("*.sigmf-data"):
        assert path.stat().st_size < 200_000
        assert json.loads(path.with_suffix(".sigmf-meta").read_text())["global"]["core:datatype"] == "ci16_le"


def test_the_page_on_recordings_replays_one(monkeypatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    page = (root / "docs" / "recordings.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    names: dict = {}
    exec(example[1], names)
    assert names["state"].quality.all()
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert target.startswith("http") or (root / "docs" / target).exists(), target


@pytest.fixture(scope="module")
def burst() -> Recording:
    return read_recording(FOLDER / "burst")


def test_a_round_and_the_burst_of_a_neighbour(burst: Recording) -> None:
    """The payload slot was sent twice, the second time under a burst: the sum once, then an erasure and no number."""
    truth, settings = burst.facts["truth"], burst.facts["settings"]
    payloads = np.array(truth["payloads"])
    with CoherentAir([SilentRadio() for _ in payloads], ReplayRadio(burst), **settings) as air:
        state = air.sound(0)
        plan = air.plan(state, 1.0)
        clean, hit = air.aggregate(0, payloads, plan), air.aggregate(0, payloads, plan)
    # amplitudes alone: the phase at the slot's beginning has been turning since the pilots
    gains = np.abs(np.array(truth["gains"]) @ [1, 1j]) * 10 ** (settings["receive_gain_db"] / 20)
    assert (np.abs(np.abs(state.gains) - gains) < 4 * np.sqrt(state.gain_variance)).all()
    # two phases, each of variance noise / (2 N |h|^2), that far apart
    first, second = [mark.start for mark in burst.marks if mark.facts.get("device") == 0]
    seconds = (second - first) / settings["rate_sps"]
    phase = np.sqrt(state.noise_variance / settings["pilot_window"]) / gains
    assert (np.abs(state.offset_hz - truth["offset_hz"]) < 4 * phase / (2 * np.pi * seconds)).all()
    assert state.quality.all() and plan.active.all()
    # the sum's own noise, and phases known to sqrt(gain_variance / 2) / |h| at unit payload
    misalignment = float(np.sum(state.gain_variance / np.abs(state.gains) ** 2))
    error = float(clean.total[0] - payloads.sum())
    assert not clean.erased and abs(error) < 4 * np.sqrt(clean.variance[0] + misalignment)
    assert hit.erased and "interference" in hit.reason and np.isnan(hit.total).all()
