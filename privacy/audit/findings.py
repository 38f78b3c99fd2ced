"""What an audit found, one row each, and the two figures that decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from privacy.audit.configurations import Size, correct_systems
from privacy.audit.faults import NAMES, RADIO_FAULTS
from privacy.audit.transcripts import System, audit

CONFIDENCE = 0.95  # that every lower bound of the likelihood-ratio audit is true, all together


@dataclass(frozen=True)
class Finding:
    """One audited system.

    fault          planted in it; None in a correct one
    configuration  unit, sampling and what else matters
    threat         the adversary under which it matters
    flagged        the audit says that it does not keep its claim
    found          how
    claimed        epsilon by the accountant; None where a claim is tested that is not an epsilon
    lower          epsilon shown by the transcripts at least
    """

    fault: str | None
    configuration: str
    threat: str
    flagged: bool
    found: str
    claimed: float | None = None
    lower: float | None = None

    @property
    def verdict(self) -> str:
        if self.fault is None:
            return "FALSE ALARM" if self.flagged else "consistent"
        return "FLAGGED" if self.flagged else "MISSED"


def radio_audits(size: Size, seed: int) -> list[tuple[str, Callable[[], Finding]]]:
    """All likelihood-ratio audits by name, correct systems first; each takes seconds when called."""
    builders: list[tuple[str | None, Callable[[], System]]] = [(None, build) for build in correct_systems(size)]
    builders += [(fault.name, partial(fault.plant, size)) for fault in RADIO_FAULTS]
    confidence = 1.0 - (1.0 - CONFIDENCE) / len(builders)
    return [
        (name or "correct system", partial(_audited, name, build, size, seed, confidence)) for name, build in builders
    ]


def _audited(fault: str | None, build: Callable[[], System], size: Size, seed: int, confidence: float) -> Finding:
    system = build()
    verdict = audit(system, size.transcripts, seed, confidence)
    found = f"likelihood ratio; {verdict.counting:.1f} by counting alone"
    return Finding(fault, system.name, system.threat.name, verdict.flagged, found, verdict.claimed, verdict.lower)


def faults_flagged(findings: Sequence[Finding]) -> Iterator[str]:
    """The planted faults of which every planting was flagged, in the order of `NAMES`."""
    for name in NAMES:
        planted = [finding for finding in findings if finding.fault == name]
        if planted and all(finding.flagged for finding in planted):
            yield name


def false_alarms(findings: Iterable[Finding]) -> list[Finding]:
    """Correct systems that were flagged."""
    return [finding for finding in findings if finding.fault is None and finding.flagged]
