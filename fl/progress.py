"""What a person sees while a run goes on: a live line in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fl.attendance import Attendance
from fl.diagnostics import received_snr_db
from fl.rounds import Slot
from fl.terminal import console
from radio.air import Sounder

HEARD = 500  # slots


class RunProgress:
    """Rounds a second, held-out loss and accuracy, received SNR and epsilon, and who is left out for long (`names`: of the
    devices); rounds count from where the run was resumed."""

    def __init__(self, rounds: int, done: int, quiet: bool, names: Sequence[str]) -> None:
        self._quiet = quiet
        self._attendance = Attendance(names)
        self._began, self._first = time.monotonic(), done
        self._done = done
        # since the last evaluation
        self._heard: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque(maxlen=HEARD)
        self._held_out = ""
        self._bar = Progress(
            TextColumn("[bold]round"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not sys.stdout.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=rounds, completed=done, status="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if line := self._attendance.at_the_end():
            self.say(f"[yellow]{line}")

    @property
    def rounds_per_s(self) -> float:
        return (self._done - self._first) / max(time.monotonic() - self._began, 1e-9)

    def slot(self, slot: Slot, air: Sounder) -> None:
        self._done = slot.rounds
        self._heard.append((slot.received.total, slot.received.variance))
        status = f"{self.rounds_per_s:.1f}/s{self._air()}  {self._held_out}"
        self._bar.update(self._task, completed=slot.rounds, status=status)
        if slot.received.erased:
            self.say(f"[yellow]slot {slot.slot} erased: {slot.received.reason}")
        for line in self._attendance.after(slot, air):
            self.say(f"[yellow]{line}")

    def evaluated(self, rounds: int, loss: float, accuracy: float, floor: float, epsilon: float | None) -> None:
        self._held_out = f"loss {loss:.3f}  accuracy {accuracy:.1%}"
        spent = "" if epsilon is None else f"  epsilon {epsilon:.2f}"
        speed = f"  {self.rounds_per_s:.1f} rounds/s" if self._done > self._first else ""
        self.say(
            f"round {rounds:5d}  held-out loss {loss:.3f}  accuracy {accuracy:6.1%} (floor {floor:.1%})"
            f"{self._air()}{spent}{speed}"
        )
        self._heard.clear()

    def _air(self) -> str:
        """The received SNR since the last evaluation, of the last `HEARD` slots at most, where there is one."""
        if not self._heard:
            return ""
        snr = received_snr_db(*(np.concatenate(column) for column in zip(*self._heard, strict=True)))
        return f"  received SNR {snr:.1f} dB" if math.isfinite(snr) else ""

    def say(self, text: str) -> None:
        if not self._quiet:
            self._bar.console.print(text)
