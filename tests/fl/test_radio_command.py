"""`pairzero radio plot`: a picture of any SigMF capture, or one clear message."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from radio.recording import Mark, Recording, Segment, write_recording
from radio.tone import phasor

FACTS = {"device": 0, "sweep": 0, "guard_samples": 0, "cycles_per_sample": 0.125}


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """A recording of ours with one pilot."""
    samples = np.rint(2047 * 0.1 * phasor(0.125, 4096)) * (1.0 / 2047)
    marks = (Mark("idle", 0, 1024), Mark("pilot", 1024, 3072, FACTS))
    made = Recording(samples, 1e6, (Segment(0, 0, 915e6, 0.0),), marks, full_scale=2047)
    return write_recording(tmp_path / "captures" / "round", made)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Another tool's: 16-bit integers, no rate, no annotation."""
    np.arange(-500, 500, dtype="<i2").tofile(tmp_path / "other.sigmf-data")
    metadata = {"global": {"core:datatype": "ci16_le", "core:version": "1.2.0"}, "captures": [], "annotations": []}
    (tmp_path / "other.sigmf-meta").write_text(json.dumps(metadata))
    return tmp_path / "other.sigmf-meta"


def test_a_capture_of_ours(pairzero, capture: Path) -> None:
    done = pairzero("radio", "plot", capture)
    assert done.code == 0, done.err
    picture = capture.with_name("round.png")
    assert done.out == f"picture: {picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_picture_goes_where_it_should(pairzero, capture: Path, tmp_path: Path) -> None:
    done = pairzero("radio", "plot", capture.with_name("round"), "--out", "new/picture.png")
    assert (done.code, done.out) == (0, "picture: new/picture.png\n")
    assert (tmp_path / "new" / "picture.png").is_file()
    assert not capture.with_name("round.png").exists()


def test_a_capture_of_others_is_drawn_and_what_is_missing_is_said(pairzero, foreign: Path) -> None:
    done = pairzero("radio", "plot", foreign)
    assert done.code == 0, done.err
    for part in (
        "does not say its sampling rate",
        "--full-scale 2048",
        "no pilot with a steady tone is annotated",
        "other.png",
    ):
        assert part in done.out
    done = pairzero("radio", "plot", foreign, "--full-scale", "2048")
    assert done.code == 0 and "--full-scale" not in done.out


def test_bad_input_is_one_message_and_exit_code_2(pairzero, capture: Path, tmp_path: Path) -> None:
    data = capture.with_name("round.sigmf-data")
    (tmp_path / "notes.txt").write_text("x")
    cases: list[tuple[list[str | Path], str]] = [
        (["nowhere"], "nowhere not found; give a file NAME.sigmf-meta"),
        ([tmp_path], "is a folder"),
        (["notes.txt"], "notes.txt is not a SigMF recording"),
        ([capture, "--out", "picture.jpg"], "ends in .png, .svg, .pdf"),
        ([capture, "--out", "notes.txt/picture.png"], "cannot write notes.txt/picture.png"),
        ([capture, "--full-scale", "-1"], "full_scale is -1"),
    ]
    for words, part in cases:
        outcome = pairzero("radio", "plot", *words)
        assert outcome.code == 2 and part in outcome.err, (words, outcome)
        assert outcome.err.count("pairzero: ") == 1 and "Traceback" not in outcome.err
    data.write_bytes(data.read_bytes()[:-8])
    outcome = pairzero("radio", "plot", capture)
    assert outcome.code == 2 and "hash does not match" in outcome.err
    assert not list(tmp_path.rglob("*.png")) and not list(tmp_path.rglob("*.partial"))


def test_the_group_says_what_it_offers(pairzero) -> None:
    assert "plot" in pairzero("radio", "--help").out
