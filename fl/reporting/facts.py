"""The figures of a run by name, from whichever of its files knows them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fl.interval import wilson_interval
from fl.reporting.run_files import Evaluations, RunFiles
from privacy.record_log import Record
from radio.modes import MODES

EPSILON_POINTS = 14


def completed(run: RunFiles, seen: Evaluations) -> dict[str, Any]:
    """The summary, with what it lacks taken from journal, diagnostics and configuration where they know it."""
    known: dict[str, Any] = {
        "name": run.option("run", "name", run.path.name),
        "finished": False,
        "task": run.option("task", "name"),
        "devices": run.option("learning", "devices") or run.air.active.shape[1] or None,
        "perturbations": run.option("learning", "perturbations"),
        "local_steps": run.option("learning", "local_steps", 1),
        "payload": run.option("learning", "payload", "value"),
        "mode": MODES.get(run.option("radio", "mode", "coherent")),
        "seed": run.option("run", "seed"),
        "rounds": len(run.records("round")),
        "erased": len(run.records("erased")),
        "burned": len(run.records("burned")),
        "unit": run.option("privacy", "unit", "example"),
        "threat": run.option("privacy", "threat", "own-noise"),
        "delta": run.option("privacy", "delta") if run.option("privacy", "enabled", True) else None,
        "epsilon_target": run.option("privacy", "epsilon") if run.option("privacy", "enabled", True) else None,
        "version": run.versions.get("pairzero"),
    }
    known["slots"] = known["rounds"] + known["erased"] + known["burned"]
    for record in run.records("model"):
        known |= {key: record[key] for key in ("parameters", "trainable") if key in record} | {
            "model_digest": record.get("digest")
        }
    if len(seen.rounds):
        known |= {
            "accuracy": float(seen.accuracy[-1]),
            "loss": float(seen.loss[-1]),
            "test_examples": int(seen.examples[-1]),
        }
        if seen.rounds[0] == 0:
            known["zero_shot_accuracy"] = float(seen.accuracy[0])
    if run.air.heard.any():
        known["aggregate_nmse_db"] = run.air.nmse_db()
    known |= {key: value for key, value in run.summary.items() if value is not None or key not in known}
    if known.get("accuracy") is not None and not known.get("accuracy_interval") and known.get("test_examples"):
        known["accuracy_interval"] = list(wilson_interval(known["accuracy"], known["test_examples"]))
    return known


def privacy_state(run: RunFiles) -> str:
    """`off`, `void` (reproducible secrets) or `on`, from the configuration first and the summary second."""
    statement = run.summary.get("privacy") or {}
    silent = "epsilon" in run.summary and run.summary["epsilon"] is None and not run.summary.get("noise_multiplier")
    if silent or not run.option("privacy", "enabled", True) or statement.get("enabled") is False:
        return "off"
    return "void" if run.option("privacy", "reproducible", False) or statement.get("guarantee") == "void" else "on"


def charges_after(run: RunFiles) -> list[tuple[int, int]]:
    """(committed rounds, charges of the device charged most so far) after every committed round; lost slots count too.

    A charge is a release: every local step of a round is one.
    `charges.jsonl` is written when a run ends or is interrupted. A slot that is later than all of its charges counts as
    charged to everybody: a bound, where the device's own ledger knows more.
    """
    copied = [int(charge["slot"]) for charge in run.charges]
    last = max(copied, default=-1)
    releases = int(run.option("learning", "local_steps", 1))  # a charge each
    by_slot: dict[int, list[Record]] = {}
    for charge in run.charges:
        by_slot.setdefault(int(charge["slot"]), []).append(charge)
    spent: dict[str, int] = {}
    later = 0
    points: list[tuple[int, int]] = []
    for record in (r for r in run.journal if "slot" in r):
        slot = int(record["slot"])
        later += releases * (slot > last)
        for charge in by_slot.pop(slot, []):
            spent[charge["owner"]] = spent.get(charge["owner"], 0) + int(charge["times"])
        if record["type"] == "round":
            points.append((int(record["round"]), max(spent.values(), default=0) + later))
    for charge in (charge for rest in by_slot.values() for charge in rest):  # charged and never journalled
        spent[charge["owner"]] = spent.get(charge["owner"], 0) + int(charge["times"])
    if points:  # what was lost after the last commit has been spent as well
        points[-1] = (points[-1][0], max(spent.values(), default=0) + later)
    return points


def epsilon_points(run: RunFiles, known: dict[str, Any]) -> tuple[list[int], list[float]]:
    """Numbers of committed rounds and the epsilon the device charged most has spent after them.

    Empty when privacy is off or its figures are not recorded yet.
    """
    q, z, delta = (known.get(key) for key in ("sampling_rate", "noise_multiplier", "delta"))
    charged = charges_after(run)
    if not (q and z and delta and charged):
        return [], []
    # dp-accounting takes a second to import; a report without privacy does without it.
    from privacy.accounting import Charge, epsilon

    # The curve is steepest at the start: points are dense there.
    steps = np.linspace(0, 1, EPSILON_POINTS) ** 2 * (len(charged) - 1)
    charged = [charged[i] for i in np.unique(steps.round().astype(int))]
    return [t for t, _ in charged], [epsilon([(Charge(q, z), n)] if n else [], delta) for _, n in charged]
