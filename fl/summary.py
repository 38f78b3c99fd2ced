"""`summary.json` and the lines a run ends with."""

from __future__ import annotations

import resource
import sys
from typing import Any

from fl.interval import wilson_interval
from privacy.facts import PrivacyFacts
from privacy.statement import statement_dict

SCALAR_BITS = 16  # a transmitted number is counted as one half-precision value, as the paper does


def peak_rss_mib() -> float:
    """Largest resident memory of this process so far, libraries included, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def uplink(rounds: int, scalars: int, trained: int, signs: bool = False) -> dict[str, float]:
    """Bits a device uploads in all, `scalars` numbers or signs a round, and what a first-order method would upload for the
    same trained weights."""
    return {
        "uplink_bits_per_device": (1 if signs else SCALAR_BITS) * scalars * rounds,
        "first_order_bits_per_device": SCALAR_BITS * trained * rounds,
    }


def accuracy_facts(accuracy: float, examples: int) -> dict[str, Any]:
    low, high = wilson_interval(accuracy, examples)
    return {"accuracy": accuracy, "accuracy_interval": [low, high], "test_examples": examples}


def privacy_facts(facts: PrivacyFacts, epsilon: float | None) -> dict[str, Any]:
    on = facts.enabled
    return {
        "epsilon": epsilon,
        "epsilon_target": facts.epsilon_target if on else None,
        "delta": facts.delta if on else None,
        "noise_multiplier": facts.noise_multiplier if on else None,
        "sampling_rate": facts.sampling_rate if on else None,
        "clip": facts.clip if on else None,
        "privacy": statement_dict(facts),
    }


def describe(summary: dict[str, Any]) -> list[str]:
    """The result of a finished run in a few lines; accuracy never without its floor."""
    low, high = summary["accuracy_interval"]
    lines = [
        f"accuracy {summary['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%}, {summary['test_examples']} examples, "
        f"1 seed), chance floor {summary['chance_floor']:.1%}"
        + ("" if summary.get("f1") is None else f"; of exact matches, F1 {summary['f1']:.1%}"),
        f"zero-shot {summary['zero_shot_accuracy']:.1%}"
        + (f", bag of words {summary['bow_accuracy']:.1%}" if summary["bow_accuracy"] is not None else "")
        + (
            f", first-order AdamW (no privacy, no radio) {summary['first_order_accuracy']:.1%}"
            if summary.get("first_order_accuracy") is not None
            else ""
        ),
    ]
    if summary["epsilon"] is None:
        lines.append("privacy is OFF: no guarantee of any kind")
    elif summary["privacy"].get("guarantee") == "void":
        lines.append("privacy.reproducible: THE PRIVACY GUARANTEE IS VOID, figures are for testing only")
    else:
        lines.append(f"epsilon {summary['epsilon']:.3f} of {summary['epsilon_target']:g} at delta {summary['delta']:g}")
    nmse, snr, full = (summary[key] for key in ("aggregate_nmse_db", "received_snr_db", "full_scale_snr_db"))
    said = summary.get("expected_nmse_db")
    expected = "" if said is None else f" (the profile expected {said:.1f} dB)"
    told = [] if nmse is None else [f"aggregation error {nmse:.1f} dB{expected}"]  # of private data nobody knows it
    if snr is not None:
        told.append(f"received SNR {snr:.1f} dB" + ("" if full is None else f" ({full:.1f} dB at full scale)"))
    lines.append(
        f"{summary['rounds']} rounds in {summary['train_s']:.0f} s ({summary['rounds_per_s']:.1f} rounds/s), "
        + ", ".join([*told, f"peak memory {summary['peak_rss_mib']:.0f} MiB"])
    )
    return lines
