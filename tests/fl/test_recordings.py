"""Recordings of a run: which slots, what is in them, and that they replay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fl.diagnostics import read_diagnostics
from fl.recordings import MOST_ERASED, Recordings, recordings_of
from fl.rounds import Slot
from fl.run import execute
from fl.run_folder import create
from fl.session import build_air
from radio.air import AirPlan, ChannelState, Received
from radio.coherent import CoherentAir
from radio.errors import InputError
from radio.fading import Fading
from radio.loopback import LoopbackRadio
from radio.medium import Medium
from radio.recording import name_of, read_recording
from radio.replay import ReplayRadio, SilentRadio


@pytest.fixture(scope="module")
def recorded_run(make_experiment, tmp_path_factory) -> Path:
    changes = {"learning.rounds": 4, "learning.perturbations": 2, "run.record_every": 3, "radio.offset_hz": 0.0}
    folder = create(tmp_path_factory.mktemp("runs") / "recorded", make_experiment(changes))
    execute(folder, quiet=True)
    return folder.path


def test_every_third_slot_is_recorded(recorded_run: Path) -> None:
    erased = [line["slot"] for line in read_diagnostics(recorded_run) if line["erased"]]
    slots = [int(name_of(path).removeprefix("slot-")) for path in recordings_of(recorded_run)]
    assert slots == sorted({0, 3} | set(erased))
    assert not list(recorded_run.rglob("*.partial"))


def test_a_recording_says_what_it_holds(recorded_run: Path) -> None:
    kept = read_recording(recordings_of(recorded_run)[0])
    line = read_diagnostics(recorded_run)[0]
    assert (kept.rate_sps, kept.hardware, kept.full_scale) == (1e6, "loopback (simulated)", 2047)
    assert kept.facts["slot"] == 0 and kept.facts["settings"]["window"] == 512
    assert kept.facts["received"]["total"] == line["received"]
    assert kept.facts["plan"]["active"] == line["active"]
    kinds = [mark.label for mark in kept.marks]
    assert kinds == ["idle"] + ["pilot"] * 3 * (kinds.count("pilot") // 3) + ["payload"] * 2 + ["reference"]
    assert sum(mark.length for mark in kept.marks) == kept.samples.size
    assert [m.facts["perturbation"] for m in kept.marks if m.label == "payload"] == [0, 1]


def test_nothing_a_device_keeps_to_itself_is_recorded(recorded_run: Path) -> None:
    """Payloads, what a transmitter sent and what it clipped are in the diagnostics of a simulation, marked NOT PRIVATE."""
    for path in recordings_of(recorded_run):
        text = path.read_text()
        content = json.loads(text)
        assert set(content["global"]["pairzero:received"]) == {"total", "variance", "snr_db", "erased", "reason"}
        assert "truth" not in text and "payloads" not in text and "transmit_power" not in text
        assert str(recorded_run.parent) not in text


def test_a_recorded_slot_replays_to_what_the_run_committed(recorded_run: Path) -> None:
    kept = read_recording(recordings_of(recorded_run)[0])
    settings, segment = kept.facts["settings"], kept.segments[0]
    pilots = [mark for mark in kept.marks if mark.label == "pilot"]
    air = CoherentAir(
        [SilentRadio() for _ in range(3)],
        ReplayRadio(kept),
        window=settings["window"],
        pilot_window=settings["pilot_window"],
        pilot_repeats=len(pilots) // 3,
        guard_samples=pilots[0].facts["guard_samples"],
        receive_gain_db=segment.receive_gain_db or 0.0,
    )
    state = air.sound(0)
    assert state.gains.view(np.float64).reshape(-1, 2).tolist() == kept.facts["state"]["gains"]
    told = kept.facts["plan"]
    precoders = np.array(told["precoders"]).reshape(-1).view(np.complex128)
    plan = AirPlan(precoders, np.array(told["active"]), told["alignment"], told["payload_peak"])
    received = air.aggregate(0, np.zeros((3, 2)), plan)
    assert received.total.tolist() == kept.facts["received"]["total"]


def test_a_run_without_recordings_has_no_folder_for_them(finished_run) -> None:
    assert recordings_of(finished_run.path) == [] and not (finished_run.path / "recordings").exists()


def slot(number: int, erased: bool) -> Slot:
    ones = np.ones(1)
    state = ChannelState(ones.astype(complex), ones, ones, 0.1, ones.astype(bool))
    plan = AirPlan(ones.astype(complex), ones.astype(bool), 1.0, 1.0)
    nothing = np.array([np.nan]) if erased else ones
    received = Received(nothing, nothing, nothing, erased, "burst" if erased else "", np.zeros(1, np.int64), ones)
    return Slot(number, number, state, plan, received, None)


def test_erased_slots_are_kept_too_but_not_without_end(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path, 1000, {})
    radio = recordings.listen(LoopbackRadio(Medium(Fading(1, 1), 1, noise_variance=1e-3)))
    for number in range(1, 60):
        radio.receive(64)
        recordings.after(slot(number, erased=number % 2 == 1))
    kept = [read_recording(path) for path in recordings_of(tmp_path)]
    assert [r.facts["slot"] for r in kept] == list(range(1, 2 * MOST_ERASED, 2))
    assert kept[0].facts["received"] == {
        "total": [None], "variance": [None], "snr_db": [None], "erased": True, "reason": "burst",
    }  # fmt: skip
    assert [r.samples.size for r in kept] == [64] * MOST_ERASED  # a slot's own samples, not those before


def test_a_folder_that_cannot_be_written_ends_the_run_with_a_message(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("in the way")
    recordings = Recordings(tmp_path, 1, {})
    recordings.listen(LoopbackRadio(Medium(Fading(1, 1), 1, noise_variance=1e-3))).receive(64)
    with pytest.raises(InputError, match="cannot write the recording"):
        recordings.after(slot(0, erased=False))


@pytest.mark.parametrize("changes", [{"radio.mode": "ideal"}, {"radio.mode": "energy", "radio.fidelity": "symbol"}])
def test_an_air_without_samples_cannot_be_recorded(make_experiment, changes) -> None:
    with pytest.raises(InputError, match=r"run\.record_every = 5, but an air with .* has no samples to record"):
        make_experiment({"run.record_every": 5, **changes})


@pytest.mark.parametrize("mode", ["coherent", "energy", "vote", "tdma"])
def test_every_mode_that_transmits_can_be_recorded_and_replayed(make_experiment, tmp_path: Path, mode: str) -> None:
    experiment = make_experiment(
        {"radio.mode": mode, "learning.payload": "sign" if mode == "vote" else "value", "radio.snr_db": 40.0}
    )
    payloads = np.array([[0.5, -0.2], [0.1, 0.9], [-1.0, 0.3]])
    recordings = Recordings(tmp_path, 1, {})
    with build_air(experiment, recordings.listen) as air:
        state = air.sound(0)
        plan = air.mode.plan(state, 1.0, truncation=0.0)
        received = air.aggregate(0, payloads, plan)
        recordings.after(Slot(0, 0, state, plan, received, None))
    kept = read_recording(recordings_of(tmp_path)[0])
    assert kept.full_scale == 2047
    assert {"idle", "payload"} <= {mark.label for mark in kept.marks} <= {"idle", "pilot", "payload", "reference"}
    # What is sent now is heard by nobody: the receiver listens to the recording.
    with build_air(experiment, lambda _: ReplayRadio(kept)) as air:
        again = air.sound(0)
        assert again.gains.tobytes() == state.gains.tobytes() and again.noise_variance == state.noise_variance
        assert air.aggregate(0, payloads, plan).total.tobytes() == received.total.tobytes()
