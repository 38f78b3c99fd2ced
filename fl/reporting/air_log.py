"""What the diagnostics of a run say about its air slots, as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class AirLog:
    """The diagnostics of all air slots. NaN stands for what was not recorded (silent device, erased slot).

    `truth`, `signal`, `received`, `variance`, `snr_db` are (S, P) in payload units;
    `active`, `power_dbfs`, `gain_db`, `clipped` are (S, K), or of the first devices only where there are too many to tell of
    each (`fl.diagnostics.WHOLE`); `devices` is then how many there are, else 0.
    """

    rounds: NDArray[np.int64]
    erased: NDArray[np.bool_]
    truth: NDArray[np.float64]
    signal: NDArray[np.float64]
    received: NDArray[np.float64]
    variance: NDArray[np.float64]
    snr_db: NDArray[np.float64]
    active: NDArray[np.bool_]
    power_dbfs: NDArray[np.float64]
    gain_db: NDArray[np.float64]
    clipped: NDArray[np.float64]
    devices: int = 0

    @property
    def which(self) -> str:
        """For captions: which devices are shown, where not all are."""
        return f" Shown are the first {self.active.shape[1]:,} of {self.devices:,} devices." if self.devices else ""

    @property
    def heard(self) -> NDArray[np.bool_]:
        """(S, P) scalars that were received and whose truth is on record."""
        return ~self.erased[:, None] & np.isfinite(self.truth) & np.isfinite(self.received)

    def nmse_db(self) -> float:
        """10 log10(sum (received - truth)^2 / sum truth^2) over all slots that were not erased; NaN without any."""
        truth, received = self.truth[self.heard], self.received[self.heard]
        return ratio_db(float(np.sum((received - truth) ** 2)), float(np.sum(truth**2)))


def ratio_db(numerator: float, denominator: float) -> float:
    """10 log10 of a ratio of powers; -inf for a zero numerator, NaN where the denominator is zero."""
    if not denominator > 0:
        return math.nan
    return 10 * math.log10(numerator / denominator) if numerator > 0 else -math.inf


def mean_power_db(power_dbfs: NDArray[np.float64], cut: list[slice]) -> NDArray[np.float64]:
    """(len(cut), K) mean transmitted power of each block in dBFS; NaN where a device was silent throughout."""
    linear = np.where(np.isfinite(power_dbfs), 10 ** (power_dbfs / 10), 0.0)
    mean = np.array([linear[c].sum(axis=0) / np.maximum(np.isfinite(power_dbfs[c]).sum(axis=0), 1) for c in cut])
    with np.errstate(divide="ignore"):
        return np.where(mean > 0, 10 * np.log10(mean), np.nan)


_ROWS = ("truth", "signal", "received", "variance", "snr_db", "active", "transmit_power_dbfs", "gain_db", "clipped")


def air_log(lines: Sequence[Mapping[str, Any]]) -> AirLog:
    """The lines of `fl.diagnostics.read_diagnostics` as arrays; null becomes NaN."""
    columns = {key: _stack([_row(line.get(key)) for line in lines]) for key in _ROWS}
    for truth in ("truth", "signal"):  # of private data there is none on record
        if not columns[truth].size:
            columns[truth] = np.full_like(columns["received"], math.nan)
    return AirLog(
        rounds=np.array([int(line["round"]) for line in lines], dtype=np.int64),
        erased=np.array([bool(line["erased"]) for line in lines], dtype=bool),
        truth=columns["truth"],
        signal=columns["signal"],
        received=columns["received"],
        variance=columns["variance"],
        snr_db=columns["snr_db"],
        active=columns["active"] == 1,
        power_dbfs=columns["transmit_power_dbfs"],
        gain_db=columns["gain_db"],
        clipped=columns["clipped"],
        devices=max((int(line.get("devices", 0)) for line in lines), default=0),
    )


def _row(values: Any) -> NDArray[np.float64]:
    return np.array([math.nan if value is None else float(value) for value in values or ()], dtype=np.float64)


def _stack(rows: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Rows as one (S, longest) array, short ones (an erased slot may hold nothing) filled with NaN."""
    out = np.full((len(rows), max((len(row) for row in rows), default=0)), math.nan)
    for place, row in zip(out, rows, strict=True):
        place[: len(row)] = row
    return out
