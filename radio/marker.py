"""What a receiver's slots hold, told to whoever records them.

An air knows what it receives: an idle slot, the pilot of a device, a payload. It says so with `mark` after each
reception; a receiver that records (`radio.recorder.RecordingRadio`) keeps it as an annotation, any other does not care.
"""

from __future__ import annotations

from typing import Any, Protocol, cast, runtime_checkable

from radio.radio import Radio


@runtime_checkable
class Marker(Protocol):
    """A receiver that wants to know."""

    def mark(self, label: str, start: int, length: int, **facts: Any) -> None:
        """The `length` samples from the receiver's clock `start` on, already received, are `label`."""
        ...


def mark(receiver: Radio, label: str, start: int, length: int, **facts: Any) -> None:
    """Tell `receiver` what it has just heard, if it wants to know.

    Args:
        receiver: the radio that listened.
        label: "idle", "pilot", "payload" or "reference"; other words are allowed and appear in figures as they are.
        start: `clock_samples` of the first sample.
        length: samples.
        facts: what else there is to know, public facts only: `device`, `sweep`, `perturbation`, `active` (device
            numbers), `guard_samples`, `cycles_per_sample` (of a tone). docs/recordings.md lists those with a meaning.
    """
    if hasattr(receiver, "mark"):  # isinstance of a Protocol would take 40 us
        cast(Marker, receiver).mark(label, start, length, **facts)
