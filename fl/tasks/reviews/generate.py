"""The task `reviews`: film reviews generated from the experiment's public seed, for use without any data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

from fl.tasks.draw import Draw
from fl.tasks.reviews.grammar import Review, write_review
from fl.tasks.reviews.vocabulary import Vocabulary, split_vocabulary
from fl.tasks.task import Example, Task
from radio.errors import InputError
from radio.streams import stream

TEMPLATE = "{text} In short, it is a"
OPTIONS = (" terrible", " great")
EXAMPLES_PER_DEVICE = 1_000
TEST_EXAMPLES = 2_000


def generate_reviews(*, seed: int, devices: int, train_examples: int | None = None) -> Task:
    """Generate the task; `train_examples` for all devices together, at most (and by default) 1,000 times `devices`.

    The test split depends on the seed alone, and fewer training examples are the first of more.  Both are balanced
    (to one example), no text comes twice, and each split has judging words the other lacks.
    """
    limit = EXAMPLES_PER_DEVICE * devices
    count = limit if train_examples is None else train_examples
    if not 1 <= count <= limit:
        raise InputError(
            f"task.train_examples = {count} is not possible with {devices} device(s); allowed: 1 to {limit}, "
            f"{EXAMPLES_PER_DEVICE} a device"
        )
    for_train, for_test = split_vocabulary(seed)
    seen: set[str] = set()
    test = list(islice(reviews(seed, "test", for_test, seen), TEST_EXAMPLES))
    train = list(islice(reviews(seed, "train", for_train, seen), count))
    return Task(
        name="reviews",
        public=True,
        template=TEMPLATE,
        options=OPTIONS,
        train=tuple(Example(review.text, review.label) for review in train),
        test=tuple(Example(review.text, review.label) for review in test),
        pool=hashlib.sha256(f"generated reviews, seed {seed}".encode()).hexdigest(),
    )


def validation_reviews(seed: int, task: Task, count: int) -> tuple[Example, ...]:
    """`count` more reviews in the words of the test split, none of them in either split of the task."""
    _, for_test = split_vocabulary(seed)
    seen = {example.text for example in (*task.test, *task.train)}
    return tuple(Example(r.text, r.label) for r in islice(reviews(seed, "validation", for_test, seen), count))


def reviews(seed: int, split: str, vocabulary: Vocabulary, seen: set[str]) -> Iterator[Review]:
    """Reviews without end, none in `seen` (which grows); one of each label in every pair, in random order."""
    draw = Draw(stream(seed, "tasks", "reviews", split))
    while True:
        first = int(draw.chance(0.5))
        for label in (first, 1 - first):
            review = write_review(label, vocabulary, draw)
            while review.text in seen:
                review = write_review(label, vocabulary, draw)
            seen.add(review.text)
            yield review
