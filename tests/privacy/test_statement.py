from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from privacy.facts import OwnerSpent, PrivacyFacts, ThreatFigure
from privacy.statement import statement, statement_dict
from privacy.threats import threats
from privacy.unit import DEVICE

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
        "one training example, added to or removed from the data of the device that has it",
        "what every round is charged was fixed before the run. Rules that follow the channel",
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


def test_every_threat_is_told_and_one_is_enforced() -> None:
    found = threats(colluders=0, dropouts=1, csi_margin=10**0.1)
    figures = [
        ThreatFigure(found["own-noise"], math.inf),
        ThreatFigure(found["aggregate"], 4.2, "not guaranteed beyond 1 silent dropouts"),
        ThreatFigure(found["trusted-receiver"], None, "no estimates"),
    ]
    facts = replace(
        FACTS, threat=found["aggregate"], figures=figures, device_epsilon=123456.7, hard_margin=2.0, failures=2e-7, evaluations=7
    )  # fmt: skip
    text = flat(statement(facts))
    for said in (
        "aggregate (ENFORCED): epsilon 4.2000",
        "own-noise (reported): epsilon infinite",
        "trusted-receiver (reported): no figure",
        "Not guaranteed beyond 1 silent dropout and 0 colluders",
        "no device arrives more than 1.00 dB louder than planned",
        "3.01 dB would have been sure",
        "WARNING: 1.00 dB is counted",
        "epsilon 123,457: that is NO protection",
        "2e-07 of that delta is for failures",
        "7 evaluations on public held-out data, which cost nothing",
    ):
        assert said in text, said
    told = json.loads(json.dumps(statement_dict(facts), allow_nan=False))
    assert [(t["name"], t["enforced"], t["epsilon"], t["known"]) for t in told["threats"]] == [
        ("own-noise", False, None, True), ("aggregate", True, 4.2, True), ("trusted-receiver", False, None, False),
    ]  # fmt: skip
    assert told["hard_csi_margin_db"] == pytest.approx(3.0103)
    assert max(map(len, statement(facts, 80).splitlines())) <= 80


def test_perfect_csi_and_the_device_unit_are_said() -> None:
    trusted = threats()["trusted-receiver"]
    text = flat(
        statement(replace(FACTS, threat=trusted, perfect_csi=True, unit=DEVICE, sampling_rate=1.0, noise_std=0.0))
    )
    for said in (
        "all data of one device, replaced by any other",
        "every device arrives exactly as planned (privacy.assume_perfect_csi)",
        "sensitivity sqrt(4) * 2 * clip",
        "own noise: none",
        "counts for nothing at device level",
    ):
        assert said in text, said
    assert "device's whole data set (device level)" not in text


def test_estimates_too_uncertain_for_any_margin_are_told_with_what_it_takes() -> None:
    facts = replace(
        FACTS,
        threat=threats(csi_margin=10**0.1)["aggregate"],
        hard_margin=math.inf,
        csi_error=0.341,
        csi_error_limit=0.212,
    )
    text = flat(statement(facts))
    assert "the worst that was inverted had a standard deviation of 34% of its gain" in text
    assert "all must stay below 21%" in text and "WARNING: 1.00 dB is counted" in text
