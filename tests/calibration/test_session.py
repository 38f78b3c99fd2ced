"""Sessions of small steps: their order, what is kept, and what becomes of failures and interruptions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from calibration import session as sessions
from calibration.finding import Estimate, Finding, Outcome
from calibration.loopback_rig import LoopbackRig
from calibration.profile import load_profile
from calibration.rig import Rig
from calibration.session import Session, in_order
from calibration.stand import Stand, on_loopback
from calibration.step import Known
from calibration.step_record import read_records
from radio.errors import InputError
from radio.recording import read_recording
from radio.surroundings import from_settings


@dataclass
class Small:
    """Hears 256 samples of device 0, and does what it is told."""

    name: str
    needs: tuple[str, ...] = ()
    about: str = "a small step"
    fails: Exception | None = None
    asked: list[Known] = field(default_factory=list)

    def run(self, rig: Rig, known: Known) -> Outcome:
        self.asked.append(dict(known))
        with rig.on_air({0: np.ones(64, dtype=np.complex128)}):
            rig.more(256)
            if self.fails is not None:
                raise self.fails
        rig.receiver.receive_gain_db = -20.0
        finding = Finding(self.name, "device-0", "level", Estimate(1.0, 0.1))
        return Outcome((finding,), {"level": np.float64(2.0)}, series={"x": np.arange(3)})


@pytest.fixture
def stand() -> Iterator[Stand]:
    place = from_settings(2, 1, window=256, fading="static", snr_db=40.0)
    with on_loopback(place, {"devices": 2}, "small") as made:
        yield made


def silent(stand: Stand) -> bool:
    assert isinstance(stand.rig, LoopbackRig)
    return stand.rig.medium.on_air == ()


def test_steps_come_after_what_they_need() -> None:
    steps = (Small("c", ("b",)), Small("a"), Small("b", ("a",)), Small("drift"))
    assert [step.name for step in in_order((), steps)] == ["a", "b", "c"]
    assert [step.name for step in in_order(("b",), steps)] == ["a", "b"]
    assert [step.name for step in in_order(("drift",), steps)] == ["drift"]
    with pytest.raises(InputError, match="did you mean drift"):
        in_order(("drifft",), steps)


def test_what_a_session_keeps(stand: Stand, tmp_path: Path) -> None:
    steps = [Small("a"), Small("b", ("a",))]
    profile = Session(tmp_path, stand, steps).run()
    assert steps[1].asked == [{"a": {"level": 2.0}}]
    assert profile == load_profile(tmp_path) and profile.complete and profile.facts["b"] == {"level": 2.0}
    assert [radio.serial for radio in profile.device] == ["loopback-00", "loopback-01"]
    assert profile.radio_s == pytest.approx(2 * 256e-6)
    recording = read_recording(tmp_path / read_records(tmp_path)["a"].capture)
    assert recording.samples.size == 256 and recording.marks[0].label == "pilot"
    assert np.array_equal(np.load(tmp_path / "series" / "a.npz")["x"], np.arange(3))
    page = (tmp_path / "report.html").read_text()
    assert "<h1>small</h1>" in page and "level" in page and silent(stand)


def test_a_step_that_fails_is_named_and_the_others_go_on(stand: Stand, tmp_path: Path) -> None:
    steps = [Small("a", fails=InputError("device 1 is gone; plug it in")), Small("b", ("a",)), Small("c")]
    profile = Session(tmp_path, stand, steps).run()
    by_step = {finding.step: finding for finding in profile.findings}
    assert by_step["a"].verdict == "fail" and "plug it in" in by_step["a"].advice
    assert by_step["b"].verdict == "unknown" and "needs a" in by_step["b"].advice and not steps[1].asked
    assert by_step["c"].verdict == "pass" and not profile.complete and silent(stand)
    # mended: only what gave no result is done again
    again = [Small("a"), Small("b", ("a",)), Small("c")]
    assert Session(tmp_path, stand, again).run().complete
    assert [len(step.asked) for step in again] == [1, 1, 0]


def test_ctrl_c_mutes_and_keeps_what_is_done(stand: Stand, tmp_path: Path) -> None:
    steps = [Small("a"), Small("b", fails=KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        Session(tmp_path, stand, steps).run()
    assert silent(stand)
    kept = load_profile(tmp_path)
    assert not kept.complete and set(kept.facts) == {"a"} and (tmp_path / "report.html").is_file()
    assert "unfinished" in (tmp_path / "report.html").read_text()
    assert stand.rig is not None
    stand.rig.receiver.receive_gain_db = 0.0
    resumed = [Small("a"), Small("b")]
    profile = Session(tmp_path, stand, resumed).run()
    assert not resumed[0].asked and resumed[1].asked and profile.complete
    assert profile.made == kept.made and profile.receive_gain_db == -20.0


def test_a_session_is_not_gone_on_with_at_another_bench(stand: Stand, tmp_path: Path) -> None:
    Session(tmp_path, stand, [Small("a")]).run()
    with (
        on_loopback(from_settings(2, 1, window=512), {"devices": 3}, "small") as other,
        pytest.raises(InputError, match="another bench"),
    ):
        Session(tmp_path, other, [Small("b")])


def test_recordings_end_before_memory_does(stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("calibration.rig.MOST_RECORDED", 600)

    class Long(Small):
        def run(self, rig: Rig, known: Known) -> Outcome:
            for _ in range(4):
                rig.idle(256)
            return Outcome()

    Session(tmp_path, stand, [Long("a")]).run()
    assert read_recording(tmp_path / read_records(tmp_path)["a"].capture).samples.size == 512


def test_every_step_of_the_registry_can_be_ordered() -> None:
    names = [step.name for step in sessions.STEPS]
    assert len(set(names)) == len(names)
    for step in sessions.STEPS:
        assert set(step.needs) <= set(names), step.name
