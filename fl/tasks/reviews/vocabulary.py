"""Which judging words each split may use: some in both, some in training only, some in the test only.

Whoever wants the test right must know what words like "tedious" mean without having seen their label.
"""

from __future__ import annotations

from dataclasses import dataclass

from fl.tasks.draw import Draw
from fl.tasks.reviews import lexicon
from radio.streams import stream

TRAIN_ONLY_SHARE = 0.30
TEST_ONLY_SHARE = 0.30


@dataclass(frozen=True)
class Vocabulary:
    """The judging words of one split, each a tuple indexed by polarity; adjectives also by class letter."""

    adjectives: tuple[dict[str, tuple[str, ...]], ...]
    nouns: tuple[tuple[str, ...], ...]
    verbs: tuple[tuple[str, ...], ...]
    effects: tuple[tuple[str, ...], ...]
    feelings: tuple[tuple[str, ...], ...]
    adverbs: tuple[tuple[str, ...], ...]

    def words(self) -> set[str]:
        """Every judging word or phrase."""
        found = {word for kinds in self.adjectives for words in kinds.values() for word in words}
        for pool in (self.nouns, self.verbs, self.effects, self.feelings, self.adverbs):
            found.update(phrase for phrases in pool for phrase in phrases)
        return found


def split_vocabulary(seed: int) -> tuple[Vocabulary, Vocabulary]:
    """Vocabularies of the training and the test split.

    Every list is cut on its own, so both polarities and every part of speech lose the same share of words.
    """
    pools: dict[str, tuple[list[tuple[str, ...]], list[tuple[str, ...]]]] = {}
    for name, lists in (
        ("adjectives", {polarity: tuple(words) for polarity, words in lexicon.ADJECTIVES.items()}),
        ("nouns", lexicon.NOUNS),
        ("verbs", lexicon.VERBS),
        ("effects", lexicon.EFFECTS),
        ("feelings", lexicon.FEELINGS),
        ("adverbs", lexicon.ADVERBS),
    ):
        pools[name] = ([], [])
        for polarity in (lexicon.NEGATIVE, lexicon.POSITIVE):
            draw = Draw(stream(seed, "tasks", "reviews", "vocabulary", name, str(polarity)))
            for kept, words in zip(pools[name], _cut(lists[polarity], draw), strict=True):
                kept.append(words)
    splits = []
    for split in (0, 1):
        by_name = {name: tuple(both[split]) for name, both in pools.items()}
        adjectives = tuple(
            {kind: tuple(w for w in words if kind in lexicon.ADJECTIVES[polarity][w]) for kind in "fsapvmdh"}
            for polarity, words in enumerate(by_name.pop("adjectives"))
        )
        splits.append(Vocabulary(adjectives=adjectives, **by_name))
    return splits[0], splits[1]


def _cut(words: tuple[str, ...], draw: Draw) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Words for training and for the test; the first word is always in both (see lexicon.py)."""
    order = draw.order(words[1:])
    train_only, test_only = round(TRAIN_ONLY_SHARE * len(order)), round(TEST_ONLY_SHARE * len(order))
    shared = words[:1] + tuple(order[train_only + test_only :])
    return shared + tuple(order[:train_only]), shared + tuple(order[train_only : train_only + test_only])
