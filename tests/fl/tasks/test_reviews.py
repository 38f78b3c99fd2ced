"""The generated task: balanced, deterministic, honest labels, and not to be had by counting words."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from fl.tasks.bow import bow_accuracy
from fl.tasks.reviews import grammar, lexicon
from fl.tasks.reviews.generate import EXAMPLES_PER_DEVICE, TEST_EXAMPLES, generate_reviews, reviews
from fl.tasks.reviews.vocabulary import split_vocabulary
from radio.errors import InputError

SEEDS = (1, 2)
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def tasks():
    return {seed: generate_reviews(seed=seed, devices=5) for seed in SEEDS}


@pytest.fixture(scope="session")
def written():
    """Reviews with the kind each was written as."""
    return list(islice(reviews(8, "train", split_vocabulary(8)[0], set()), 5_000))


def test_sizes_balance_and_floor(tasks):
    for task in tasks.values():
        assert len(task.train) == 5 * EXAMPLES_PER_DEVICE == 5_000
        assert len(task.test) == TEST_EXAMPLES == 2_000
        assert Counter(e.label for e in task.train) == {0: 2_500, 1: 2_500}
        assert Counter(e.label for e in task.test) == {0: 1_000, 1: 1_000}
        assert task.chance_floor == 0.5
        assert task.public


def test_no_text_twice_in_or_across_the_splits(tasks):
    for task in tasks.values():
        texts = [e.text for e in task.train + task.test]
        assert len(set(texts)) == len(texts)


def test_other_seed_other_texts(tasks):
    assert len({task.digest for task in tasks.values()}) == len(SEEDS)


def test_same_seed_same_texts_and_fewer_are_the_first_of_more(tasks):
    small = generate_reviews(seed=1, devices=2, train_examples=300)
    assert small.train == tasks[1].train[:300]
    assert small.test == tasks[1].test
    assert Counter(e.label for e in small.train) == {0: 150, 1: 150}


@pytest.mark.parametrize("count", [0, -3, 1_001])
def test_impossible_size_names_value_and_limit(count):
    with pytest.raises(InputError, match=rf"{count} .*1 to 1000"):
        generate_reviews(seed=1, devices=1, train_examples=count)


def test_lengths(tasks):
    for task in tasks.values():
        words = [len(e.text.split()) for e in task.train + task.test]
        assert min(words) >= 8 and max(words) <= 26
        assert 10 <= sum(words) / len(words) <= 17


def test_lexicon_is_large_unambiguous_and_without_the_options():
    judging = [words_of(polarity) for polarity in (lexicon.NEGATIVE, lexicon.POSITIVE)]
    assert not judging[0] & judging[1]
    assert len(judging[0] | judging[1]) >= 280
    everything = {word for words in judging for phrase in words for word in phrase.split()}
    assert not everything & {"great", "greatly", "greatness", "terrible", "terribly"}


def test_every_lexicon_adjective_has_known_classes():
    for words in lexicon.ADJECTIVES.values():
        assert all(kinds and set(kinds) <= set("fsapvmdh") for kinds in words.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_held_out_words_stay_in_their_split(tasks, seed):
    for_train, for_test = split_vocabulary(seed)
    train_only, test_only = for_train.words() - for_test.words(), for_test.words() - for_train.words()
    total = len(for_train.words() | for_test.words())
    assert 0.25 <= len(train_only) / total <= 0.35
    assert 0.25 <= len(test_only) / total <= 0.35
    train_text, test_text = (" | ".join(e.text.lower() for e in s) for s in (tasks[seed].train, tasks[seed].test))
    for words, present, absent in ((train_only, train_text, test_text), (test_only, test_text, train_text)):
        assert not pattern(words).findall(absent)
        assert len(set(pattern(words).findall(present))) > 0.9 * len(words)
    held_out = pattern(test_only)
    assert sum(held_out.search(e.text.lower()) is not None for e in tasks[seed].test) > 0.4 * TEST_EXAMPLES


def test_shares_of_kinds_and_balance_within_each(written):
    kinds = Counter(r.kind for r in written)
    # Too short or too long drafts are written again, which moves the shares by a few points.
    assert kinds["negated"] / len(written) == pytest.approx(grammar.NEGATED_SHARE, abs=0.05)
    assert kinds["contrasted"] / len(written) == pytest.approx(grammar.CONTRASTED_SHARE, abs=0.05)
    for kind in kinds:
        positive = sum(r.label for r in written if r.kind == kind) / kinds[kind]
        assert positive == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "cue", ["never", "anything but", "by no means", "nothing", "nobody", ", but", "despite", "for all"]
)
def test_a_cue_alone_says_nothing(written, cue):
    labels = [r.label for r in written if cue in r.text.lower()]
    assert len(labels) > 40
    # Four standard deviations of a fair coin.
    assert sum(labels) / len(labels) == pytest.approx(0.5, abs=2 / len(labels) ** 0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_counting_words_is_not_enough(tasks, seed):
    best = max(bow_accuracy(tasks[seed].train, tasks[seed].test, penalty) for penalty in (0.1, 1.0))
    assert 0.6 <= best <= 0.90


@pytest.mark.parametrize("seed", SEEDS)
def test_grammar_slips(tasks, seed):
    for text in (e.text for e in tasks[seed].train + tasks[seed].test):
        for found, word in re.findall(r"\b([Aa]n?) ([a-z])", text):
            assert (found.lower() == "an") == (word in "aeiou"), text
        assert not re.search(r"\b(\w+) \1\b|  |,,|, (The|This|It|There|Nobody|Despite|For) |\.\.", text), text
        assert not re.search(r"\bits [^,.]* (is|are)\b", text), text
        assert all(s[0].isupper() for s in text.split(". ")), text
        assert text.endswith("."), text


@pytest.mark.parametrize("plural", [a.name for a in lexicon.ASPECTS if a.plural])
def test_plural_aspects_take_are(tasks, plural):
    texts = " ".join(e.text.lower() for e in tasks[1].train)
    assert f"the {plural} are" in texts
    assert f"the {plural} is" not in texts


def words_of(polarity: int) -> set[str]:
    pools = (lexicon.NOUNS, lexicon.VERBS, lexicon.EFFECTS, lexicon.FEELINGS, lexicon.ADVERBS)
    return set(lexicon.ADJECTIVES[polarity]).union(*(pool[polarity] for pool in pools))


def pattern(phrases: set[str]) -> re.Pattern[str]:
    """Finds whole phrases, a longer one before its parts."""
    ordered = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{ordered})(?![\w-])")


JUDGING = tuple(pattern(words_of(polarity)) for polarity in (0, 1))
DENIAL = re.compile(r"\b(never|not|nothing|nobody|anything but|far from|by no means)\b")


# A reader of its own: it knows the words' polarities and how English weighs clauses, nothing of the grammar's code.


def read(text: str) -> set[int]:
    """The verdicts a reader finds in a review."""
    return {verdict for sentence in text.lower().split(". ") for verdict in read_sentence(sentence.rstrip("."))}


def read_sentence(sentence: str) -> set[int]:
    if ", but " in sentence:
        sentence = sentence.split(", but ", 1)[1]
    else:
        leading = r"(^|, )(for all its|despite its|while the|although the|even though the) [^,]*,"
        sentence = re.sub(leading, "", sentence)
        sentence = re.sub(r", (despite|in spite of|though|even though|even if) .*", "", sentence)
    verdicts = set()
    for clause in re.split(r"(?:, )?\band (?=the |it |this |i |there |nobody |\w+ \w+ gives)", sentence):
        for polarity in (0, 1):
            if JUDGING[polarity].search(clause):
                verdicts.add(1 - polarity if DENIAL.search(clause) else polarity)
    return verdicts


BY_HAND = [
    ("The acting is superb.", 1),
    ("This is not a bad film at all.", 1),
    ("The plot is never dull, and the leads are charming.", 1),
    ("The film is anything but a triumph.", 0),
    ("There is nothing moving about the ending.", 0),
    ("Nobody could call the movie tedious.", 1),
    ("For all its lush sets, the film is a bore.", 0),
    ("The script is predictable, but the leads are superb and it won me over.", 1),
    ("In the end, although the score is haunting, the picture left me cold.", 0),
    ("The movie is a delight, even if the sets are cheap.", 1),
    ("I loved every minute of it, despite its wooden cast.", 1),
    ("I expected a hilarious comedy, but it drags from start to finish.", 0),
    ("My sister called it a mess, but I adored it. Nora Webb stars in Harbor Bridge.", 1),
    ("Mara Webb gives a convincing performance, and the film never drags.", 1),
]


@pytest.mark.parametrize(("text", "verdict"), BY_HAND)
def test_the_reader_reads_as_people_do(text, verdict):
    assert read(text) == {verdict}


@pytest.mark.parametrize("seed", SEEDS)
def test_labels_are_what_a_reader_would_say(tasks, seed):
    for example in tasks[seed].train[:600] + tasks[seed].test[:600]:
        assert read(example.text) == {example.label}, example


def test_samples_can_be_printed_to_read():
    shown = subprocess.run(
        [sys.executable, "-m", "fl.tasks.reviews", "--show", "6"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.splitlines()
    assert len(shown) == 6
    assert Counter(line.split()[0] for line in shown) == {"great": 3, "terrible": 3}
