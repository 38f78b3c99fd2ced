"""The receiver's captures in the report: the first and the last, and what is said where one cannot be read."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fl.recordings import FOLDER
from fl.reporting.page import write_report
from fl.reporting.radio_figures import captures
from radio.recording import Mark, Recording, Segment, write_recording
from radio.tone import phasor

MakeRun = Callable[..., Path]
PILOT = {"device": 0, "sweep": 0, "guard_samples": 0, "cycles_per_sample": 0.125}


def record(run: Path, slot: int, marked: bool = True) -> None:
    noise = 0.01 * np.random.default_rng(slot).standard_normal(2 * 4096).view(np.complex128)
    marks = (Mark("idle", 0, 1024), Mark("pilot", 1024, 3072, PILOT)) if marked else ()
    made = Recording(0.1 * phasor(0.125, 4096) + noise, 1e6, (Segment(0, 0, 915e6, 0.0),), marks, "loopback")
    write_recording(run / FOLDER / f"slot-{slot:06d}", made)


def test_the_first_and_the_last_capture_are_shown(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    for slot in (100, 0, 2000):
        record(run, slot, marked=slot == 0)
    shown = captures(run)
    assert [c.file for c in shown] == ["recordings/slot-000000.sigmf-meta", "recordings/slot-002000.sigmf-meta"]
    assert "slot-000000" in shown[0].title and "loopback" in shown[0].title and "915 MHz" in shown[0].title
    names = ("spectrum", "waterfall", "constellation", "energy")
    assert [p.name for p in shown[0].plots] == [f"capture0-{name}" for name in names]
    assert [p.name for p in shown[1].plots] == [f"capture1-{name}" for name in names if name != "constellation"]
    for capture in shown:
        for plot in capture.plots:
            ElementTree.fromstring(plot.svg)
            assert not plot.not_private
    html = write_report(run).read_text(encoding="utf-8")
    assert "What the receiver heard" in html and "The first and the last recording of this run" in html
    for plot in (*shown[0].plots, *shown[1].plots):
        assert f'id="figure-{plot.name}"' in html
    assert "slot-000100" not in html and str(tmp_path) not in html
    assert html == write_report(run).read_text(encoding="utf-8")
    assert len(html.encode()) < 1_500_000


def test_one_recording_is_shown_once_and_none_not_at_all(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    assert captures(run) == [] and "What the receiver heard" not in write_report(run).read_text(encoding="utf-8")
    record(run, 7)
    assert len(captures(run)) == 1
    assert "The recording of this run" in write_report(run).read_text(encoding="utf-8")


def test_a_recording_that_cannot_be_read_does_not_cost_the_report(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", rounds=1)
    record(run, 0)
    (run / FOLDER / "slot-000000.sigmf-data").write_bytes(b"1234")
    (capture,) = captures(run)
    assert [p.name for p in capture.plots] == ["capture0"]
    html = write_report(run).read_text(encoding="utf-8")
    assert "The recording cannot be read." in html and str(tmp_path) not in html
