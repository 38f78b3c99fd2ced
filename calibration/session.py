"""A calibration session: steps in the order of their needs, each recorded and kept as soon as it is done.

A session is a folder: `profile.toml`, `report.html`, `steps/` (what each step found), `captures/` (the first samples that each
heard, SigMF), `series/` (its arrays, npz). It can be interrupted at any time: everybody is muted, and what is done is kept.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from calibration.finding import Finding, Outcome
from calibration.plain import plain
from calibration.profile import NAME, Found, Profile, load_profile, radio_of
from calibration.recommend import recommend
from calibration.report import write_report
from calibration.rig import Rig
from calibration.stand import Stand
from calibration.step import Step
from calibration.step_record import StepRecord, drawn, read_records
from calibration.steps import LONG, STEPS
from radio.errors import InputError, PairzeroError
from radio.recording import META, Recording, write_bytes, write_recording

CAPTURES, SERIES = "captures", "series"

Begun = Callable[[Step], None]
Done = Callable[[StepRecord], None]


def in_order(names: Sequence[str] = (), steps: Sequence[Step] = STEPS) -> list[Step]:
    """The named steps and what they need, needs first; without names all but the long ones. InputError for a name there is
    not."""
    known = {step.name: step for step in steps}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else ""
            raise InputError(f"--steps: there is no step {name!r}; {hint or 'there are ' + ', '.join(known)}")
    wanted = list(names) or [name for name in known if name not in LONG]
    ordered: dict[str, Step] = {}

    def add(name: str) -> None:
        for need in known[name].needs:
            if need not in ordered and need in known:
                add(need)
        ordered.setdefault(name, known[name])

    for name in known:  # in the order of the list, whatever the order of the names
        if name in wanted:
            add(name)
    return list(ordered.values())


class Session:
    """See the module.

    Args:
        folder: of the session; one that has steps already is gone on with, and those are not done again.
        stand: the radios.
        steps: to be done, in order.
        begun, done: called before and after each.
    """

    def __init__(
        self,
        folder: Path,
        stand: Stand,
        steps: Sequence[Step],
        begun: Begun = lambda _: None,
        done: Done = lambda _: None,
    ) -> None:
        self.folder = folder
        self._stand = stand
        self._steps = list(steps)
        self._begun, self._done = begun, done
        self.records = {name: record for name, record in read_records(folder).items() if not record.failure}
        self._earlier = load_profile(folder) if (folder / NAME).is_file() else None
        self._about: dict[str, Any] = {"receiver": {}, "devices": []}  # the radios, as they last said themselves
        if self._earlier is not None:
            self._check_same(self._earlier)

    def run(self) -> Profile:
        """Do what is not done yet and return the profile, which is on disk by then, finished or not.

        Raises KeyboardInterrupt after an orderly stop.
        """
        rig = self._stand.rig
        if rig is None:
            profile = self._keep_profile()
            write_report(self.folder)
            return profile
        try:
            self._restore(rig)
            for step in self._steps:
                if step.name in self.records:
                    continue
                self._begun(step)
                record = self._do(rig, step)
                record.write(self.folder)
                self.records[step.name] = record
                self._keep_profile()
                self._done(record)
        finally:
            self._keep_profile()
            write_report(self.folder)
        return load_profile(self.folder)

    @property
    def known(self) -> dict[str, Mapping[str, Any]]:
        """Facts of the steps done."""
        return {name: record.facts for name, record in self.records.items() if not record.failure}

    def _do(self, rig: Rig, step: Step) -> StepRecord:
        began = rig.radio_s
        missing = [need for need in step.needs if need not in self.known]
        if missing:
            why = f"it needs {', '.join(missing)}, which gave no result"
            finding = Finding(step.name, "session", "not done", verdict="unknown", advice=why)
            return StepRecord(
                step.name, step.about, 0.0, (finding,), failure=why, number=len(self.records), **_gains(rig)
            )
        failure, outcome = "", Outcome()
        with rig.recording() as heard:
            try:
                try:
                    outcome = step.run(rig, self.known)
                finally:
                    rig.mute()
            except PairzeroError as error:
                failure = str(error)
                outcome = Outcome((Finding(step.name, "session", "failed", verdict="fail", advice=failure),))
        self._adopt(rig, step.name, outcome)
        return StepRecord(
            step.name,
            step.about,
            rig.radio_s - began,
            tuple(outcome.findings),
            plain(outcome.facts),
            drawn(outcome, step.name),
            self._keep(step.name, heard, outcome),
            failure=failure,
            number=len(self.records),
            **_gains(rig),
        )

    def _adopt(self, rig: Rig, step: str, outcome: Outcome) -> None:
        """At a station the rest of the session is measured at the receive gain that suits it, and runs with the profile use
        that gain. A simulated air's gain is part of it."""
        wanted = outcome.facts.get("recommended_gain_db")
        if step == "receive_gain" and wanted is not None and self._stand.air == "station":
            if wanted != rig.receiver.receive_gain_db:
                rig.say(f"from here on at a receive gain of {wanted:g} dB, which runs with this profile will use")
            rig.receiver.receive_gain_db = float(wanted)

    def _keep(self, name: str, heard: list[Recording], outcome: Outcome) -> str:
        """The capture and the series; returns the capture's file."""
        if outcome.series:
            buffer = io.BytesIO()
            arrays: dict[str, Any] = {key: np.asarray(value) for key, value in outcome.series.items()}
            np.savez_compressed(buffer, **arrays)
            (self.folder / SERIES).mkdir(parents=True, exist_ok=True)
            write_bytes(self.folder / SERIES / f"{name}.npz", buffer.getvalue())
        if not heard:
            return ""
        recording = replace(heard[0], facts={**heard[0].facts, "step": name})
        write_recording(self.folder / CAPTURES / name, recording)
        return f"{CAPTURES}/{name}{META}"

    def _keep_profile(self) -> Profile:
        profile = self._profile()
        profile.write(self.folder)
        return profile

    def _profile(self) -> Profile:
        stand, rig = self._stand, self._stand.rig
        if rig is not None:
            with suppress(InputError):  # one that does not answer any more has said it before
                self._about = rig.facts()
        about = self._about
        findings = [*stand.findings, *(finding for record in self.records.values() for finding in record.findings)]
        facts = {name: dict(record.facts) for name, record in self.records.items() if record.facts}
        done = all(name in self.known for name in (step.name for step in self._steps))
        before = self._earlier
        return Profile(
            name=stand.name,
            air=stand.air,
            made=datetime.now(UTC).replace(microsecond=0) if before is None else before.made,
            complete=done and rig is not None,
            clock=stand.clock,
            lo_hz=stand.lo_hz if rig is None else rig.lo_hz,
            rate_sps=stand.rate_sps,
            receive_gain_db=0.0 if rig is None else rig.receiver.receive_gain_db,
            radio_s=sum(record.radio_s for record in self.records.values()),
            settings=stand.settings,
            receiver=radio_of("receiver", about["receiver"]),
            device=tuple(
                radio_of(name, one)
                for name, one in zip(() if rig is None else rig.names, about["devices"], strict=False)
            ),
            recommendation=None
            if rig is None
            else recommend(self.known, rig.receiver.receive_gain_db, stand.settings.get("window")),
            facts=facts,
            finding=tuple(Found.of(finding) for finding in findings),
        )

    def _restore(self, rig: Rig) -> None:
        """The gains that the last step left."""
        if not self.records:
            return
        last = list(self.records.values())[-1]
        rig.receiver.receive_gain_db = last.receive_gain_db
        for radio, gain_db in zip(rig.transmitters, last.transmit_gain_db, strict=True):
            radio.transmit_gain_db = gain_db

    def _check_same(self, profile: Profile) -> None:
        stand = self._stand
        radios: tuple[list[str], list[str]] = ([], [])
        if stand.rig is not None and profile.device:
            found = stand.rig.facts()["devices"]
            radios = ([str(one.get("serial")) for one in found], [one.serial for one in profile.device])
        for what, here, there in (
            ("radios", *radios),
            ("air", stand.air, profile.air),
            ("name", stand.name, profile.name),
            ("clock", stand.clock, profile.clock),
            ("settings", plain(stand.settings), profile.settings),
        ):
            if here != there:
                raise InputError(
                    f"{self.folder} is a session of another bench: {what}: {there!r} then, {here!r} now; begin a "
                    "new one with --out"
                )


def _gains(rig: Rig) -> dict[str, Any]:
    return {
        "receive_gain_db": rig.receiver.receive_gain_db,
        "transmit_gain_db": tuple(radio.transmit_gain_db for radio in rig.transmitters),
    }
