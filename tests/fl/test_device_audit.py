"""The audits of running code: what the session builds passes, and each planted fault is found."""

from __future__ import annotations

import pytest

from fl.device_audit import bench, device_audits, shuffled_batch
from privacy.audit.findings import Finding

SEED = 3


@pytest.fixture(scope="module")
def audited() -> list[Finding]:
    with bench(SEED) as built:
        epoch = [shuffled_batch(built.first, SEED, release) for release in range(10)]
        assert sorted(map(id, (e for batch in epoch for e in batch))) == sorted(map(id, built.first.examples))
        return [run() for _, run in device_audits(built)]


def test_what_a_session_builds_is_as_accounted(audited: list[Finding]) -> None:
    correct = [finding for finding in audited if finding.fault is None]
    assert len(correct) == 7
    assert [finding.found for finding in correct if finding.flagged] == []


def test_every_fault_planted_in_it_is_flagged(audited: list[Finding]) -> None:
    planted = [finding for finding in audited if finding.fault is not None]
    assert len({finding.fault for finding in planted}) == len(planted) == 7
    assert [finding.fault for finding in planted if not finding.flagged] == []
