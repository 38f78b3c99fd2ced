"""What a capture looks like: spectrum, waterfall, constellation of the pilots, energy of every slot.

A picture draws into axes that it is given, so that the same one serves a PNG (`radio.sheet`) and a run's report. Levels
are dBFS: 0 is a complex tone of the receiver's ADC full scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray
from scipy import signal

from radio.palette import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, SERIES
from radio.recording import Mark, Recording
from radio.tone import phasor

NOTHING_DB = -200.0  # where a power of exactly zero is drawn
COLOURS = {"idle": MUTED, "pilot": BLUE, "payload": ORANGE, "reference": GREEN}
OTHER_COLOURS = (PURPLE, "#c28800", "#7a6a53")
MOST_KINDS = 5  # lines of a spectrum and words of a legend
MOST_LABELS = 40  # slots that are named one by one
MOST_COLOURS = 7  # devices that are told apart by colour
PILOT_BLOCKS = 16  # points of a constellation for each pilot
FRAMES = 240  # lines of a waterfall


@dataclass(frozen=True)
class Picture:
    """One figure: `title` says what is to be seen, `caption` how it was made, `draw` makes it, `height` in inches."""

    name: str
    title: str
    caption: str
    draw: Callable[[Axes], None]
    height: float = 2.9


def pictures(recording: Recording) -> list[Picture]:
    """All pictures that the recording has something for."""
    made = [spectrum(recording), waterfall(recording), constellation(recording), energy(recording)]
    return [picture for picture in made if picture is not None]


def dbfs(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean square of samples in dB relative to a full-scale tone."""
    with np.errstate(divide="ignore"):
        return np.maximum(10.0 * np.log10(power), NOTHING_DB)


def spectrum(recording: Recording) -> Picture:
    """Welch's estimate (Hann, half overlapped), one line for each kind of slot; all of the capture where none is marked."""
    groups = _groups(recording)
    lengths = {label: [m.length - m.guard for m in marks] for label, marks in groups.items()}
    shortest, longest = min(map(min, lengths.values())), max(map(sum, lengths.values()))
    points = _power_of_two(max(8, min(1024, max(64, shortest), longest)))
    rate, unit, scale = _frequency(recording)
    lines: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for label, marks in groups.items():
        total, weight = np.zeros(points), 0
        for mark in marks:
            samples = _at_least(recording.of(mark), points)
            frequency, power = signal.welch(
                samples, rate, window="hann", nperseg=points, return_onesided=False, scaling="spectrum", detrend=False
            )
            total += power * samples.size
            weight += samples.size
        lines[label] = (np.fft.fftshift(frequency) / scale, dbfs(np.fft.fftshift(total / weight)))
    bandwidth = 1.5 * rate / points  # equivalent noise bandwidth of a Hann window
    width = f"{bandwidth / scale:.2g} {unit}" if recording.rate_sps else f"{bandwidth:.2g} of the rate"
    strongest = max(lines, key=lambda label: float(lines[label][1].max()))
    x, y = lines[strongest]
    top = int(np.argmax(y))
    floor = float(np.median(lines.get("idle", lines[strongest])[1]))
    where = f"{x[top]:+.3g} {unit}" if recording.rate_sps else f"{x[top]:+.3g} of the rate"
    if x[top] == 0.0:
        where = "the carrier"
    above = f"{_db(y[top] - floor)} above {'idle' if 'idle' in lines else 'the median'}"
    title = f"Spectrum: strongest line {_db(y[top])}FS at {where}, {above}."

    def draw(axes: Axes) -> None:
        colours = _colours(lines)
        for label in sorted(lines, key=lambda word: word != "idle"):  # the noise floor at the back
            axes.plot(*lines[label], color=colours[label], linewidth=1.0, alpha=0.85, label=_plural(label))
            if label != "idle":
                peak = int(np.argmax(lines[label][1]))
                axes.plot(x[peak], lines[label][1][peak], "o", color=colours[label], markersize=4.5, markeredgewidth=0)
        low = min(float(np.percentile(y, 1)) for _, y in lines.values())
        high = max(float(y.max()) for _, y in lines.values())
        axes.set_ylim(low - 6.0, high + 6.0)
        axes.set_xlim(float(x[0]), float(x[-1]))
        axes.set_xlabel(f"offset from the carrier ({unit})" if recording.rate_sps else "frequency / sampling rate")
        axes.set_ylabel(f"power in {width} (dBFS)")

    return Picture("spectrum", title, f"Welch, Hann windows of {points} samples; 0 dBFS is a full-scale tone.", draw)


