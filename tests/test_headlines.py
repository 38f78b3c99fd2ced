"""The figures of the pages are those of the result files: each sentence is written here once more, from the file."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from fl.studies.rates import CHOSEN

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"

# (page, file of docs/results, sentence); {row} is a row's value in percent with one digit, {row!r} without, {row!s} its note
SENTENCES = [
    (
        "README.md",
        "accuracy-demo.json",
        "accuracy {accuracy} % against {zero_shot_accuracy} % zero-shot and a chance floor of {chance_floor!r} %",
    ),
    (
        "README.md",
        "accuracy-sst2.json",
        "gives {accuracy} % on the full dev set (mean of three seeds), against {zero_shot_accuracy} % zero-shot, a chance floor "
        "of {chance_floor} %, and {first_order_accuracy} % for first-order AdamW",
    ),
    ("docs/results.md", "accuracy-demo.json", "| **accuracy** | **{accuracy} % ({accuracy!s})** |"),
    ("docs/results.md", "accuracy-sst2.json", "| **{accuracy} % ({accuracy!s})** |"),
    ("docs/results.md", "accuracy-demo.json", "prompt and scoring | {zero_shot_accuracy} % ({zero_shot_accuracy!s}) |"),
    ("docs/results.md", "accuracy-sst2.json", "| {first_order_accuracy} % ({first_order_accuracy!s}) |"),
    ("docs/results.md", "accuracy-demo-bf16.json", "`reviews` reaches {accuracy} % ({accuracy!s})"),
]  # fmt: skip


FORWARDS = "forward passes, examples of all devices (a backward pass as two)"
POINTS = "difference, points"
WEAK = {"mode": "coherent", "surroundings": "Rayleigh, 10 dB"}
PAPERS = {"choice": "the same, B = 16"}
# (page, table of docs/results/studies, its row, its column, sentence): {} is the value, {mean} without its number of seeds,
# {alone} without its interval, too
STUDIES = [
    ("docs/results.md", "choices/targets.csv", {"choice": "default", "target": "0.57 nats"}, FORWARDS, "loss 0.57 ({alone} ag"),
    ("docs/results.md", "choices/targets.csv", {**PAPERS, "target": "0.57 nats"}, FORWARDS, "loss 0.57 (1,440 against {alone})"),
    ("docs/results.md", "choices/targets.csv", {"choice": "default", "target": "0.55 nats"}, FORWARDS, "0.55 it takes {alone},"),
    ("docs/results.md", "choices/targets.csv", {**PAPERS, "target": "0.55 nats"}, FORWARDS, "gets there, after {alone}. M"),
    ("README.md", "privacy/differences.csv", {"rule": "own-noise", "epsilon": "5"}, POINTS, "no privacy {mean} points"),
    ("README.md", "air/differences.csv", WEAK, POINTS, "against an ideal link {mean} points"),
    (
        "docs/results.md",
        "privacy/differences.csv",
        {"rule": "own-noise", "epsilon": "5"},
        POINTS,
        "at epsilon 5 the difference to no privacy is {mean} points** (paired, ten seeds",
    ),
    (
        "docs/results.md",
        "air/differences.csv",
        WEAK,
        POINTS,
        "against the ideal link is {mean} points** (paired, ten seeds",
    ),
]  # fmt: skip


class Figure:
    """A row of a result file, as a sentence writes it."""

    def __init__(self, row: dict) -> None:
        self._value, self._note = float(row["value"]), re.sub(r"mean of \d+ seeds, ", "", str(row["note"]))

    def __format__(self, spec: str) -> str:
        return f"{100 * self._value:.1f}"

    def __str__(self) -> str:
        return self._note

    def __repr__(self) -> str:
        return f"{100 * self._value:.0f}"


def rendered(file: str, sentence: str) -> str:
    rows = json.loads((RESULTS / file).read_text(encoding="utf-8"))["rows"]
    return sentence.format(**{row["name"]: Figure(row) for row in rows})


def prose(page: str) -> str:
    """The page in single spaces, without its code blocks."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return " ".join(text.split())


@pytest.mark.parametrize("page, file, sentence", SENTENCES)
def test_the_page_says_what_the_file_says(page: str, file: str, sentence: str) -> None:
    assert rendered(file, sentence) in prose(page)


@pytest.mark.parametrize("page, table, row, column, sentence", STUDIES)
def test_the_page_says_what_the_study_found(page: str, table: str, row: dict, column: str, sentence: str) -> None:
    with (RESULTS / "studies" / table).open(encoding="utf-8", newline="") as file:
        found = [line for line in csv.DictReader(file) if line.items() >= row.items()]
    assert len(found) == 1
    mean, _, seeds = found[0][column].partition(" (")
    assert "ten seeds" not in sentence or seeds == "10)"
    assert sentence.format(found[0][column], mean=mean, alone=mean.partition(" ±")[0]) in prose(page)


def test_no_percentage_of_the_readme_is_without_a_file() -> None:
    left = prose("README.md")
    for page, file, sentence in SENTENCES:
        if page == "README.md":
            left = left.replace(rendered(file, sentence), "")
    assert re.findall(r"\d+\.\d ?%", left) == []


def test_the_rates_of_the_comparison_are_those_that_tune_chose() -> None:
    with (RESULTS / "studies" / "tune" / "rates.csv").open(encoding="utf-8", newline="") as file:
        chosen = {row["method"]: float(row["rate"]) for row in csv.DictReader(file) if row[""]}
    assert chosen == CHOSEN
