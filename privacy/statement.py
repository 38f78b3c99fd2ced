"""The privacy statement of a run: what is guaranteed, to whom, against whom, at what cost, and what is not."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from privacy.facts import OwnerSpent, PrivacyFacts, ThreatFigure
from privacy.threats import OWN_NOISE, Threat
from privacy.unit import DEVICE, EXAMPLE


def statement_dict(facts: PrivacyFacts) -> dict[str, Any]:
    """The statement for machines: JSON types only."""
    if not facts.enabled:
        return {"enabled": False, "guarantee": "none", "reason": "privacy is switched off"}
    worst = _worst(facts)
    return {
        "enabled": True,
        "guarantee": "void" if facts.reproducible else "differential privacy",
        "reason": "reproducible randomness" if facts.reproducible else "",
        "unit": facts.unit.name,
        "adjacency": facts.unit.adjacency,
        "adversary": facts.threat.name.replace("own-noise", "own noise"),
        "threat": facts.threat.name,
        "colluders": facts.threat.colluders,
        "dropouts": facts.threat.dropouts,
        "csi_margin_db": _decibels(facts.threat.csi_margin),
        "hard_csi_margin_db": None if facts.hard_margin is None else _finite(_decibels(facts.hard_margin)),
        "assume_perfect_csi": facts.perfect_csi,
        "threats": [_figure_dict(facts, figure) for figure in facts.figures],
        "device_epsilon": facts.device_epsilon,
        "evaluations": facts.evaluations,
        "mechanism": f"{'Poisson-subsampled ' if facts.sampling_rate < 1.0 else ''}discrete Gaussian",
        "accountant": _accountant(facts),
        "epsilon": worst.epsilon if worst else 0.0,
        "epsilon_target": facts.epsilon_target,
        "delta": facts.delta,
        "delta_for_failures": facts.failures,
        "sampling_rate": facts.sampling_rate,
        "noise_multiplier": facts.noise_multiplier,
        "noise_std": facts.noise_std,
        "clip": facts.clip,
        "denominator": facts.denominator,
        "scalars": facts.scalars,
        "releases_per_round": facts.releases,
        "signs": facts.signs,
        "rounds_charged": _charged(facts),
        "rounds_committed": facts.rounds_committed,
        "rounds_burned": _burned(facts),
        "rounds_sized_for": facts.rounds_sized_for,
        "spare_rounds": facts.spare_rounds,
        "public_data": facts.public_data,
        "examples": facts.examples,
        "owners": [asdict(owner) for owner in facts.owners],
    }


def statement(facts: PrivacyFacts, width: int = 100) -> str:
    """The statement for people, several lines, no trailing newline."""
    if not facts.enabled:
        return _page("PRIVACY STATEMENT - NO PRIVACY", [("", _OFF)], width)
    lines = [
        ("Unit", _UNITS[facts.unit.name]),
        ("Adversary", _adversary(facts)),
        ("Mechanism", _mechanism(facts)),
        ("Sampling", _sampling(facts)),
        ("Rounds", _rounds(facts)),
        ("Noise", _FIXED_AHEAD),
        ("Spent", _spent(facts)),
        *_owner_lines(facts),
        *_figure_lines(facts),
        *_device_line(facts),
        *_margin_line(facts),
        ("Certified", _certificate(facts)),
        ("Not protected", _not_protected(facts)),
    ]
    if facts.public_data:
        lines.append(("Ledger", _THROW_AWAY))
    if facts.reproducible:
        return _page("PRIVACY STATEMENT - GUARANTEE VOID", [("VOID", _VOID), *lines], width)
    return _page("PRIVACY STATEMENT", lines, width)


_OFF = (
    "Privacy is SWITCHED OFF (privacy.enabled = false). The transmitted numbers were computed from the examples and "
    "carry no protective noise; receiver noise and fading are not counted as protection. Do not use private data like "
    "this."
)
_VOID = (
    "privacy.reproducible = true: batches and noise were derived from the experiment's seed, and whoever knows it can "
    "subtract the noise. THE GUARANTEE IS VOID; the figures below are what the same run would have spent with secret "
    "randomness. For testing only."
)
_UNITS = {
    "example": "one training example, added to or removed from the data of the device that has it (not a device, not a user "
    "with several examples). Which device has which examples is taken as settled beforehand.",
    "device": "all data of one device, replaced by any other.",
}
_ADVERSARY = (
    "sees everything radiated, near any device, over any channel, with any receiver; may be the server and may collude "
    "with any other devices. Only the noise a device added itself is counted (own noise)."
)
_ALIGNED = (
    "ASSUMED, and nothing checks it: the server announces truthfully who takes part; it observes the aligned sum alone, with "
    "one antenna and in phase (whoever also uses the quadrature, or listens elsewhere, tells devices apart); converters and "
    "amplifiers are linear; {csi}."
)
_FIXED_AHEAD = (
    "what every round is charged was fixed before the run. Rules that follow the channel from round to round (online power "
    "control) are left out of runs (decision 14): a round in a fade is charged like any other."
)
_THROW_AWAY = (
    "the data is public, so a throw-away ledger was used: it ends with this run, and runs do not add up. With data of "
    "real people, name a lasting one in privacy.ledger."
)


def _worst(facts: PrivacyFacts) -> OwnerSpent | None:
    return max(facts.owners, key=lambda owner: owner.epsilon, default=None)


def _charged(facts: PrivacyFacts) -> int:
    return max((owner.rounds_charged for owner in facts.owners), default=0)


def _burned(facts: PrivacyFacts) -> int:
    return max(0, _charged(facts) - facts.rounds_committed)


def _up(value: float) -> str:
    """Four digits after the point, rounded up: a printed epsilon is a bound too."""
    if value >= 1000.0 and math.isfinite(value):
        return f"{math.ceil(value):,}"
    return f"{math.ceil(value * 1e4 - 1e-7) / 1e4:.4f}" if math.isfinite(value) else "infinite"


def _decibels(ratio: float) -> float:
    return 10.0 * math.log10(ratio) if math.isfinite(ratio) else math.inf


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _adversary(facts: PrivacyFacts) -> str:
    threat = facts.threat
    if threat == OWN_NOISE:
        return _ADVERSARY
    counted = "own noise and that of the other active devices"
    if "receiver" in threat.counts:
        counted = (
            "the receiver's noise, N0 per real dimension over the whole time on air; devices add none of their own"
        )
    csi = "every device arrives exactly as planned (privacy.assume_perfect_csi)"
    if not facts.perfect_csi:
        csi = f"no device arrives more than {_decibels(threat.csi_margin):.2f} dB louder than planned"
    beyond = f" Not guaranteed beyond {_beyond(threat)}." if "receiver" not in threat.counts else ""
    return (
        f"{threat.name}: {threat.observer}. Counted: {counted}.{beyond} {_ALIGNED.format(csi=csi)} Anybody else is not "
        "kept out by this budget: see own-noise below."
    )


def _beyond(threat: Threat) -> str:
    return (
        f"{threat.dropouts} silent dropout{'s' * (threat.dropouts != 1)} and {threat.colluders} "
        f"colluder{'s' * (threat.colluders != 1)}"
    )


def _figure_dict(facts: PrivacyFacts, figure: ThreatFigure) -> dict[str, Any]:
    return {
        "name": figure.threat.name,
        "enforced": figure.threat.name == facts.threat.name,
        "epsilon": _finite(figure.epsilon),
        "known": figure.epsilon is not None,  # with no epsilon: nothing protects
        "observer": figure.threat.observer,
        "note": figure.note,
    }


def _figure_lines(facts: PrivacyFacts) -> list[tuple[str, str]]:
    lines = []
    for figure in facts.figures:
        how = " (ENFORCED)" if figure.threat.name == facts.threat.name else " (reported)"
        cost = "no figure" if figure.epsilon is None else f"epsilon {_up(figure.epsilon)}"
        note = f"; {figure.note}" if figure.note else ""
        lines.append(("", f"{figure.threat.name}{how}: {cost} - {figure.threat.observer}{note}."))
    return [("Threats", f"this run alone, at delta {facts.delta:g}, by who listens:"), *lines] if lines else []


def _device_line(facts: PrivacyFacts) -> list[tuple[str, str]]:
    if facts.device_epsilon is None:
        return []
    verdict = "that is NO protection" if facts.device_epsilon > 20.0 else "that is what it is worth"
    return [
        (
            "Device level",
            f"for all data of one device at once, the same transmissions cost epsilon {_up(facts.device_epsilon)}: {verdict}. "
            "privacy.unit = 'device' sizes the noise for it, and is paid for in accuracy.",
        )
    ]


def _margin_line(facts: PrivacyFacts) -> list[tuple[str, str]]:
    if facts.hard_margin is None:
        return []
    used = facts.threat if "others" in facts.threat.counts else None
    if math.isfinite(facts.hard_margin):
        text = (
            f"{_decibels(facts.hard_margin):.2f} dB would have been sure for all estimates that were inverted (from their "
            "stated variances)"
        )
    else:
        text = "the channel estimates were too uncertain for a margin that is sure for all of them"
        if facts.csi_error is not None and facts.csi_error_limit is not None:
            text += (
                f": the worst that was inverted had a standard deviation of {facts.csi_error:.0%} of its gain, and for a margin "
                f"all must stay below {facts.csi_error_limit:.0%} (longer pilots, more power, or a larger radio.truncation)"
            )
    if used is not None and facts.hard_margin > used.csi_margin:
        text += f"; WARNING: {_decibels(used.csi_margin):.2f} dB is counted"
    return [("CSI margin", f"{text}.")]


def _mechanism(facts: PrivacyFacts) -> str:
    many = facts.releases > 1
    count = f"{facts.scalars} numbers" if facts.scalars > 1 else "one number"
    when = f"in each of {facts.releases} releases a round (one a local step)" if many else "a round"
    charges = (
        f"Every release has its own batch and charge: {facts.releases} a round." if many else "A round is one charge."
    )
    sent = " Only the sign of the noised number is sent, which adds nothing to the cost." if facts.signs else ""
    root = f"sqrt({facts.scalars}) * " if facts.scalars > 1 else ""
    reach = f"clip/{facts.denominator:g}" if facts.unit == EXAMPLE else "2 * clip"
    times = f"{facts.noise_multiplier:g}"
    if facts.largest_multiplier is not None:
        times += f" to {facts.largest_multiplier:.6g} (fixed for each round before the run)"
    noise = f"discrete Gaussian noise of {times} times that"
    own = f"standard deviation {facts.noise_std:.4g} per number and device"
    if facts.largest_multiplier is not None:
        own += " at least"
    if "receiver" in facts.threat.counts:
        noise, own = f"the receiver's noise held to {times} times that or more", "own noise: none"
    elif "others" in facts.threat.counts:
        noise, own = f"discrete Gaussian noise counted as {times} times that", f"{own}, or more"
    return (
        f"{count} {when}; every example's projected gradient clipped at +-{facts.clip:g} and summed exactly, divided "
        f"by the fixed {facts.denominator:g}; sensitivity {root}{reach}; {noise} ({own}). {charges}{sent}"
    )


def _sampling(facts: PrivacyFacts) -> str:
    if facts.unit == DEVICE:
        return "counts for nothing at device level: a device sends in every round."
    if facts.sampling_rate >= 1.0:
        return "none: every example takes part in every round."
    source = "the operating system's secret generator, unrelated to the public seeds"
    if facts.reproducible:
        source = "the experiment's seed (NOT secret)"
    what = "release" if facts.releases > 1 else "round"
    return (
        f"each example joins a {what} independently with probability {facts.sampling_rate:.6g} (Poisson), "
        f"drawn from {source}."
    )


def _rounds(facts: PrivacyFacts) -> str:
    each = f", {facts.releases} releases a round" if facts.releases > 1 else ""
    return (
        f"{facts.rounds_committed} committed, {_charged(facts)} charged ({_burned(facts)} burned: interrupted or lost "
        f"on the air, never refunded); the noise was sized for {facts.rounds_sized_for}, "
        f"of which {facts.spare_rounds} spare{each}."
        + (
            ""
            if facts.evaluations is None
            else f" {facts.evaluations} evaluation{'s' * (facts.evaluations != 1)} on public held-out data, which cost nothing."
        )
    )


def _spent(facts: PrivacyFacts) -> str:
    worst = _worst(facts)
    if worst is None:
        return f"nothing was charged; target epsilon {facts.epsilon_target:g} at delta {facts.delta:g}."
    text = (
        f"epsilon {_up(worst.epsilon)} of {facts.epsilon_target:g} at delta {facts.delta:g} "
        f"(worst owner: {worst.name}; all runs on its ledger)."
    )
    if facts.reproducible:
        text = f"NOTHING IS GUARANTEED; with secret randomness it would be {text}"
    if worst.epsilon > facts.epsilon_target:
        text += " THE TARGET IS EXCEEDED."
    if facts.failures:
        text += f" {facts.failures:.2g} of that delta is for failures of what is assumed."
    if facts.unit == EXAMPLE and facts.examples and facts.delta > 1.0 / facts.examples:
        text += (
            f" WARNING: delta is above 1/{facts.examples}, one over the number of examples; "
            "publishing an example outright can satisfy it."
        )
    return text


def _owner_lines(facts: PrivacyFacts) -> list[tuple[str, str]]:
    return [
        (
            "",
            f"{owner.name}: epsilon {_up(owner.epsilon)}, {owner.rounds_charged} rounds charged by this run, "
            f"ledger {owner.ledger}",
        )
        for owner in facts.owners
    ]


def _accountant(facts: PrivacyFacts) -> str:
    if facts.sampling_rate < 1.0:
        return "dp-accounting, privacy loss distributions, rounded against us"
    return "exact Gaussian composition (Balle and Wang)"


def _certificate(facts: PrivacyFacts) -> str:
    return (
        f"{_accountant(facts)}. Computed for the continuous Gaussian; the noise is its discrete counterpart on a grid "
        "of 2^20 steps per clip, drawn in exact integer arithmetic, which changes epsilon by less than 1e-6 at this "
        "width. Valid as long as the noise multiplier and the sampling rate of every run on a ledger were chosen "
        "without looking at private data."
    )


def _not_protected(facts: PrivacyFacts) -> str:
    itself = "the device itself" + (" (it knows its batches)" if facts.sampling_rate < 1.0 else "")
    whole = "a device's whole data set (device level); " if facts.unit == EXAMPLE else ""
    return (
        f"{whole}anything from {itself}; the number of examples and who takes part "
        "in the training, which are public. The clip, the learning rate and the number of rounds are assumed to have "
        "been chosen on public data."
    )


def _page(title: str, lines: Sequence[tuple[str, str]], width: int) -> str:
    column = 15
    out = [title]
    for label, text in lines:
        first, rest = label.ljust(column), " " * column
        out += textwrap.wrap(
            text,
            width,
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(out)
