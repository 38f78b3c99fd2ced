"""The privacy statement printed at the end of a run: what is guaranteed, to whom, against whom, and what is not."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class OwnerSpent:
    """Where one data owner stands.

    epsilon         certified, everything ever charged to the owner's ledger, this run included
    rounds_charged  by this run, every burned slot and every repetition included
    """

    name: str
    epsilon: float
    rounds_charged: int
    ledger: str


@dataclass(frozen=True)
class PrivacyFacts:
    """All a statement needs. With `enabled` False the other fields do not matter.

    rounds_committed  rounds whose sum moved the weights; charged minus committed were burned
    rounds_sized_for  rounds plus spares for which the noise was chosen
    scalars           P, numbers a release
    releases          L, releases a round, one for every local step; each is a charge of its own
    signs             only the sign of each noised number is sent
    noise_std         own noise on each scalar, in units of the projected gradient, before averaging over devices
    examples          of the smallest owner; a delta above 1/examples is called out
    reproducible      draws came from a public seed
    public_data       the ledger is a throw-away one because the data is public
    """

    enabled: bool
    owners: Sequence[OwnerSpent] = ()
    epsilon_target: float = 0.0
    delta: float = 0.0
    sampling_rate: float = 0.0
    noise_multiplier: float = 0.0
    clip: float = 0.0
    denominator: float = 0.0
    scalars: int = 1
    releases: int = 1
    signs: bool = False
    noise_std: float = 0.0
    rounds_committed: int = 0
    rounds_sized_for: int = 0
    spare_rounds: int = 0
    examples: int = 0
    reproducible: bool = False
    public_data: bool = False


def statement_dict(facts: PrivacyFacts) -> dict[str, Any]:
    """The statement for machines: JSON types only."""
    if not facts.enabled:
        return {"enabled": False, "guarantee": "none", "reason": "privacy is switched off"}
    worst = _worst(facts)
    return {
        "enabled": True,
        "guarantee": "void" if facts.reproducible else "differential privacy",
        "reason": "reproducible randomness" if facts.reproducible else "",
        "unit": "example",
        "adjacency": "add or remove one",
        "adversary": "own noise",
        "mechanism": "Poisson-subsampled discrete Gaussian",
        "accountant": _accountant(facts),
        "epsilon": worst.epsilon if worst else 0.0,
        "epsilon_target": facts.epsilon_target,
        "delta": facts.delta,
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
        "owners": [asdict(owner) for owner in facts.owners],
    }


def statement(facts: PrivacyFacts, width: int = 100) -> str:
    """The statement for people, several lines, no trailing newline."""
    if not facts.enabled:
        return _page("PRIVACY STATEMENT - NO PRIVACY", [("", _OFF)], width)
    lines = [
        ("Unit", "one training example, added or removed (not a device, not a user with several examples)."),
        ("Adversary", _ADVERSARY),
        ("Mechanism", _mechanism(facts)),
        ("Sampling", _sampling(facts)),
        ("Rounds", _rounds(facts)),
        ("Spent", _spent(facts)),
        *_owner_lines(facts),
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
_ADVERSARY = (
    "sees everything radiated, near any device, over any channel, with any receiver; may be the server and may collude "
    "with any other devices. Only the noise a device added itself is counted (own noise)."
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
    return f"{math.ceil(value * 1e4 - 1e-7) / 1e4:.4f}" if math.isfinite(value) else "infinite"


def _mechanism(facts: PrivacyFacts) -> str:
    many = facts.releases > 1
    count = f"{facts.scalars} numbers" if facts.scalars > 1 else "one number"
    when = f"in each of {facts.releases} releases a round (one a local step)" if many else "a round"
    charges = (
        f"Every release has its own batch and charge: {facts.releases} a round." if many else "A round is one charge."
    )
    sent = " Only the sign of the noised number is sent, which adds nothing to the cost." if facts.signs else ""
    root = f"sqrt({facts.scalars}) * " if facts.scalars > 1 else ""
    return (
        f"{count} {when}; every example's projected gradient clipped at +-{facts.clip:g} and summed exactly, divided "
        f"by the fixed {facts.denominator:g}; sensitivity {root}clip/{facts.denominator:g}; discrete Gaussian noise of "
        f"{facts.noise_multiplier:g} times that (standard deviation {facts.noise_std:.4g} per number and device). "
        f"{charges}{sent}"
    )


def _sampling(facts: PrivacyFacts) -> str:
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
    if facts.examples and facts.delta > 1.0 / facts.examples:
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
    return (
        f"a device's whole data set (device level); anything from {itself}; the number of examples and who takes part "
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
