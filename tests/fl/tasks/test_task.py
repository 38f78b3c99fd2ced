"""Prompt, floor and digests of a task, the registry, and choices from a public stream."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fl.tasks.draw import Draw
from fl.tasks.registry import load_task
from fl.tasks.task import Example, Task, digest_examples
from radio.errors import InputError
from radio.streams import stream

TASK = Task(
    name="tiny",
    public=True,
    template="{text} It was",
    pool="ab" * 32,
    options=(" terrible", " great"),
    train=(Example("fine", 1), Example("bad", 0)),
    test=(Example("good", 1), Example("nice", 1), Example("poor", 0)),
)


def test_prompt_ends_before_the_option_and_keeps_braces():
    assert TASK.prompt(Example("  A {text} of {0}% ", 1)) == "A {text} of {0}% It was"


def test_chance_floor_is_the_majority_of_the_test_split():
    assert TASK.chance_floor == pytest.approx(2 / 3)


def test_digest_of_data_ignores_order_and_sees_everything_else():
    a, b, c = Example("a", 0), Example("b", 1), Example("ab", 1)
    assert digest_examples([a, b]) == digest_examples([b, a])
    others = [[a], [a, b, b], [a, c], [Example("a", 1), b], []]
    assert len({digest_examples(rows) for rows in [[a, b], *others]}) == 6
    assert len(digest_examples([a])) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"template": "{text} All in all, it was"},
        {"options": (" bad", " great")},
        {"train": TASK.test, "test": TASK.train},
        {"test": TASK.test[:2]},
    ],
)
def test_task_digest_sees_every_part(change):
    assert dataclasses.replace(TASK, **change).digest != TASK.digest


def test_registry_loads_reviews_and_sst2(tmp_path):
    reviews = load_task("reviews", seed=1, devices=2, train_examples=40)
    assert (reviews.name, len(reviews.train)) == ("reviews", 40)
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text("sentence\tlabel\nfine\t1\nbad\t0\n")
    sst2 = load_task("sst2", seed=1, devices=2, root=str(tmp_path))
    assert (sst2.name, len(sst2.train)) == ("sst2", 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "sst3", "devices": 2}, "'sst3' is not a task; allowed: reviews, squad, boolq"),
        ({"name": "reviews", "devices": 0}, "0 devices"),
        ({"name": "reviews", "devices": 5, "train_examples": 4}, "train_examples = 4 is too few for 5 devices"),
        ({"name": "reviews", "devices": 2, "root": "somewhere"}, "task.root = 'somewhere'.*generated"),
    ],
)
def test_registry_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        load_task(seed=1, **arguments)


def test_draw_picks_uniformly_and_orders_by_permutation():
    draw = Draw(stream(3, "tasks", "test"))
    counts = np.bincount([draw.pick(range(5)) for _ in range(5_000)], minlength=5)
    # Five standard deviations of Binomial(5000, 1/5), about 28 each.
    assert np.abs(counts - 1_000).max() < 5 * 28.3
    assert sorted(draw.order("hello")) == sorted("hello")
    assert sum(draw.chance(0.25) for _ in range(4_000)) == pytest.approx(1_000, abs=5 * 27.4)
