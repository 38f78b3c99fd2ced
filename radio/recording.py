"""A capture with what is known about it, in memory and as a SigMF recording (docs/recordings.md has the fields).

Samples are complex baseband with ADC full scale = 1, as everywhere here. In the file they are codes: a sample is a code
times 1 / `full_scale`. SigMF's own convention for integers is a full scale of 2^15, and its library divides by that
unless told otherwise, which makes a 12-bit capture look 24 dB weaker than it was; so we read codes and scale ourselves.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radio.errors import InputError

EXTENSION = "pairzero"
EXTENSION_VERSION = "1.0.0"
META, DATA = ".sigmf-meta", ".sigmf-data"
_SUFFIXES = (META, DATA, ".sigmf", ".sigmf.gz", ".sigmf.xz", ".sigmf.zip")
_LARGEST = {"ci16_le": 2**15 - 1, "cf32_le": 2**24}  # codes that the type holds exactly

DataType = Literal["ci16_le", "cf32_le"]


@dataclass(frozen=True)
class Segment:
    """Samples from `start` (index in the recording) on that follow one another on the receiver's clock.

    `clock` is the receiver's `clock_samples` at `start`; of a foreign capture its index in the original stream.
    """

    start: int
    clock: int
    lo_hz: float | None = None
    receive_gain_db: float | None = None
    time: str | None = None


@dataclass(frozen=True)
class Mark:
    """What `length` samples from `start` (index in the recording) on are; see `radio.marker.mark`."""

    label: str
    start: int
    length: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def guard(self) -> int:
        """Samples at the beginning that the receiver threw away."""
        return min(max(int(self.facts.get("guard_samples") or 0), 0), self.length - 1)


@dataclass(frozen=True)
class Recording:
    """One capture.

    Attributes:
        samples: (N,) complex baseband, ADC full scale = 1.
        rate_sps: sampling rate; None where a foreign capture does not say.
        segments: at least one, the first starts at 0.
        marks: in order of their start.
        hardware: what recorded it, in words.
        facts: what else is known, JSON values under plain names (written with our prefix).
        full_scale: code of ADC full scale; None: samples are not codes.
        total: samples in the file; more than N where only the beginning was read.
        scale_known: False for integers of a foreign capture, whose levels are relative to the type's full scale and not
            to an ADC's.
    """

    samples: NDArray[np.complex128]
    rate_sps: float | None
    segments: tuple[Segment, ...] = (Segment(0, 0),)
    marks: tuple[Mark, ...] = ()
    hardware: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    full_scale: int | None = None
    total: int = -1
    scale_known: bool = True

    def __post_init__(self) -> None:
        if self.total < 0:
            object.__setattr__(self, "total", self.samples.size)

    def of(self, mark: Mark) -> NDArray[np.complex128]:
        """The samples of a mark that its receiver used: without the guard, in which a transmission may still begin."""
        return self.samples[mark.start + mark.guard : mark.start + mark.length]


def plain(value: Any) -> Any:
    """`value` as JSON: arrays become lists, complex numbers [re, im], NaN and infinity null, dataclasses objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_recording(path: Path, recording: Recording, datatype: DataType | None = None) -> Path:
    """Write `path`.sigmf-data and then `path`.sigmf-meta, each in one step, and return the latter's path.

    A recording is there once its metadata is: a crash in between leaves no half of one that a reader would take for
    whole. An older recording of that name is replaced.

    Args:
        path: without suffix, or with one of SigMF's.
        recording: what to write. Samples that are codes of `full_scale` come back bit for bit from either type.
        datatype: default: ci16_le where the samples are codes that fit, else cf32_le. ci16_le rounds other samples to
            1/`full_scale` (default 1/32767), cf32_le to 24 bits.

    Raises InputError for samples that the type cannot hold and for a disk that does not take the files.
    """
    base = _base(path)
    codes = _codes(recording)
    if datatype is None:
        datatype = "ci16_le" if codes is not None and _peak(codes) <= _LARGEST["ci16_le"] else "cf32_le"
    if datatype == "ci16_le":
        full_scale = recording.full_scale or _LARGEST["ci16_le"]
        numbers = np.rint(recording.samples * full_scale) if codes is None else codes
        if not np.all(np.isfinite(numbers.view(np.float64))) or _peak(numbers) > 2**15 - 1:
            raise InputError(
                f"{base.name}: a sample of {_peak(numbers):.6g} codes does not fit into ci16_le (at most 32767, full scale "
                f"is {full_scale}); write cf32_le"
            )
        scale: int | None = full_scale
        data = numbers.view(np.float64).astype("<i2").tobytes()
    else:
        scale = recording.full_scale if codes is not None else None
        data = recording.samples.astype("<c8").tobytes()
    text = json.dumps(_metadata(recording, datatype, scale, codes is not None, data), indent=1, allow_nan=False) + "\n"
    meta, samples = base.with_name(base.name + META), base.with_name(base.name + DATA)
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        meta.unlink(missing_ok=True)
        write_bytes(samples, data)
        try:
            write_bytes(meta, text.encode())
        except OSError:
            samples.unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise InputError(
            f"cannot write the recording {base}: {problem.strerror}; free some space or choose another folder"
        ) from None
    return meta


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one step: readers and crashes see the old one or the new, never half. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def read_recording(path: Path, *, full_scale: float | None = None, limit: int | None = None) -> Recording:
    """Read a SigMF recording, ours or any other's.

    Args:
        path: the metadata, the data set or an archive, with or without suffix.
        full_scale: code of ADC full scale for captures of integers that do not say (default: SigMF's, 2^(bits-1)).
        limit: read at most so many samples from the beginning.

    Metadata that bend the rules are read as far as they go. Raises InputError, naming the file, for whatever is in the
    way: missing, damaged (the checksum is verified), several channels, empty.
    """
    import sigmf
    from sigmf.error import SigMFError

    if full_scale is not None and not (math.isfinite(full_scale) and full_scale > 0):
        raise InputError(f"full_scale is {full_scale}; allowed: a positive code, for example 2048 for 12 bits")
    name = _existing(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters is checked below
            signal: Any = sigmf.fromfile(name, autoscale=False)
            if not isinstance(signal, sigmf.SigMFFile):
                raise InputError(f"{path} is a SigMF collection; name one of its recordings")
            total, channels = int(signal.sample_count), int(signal.get_global_field("core:num_channels") or 1)
            if total < 1:
                raise InputError(f"{path} holds no samples; a recording needs its {DATA} file beside the metadata")
            if channels != 1:
                raise InputError(f"{path} has {channels} channels; extract one of them first")
            count = total if limit is None else min(total, limit)
            raw = signal.read_samples(0, count)
            return _recording(signal, np.asarray(raw), total, full_scale)
    except InputError:
        raise
    except (SigMFError, OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise InputError(
            f"{path} is not a readable SigMF recording: {problem}; check it with `sigmf_validate`"
        ) from None


def name_of(path: Path) -> str:
    """The recording's name: its file's without the suffix."""
    found = [path.name.removesuffix(suffix) for suffix in _SUFFIXES if path.name.endswith(suffix)]
    return min(found, key=len, default=path.name)


def _base(path: Path) -> Path:
    for suffix in (META, DATA):
        if path.name.endswith(suffix):
            return path.with_name(path.name.removesuffix(suffix))
    return path


def _existing(path: Path) -> Path:
    """The file that the library is to open; it would take a sound or a picture of that name for a recording."""
    named = path.name.endswith(_SUFFIXES)
    candidates = [path] if named else [path.with_name(path.name + suffix) for suffix in _SUFFIXES]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if path.exists():
        what = "a folder" if path.is_dir() else "not a SigMF recording"
        raise InputError(f"{path} is {what}; give a file NAME{META} (or NAME of the pair, or an archive NAME.sigmf)")
    raise InputError(f"{path} not found; give a file NAME{META} (or NAME of the pair, or an archive NAME.sigmf)")


def _peak(codes: NDArray[np.complex128]) -> float:
    return float(np.abs(codes.view(np.float64)).max(initial=0.0))


def _codes(recording: Recording) -> NDArray[np.complex128] | None:
    """The samples as codes of `full_scale`, or None if that is not exactly what they are."""
    scale = recording.full_scale
    if scale is None or scale > _LARGEST["cf32_le"]:
        return None
    codes = np.ascontiguousarray(recording.samples, dtype=np.complex128).view(np.float64) * scale
    np.rint(codes, out=codes)
    exact = np.array_equal(codes * (1.0 / scale), np.ascontiguousarray(recording.samples).view(np.float64))
    return codes.view(np.complex128) if exact else None


def _metadata(
    recording: Recording, datatype: DataType, scale: int | None, exact: bool, data: bytes
) -> dict[str, list[dict[str, Any]] | dict[str, Any]]:
    import hashlib

    import sigmf

    known: dict[str, Any] = {
        "core:datatype": datatype,
        "core:version": sigmf.__specification__,
        "core:sample_rate": recording.rate_sps,
        "core:hw": recording.hardware or None,
        "core:recorder": "pairzero",
        "core:description": "What the receiver of an over-the-air aggregation heard.",
        "core:sha512": hashlib.sha512(data).hexdigest(),
        "core:extensions": [{"name": EXTENSION, "version": EXTENSION_VERSION, "optional": True}],
        f"{EXTENSION}:full_scale": scale,
        f"{EXTENSION}:exact": exact if scale is not None else None,
        **_prefixed(recording.facts),
    }
    captures = [
        {
            "core:sample_start": s.start,
            "core:global_index": s.clock,
            "core:frequency": s.lo_hz,
            "core:datetime": s.time,
            f"{EXTENSION}:receive_gain_db": s.receive_gain_db,
        }
        for s in recording.segments
    ]
    annotations = [
        {
            "core:sample_start": m.start,
            "core:sample_count": m.length,
            "core:label": describe(m),
            f"{EXTENSION}:kind": m.label,
            **_prefixed(m.facts),
        }
        for m in sorted(recording.marks, key=lambda m: m.start)
    ]
    return {
        "global": _present(known),
        "captures": [_present(capture) for capture in captures],
        "annotations": [_present(annotation) for annotation in annotations],
    }


def describe(mark: Mark) -> str:
    """A mark in at most some 20 characters, for SigMF viewers."""
    for key in ("device", "perturbation"):
        if key in mark.facts:
            return f"{mark.label} {mark.facts[key]}"
    return mark.label


def _present(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value is not None}


def _prefixed(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{EXTENSION}:{key}": plain(value) for key, value in facts.items()}


def _ours(entries: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{EXTENSION}:"
    return {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}


def _recording(signal: Any, raw: NDArray[Any], total: int, wanted: float | None) -> Recording:
    overall = dict(signal.get_global_info())
    facts = _ours(overall)
    own, exact = facts.pop("full_scale", None), facts.pop("exact", False)
    datatype = str(overall["core:datatype"])
    numbers = raw.astype(np.complex128)
    integer = re.match(r"[cr]([iu])(\d+)", datatype)
    if integer is not None:
        middle = 2.0 ** (int(integer[2]) - 1)
        if integer[1] == "u":
            numbers -= middle * (1 + 1j) if datatype[0] == "c" else middle
        samples = numbers * (1.0 / (wanted or own or middle))
    elif own is not None and exact:  # codes that lost their last bits to 24-bit floats
        samples = (np.rint(numbers.view(np.float64) * own) * (1.0 / own)).view(np.complex128)
    else:
        samples = numbers
    rate = overall.get("core:sample_rate")
    segments = [
        Segment(
            start=int(c["core:sample_start"]),
            clock=int(c.get("core:global_index", c["core:sample_start"])),
            lo_hz=c.get("core:frequency"),
            receive_gain_db=c.get(f"{EXTENSION}:receive_gain_db"),
            time=c.get("core:datetime"),
        )
        for c in signal.get_captures()
        if int(c["core:sample_start"]) < samples.size
    ]
    marks = []
    for a in signal.get_annotations():
        start = int(a["core:sample_start"])
        length = min(int(a.get("core:sample_count", samples.size)), samples.size - start)
        if length < 1:
            continue
        own_facts = _ours(a)
        label = str(own_facts.pop("kind", None) or a.get("core:label") or a.get("core:comment") or "annotation")
        marks.append(Mark(label, start, length, own_facts))
    return Recording(
        samples=samples,
        rate_sps=float(rate) if rate else None,
        segments=tuple(segments) or (Segment(0, 0),),
        marks=tuple(marks),
        hardware=str(overall.get("core:hw", "")),
        facts=facts,
        full_scale=None if own is None or not exact else int(own),
        total=total,
        scale_known=integer is None or bool(wanted or own),
    )
