"""The channel of a session as a data set: complex gains over time (npz), and what they are of (SigMF metadata)."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.profile import Profile, load_profile
from calibration.session import SERIES
from radio.errors import InputError
from radio.recording import EXTENSION, EXTENSION_VERSION, META, write_bytes

STEP = "channel"


def export(session: Path, out: Path) -> Path:
    """Write `out`.npz and `out`.sigmf-meta and return the former's path.

    The arrays: times_s (N,), gains (K, N) complex, gain_errors (K, N), and device_names (K,). With clocks of their own the
    phases are the oscillators' and not the channel's: gains are then magnitudes.

    Raises InputError for a session that has not watched the channel.
    """
    profile = load_profile(session)
    folder = session if session.is_dir() else session.parent
    try:
        with np.load(folder / SERIES / f"{STEP}.npz") as data:
            heard = {key: data[key] for key in data.files}
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no channel series; measure one with: pairzero calibrate ... --steps channel --resume {folder}"
        ) from None
    arrays = _together(heard, [radio.name for radio in profile.device], profile.clock == "shared")
    out = out.with_name(out.name.removesuffix(".npz"))
    file = out.with_name(f"{out.name}.npz")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    text = json.dumps(_metadata(profile, arrays, file.name), indent=1) + "\n"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, buffer.getvalue())
        write_bytes(out.with_name(f"{out.name}{META}"), text.encode())
    except OSError as problem:
        raise InputError(f"cannot write {file}: {problem.strerror}; choose another place") from None
    return file


def _together(heard: dict[str, NDArray[Any]], names: list[str], phases: bool) -> dict[str, Any]:
    """One time axis for all devices: those that were watched at other times are moved and interpolated onto the first's."""
    watched = [k for k in range(len(names)) if f"gains_{k}" in heard]
    if not watched:
        raise InputError("no device's channel was watched; see the session's report for why")
    first = heard[f"times_s_{watched[0]}"]
    times = first - first[0]
    gains, errors = [], []
    for k in watched:
        own = heard[f"times_s_{k}"] - heard[f"times_s_{k}"][0]
        h = heard[f"gains_{k}"] if phases else np.abs(heard[f"gains_{k}"]).astype(np.complex128)
        gains.append(np.interp(times, own, h.real) + 1j * np.interp(times, own, h.imag))
        errors.append(np.interp(times, own, heard[f"gain_errors_{k}"]))
    return {
        "times_s": times,
        "gains": np.array(gains),
        "gain_errors": np.array(errors),
        "device_names": np.array([names[k] for k in watched]),
    }


def _metadata(profile: Profile, arrays: dict[str, Any], name: str) -> dict[str, Any]:
    """There are no samples: the metadata stand for themselves and name the arrays' file."""
    import sigmf

    about: dict[str, Any] = {
        "core:datatype": "cf64_le",
        "core:version": sigmf.__specification__,
        "core:metadata_only": True,
        "core:description": f"channel gains of {len(arrays['device_names'])} devices over time, arrays in {name}",
        "core:hw": "ADALM-Pluto" if profile.air == "station" else "loopback (simulated)",
        "core:recorder": "pairzero",
        "core:extensions": [{"name": EXTENSION, "version": EXTENSION_VERSION, "optional": True}],
        f"{EXTENSION}:arrays": {key: list(value.shape) for key, value in arrays.items()},
        f"{EXTENSION}:devices": [str(one) for one in arrays["device_names"]],
        f"{EXTENSION}:serials": [radio.serial for radio in profile.device],
        f"{EXTENSION}:phases": "measured, one reference clock"
        if profile.clock == "shared"
        else "left out, free-running clocks",
        f"{EXTENSION}:receive_gain_db": profile.receive_gain_db,
        f"{EXTENSION}:transmit_gain_db": [radio.transmit_gain_db for radio in profile.device],
        f"{EXTENSION}:unit": "received amplitude (ADC full scale = 1) per transmitted amplitude (DAC full scale = 1)",
    }
    capture = {
        "core:sample_start": 0,
        "core:frequency": profile.lo_hz,
        "core:datetime": profile.made.isoformat().replace("+00:00", "Z"),
    }
    return {"global": about, "captures": [capture], "annotations": []}
