"""What a run is doing, and what it has spent, as its folder tells while the run goes on."""

from __future__ import annotations

import time
from functools import lru_cache

from fl.config import load
from fl.guarantee import guarantee_of
from fl.reporting.facts import charges_after
from fl.reporting.run_files import RunFiles
from privacy.accounting import Charge, epsilon
from privacy.record_log import from_exact, read_records
from radio.wording import duration

SILENT_S = 120.0  # without a record: say that it may have been killed
EPSILON_STEPS = 50  # epsilon is worked out this often in a run, for the end of the stretch: a bound


def state(run: RunFiles) -> str:
    """A few words, with what to do where a run seems to have been killed."""
    if ended(run):
        return str(run.journal[-1]["reason"])
    silent = silent_s(run)
    if silent is None:
        return "not begun"
    if not run.records("model"):
        return f"getting ready for {span(silent)}"
    if silent > SILENT_S:
        return f"no record for {span(silent)}: busy, or killed (then: pairzero run --resume {run.path})"
    return "running; last record " + ("now" if silent < 2.0 else f"{span(silent)} ago")


def ended(run: RunFiles) -> bool:
    return bool(run.journal) and run.journal[-1].get("type") == "stop"


def silent_s(run: RunFiles) -> float | None:
    """Seconds since the last record; None before the first."""
    try:
        return max(0.0, time.time() - (run.path / "journal.jsonl").stat().st_mtime)
    except OSError:
        return None


def epsilon_bound(run: RunFiles) -> float | None:
    """A bound of what the device charged most has spent so far, from the ledgers or charges in the folder; None without."""
    ledgers = [read_records(file)[1:] for file in sorted((run.path / "ledger").glob("*.jsonl"))]
    charges = [charge for ledger in ledgers for charge in ledger] or run.charges
    if not charges:
        return None
    after = charges_after(run)
    count = max(
        (sum(int(c.get("times", 1)) for c in ledger) for ledger in ledgers), default=after[-1][1] if after else 0
    )
    # where the noise varies, as if all rounds had had the least so far
    multiplier = min(_number(charge["noise_multiplier"]) for charge in charges)
    experiment = load(run.path / "experiment.toml")
    guarantee = guarantee_of(experiment, multiplier)
    if guarantee is None:
        return None
    step = max(1, experiment.releases // EPSILON_STEPS)
    rounded = max(count, min(-(-count // step) * step, experiment.releases))
    return _certified(guarantee.charge, rounded, guarantee.delta)


def _number(value: str | float) -> float:
    """Ledgers write numbers exactly, as text."""
    return from_exact(value) if isinstance(value, str) else float(value)


@lru_cache(maxsize=4)
def _certified(charge: Charge, count: int, delta: float) -> float:
    return epsilon([(charge, count)], delta)


def span(seconds: float) -> str:
    return duration(float(max(0, round(seconds)))).replace(".0 s", " s")
