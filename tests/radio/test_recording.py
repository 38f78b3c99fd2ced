"""Recordings: exact round trips, valid SigMF, and whatever can be wrong with a file."""

from __future__ import annotations

import json
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import sigmf
from hypothesis import given
from hypothesis import strategies as st

from radio.converter import Converter
from radio.errors import InputError
from radio.recording import Mark, Recording, Segment, plain, read_recording, write_recording


def codes_of(full_scale: int, count: int = 300, seed: int = 5) -> np.ndarray:
    """Samples such as a converter makes them: code times 1 / full scale."""
    codes = np.random.default_rng(seed).integers(-full_scale, full_scale + 1, 2 * count)
    return (codes * (1.0 / full_scale)).view(np.complex128)


def some(full_scale: int | None = 2047, **changes) -> Recording:
    samples = codes_of(full_scale) if full_scale else 0.3 * np.exp(0.7j * np.arange(300))
    known = {
        "rate_sps": 1e6,
        "segments": (
            Segment(0, 0, 915e6, -12.5, "2026-01-02T03:04:05.678900Z"),
            Segment(200, 150, 915e6, -12.5, "2026-01-02T03:04:05.778900Z"),
        ),
        "marks": (Mark("idle", 0, 64), Mark("pilot", 64, 100, {"device": 3, "cycles_per_sample": 0.1, "sweep": 0})),
        "hardware": "loopback (simulated)",
        "facts": {"settings": {"window": 512, "losses": [0.5, 1.0]}, "slot": 7},
        "full_scale": full_scale,
    }
    return Recording(samples, **(known | changes))


@pytest.mark.parametrize("datatype", ["ci16_le", "cf32_le", None])
@pytest.mark.parametrize("full_scale", [1, 2047, 2048, 32767])
def test_converter_codes_come_back_bit_for_bit(tmp_path: Path, full_scale: int, datatype) -> None:
    made = some(full_scale)
    back = read_recording(write_recording(tmp_path / "a", made, datatype))
    assert back.samples.tobytes() == (made.samples + 0.0).tobytes()  # a code has no negative zero
    assert (back.rate_sps, back.segments, back.marks) == (made.rate_sps, made.segments, made.marks)
    assert (back.hardware, back.facts, back.full_scale) == (made.hardware, made.facts, made.full_scale)
    assert back.scale_known and back.total == 300


@given(
    bits=st.integers(2, 24),
    rails=st.lists(st.floats(-1.5, 1.5), min_size=1, max_size=30),
)
def test_what_a_converter_made_comes_back_whatever_its_bits(tmp_path_factory, bits: int, rails: list[float]) -> None:
    converter = Converter(bits)
    samples, _ = converter.convert(np.array(rails) + 1j * np.array(rails)[::-1])
    path = tmp_path_factory.mktemp("r") / "r"
    made = Recording(samples, 1e6, full_scale=round(1.0 / converter.step))
    assert np.array_equal(read_recording(write_recording(path, made)).samples, samples)


def test_samples_that_are_no_codes_keep_24_bits_or_the_quantisation_asked_for(tmp_path: Path) -> None:
    made = some(None)
    floats = read_recording(write_recording(tmp_path / "f", made)).samples
    assert np.array_equal(floats, made.samples.astype(np.complex64).astype(np.complex128))
    coded = read_recording(write_recording(tmp_path / "i", made, "ci16_le")).samples
    error = (coded - made.samples).view(np.float64)
    assert np.abs(error).max() <= 0.5 / 32767 * (1 + 1e-9)


def test_the_default_type_is_the_smaller_one_that_is_exact(tmp_path: Path) -> None:
    expected = {2047: "ci16_le", 32767: "ci16_le", 2**23 - 1: "cf32_le", None: "cf32_le"}
    for full_scale, datatype in expected.items():
        text = write_recording(tmp_path / str(full_scale), some(full_scale)).read_text()
        assert json.loads(text)["global"]["core:datatype"] == datatype


