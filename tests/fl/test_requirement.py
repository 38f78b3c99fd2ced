"""`--require`: read before a run, decided after it."""

from __future__ import annotations

import pytest

from fl.requirement import check, parse
from radio.errors import InputError, RequirementError

SUMMARY = {"accuracy": 0.8, "rounds": 600, "epsilon": None, "finished": True, "name": "demo"}


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("accuracy>=0.8", ("accuracy", ">=", 0.8)),
        (" epsilon <= 8 ", ("epsilon", "<=", 8.0)),
        ("train_s<1e3", ("train_s", "<", 1000.0)),
        ("aggregate_nmse_db>-3.5", ("aggregate_nmse_db", ">", -3.5)),
    ],
)
def test_conditions(text, wanted):
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["accuracy", "accuracy=0.8", "accuracy>=", "accuracy>=high", ">=1", "accuracy>=1.2.3"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(InputError, match="expected KEY>=NUMBER"):
        parse(text)


@pytest.mark.parametrize("text", ["accuracy>=0.8", "accuracy<=0.8", "accuracy>0.79", "rounds<601"])
def test_met(text):
    check([parse(text)], SUMMARY)


def test_every_unmet_condition_is_named():
    with pytest.raises(
        RequirementError, match=r"accuracy = 0.8, required > 0.8; rounds = 600, required < 600"
    ) as unmet:
        check([parse("accuracy>0.8"), parse("rounds<600"), parse("rounds>=600")], SUMMARY)
    assert unmet.value.exit_code == 4


@pytest.mark.parametrize("key", ["acuracy", "name", "epsilon", "finished"])
def test_what_the_summary_has_no_number_for_is_refused(key):
    with pytest.raises(InputError, match=f"--require {key}: .*there are accuracy, rounds"):
        check([parse(f"{key}>=1")], SUMMARY)
