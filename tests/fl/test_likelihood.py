"""Option likelihood: right by transformers' own forward, and independent of batch-mates to the last bit (decision 8)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fl.directions.rademacher import Rademacher
from fl.estimators.estimator import Point
from fl.functional import Functional
from fl.likelihood import LENGTH_STEP, Encoded, OptionLikelihood, option_losses
from fl.models import LanguageModel, load_model
from fl.pretrain import Recipe, build
from fl.tasks.registry import load_task
from radio.errors import InputError

ROWS = 4


@pytest.fixture(scope="module")
def task():
    return load_task("reviews", seed=4, devices=1, train_examples=60)


@pytest.fixture(scope="module")
def model(tiny_model):
    return load_model(str(tiny_model))


@pytest.fixture(scope="module")
def wide(model):
    """As wide as the embedded model, where matrix products are blocked differently."""
    network = build(Recipe(width=256, layers=1, heads=4, positions=128, vocabulary=len(model.tokenizer))).eval()
    return LanguageModel(network.requires_grad_(False), model.tokenizer, "wide")


def encoded(likelihood: OptionLikelihood, task, count: int) -> list[Encoded]:
    return [likelihood.encode(task.prompt(e), e.label) for e in task.train[:count]]


@pytest.fixture(params=["narrow", "wide"])
def batch(request, model, wide, task):
    likelihood = OptionLikelihood(model if request.param == "narrow" else wide, task.options, ROWS)
    return likelihood, encoded(likelihood, task, 19)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_removing_any_one_example_changes_no_other_loss_by_one_bit(batch, threads):
    likelihood, examples = batch
    whole = likelihood.losses(examples)
    for i in range(len(examples)):
        without = likelihood.losses(examples[:i] + examples[i + 1 :])
        np.testing.assert_array_equal(without, np.delete(whole, i))


def test_an_example_alone_and_in_any_order_has_the_same_bits(batch, threads):
    likelihood, examples = batch
    whole = likelihood.losses(examples)
    alone = np.concatenate([likelihood.losses([e]) for e in examples])
    np.testing.assert_array_equal(alone, whole)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(examples))
        np.testing.assert_array_equal(likelihood.losses([examples[i] for i in order]), whole[order])


def test_forwards_side_by_side_give_the_same_bits(model, task, threads):
    one, four = (OptionLikelihood(model, task.options, 1, workers) for workers in (1, 4))
    examples = encoded(one, task, 19)
    np.testing.assert_array_equal(four.losses(examples), one.losses(examples))
    trained = model.select(("*layer_norm*",))
    points = (Point(0, 1.0), Point(0, -1.0), Point(1, 1.0))
    functional = Functional(model.network, trained, Rademacher())
    np.testing.assert_array_equal(
        four.losses_at(examples, functional, 5, points, 1e-2), one.losses_at(examples, functional, 5, points, 1e-2)
    )


def test_an_error_in_one_of_several_forwards_is_raised(model, task):
    likelihood = OptionLikelihood(model, task.options, 1, workers=2)
    examples = encoded(likelihood, task, 3)
    with pytest.raises(IndexError):
        likelihood.losses([*examples, Encoded((2, 10**9), 0)])


def test_a_forward_has_room_for_so_many_tokens_whatever_the_batch(model, task, threads):
    likelihood = OptionLikelihood(model, task.options, 2)  # 128 tokens
    shapes = {}
    for length, count in [(5, 1), (5, 40), (13, 3), (25, 7), (60, 3), (100, 2)]:
        rows = [tuple(g.ids.shape) for g in likelihood._groups([Encoded((2,) * length, 0)] * count)]
        assert len(set(rows)) == 1
        shapes.setdefault(length, set()).update(rows)
    assert shapes == {5: {(16, 8)}, 13: {(8, 16)}, 25: {(4, 32)}, 60: {(2, 64)}, 100: {(1, 104)}}
    assert [len(g.ids) for g in likelihood._groups([Encoded((2,) * 5, 0)] * 17)] == [16, 16]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 7, 16])
@pytest.mark.parametrize("shape", ["narrow", "wide"])
def test_no_number_of_rows_lets_a_row_depend_on_where_it_stands(shape, rows, model, wide, task):
    likelihood = OptionLikelihood(model if shape == "narrow" else wide, task.options, rows)
    examples = encoded(likelihood, task, 40)
    whole = likelihood.losses(examples)
    np.testing.assert_array_equal(likelihood.losses(examples[::-1])[::-1], whole)
    np.testing.assert_array_equal(likelihood.losses(examples[7:8]), whole[7:8])


@pytest.mark.parametrize("cut", [1, 2])
def test_the_two_parts_of_a_network_make_the_whole(tiny_model, task, cut):
    network = build(Recipe(width=32, layers=3, heads=2, positions=128, vocabulary=600)).eval()
    tokenizer = load_model(str(tiny_model)).tokenizer
    likelihood = OptionLikelihood(LanguageModel(network.requires_grad_(False), tokenizer, "deep"), task.options, 2)
    examples = encoded(likelihood, task, 11)
    parts = likelihood.losses_from(examples, likelihood.activations(examples, cut))
    np.testing.assert_array_equal(parts, likelihood.losses(examples))


def test_no_examples_have_no_losses(batch):
    likelihood, _ = batch
    assert likelihood.losses([]).shape == (0,)


def test_losses_are_those_of_transformers_own_forward(batch):
    likelihood, examples = batch
    network = likelihood._network
    for example, loss, logits in zip(examples, likelihood.losses(examples), likelihood.logits(examples), strict=True):
        with torch.inference_mode():
            full = network(input_ids=torch.tensor([example.ids])).logits[0, -1]
        options = full[likelihood.option_ids].double()
        np.testing.assert_allclose(logits, options.numpy(), atol=2e-6)
        assert loss == pytest.approx(-float(torch.log_softmax(options, 0)[example.label]), abs=5e-6)


def test_prompts_begin_with_the_start_token_and_keep_their_end(model, task):
    likelihood = OptionLikelihood(model, task.options, ROWS)
    short = likelihood.encode("A film. It was", 1)
    assert short.ids[0] == model.tokenizer.bos_token_id == 2
    assert model.tokenizer.decode(short.ids[1:]) == "A film. It was"
    long = likelihood.encode("word " * 500 + "It was", 0)
    context = model.network.config.max_position_embeddings
    assert context - LENGTH_STEP < len(long.ids) <= context
    assert model.tokenizer.decode(long.ids[1:]).endswith("It was")
    assert np.isfinite(likelihood.losses([long, short])).all()


def test_options_that_begin_alike_are_refused(model):
    with pytest.raises(InputError, match="first token"):
        OptionLikelihood(model, (" xqz", " xwz"), ROWS)


def test_option_losses_are_a_stable_cross_entropy():
    logits = np.array([[0.0, 0.0], [1000.0, 0.0], [-3.0, 2.0]])
    labels = np.array([0, 1, 1])
    expected = [math.log(2), 1000.0, math.log1p(math.exp(-5.0))]
    np.testing.assert_allclose(option_losses(logits, labels), expected, rtol=1e-12)


def test_the_score_counts_what_is_likeliest(model, task):
    likelihood = OptionLikelihood(model, task.options, ROWS)
    examples = encoded(likelihood, task, 30)
    score = likelihood.evaluate(examples)
    answers = likelihood.logits(examples).argmax(axis=1)
    assert score.examples == 30
    assert score.accuracy == pytest.approx(np.mean([a == e.label for a, e in zip(answers, examples, strict=True)]))
    assert score.loss == pytest.approx(likelihood.losses(examples).mean())
    turned = likelihood.evaluate([Encoded(e.ids, 1 - e.label) for e in examples])
    assert turned.accuracy == pytest.approx(1 - score.accuracy)
