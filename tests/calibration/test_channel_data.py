"""The channel data set of a session, and its way back into a simulated air."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sigmf

from calibration.channel_data import export
from calibration.session import Session
from calibration.stand import on_loopback
from calibration.steps.channel import Channel
from radio.errors import InputError
from radio.measured import load_channel
from radio.surroundings import from_settings


def test_a_session_s_channel_is_written_and_can_be_replayed(tmp_path: Path) -> None:
    place = from_settings(2, 1, window=1024, snr_db=60.0, fading="rayleigh", doppler_hz=0.2, round_s=1.0)
    with on_loopback(place, {}, "moving") as stand:
        Session(tmp_path / "s", stand, [Channel(span_s=4.0)]).run()
        truth = place.channel
    file = export(tmp_path / "s", tmp_path / "data" / "moving.npz")
    assert file == tmp_path / "data" / "moving.npz"
    with np.load(file) as data:
        times, gains = data["times_s"], data["gains"]
        assert data["gain_errors"].shape == gains.shape == (2, times.size)
        assert list(data["device_names"]) == ["device-0", "device-1"]
    metadata = json.loads(file.with_suffix(".sigmf-meta").read_text())
    sigmf.SigMFFile(metadata=metadata).validate()
    assert metadata["global"]["core:metadata_only"] and metadata["captures"][0]["core:frequency"] == 915e6
    # the same fading, wherever on its time axis the step looked
    starts = np.linspace(0.0, 4.0, 401)
    heard = np.abs(gains) / np.sqrt(np.mean(np.abs(gains) ** 2))
    off = [
        np.abs(np.abs(h) / np.sqrt(np.mean(np.abs(h) ** 2)) - heard).max()
        for s in starts
        for h in [truth.track(0, s + times)]
    ]
    assert min(off) < 0.05
    replayed = load_channel(file, 2)
    assert np.allclose(np.abs(replayed.series), heard)


def test_a_session_without_a_channel_says_what_to_do(tmp_path: Path) -> None:
    with on_loopback(from_settings(1, 1, window=512), {}, "x") as stand:
        Session(tmp_path, stand, []).run()
    with pytest.raises(InputError, match="--steps channel"):
        export(tmp_path, tmp_path / "c")
