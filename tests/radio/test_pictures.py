"""Pictures of a capture: the right figures in them, for our captures and for any other."""

from __future__ import annotations

import math
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radio.errors import InputError
from radio.palette import BLUE, MUTED, ORANGE, SERIES
from radio.pictures import Picture, constellation, energy, pictures, spectrum, waterfall
from radio.recording import Mark, Recording, Segment
from radio.sheet import heading, write_sheet
from radio.tone import phasor

RATE, CYCLES, GUARD, LENGTH = 1e6, 0.125, 24, 1024


def drawn(picture: Picture) -> Axes:
    figure = Figure()
    axes = figure.add_subplot()
    picture.draw(axes)
    figure.draw_without_rendering()
    return axes


def tone(amplitude: complex, n: int, cycles: float = CYCLES) -> np.ndarray:
    return amplitude * phasor(cycles, n)


def a_round(gains: list[complex], noise: float = 1e-4, sweeps: int = 1, cycles: float = CYCLES) -> Recording:
    """Idle, a pilot of each device, one payload; noise of that power per sample."""
    parts, marks = [np.zeros(2048, dtype=np.complex128)], [Mark("idle", 0, 2048)]
    for sweep in range(sweeps):
        for k, gain in enumerate(gains):
            facts = {"device": k, "sweep": sweep, "guard_samples": GUARD, "cycles_per_sample": cycles}
            marks.append(Mark("pilot", sum(map(len, parts)), LENGTH + GUARD, facts))
            parts.append(tone(gain, LENGTH + GUARD, cycles))
    marks.append(Mark("payload", sum(map(len, parts)), 4096, {"perturbation": 0}))
    parts.append(tone(0.5 * sum(gains), 4096, cycles))
    samples = np.concatenate(parts)
    samples += math.sqrt(noise / 2) * np.random.default_rng(1).standard_normal(2 * samples.size).view(np.complex128)
    return Recording(samples, RATE, (Segment(0, 0, 915e6, 0.0),), tuple(marks))


def test_the_spectrum_shows_a_tone_where_and_as_strong_as_it_is() -> None:
    """0.1 of full scale is -20 dBFS whatever the window; white noise of 1e-4 in 1.5/1024 of the band -68.3 dBFS."""
    picture = spectrum(a_round([0.1j, 0.1]))
    lines = {line.get_label(): line for line in drawn(picture).lines if not line.get_label().startswith("_")}
    assert list(lines) == ["idle", "pilots", "payloads"]
    assert [line.get_color() for line in lines.values()] == [MUTED, BLUE, ORANGE]
    x, y = (np.asarray(v) for v in lines["pilots"].get_data())
    assert x[np.argmax(y)] == CYCLES * RATE / 1e3
    assert y.max() == pytest.approx(-20.0, abs=0.05)
    floor = 10 * np.log10(1e-4 * 1.5 / 1024)
    assert np.mean(lines["idle"].get_ydata()) == pytest.approx(floor, abs=2.5)  # log of few averages is biased down
    assert "at +125 kHz" in picture.title and "above idle" in picture.title


