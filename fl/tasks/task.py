"""A task: labelled texts, the prompt they are put in, and the words the model chooses between.

Every task is scored by option likelihood (MeZO, arXiv 2305.17333, appendix E.2): the model sees the prompt and the
option with the higher log-likelihood is its answer.  The metric is accuracy, always read beside the chance floor.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Example:
    text: str
    label: int  # index into the task's options


@dataclass(frozen=True)
class Task:
    """Data, prompt and options.

    `public`: the training texts are no person's secret, so a run on them is charged to a throw-away privacy ledger.
    `options[label]` follows the prompt directly and therefore begins with its own space.
    `template` holds `{text}` once and ends right before the option.
    """

    name: str
    public: bool
    template: str
    options: tuple[str, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    pool: str  # digest of the whole data set that `train` was chosen from, whatever the seed: what a privacy budget is for

    def prompt(self, example: Example) -> str:
        # Not str.format: a text may hold braces.
        return self.template.replace("{text}", example.text.strip(), 1)

    @cached_property
    def chance_floor(self) -> float:
        """Accuracy of always giving the most frequent label of the test split."""
        counts = Counter(example.label for example in self.test)
        return max(counts.values()) / len(self.test)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of name, prompt, options and both splits: two tasks with it alike give the same figures."""
        parts = (self.name, self.template, *self.options, digest_examples(self.train), digest_examples(self.test))
        return _hash(part.encode() for part in parts).hex()


def digest_examples(examples: Iterable[Example]) -> str:
    """SHA-256 (hex) of a set of examples, whatever their order: the identity of one owner's data in a ledger."""
    rows = sorted(_hash((str(example.label).encode(), example.text.encode())) for example in examples)
    return _hash(rows).hex()


def _hash(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
