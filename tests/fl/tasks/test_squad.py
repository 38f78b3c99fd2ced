"""SQuAD: the official JSON, MeZO's prompt, and the official script's two figures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fl.tasks.registry import load_own, load_task
from fl.tasks.squad import exact_match, f1, normalise, of_rows, read_squad
from fl.tasks.task import digest_examples
from radio.errors import InputError


def content(answers=("the green hill", "green hill")) -> dict:
    """One paragraph of our own in the official form."""
    questions = [
        {"id": "q1", "question": "Where is the house? ", "answers": [{"text": a, "answer_start": 13} for a in answers]},
        {"id": "q2", "question": "What is old?", "answers": [{"text": "the house", "answer_start": 0}]},
    ]
    context = "The house on the green hill is old."
    return {"version": "1.1", "data": [{"title": "A House", "paragraphs": [{"context": context, "qas": questions}]}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train-v1.1.json", "dev-v1.1.json"):
        (tmp_path / name).write_text(json.dumps(content()))
    return tmp_path


def test_reads_the_official_files(folder):
    task = load_task("squad", seed=1, devices=1, root=folder, train_examples=2)
    assert task.options == () and task.chance_floor == 0.0 and not task.public
    first = next(e for e in task.test if "Where" in e.text)
    # MeZO's SQuADv2Template, written out by hand
    assert task.prompt(first) == (
        "Title: A House\nContext: The house on the green hill is old.\nQuestion: Where is the house?\nAnswer:"
    )
    assert first.target == ("the green hill", "green hill")
    assert load_own("squad", folder / "dev-v1.1.json", False).train == task.test


def test_the_hub_s_rows_give_the_same_examples(folder):
    rows = [
        {"title": "A House", "context": "The house on the green hill is old.", "question": "Where is the house?",
         "answers": {"text": ["the green hill", "green hill"], "answer_start": [13, 17]}},
    ]  # fmt: skip
    assert of_rows(rows) == read_squad(folder / "dev-v1.1.json")[:1]


def test_answers_are_part_of_the_data_s_identity(folder, tmp_path):
    (tmp_path / "other.json").write_text(json.dumps(content(answers=("green hill",))))
    assert digest_examples(read_squad(folder / "dev-v1.1.json")) != digest_examples(read_squad(tmp_path / "other.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("{}", r"not in SQuAD's format .*KeyError\('data'\)"),
        ('{"data": []}', "holds no questions"),
        (json.dumps(content(answers=())), r"id q1: 'Where is the house\? ' has no answer; SQuAD v1\.1"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    path = tmp_path / "train-v1.1.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_squad(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_names_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"train-v1\.1\.json not found.*--set task\.root=DIR"):
        load_task("squad", seed=1, devices=1, root=tmp_path)


def test_normalisation_is_the_official_script_s():
    assert normalise("The  Green-Hill, a  house!") == "greenhill house"
    assert normalise("An apple; THE tea. anthem") == "apple tea anthem"


@pytest.mark.parametrize(
    ("said", "right", "exact", "overlap"),
    [
        ("The green hill.", ["green hill"], True, 1.0),
        ("a hill", ["green hill"], False, 2 / 3),  # precision 1, recall 1/2
        ("green hill green", ["green hill"], False, 4 / 5),  # precision 2/3, recall 1
        ("valley", ["green hill"], False, 0.0),
        ("", ["green hill"], False, 0.0),
        ("hill", ["green hill", "the hill"], True, 1.0),  # the best of all answers counts
    ],
)
def test_exact_match_and_f1(said, right, exact, overlap):
    assert exact_match(said, right) is exact
    assert f1(said, right) == pytest.approx(overlap)
