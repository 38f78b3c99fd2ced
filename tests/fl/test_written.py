"""Written answers: losses by transformers' own forward, independent of batch-mates to the last bit, and greedy writing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fl.directions.rademacher import Rademacher
from fl.estimators.estimator import Point
from fl.functional import Functional
from fl.likelihood import LENGTH_STEP
from fl.models import load_model
from fl.run import execute
from fl.run_folder import create
from fl.session import experiment_task
from fl.tasks.squad import normalise
from fl.written import LONGEST_ANSWER, AnswerLikelihood
from radio.errors import InputError

SENTENCE = "a warm film with a quiet heart and a loud end that nobody saw coming in the old town"
WORDS = SENTENCE.split()


def prompts(count: int) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (f"Context: {' '.join(WORDS[: 3 + 2 * i])}.\nQuestion: What is it?\nAnswer:", (" ".join(WORDS[i : 2 * i + 1]),))
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def model(tiny_model):
    return load_model(str(tiny_model))


@pytest.fixture(scope="module", params=[1, 2])
def batch(request, model):
    likelihood = AnswerLikelihood(model, 2, workers=request.param)
    return likelihood, [likelihood.encode(*pair) for pair in prompts(7)]


def test_losses_are_the_mean_of_the_answer_s_token_losses(batch, model):
    likelihood, examples = batch
    for example, loss in zip(examples, likelihood.losses(examples), strict=True):
        with torch.inference_mode():
            logits = model.network(input_ids=torch.tensor([example.ids])).logits[0].double()
        each = -torch.log_softmax(logits, -1)[range(len(example.ids) - 1), list(example.ids[1:])]
        assert loss == pytest.approx(each[example.start - 1 :].mean().item(), rel=1e-5)
        assert model.tokenizer.decode(example.ids[example.start :]) == f" {example.answers[0]}\n"


def test_removing_any_one_example_changes_no_other_loss_by_one_bit(batch):
    likelihood, examples = batch
    whole = likelihood.losses(examples)
    for i in range(len(examples)):
        np.testing.assert_array_equal(likelihood.losses(examples[:i] + examples[i + 1 :]), np.delete(whole, i))


def test_points_around_the_weights_without_touching_them(batch, model):
    likelihood, examples = batch
    trained = model.select(("*layers.0.self_attn_layer_norm.weight",))
    functional = Functional(model.network, trained, Rademacher())
    whole = likelihood.losses(examples)
    home, plus, minus = likelihood.losses_at(
        examples, functional, 5, [Point(0, 0.0), Point(0, 1.0), Point(0, -1.0)], 1e-2
    )
    np.testing.assert_allclose(home, whole, rtol=1e-5)
    assert np.abs(plus - minus).min() > 0


def test_activations_below_a_cut_give_the_same_losses(batch):
    likelihood, examples = batch
    again = likelihood.losses_from(examples, likelihood.activations(examples, 1))
    np.testing.assert_array_equal(again, likelihood.losses(examples))


def test_a_long_prompt_loses_its_beginning_and_leaves_room_to_write(batch, model):
    likelihood, _ = batch
    long = likelihood.encode("word " * 500 + "Answer:", ("hill " * 200,))
    assert long.start == 1 + 128 - LENGTH_STEP - LONGEST_ANSWER and len(long.ids) == long.start + LONGEST_ANSWER
    assert model.tokenizer.decode(long.ids[: long.start]).endswith("Answer:")


def greedy(model, ids: tuple[int, ...]) -> str:
    """Word for word by whole forwards."""
    end = model.tokenizer("\n", add_special_tokens=False)["input_ids"][0]
    written: list[int] = []
    for _ in range(LONGEST_ANSWER):
        with torch.inference_mode():
            following = int(model.network(input_ids=torch.tensor([[*ids, *written]])).logits[0, -1].argmax())
        if following in (end, model.tokenizer.eos_token_id):
            break
        written.append(following)
    return model.tokenizer.decode(written, skip_special_tokens=True).split("\n")[0].strip()


def test_writing_is_greedy_whatever_the_padding(batch, model):
    likelihood, examples = batch
    assert likelihood.answers(examples) == [greedy(model, e.ids[: e.start]) for e in examples]


def test_the_score_is_the_official_one(batch):
    likelihood, examples = batch
    said = likelihood.answers(examples)
    pairs = [(prompt, (text or "nothing", "no")) for (prompt, _), text in zip(prompts(7), said, strict=True)]
    right = [likelihood.encode(*pair) for pair in pairs]
    score = likelihood.evaluate(right)
    written = sum(bool(text) for text in said) / len(said)
    assert score.accuracy == pytest.approx(written) and score.f1 == pytest.approx(written) and score.examples == 7


@pytest.fixture
def squad(tmp_path: Path, make_experiment):
    folder = tmp_path / "squad"
    folder.mkdir()
    rows = [
        {"id": str(i), "question": f"What is number {i}?", "answers": [{"text": word, "answer_start": 0}]}
        for i, word in enumerate([word for word in WORDS if normalise(word)] * 4)
    ]
    paragraph = {"context": " ".join(WORDS), "qas": rows}
    for name in ("train-v1.1.json", "dev-v1.1.json"):
        (folder / name).write_text(json.dumps({"data": [{"title": "Film", "paragraphs": [paragraph]}]}))
    changes = {
        "task.name": "squad", "task.root": str(folder), "task.public": True, "task.examples_per_device": 20,
        "task.test_examples": 4, "learning.devices": 2, "learning.rounds": 2, "learning.batch": 5, "privacy.epsilon": 5.0,
    }  # fmt: skip
    return lambda more=None: make_experiment({**changes, **(more or {})})


def test_a_whole_run_answers_in_writing(squad, tmp_path):
    summary = execute(create(tmp_path / "run", squad()), quiet=True)
    assert summary["rounds"] == 2 and summary["chance_floor"] == 0.0 and summary["bow_accuracy"] is None
    # an exact match has F1 1, but for an answer of articles alone, of which `squad` has none
    assert 0.0 <= summary["accuracy"] <= summary["f1"] <= 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run.first_order": True}, "run.first_order chooses between options, and squad"),
        ({"task.partition": "dirichlet"}, "task.partition = 'dirichlet' skews labels, and squad has none"),
    ],
)
def test_what_needs_labels_is_refused(squad, change, message, tmp_path):
    from fl.session import shares_of

    with pytest.raises(InputError, match=message):
        experiment = squad(change)
        shares_of(experiment, experiment_task(experiment))
