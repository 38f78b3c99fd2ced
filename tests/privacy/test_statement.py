from __future__ import annotations

import json
from dataclasses import replace

import pytest

from privacy.statement import OwnerSpent, PrivacyFacts, statement, statement_dict

FACTS = PrivacyFacts(
    enabled=True,
    owners=(OwnerSpent("device-0", 4.99912, 402, "ledgers/0"), OwnerSpent("device-1", 4.5, 401, "ledgers/1")),
    epsilon_target=5.0,
    delta=1e-5,
    sampling_rate=0.064,
    noise_multiplier=1.5,
    clip=2.0,
    denominator=64.0,
    scalars=4,
    noise_std=0.09375,
    rounds_committed=400,
    rounds_sized_for=408,
    spare_rounds=8,
    examples=1000,
)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_says_unit_adversary_mechanism_cost_and_limits() -> None:
    text = flat(statement(FACTS))
    for said in (
        "one training example, added or removed",
        "own noise",
        "discrete Gaussian noise of 1.5 times",
        "sqrt(4) * clip/64",
        "independently with probability 0.064 (Poisson)",
        "400 committed, 402 charged (2 burned",
        "sized for 408, of which 8 spare",
        "epsilon 4.9992 of 5 at delta 1e-05 (worst owner: device-0",  # rounded up
        "device-1: epsilon 4.5000, 401 rounds",
        "ledger ledgers/1",
        "device level",
        "chosen on public data",
    ):
        assert said in text, said
    assert "VOID" not in text and "throw-away" not in text and "WARNING" not in text and "EXCEEDED" not in text


def test_lines_fit_the_width() -> None:
    for width in (80, 100):
        text = statement(replace(FACTS, reproducible=True, public_data=True), width)
        assert max(map(len, text.splitlines())) <= width


def test_reproducible_is_void_and_loud() -> None:
    text = flat(statement(replace(FACTS, reproducible=True)))
    assert text.startswith("PRIVACY STATEMENT - GUARANTEE VOID")
    assert "THE GUARANTEE IS VOID" in text and "NOTHING IS GUARANTEED" in text and "NOT secret" in text
    assert "operating system" not in text
    assert statement_dict(replace(FACTS, reproducible=True))["guarantee"] == "void"


def test_switched_off_is_loud() -> None:
    text = flat(statement(PrivacyFacts(enabled=False)))
    assert "NO PRIVACY" in text and "SWITCHED OFF" in text and "epsilon" not in text
    assert statement_dict(PrivacyFacts(enabled=False))["guarantee"] == "none"


def test_special_cases_are_said() -> None:
    assert "throw-away ledger" in flat(statement(replace(FACTS, public_data=True)))
    assert "above 1/1000" in flat(statement(replace(FACTS, delta=0.01)))
    assert "EXCEEDED" in statement(replace(FACTS, epsilon_target=4.0))
    assert "every example takes part in every round" in flat(statement(replace(FACTS, sampling_rate=1.0)))
    assert "nothing was charged" in statement(replace(FACTS, owners=()))


def test_local_steps_and_signs_are_said() -> None:
    plain = flat(statement(FACTS))
    assert "A round is one charge." in plain and "release" not in plain and "sign of" not in plain
    text = flat(statement(replace(FACTS, releases=3, signs=True)))
    for said in (
        "4 numbers in each of 3 releases a round (one a local step)",
        "Every release has its own batch and charge: 3 a round.",
        "Only the sign of the noised number is sent",
        "each example joins a release independently",
        "of which 8 spare, 3 releases a round.",
    ):
        assert said in text, said
    assert statement_dict(replace(FACTS, releases=3))["releases_per_round"] == 3


def test_the_dictionary_is_json_and_takes_the_worst_owner() -> None:
    facts = json.loads(json.dumps(statement_dict(FACTS)))
    assert facts["epsilon"] == pytest.approx(4.99912)
    assert (facts["rounds_charged"], facts["rounds_burned"], facts["delta"]) == (402, 2, 1e-5)
    assert [owner["name"] for owner in facts["owners"]] == ["device-0", "device-1"]
