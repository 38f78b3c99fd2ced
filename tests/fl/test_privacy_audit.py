"""Attacks on the trained model keep to their bound, and the coins are those that the attack is judged by."""

from __future__ import annotations

import numpy as np
import pytest

from fl.privacy_audit import CANARIES, CANDIDATES, Trained, model_findings, recursion_finding, train_with_coins


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train_with_coins(seed=2, rounds=5)


def test_a_short_run_gives_scores_for_every_coin_and_a_claim(trained: Trained) -> None:
    assert trained.example_in.shape == trained.loss_scores.shape == (CANDIDATES,)
    assert trained.canary_in.shape == trained.canary_scores.shape == (CANARIES,)
    assert np.count_nonzero(trained.canary_scores) == CANARIES  # every trained weight moves in every round
    assert 0.0 < trained.claimed <= 5.0


def test_an_attack_that_knows_every_coin_would_be_noticed(trained: Trained) -> None:
    known = Trained(
        0.5, trained.delta, trained.example_in, trained.canary_in, 1.0 * trained.example_in, 1.0 * trained.canary_in
    )
    assert all(finding.flagged and finding.lower > 2.0 for finding in model_findings(known))
    blind = Trained(
        0.5,
        trained.delta,
        trained.example_in,
        trained.canary_in,
        np.arange(CANDIDATES) * 1.0,
        np.arange(CANARIES) * 1.0,
    )
    assert not any(finding.flagged for finding in model_findings(blind))


def test_the_recursion_alone_shows_less_than_it_claims() -> None:
    finding = recursion_finding(seed=1, canaries=100, rounds=100)
    assert not finding.flagged and finding.lower < finding.claimed
