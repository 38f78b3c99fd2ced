"""What a mode tells the floors above."""

from __future__ import annotations

import numpy as np

from radio.coherent import COHERENT
from radio.energy import ENERGY
from radio.equalisation import plan_equal_power, plan_full_scale, plan_votes
from radio.ideal import IDEAL
from radio.inversion import plan_inversion
from radio.tdma import TDMA
from radio.vote import VOTE


def test_only_coherent_addition_may_count_anybody_elses_noise() -> None:
    """Design decisions 5 and 10."""
    assert COHERENT.counts_for_privacy == ("own", "others", "receiver")
    for mode in (IDEAL, TDMA, ENERGY, VOTE):
        assert mode.counts_for_privacy == ("own",)


def test_rules_and_channel_knowledge() -> None:
    found = {m.name: (m.csi, m.plan) for m in (IDEAL, COHERENT, TDMA, ENERGY, VOTE)}
    assert found == {
        "ideal": ("none", plan_inversion),
        "coherent": ("complex", plan_inversion),
        "tdma": ("magnitude", plan_full_scale),
        "energy": ("magnitude", plan_equal_power),
        "vote": ("none", plan_votes),
    }


def test_channel_uses_of_three_scalars_from_four_devices() -> None:
    found = {m.name: m.channel_uses(3, 4) for m in (IDEAL, COHERENT, TDMA, ENERGY, VOTE)}
    # energies take a slot for either sign, votes a tone for either; who takes turns takes them one by one
    assert found == {"ideal": 3, "coherent": 3, "tdma": 12, "energy": 6, "vote": 6}


def test_outcome_without_errors() -> None:
    payloads = np.array([[0.5, -0.1, 0.2], [-2.0, -0.1, 0.0], [0.25, 3.0, -1.0], [1.0, -0.1, -1.0]])
    np.testing.assert_allclose(ENERGY.outcome(payloads), [-0.25, 2.7, -1.8])
    assert VOTE.outcome(payloads).tolist() == [4.0, -4.0, 0.0]  # 3:1, 1:3 and a tie (0 votes +)