def test_a_12_bit_capture_is_as_strong_as_it_was(tmp_path: Path) -> None:
    """The library's own scaling of the same file is 20 log10(2^15 / 2047) = 24.1 dB lower."""
    made = Recording(np.full(256, 1.0 + 0.0j), 1e6, full_scale=2047)
    path = write_recording(tmp_path / "tone", made)
    assert np.array_equal(read_recording(path).samples, made.samples)
    theirs = sigmf.fromfile(path).read_samples()
    assert 20 * np.log10(np.abs(theirs).mean()) == pytest.approx(-24.09, abs=0.01)


@pytest.mark.parametrize("full_scale", [2047, None])
def test_the_file_is_valid_sigmf(tmp_path: Path, full_scale) -> None:
    path = write_recording(tmp_path / "a", some(full_scale))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sigmf.fromfile(path)  # verifies the checksum
        found.validate()  # and that our namespace is declared
    assert found.sample_rate == 1e6
    assert found.get_captures()[1]["core:frequency"] == 915e6
    assert [a["core:label"] for a in found.get_annotations()] == ["idle", "pilot 3"]
    assert "core:author" not in found.get_global_info()


def test_plain_makes_json_of_what_receivers_know() -> None:
    value = {"gains": np.array([1 + 2j]), "active": np.array([True]), "x": np.float64("nan"), "m": Mark("idle", 0, 1)}
    assert plain(value) == {
        "gains": [[1.0, 2.0]],
        "active": [True],
        "x": None,
        "m": {"label": "idle", "start": 0, "length": 1, "facts": {}},
    }


def test_names_with_and_without_suffix_are_the_same_recording(tmp_path: Path) -> None:
    made = some()
    for name in ("a.b", "a.b.sigmf-meta", "a.b.sigmf-data"):
        write_recording(tmp_path / name, made)
        assert np.array_equal(read_recording(tmp_path / name).samples, made.samples)
    assert {p.name for p in tmp_path.iterdir()} == {"a.b.sigmf-meta", "a.b.sigmf-data"}


def test_only_the_beginning_of_a_long_capture(tmp_path: Path) -> None:
    write_recording(tmp_path / "a", some())
    part = read_recording(tmp_path / "a", limit=80)
    assert np.array_equal(part.samples, some().samples[:80])
    assert part.total == 300 and len(part.segments) == 1
    assert [(m.start, m.length) for m in part.marks] == [(0, 64), (64, 16)]


# Other people's captures


def foreign(folder: Path, data: np.ndarray, datatype: str, **fields) -> Path:
    data.tofile(folder / "foreign.sigmf-data")
    known = {"core:datatype": datatype, "core:version": "1.0.0"} | {f"core:{k}": v for k, v in fields.items()}
    path = folder / "foreign.sigmf-meta"
    path.write_text(json.dumps({"global": known, "captures": [{"core:sample_start": 0}], "annotations": []}))
    return path


FOREIGN = [
    ("ci16_le", np.array([16384, -8192], "<i2"), 0.5 - 0.25j, False),
    ("ci16_be", np.array([16384, -8192], ">i2"), 0.5 - 0.25j, False),
    ("ci8", np.array([64, -32], "i1"), 0.5 - 0.25j, False),
    ("cu8", np.array([192, 96], "u1"), 0.5 - 0.25j, False),
    ("ri16_le", np.array([16384], "<i2"), 0.5, False),
    ("rf32_le", np.array([0.5], "<f4"), 0.5, True),
    ("cf32_le", np.array([0.5, -0.25], "<f4"), 0.5 - 0.25j, True),
    ("cf64_le", np.array([0.5, -0.25], "<f8"), 0.5 - 0.25j, True),
]


@pytest.mark.parametrize(("datatype", "data", "expected", "known"), FOREIGN, ids=[case[0] for case in FOREIGN])
def test_any_type_of_sample_can_be_read(tmp_path: Path, datatype, data, expected, known) -> None:
    back = read_recording(foreign(tmp_path, np.tile(data, 5), datatype))
    assert np.array_equal(back.samples, np.full(5, expected, dtype=np.complex128))
    assert back.rate_sps is None and back.marks == () and back.segments == (Segment(0, 0),)
    assert back.scale_known == known


