"""Truths of a simulation beside what was received, one JSON line a slot.  NOT PRIVATE; never written on a real device."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radio.errors import InputError

if TYPE_CHECKING:
    from fl.rounds import Slot


WHOLE = 256  # devices up to which a line tells of each; beyond, of the first so many: a line must not grow with a study


def record(
    slot: Slot, seconds: float, check: dict[str, Any] | None = None, temperatures: Sequence[float | None] = ()
) -> dict[str, Any]:
    """temperatures: of the devices' radios, degrees Celsius; left out while none is known."""
    plan, received, truth = slot.plan, slot.received, slot.truth
    gains = np.abs(slot.state.gains[:WHOLE])
    line: dict[str, Any] = {
        "slot": slot.slot,
        "round": slot.rounds,
        "received": _finite(received.total),
        "variance": _finite(received.variance),
        "snr_db": _finite(received.snr_db),
        "active": [bool(a) for a in plan.active[:WHOLE]],
        "transmit_power_dbfs": _finite(received.transmit_power_dbfs[:WHOLE]),
        "gain_db": _finite(20 * np.log10(np.maximum(gains, 1e-12))),
        "clipped": [int(c) if c >= 0 else None for c in received.clipped[:WHOLE]],
        "seconds": round(seconds, 4),
        "erased": received.erased,
        "payload_peak": float(plan.payload_peak),
    }
    if check is not None:
        line["check"] = check  # of a public scalar, see calibration.watch
    if any(temperature is not None for temperature in temperatures):
        line["temperature_c"] = list(temperatures[:WHOLE])
    if plan.active.size > WHOLE:
        line["devices"] = plan.active.size
    if truth is not None:
        line["truth"] = _finite(truth.total)
        line["signal"] = _finite(truth.clean[plan.active].sum(axis=0))
        line["nonfinite"] = int(truth.nonfinite.sum())  # a device tells nobody (design decision 7)
    return line


def _finite(values: NDArray[np.float64]) -> list[float | None]:
    """JSON has no NaN and no infinity: both become null."""
    return [float(v) if math.isfinite(v) else None for v in values]


class Diagnostics:
    """Appends lines; a crash may lose the last one, which costs a dot in a plot."""

    def __init__(self, run: Path) -> None:
        path = run / "diagnostics.jsonl"
        torn = path.is_file() and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a", encoding="utf-8")
        if torn:
            self._file.write("\n")  # or the next line would be lost with the torn one

    def write(
        self, slot: Slot, seconds: float, check: dict[str, Any] | None = None, temperatures: Sequence[float | None] = ()
    ) -> None:
        """Raises InputError when it cannot: the slot itself is in the journal by then."""
        try:
            self._file.write(json.dumps(record(slot, seconds, check, temperatures), allow_nan=False) + "\n")
            self._file.flush()
        except OSError as problem:
            raise InputError(
                f"cannot write to {self._file.name}: {problem.strerror}; free some space and resume"
            ) from None

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it would try once more to write what could not be written
            self._file.close()


def read_diagnostics(run: Path) -> list[dict[str, Any]]:
    """All slots' lines of a run; a slot repeated after a crash appears once, as it went the last time."""
    slots: dict[int, dict[str, Any]] = {}
    file = run / "diagnostics.jsonl"
    for text in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # the line a crash tore
        if "slot" in line:
            slots[line["slot"]] = line
    return [slots[s] for s in sorted(slots)]


def nmse_db(lines: list[dict[str, Any]]) -> float | None:
    """Error of the received sums, 10 log10(sum (received - truth)^2 / sum truth^2), over all slots that were not erased."""
    error = power = 0.0
    for line in lines:
        if line["erased"] or "truth" not in line:
            continue
        for received, truth in zip(line["received"], line["truth"], strict=True):
            error += (received - truth) ** 2
            power += truth**2
    if power == 0.0:
        return None
    return 10 * math.log10(error / power) if error > 0 else None


def received_snr_db(received: ArrayLike, variance: ArrayLike) -> float:
    """SNR of the sums that were received, as the receiver can tell it: their power beyond that of the noise, over the noise.

    received, variance   sums and the error variances predicted for them, alike in shape; NaN where nothing was heard

    inf without noise, -inf where nothing rises above it, NaN where nothing was heard.

    A mode that counts the channel estimates' errors does so for payloads of full size (`radio.coherent.CoherentAir`): where
    they are smaller this is too low, and the error known in a simulation is better by some dB (4 in examples/demo.toml).
    """
    sums, noises = np.asarray(received, np.float64), np.asarray(variance, np.float64)
    heard = np.isfinite(sums) & np.isfinite(noises)
    if not heard.any():
        return math.nan
    noise = float(noises[heard].sum())
    power = float((sums[heard] ** 2).sum()) - noise
    if noise == 0.0:
        return math.inf
    return 10 * math.log10(power / noise) if power > 0 else -math.inf


def run_snr_db(lines: list[dict[str, Any]]) -> float | None:
    """`received_snr_db` of all slots; None unless it is a number."""
    pairs = [p for line in lines if not line["erased"] for p in zip(line["received"], line["variance"], strict=True)]
    value = received_snr_db(*np.array(pairs, np.float64).reshape(-1, 2).T)
    return value if math.isfinite(value) else None


def full_scale_snr_db(lines: list[dict[str, Any]]) -> float | None:
    """Mean over all slots of the SNR that one full-scale payload would have had (`radio.air.Received.snr_db`)."""
    values = [v for line in lines if not line["erased"] for v in line["snr_db"] if v is not None]
    return 10 * math.log10(float(np.mean([10 ** (v / 10) for v in values]))) if values else None