def test_the_waterfall_shows_when_and_where() -> None:
    samples = np.zeros(20000, dtype=np.complex128)
    samples[10000:] = tone(0.1, 10000, -0.25)
    image = drawn(waterfall(Recording(samples, RATE))).images[0]
    level = np.asarray(image.get_array())
    half = 500.0 / level.shape[1]  # of a bin, which is drawn about its frequency
    assert tuple(image.get_extent()) == (-500.0 - half, 500.0 - half, 20.0, 0.0)
    half = len(level) // 2
    assert (level[: half - 2] == -200.0).all()
    assert level[half + 2 :, level.shape[1] // 4] == pytest.approx(-20.0, abs=0.01)
    assert level[half + 2 :].argmax(axis=1) == pytest.approx(level.shape[1] // 4)


def test_the_constellation_is_the_devices_gains() -> None:
    gains = [0.1 + 0.05j, -0.02j, -0.08 + 0.01j]
    picture = constellation(a_round(gains, noise=1e-5, sweeps=2))
    assert picture is not None
    axes = drawn(picture)
    clouds = {line.get_label(): line for line in axes.lines if line.get_label().startswith("device")}
    for k, gain in enumerate(gains):
        x, y = (np.asarray(v) for v in clouds[f"device {k}"].get_data())
        assert len(x) == 16
        assert np.mean(x + 1j * y) == pytest.approx(gain, abs=5 * math.sqrt(1e-5 / LENGTH))
        assert clouds[f"device {k}"].get_color() == SERIES[k]
    assert {text.get_text() for text in axes.texts} == {"0", "1", "2"}
    assert "Pilots of 3 devices, received at \u221234.0\u00a0dBFS to \u221219.0\u00a0dBFS" in picture.title


@pytest.mark.parametrize(("turns", "noise"), [(0.1, 1e-4), (1.5, 1e-4), (1.5, 1e-1)])
def test_pilots_off_their_frequency_are_told(turns: float, noise: float) -> None:
    """1.5 turns a pilot leave 4 % of a mean's power; what is left is no level."""
    made = a_round([0.4, 0.3j], noise=noise)
    picture = constellation(Recording(made.samples * phasor(turns / LENGTH, made.samples.size), RATE, marks=made.marks))
    assert picture is not None
    assert ("of 2 the phase turns" in picture.title) == (turns > 1.0) != ("received at" in picture.title)


def test_a_constant_of_the_receiver_does_not_move_the_constellation() -> None:
    """On a bin of the window a tone is orthogonal to a constant, and its mean is taken off before it is cut up."""
    clean = a_round([0.1, 0.05j], noise=0.0)
    leaky = Recording(clean.samples + 0.3, RATE, clean.segments, clean.marks)
    for one in (clean, leaky):
        picture = constellation(one)
        assert picture is not None
        x, y = (np.asarray(v) for v in drawn(picture).lines[2].get_data())
        assert x + 1j * y == pytest.approx(np.full(16, 0.1), abs=1e-12)


def test_many_devices_are_told_apart_by_number() -> None:
    gains = list(0.1 * np.exp(2j * np.pi * np.arange(20) / 20))
    picture = constellation(a_round(gains))
    assert picture is not None
    axes = drawn(picture)
    assert [text.get_text() for text in axes.texts] == [str(k) for k in range(20)]
    assert not axes.get_legend_handles_labels()[0]


def test_no_pilots_no_constellation() -> None:
    made = a_round([0.1])
    foreign = tuple(Mark(m.label, m.start, m.length) for m in made.marks)
    assert constellation(Recording(made.samples, RATE)) is None
    assert constellation(Recording(made.samples, RATE, marks=foreign)) is None
    assert [p.name for p in pictures(Recording(made.samples, RATE))] == ["spectrum", "waterfall", "energy"]
    assert [p.name for p in pictures(made)] == ["spectrum", "waterfall", "constellation", "energy"]


def test_the_energy_of_every_slot() -> None:
    made = a_round([0.1, 0.5], noise=1e-6)
    axes = drawn(energy(made))
    bars = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 2]
    levels = [float(bar.get_ydata()[0]) for bar in bars]
    assert levels == pytest.approx([-60.0, -20.0, 20 * math.log10(0.5), 20 * math.log10(0.3)], abs=0.15)
    assert list(bars[1].get_xdata()) == pytest.approx([2.048 + GUARD / 1e3, 2.048 + (LENGTH + GUARD) / 1e3])
    assert [text.get_text() for text in axes.texts] == ["idle", "0", "1", "payload"]
    assert axes.get_xlabel() == "time (ms)" and axes.get_ylabel() == "power (dBFS)"


def test_the_guard_of_a_slot_does_not_count() -> None:
    """A transmission that begins late leaves the level as it is; it would be 3 dB low with the guard."""
    samples = np.concatenate([np.zeros(1024, dtype=np.complex128), tone(0.1, 1024)])
    late = Recording(samples, RATE, marks=(Mark("payload", 0, 2048, {"guard_samples": 1024}),))
    assert "\u221220.0\u00a0dBFS to \u221220.0\u00a0dBFS" in energy(late).title
    assert "strongest line \u221220.0\u00a0dBFS" in spectrum(late).title


ODD = {
    "one sample": Recording(np.array([0.1 + 0j]), 1e6),
    "silence": Recording(np.zeros(5000, dtype=np.complex128), 1e6),
    "no rate": Recording(tone(0.2, 5000), None),
    "audio": Recording(tone(0.2, 5000) + 0j, 3000.0),
    "long": Recording(tone(0.2, 400_000), 2e5),
    "wide": Recording(tone(0.2, 5000), 2e7),
    "strange marks": Recording(
        tone(0.2, 5000), 1e6, marks=(*(Mark(f"kind {i}", 10 * i, 10) for i in range(60)), Mark("x", 4990, 10))
    ),
    "seven kinds": Recording(tone(0.2, 5000), 1e6, marks=tuple(Mark(f"kind {i}", 700 * i, 700) for i in range(7))),
    "a mark of all": Recording(tone(0.2, 5000), 1e6, marks=(Mark("W-LAN $x^2$ <b>", 0, 5000),)),
    "guards that cannot be": Recording(
        tone(0.2, 5000),
        1e6,
        marks=(Mark("a", 0, 100, {"guard_samples": 500}), Mark("b", 100, 900, {"guard_samples": -3})),
    ),
    "sixty devices": a_round([0.1] * 60),
}


@pytest.mark.parametrize("case", ODD)
def test_any_capture_can_be_drawn(tmp_path: Path, case: str) -> None:
    made = pictures(ODD[case])
    for picture in made:
        axes = drawn(picture)
        assert not re.search("nan|inf", picture.title + picture.caption + axes.get_xlabel() + axes.get_ylabel())
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            assert math.isfinite(low) and math.isfinite(high) and low != high
    write_sheet(tmp_path / "a.png", case, made)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_time_and_frequency_without_a_rate_are_in_samples() -> None:
    made = ODD["no rate"]
    assert drawn(spectrum(made)).get_xlabel() == "frequency / sampling rate"
    assert drawn(energy(made)).get_xlabel() == "time (samples)"
    assert "at +0.125 of the rate" in spectrum(made).title


def test_a_sheet_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    made = pictures(a_round([0.1]))
    with pytest.raises(InputError, match=r"ends in \.png, \.svg, \.pdf"):
        write_sheet(tmp_path / "a.jpg", "title", made)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another place"):
        write_sheet(tmp_path / "file" / "a.png", "title", made)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    for suffix, start in ((".svg", b"<?xml"), (".pdf", b"%PDF")):
        write_sheet(tmp_path / f"a{suffix}", "title", made)
        assert (tmp_path / f"a{suffix}").read_bytes().startswith(start)
    assert matplotlib.rcParams["text.parse_math"]  # the style is the sheet's alone


def test_the_heading_says_what_is_known() -> None:
    known = Recording(
        np.zeros(1, complex), 1e6, (Segment(0, 0, 915e6, -3.5, "2026-01-02T03:04:05.678Z"),), hardware="hw"
    )
    assert heading("a", known).split("  \u00b7  ") == [
        "a", "hw", "2026-01-02 03:04:05 UTC", "915 MHz", "1 MS/s", "gain \u22123.50 dB",
    ]  # fmt: skip
    assert heading("a", Recording(np.zeros(1, complex), None)) == "a"
