"""What a privacy statement is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from privacy.threats import OWN_NOISE, Threat
from privacy.unit import EXAMPLE, Unit


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
class ThreatFigure:
    """What this run cost against one threat.

    epsilon  None where no figure can be given, infinite where nothing protects
    note     what it rests on, or why there is none
    """

    threat: Threat
    epsilon: float | None
    note: str = ""


@dataclass(frozen=True)
class PrivacyFacts:
    """All a statement needs. With `enabled` False the other fields do not matter.

    unit              whose data may change
    threat            the one that the budget is kept by
    figures           of every threat, the enforced one among them
    device_epsilon    where the unit is an example: what the same transmissions cost a whole device; None: not computed
    hard_margin       CSI margin, a ratio of powers, that would have held for every channel estimate of the run; None: no
                      estimates on record
    csi_error         sigma_e / |h_hat| of the worst of them, and `csi_error_limit`, from which on no margin holds for all
    perfect_csi       the user said that devices arrive exactly as planned
    noise_multiplier  of every release, or the least of them where they differ
    largest_multiplier  the largest of them where they differ, as fixed before the run; None: all are alike
    failures          share of delta set aside for failures of the threat's assumptions
    evaluations       how often the model was evaluated, on public held-out data
    rounds_committed  rounds whose sum moved the weights; charged minus committed were burned
    rounds_sized_for  rounds plus spares for which the noise was chosen
    scalars           P, numbers a release
    releases          L, releases a round, one for every local step; each is a charge of its own
    signs             only the sign of each noised number is sent
    noise_std         own noise on each scalar, in units of the projected gradient, before averaging over devices; where it
                      depends on how many take part, the least
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
    largest_multiplier: float | None = None
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
    unit: Unit = EXAMPLE
    threat: Threat = OWN_NOISE
    figures: Sequence[ThreatFigure] = ()
    device_epsilon: float | None = None
    hard_margin: float | None = None
    csi_error: float | None = None
    csi_error_limit: float | None = None
    perfect_csi: bool = False
    failures: float = 0.0
    evaluations: int | None = None