def waterfall(recording: Recording) -> Picture:
    """Power over frequency (across) and time (downwards); slots are named at the right edge."""
    samples = recording.samples
    points = _power_of_two(min(256, max(8, samples.size // 8)))
    window = signal.windows.hann(points, sym=False)
    count = max(1, (samples.size - points) // (points // 2) + 1)
    group = -(-count // FRAMES)
    rows = []
    for first in range(0, count, group):  # a group at a time: a long capture must not be held several times over
        begin = first * (points // 2)
        chunk = samples[begin : begin + (min(group, count - first) + 1) * (points // 2)]
        frames = np.lib.stride_tricks.sliding_window_view(_at_least(chunk, points), points)[:: points // 2]
        rows.append((np.abs(np.fft.fft(frames * window, axis=1) / window.sum()) ** 2).mean(axis=0))
    level = dbfs(np.fft.fftshift(np.array(rows), axes=1))
    rate, unit, scale = _frequency(recording)
    edge = rate / 2.0 / scale
    half_bin = edge / points  # a bin is drawn about its frequency
    stretch, time_unit = _time(recording)
    low, high = float(np.percentile(level, 10)), float(level.max())
    low = min(max(low, high - 120.0), high - 10.0)
    end = samples.size * stretch
    lo_hz = recording.segments[0].lo_hz
    title = f"Waterfall: {end:.3g} {time_unit}" if recording.rate_sps else f"Waterfall: {end:,.0f} samples"
    if recording.rate_sps:
        title += f" at {recording.rate_sps / 1e6:.4g} MS/s" + (f" around {lo_hz / 1e6:.6g} MHz" if lo_hz else "")
    title += f", strongest {_db(high)}FS."

    def draw(axes: Axes) -> None:
        image = axes.imshow(
            level, aspect="auto", cmap="cividis", interpolation="nearest", vmin=low, vmax=high,
            extent=(-edge - half_bin, edge - half_bin, end, 0.0),
        )  # fmt: skip
        axes.grid(visible=False)
        axes.set_xlabel(f"offset from the carrier ({unit})" if recording.rate_sps else "frequency / sampling rate")
        axes.set_ylabel(f"time ({time_unit})")
        spots = _spots(recording)
        if spots:
            names = axes.secondary_yaxis("right", functions=(lambda v: v, lambda v: v))
            names.set_yticks([0.5 * (a + b) * stretch for a, b, _ in spots], [name for _, _, name in spots], fontsize=7)
            names.tick_params(length=0, pad=2)
            names.spines["right"].set_visible(False)
            for a, _, _ in spots[1:]:
                axes.plot([1.0, 1.015], [a * stretch] * 2, color=MUTED, linewidth=0.7, clip_on=False,
                          transform=axes.get_yaxis_transform())  # fmt: skip
        bar = axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
        bar.set_label("power in a bin (dBFS)")
        bar.outline.set_visible(False)

    caption = f"Hann windows of {points} samples, half overlapped"
    caption += f", {group} averaged in a line." if group > 1 else "."
    return Picture("waterfall", title, caption, draw, height=3.6)


@dataclass(frozen=True)
class _Pilots:
    """Of one device: the tone's complex amplitude in every block of its pilots, (sweeps, blocks)."""

    device: int
    points: NDArray[np.complex128]

    @property
    def power(self) -> float:
        return float(np.mean(np.abs(self.points.mean(axis=1)) ** 2))

    @property
    def turns(self) -> bool:
        """Its phase goes round within a pilot: neighbouring blocks agree, all of them do not."""
        neighbours = np.abs((self.points[:, 1:] * self.points[:, :-1].conj()).mean(axis=1))
        return self.power < 0.5 * float(neighbours.mean())


def constellation(recording: Recording) -> Picture | None:
    """The pilots' tone in short blocks, turned back to DC: a device's gain is the centre of its cloud, noise the spread,
    carrier offset an arc. None where no pilot of a known tone is marked."""
    found = _pilots(recording)
    if not found:
        return None
    levels = dbfs(np.array([pilots.power for pilots in found]))
    everyone = f"Pilots of {len(found)} devices" if len(found) > 1 else f"Pilots of device {found[0].device}"
    span = f"{_db(min(levels))}FS to {_db(max(levels))}FS" if len(found) > 1 else f"{_db(levels[0])}FS"
    title = f"{everyone}, received at {span}."
    if turning := sum(pilots.turns for pilots in found):
        title = f"{everyone}: of {turning} the phase turns by carrier offset."
    sweeps = max(len(pilots.points) for pilots in found)
    few = len(found) <= MOST_COLOURS
    heard = np.concatenate([p.points.ravel() if few else p.points.mean(axis=1) for p in found])
    reach = float(np.abs(heard.view(np.float64)).max())

    def draw(axes: Axes) -> None:
        axes.axhline(0.0, color=MUTED, linewidth=0.7)
        axes.axvline(0.0, color=MUTED, linewidth=0.7)
        for index, pilots in enumerate(found):
            colour = SERIES[index] if few else BLUE
            for sweep, points in enumerate(pilots.points):
                cloud = points if few else points[:0] if sweep else points.mean(keepdims=True)
                axes.plot(cloud.real, cloud.imag, "o", color=colour, markersize=3.2, alpha=0.75,
                          markerfacecolor=colour if sweep == 0 else "none", markeredgewidth=0.8 if sweep else 0.0,
                          label=f"device {pilots.device}" if few and sweep == 0 else None)  # fmt: skip
                if few:
                    middle = points.mean()
                    cross: dict[str, Any] = {"marker": "P", "markeredgecolor": INK, "markeredgewidth": 0.6}
                    if sweep:
                        cross = {"marker": "+", "markeredgecolor": colour, "markeredgewidth": 1.4}
                    axes.plot(middle.real, middle.imag, color=colour, markersize=8.0, zorder=4, **cross)
        if len(found) <= MOST_LABELS:
            for (x, y), pilots in zip(_apart(found, reach, few), found, strict=True):
                axes.text(x, y, str(pilots.device), ha="center", va="center", weight="bold", fontsize=8)
        limit = 1.25 * reach or 1.0
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="in phase (ADC full scale)")
        axes.set_ylabel("quadrature (ADC full scale)")
        axes.locator_params(nbins=6)

    caption = (
        f"Each point is {f'1/{PILOT_BLOCKS} of a' if few else 'the first'} pilot, multiplied by the conjugate tone."
    )
    if few:
        caption += " Crosses are means."
    if sweeps > 1 and few:
        caption += " Filled: first sweep; open: later ones. A turn between them is carrier offset."
    return Picture("constellation", title, caption, draw, height=3.9)


def energy(recording: Recording) -> Picture:
    """Mean power of every slot over time, with what the slot is; behind it the power in short stretches."""
    stretch, unit = _time(recording)
    samples = recording.samples
    block = max(1, samples.size // 400)
    whole = samples[: samples.size // block * block].reshape(-1, block)
    trace = dbfs((whole.real**2 + whole.imag**2).mean(axis=1))
    marks = [m for m in recording.marks if m.length <= samples.size]
    powers = [float(dbfs(np.array([np.mean(np.abs(recording.of(m)) ** 2)]))[0]) for m in marks]
    colours = _colours(dict.fromkeys(m.label for m in marks))
    title = f"Power of the capture: {_db(float(trace.min()))}FS to {_db(float(trace.max()))}FS."
    if marks:
        count = "one slot" if len(marks) == 1 else f"{len(marks):,} slots"
        title = f"Power of {count}: {_db(min(powers))}FS to {_db(max(powers))}FS."
        idle = [p for m, p in zip(marks, powers, strict=True) if m.label == "idle"]
        if idle and len(marks) > len(idle):
            title = f"Power of {count}: idle {_db(idle[0])}FS, strongest {_db(max(powers))}FS."

    def draw(axes: Axes) -> None:
        middles = (np.arange(len(trace)) + 0.5) * block * stretch
        axes.plot(middles, trace, color=MUTED if marks else BLUE, linewidth=0.6, alpha=0.55 if marks else 1.0, zorder=1)
        shown: set[str] = set()
        for mark, power in zip(marks, powers, strict=True):
            ends = [(mark.start + mark.guard) * stretch, (mark.start + mark.length) * stretch]
            named = mark.label not in shown and len(shown) < MOST_KINDS
            axes.plot(ends, [power, power], color=colours[mark.label], linewidth=3.0, solid_capstyle="butt", zorder=3,
                      label=_plural(mark.label) if named else None)  # fmt: skip
            shown.add(mark.label)
        if len(marks) <= MOST_LABELS:
            for mark, power in zip(marks, powers, strict=True):
                around = trace[-(-mark.start // block) : (mark.start + mark.length) // block]  # not its neighbours'
                axes.annotate(
                    _short(mark),
                    ((mark.start + mark.length / 2) * stretch, max(power, float(around.max(initial=NOTHING_DB)))),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    va="bottom",
                    fontsize=7.5,
                    color=INK,
                )
        levels = np.array(powers) if marks else trace
        low, high = float(min(levels.min(), np.percentile(trace, 2))), float(max(levels.max(), trace.max()))
        margin = max(1.0, 0.12 * (high - low))
        axes.set_ylim(low - margin, high + 1.5 * margin)
        axes.set_xlim(0.0, samples.size * stretch)
        axes.set_xlabel(f"time ({unit})")
        axes.set_ylabel("power (dBFS)")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\u2212")))

    caption = (
        f"Bars without guard; grey: mean over {block:,} samples."
        if marks
        else f"Mean over {block:,} samples; no slot is marked."
    )
    if any("device" in m.facts for m in marks) and len(marks) <= MOST_LABELS:
        caption += " Numbers are devices."
    return Picture("energy", title, caption, draw)


def _groups(recording: Recording) -> dict[str, list[Mark]]:
    """Marks by kind, the most common kinds only; the whole capture where nothing usable is marked."""
    groups: dict[str, list[Mark]] = {}
    for mark in recording.marks:
        if mark.length - mark.guard >= 64:
            groups.setdefault(mark.label, []).append(mark)
    if not groups or len(groups) > MOST_KINDS:
        return {"capture": [Mark("capture", 0, recording.samples.size)]}
    return groups


def _pilots(recording: Recording) -> list[_Pilots]:
    found: dict[int, list[NDArray[np.complex128]]] = {}
    for mark in recording.marks:
        device, cycles = mark.facts.get("device"), mark.facts.get("cycles_per_sample")
        samples = recording.of(mark)
        if mark.label != "pilot" or device is None or cycles is None or samples.size < 4 * PILOT_BLOCKS:
            continue
        start = float(mark.facts.get("tone_start", mark.guard))
        samples = (samples - samples.mean()) * phasor(-float(cycles), samples.size, start)
        size = samples.size // PILOT_BLOCKS
        found.setdefault(int(device), []).append(
            samples[: size * PILOT_BLOCKS].reshape(PILOT_BLOCKS, size).mean(axis=1)
        )
    return [_Pilots(device, np.array(rows)) for device, rows in sorted(found.items())]


def _apart(found: Sequence[_Pilots], reach: float, clouds: bool) -> list[tuple[float, float]]:
    """Places for the devices' numbers: outside of each first cloud seen from the origin, and clear of one another."""
    places: list[complex] = []
    for pilots in found:
        cloud = pilots.points[0]
        centre = complex(cloud.mean())
        unit = centre / abs(centre) if centre else 1.0 + 0.0j
        spread = float(np.max(((cloud - centre) * np.conj(unit)).real, initial=0.0)) if clouds else 0.0
        spot = centre + unit * (spread + 0.07 * reach)
        for _ in range(4):
            if all(abs(spot - other) > 0.09 * reach for other in places):
                break
            spot += unit * 0.08 * reach
        places.append(spot)
    return [(spot.real, spot.imag) for spot in places]


def _spots(recording: Recording) -> list[tuple[int, int, str]]:
    """Neighbouring slots of one kind as (start, end, name); nothing where that would be too many."""
    spots: list[tuple[int, int, str]] = []
    for mark in recording.marks:
        name = _plural(mark.label)
        if "sweep" in mark.facts:
            name += f", sweep {int(mark.facts['sweep']) + 1}"
        if spots and spots[-1][2] == name:
            spots[-1] = (spots[-1][0], mark.start + mark.length, name)
        else:
            spots.append((mark.start, mark.start + mark.length, name))
    return spots if len(spots) <= 16 else []


def _short(mark: Mark) -> str:
    return str(mark.facts["device"]) if "device" in mark.facts else mark.label


def _plural(label: str) -> str:
    return {"pilot": "pilots", "payload": "payloads", "reference": "references", "capture": "whole capture"}.get(
        label, label
    )


def _colours(labels: Iterable[str]) -> dict[str, str]:
    found, spare = {}, 0
    for label in labels:
        if label in COLOURS:
            found[label] = COLOURS[label]
        elif label == "capture":
            found[label] = BLUE
        else:
            found[label] = OTHER_COLOURS[spare % len(OTHER_COLOURS)]
            spare += 1
    return found


def _frequency(recording: Recording) -> tuple[float, str, float]:
    """Sampling rate, unit of frequencies, and how many Hz it has; in fractions of the rate where that is unknown."""
    if not recording.rate_sps:
        return 1.0, "", 1.0
    unit, scale = (
        ("MHz", 1e6) if recording.rate_sps >= 4e6 else ("kHz", 1e3) if recording.rate_sps >= 4e3 else ("Hz", 1.0)
    )
    return recording.rate_sps, unit, scale


def _time(recording: Recording) -> tuple[float, str]:
    """Length of a sample and its unit."""
    if not recording.rate_sps:
        return 1.0, "samples"
    seconds = recording.samples.size / recording.rate_sps
    if seconds >= 2.0:
        return 1.0 / recording.rate_sps, "s"
    return 1e3 / recording.rate_sps, "ms"


def _at_least(samples: NDArray[np.complex128], n: int) -> NDArray[np.complex128]:
    return samples if samples.size >= n else np.pad(samples, (0, n - samples.size))


def _power_of_two(n: int) -> int:
    return 1 << (max(1, n).bit_length() - 1)


def _db(value: float) -> str:
    """One decimal, a real minus sign and a space that does not break."""
    number = f"{value:.1f}" if math.isfinite(value) else str(value)
    return number.replace("-", "\u2212") + "\u00a0dB"