def test_the_full_scale_of_a_foreign_capture_can_be_named(tmp_path: Path) -> None:
    path = foreign(tmp_path, np.array([1024, -512] * 4, "<i2"), "ci16_le", sample_rate=2e6)
    back = read_recording(path, full_scale=2048)
    assert np.array_equal(back.samples, np.full(4, 0.5 - 0.25j)) and back.scale_known
    with pytest.raises(InputError, match="full_scale is 0"):
        read_recording(path, full_scale=0)


def test_an_archive_is_read_like_the_pair(tmp_path: Path) -> None:
    write_recording(tmp_path / "a", some())
    sigmf.fromfile(tmp_path / "a.sigmf-meta").archive(str(tmp_path / "b.sigmf"))
    assert tarfile.is_tarfile(tmp_path / "b.sigmf")
    back = read_recording(tmp_path / "b.sigmf")
    assert np.array_equal(back.samples, some().samples) and back.marks == some().marks


# What can be wrong


def damaged_data(folder: Path) -> None:
    data = bytearray((folder / "a.sigmf-data").read_bytes())
    data[17] ^= 1
    (folder / "a.sigmf-data").write_bytes(data)


def metadata(folder: Path, change) -> None:
    content = json.loads((folder / "a.sigmf-meta").read_text())
    change(content)
    (folder / "a.sigmf-meta").write_text(json.dumps(content))


WRONG = {
    "missing": (lambda d: [p.unlink() for p in d.iterdir()], "not found; give a file NAME.sigmf-meta"),
    "no data": (lambda d: (d / "a.sigmf-data").unlink(), r"holds no samples|no samples|not a readable"),
    "no metadata": (lambda d: (d / "a.sigmf-meta").unlink(), "not a readable SigMF recording"),
    "damaged": (damaged_data, "hash does not match"),
    "torn metadata": (lambda d: (d / "a.sigmf-meta").write_text('{"global": '), "not a readable SigMF recording"),
    "not an object": (lambda d: (d / "a.sigmf-meta").write_text("[1]"), "not a readable SigMF recording"),
    "no type": (lambda d: metadata(d, lambda c: c["global"].pop("core:datatype")), "not a readable SigMF recording"),
    "channels": (
        lambda d: metadata(d, lambda c: c["global"].update({"core:num_channels": 2})),
        "2 channels; extract one",
    ),
    "start": (
        lambda d: metadata(d, lambda c: c["annotations"][0].update({"core:sample_start": "x"})),
        "not a readable SigMF recording",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, case: str) -> None:
    write_recording(tmp_path / "a", some())
    change, message = WRONG[case]
    change(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        read_recording(tmp_path / "a.sigmf-meta" if case != "no metadata" else tmp_path / "a.sigmf-data")
    assert str(tmp_path / "a") in str(caught.value)


def test_what_is_no_recording_at_all(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="not a SigMF recording"):
        read_recording(tmp_path / "photo.jpg")
    with pytest.raises(InputError, match="is a folder"):
        read_recording(tmp_path)


def test_samples_beyond_the_type_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    loud = Recording(np.array([1.5 + 0j]), 1e6)
    with pytest.raises(InputError, match=r"49150\.5 codes|49150 codes|does not fit into ci16_le"):
        write_recording(tmp_path / "a", loud, "ci16_le")
    assert not any(tmp_path.iterdir())
    assert read_recording(write_recording(tmp_path / "a", loud)).samples == [1.5]


@pytest.mark.parametrize("failing", ["a.sigmf-data.partial", "a.sigmf-meta.partial"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch, failing: str) -> None:
    """Which file does not fit any more makes no difference: there is no recording, and the message is ours."""
    write_recording(tmp_path / "a", some())
    opened = Path.open

    def full(path: Path, *words, **more):
        if path.name == failing:
            raise OSError(28, "No space left on device")
        return opened(path, *words, **more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(InputError, match="No space left on device; free some space"):
        write_recording(tmp_path / "a", some(32767))
    monkeypatch.undo()
    left = {p.name for p in tmp_path.iterdir()}
    assert not left & {"a.sigmf-meta", "a.sigmf-data.partial", "a.sigmf-meta.partial"}


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the recording"):
        write_recording(tmp_path / "file" / "a", some())
