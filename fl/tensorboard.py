"""A run as TensorBoard events, in `tensorboard/` of its folder: the numbers of `pairzero watch`, over rounds.

pip install 'pairzero[tensorboard]'
pairzero run examples/demo.toml --set run.tensorboard=true
tensorboard --logdir runs
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from radio.errors import InputError

if TYPE_CHECKING:
    from fl.rounds import Slot

FOLDER = "tensorboard"


class Board:
    """Appends events; those of rounds from `rounds` on that a killed process left are shown no more.

    Raises InputError where the extra is not installed.
    """

    def __init__(self, run: Path, rounds: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InputError(
                "run.tensorboard = true needs TensorBoard, which is not installed: pip install 'pairzero[tensorboard]', "
                "or leave it out"
            ) from None
        self._events = SummaryWriter(run / FOLDER, purge_step=rounds or None)

    def slot(self, slot: Slot) -> None:
        """What the receiver knows of a slot and, where the slot brings truths along, the error of its sum."""
        received, active = slot.received, slot.plan.active
        self._events.add_scalar("air/erased", int(received.erased), slot.slot)
        if received.erased:
            return
        self._add("air/full-scale SNR dB", float(np.mean(received.snr_db)), slot)
        self._add("air/devices", int(active.sum()), slot)
        self._add("air/samples clipped", int(received.clipped.sum()), slot)
        if slot.truth is not None:
            error = float(np.sqrt(np.mean((received.total - slot.truth.total) ** 2)))
            self._add("air/error of the sum", error, slot)

    def evaluated(self, rounds: int, loss: float, accuracy: float, epsilon: float | None) -> None:
        self._events.add_scalar("held-out/loss", loss, rounds)
        self._events.add_scalar("held-out/accuracy", accuracy, rounds)
        if epsilon is not None:
            self._events.add_scalar("privacy/epsilon", epsilon, rounds)
        self._events.flush()

    def close(self) -> None:
        self._events.close()

    def _add(self, name: str, value: float, slot: Slot) -> None:
        if np.isfinite(value):  # an ideal air's SNR is not
            self._events.add_scalar(name, float(value), slot.rounds)
