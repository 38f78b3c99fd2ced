"""Recordings of a run: what the receiver heard in some of its slots, in `recordings/` of the run folder.

A capture holds what anybody within range could have heard, and the plan and sums that everybody is told: nothing that the
privacy guarantee does not cover already. Payloads are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radio.radio import Radio
from radio.recorder import RecordingRadio
from radio.recording import META, write_recording

if TYPE_CHECKING:
    from fl.rounds import Slot

FOLDER = "recordings"
MOST_ERASED = 20  # erased slots kept besides the regular ones: enough to see why, and no full disk
RECEIVED = ("total", "variance", "snr_db", "erased", "reason")  # not what was counted at the transmitters


class Recordings:
    """Records slot 0, `every`, 2 `every`, ... and the first erased slots of a process.

    Args:
        run: the run folder.
        every: at least 1.
        settings: of the radio, kept with each recording so that it can be replayed.
    """

    def __init__(self, run: Path, every: int, settings: Mapping[str, Any]) -> None:
        self._folder = run / FOLDER
        self._every = every
        self._settings = dict(settings)
        self._erased = 0
        self._receiver: RecordingRadio | None = None

    def listen(self, receiver: Radio) -> Radio:
        """The receiver as one that is recorded; for the air that is about to be built."""
        self._receiver = RecordingRadio(receiver)
        self._receiver.start()
        return self._receiver

    def after(self, slot: Slot) -> None:
        """Write the finished slot if its turn has come, and begin with the next.

        Raises InputError where it cannot be written: the slot is committed by then, and the run can be resumed.
        """
        assert self._receiver is not None, "an air without a receiver; fl.config refuses to record one"
        due = slot.slot % self._every == 0
        if not due and slot.received.erased and self._erased < MOST_ERASED:
            self._erased += 1
            due = True
        facts: dict[str, Any] = {}
        if due:
            facts = {
                "slot": slot.slot,
                "settings": self._settings,
                "state": slot.state,
                "plan": slot.plan,
                "received": {name: getattr(slot.received, name) for name in RECEIVED},
            }
        recording = self._receiver.finish(facts)
        if due and recording is not None:
            write_recording(self._folder / f"slot-{slot.slot:06d}", recording)
        self._receiver.start()


def recordings_of(run: Path) -> list[Path]:
    """Metadata files of a run's recordings in the order of their slots."""
    return sorted((run / FOLDER).glob(f"slot-*{META}"))
