"""A task: labelled texts, the prompt they are put in, and the words the model chooses between, or the answer it writes.

Classification is scored by option likelihood (MeZO, arXiv 2305.17333, appendix E.2): the model sees the prompt and the option
with the higher log-likelihood is its answer.  A task without options is answered in writing (`fl.tasks.squad`).  The metric is
accuracy, of written answers the share of exact matches, always read beside the chance floor.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

UNIT = "\x1f"  # ASCII's unit separator, between the columns of an example's text


@dataclass(frozen=True, slots=True)
class Example:
    text: str  # what the template is filled with; of several columns, in the task's order, joined by `UNIT`
    label: int  # index into the task's options; 0 without options
    answers: tuple[str, ...] = ()  # of a task without options: those that count as right, the first is trained on

    @property
    def target(self) -> int | tuple[str, ...]:
        """What the model is trained towards: a label, or answers."""
        return self.answers or self.label


@dataclass(frozen=True)
class Task:
    """Data, prompt and options.

    `public`: the training texts are no person's secret, so a run on them is charged to a throw-away privacy ledger.
    `options[label]` follows the prompt directly and therefore begins with its own space; no options: answers are written.
    `template` holds each of `columns` in braces and ends right before the option.
    """

    name: str
    public: bool
    template: str
    options: tuple[str, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    pool: str  # digest of the whole data set that `train` was chosen from, whatever the seed: what a privacy budget is for
    columns: tuple[str, ...] = ("text",)

    def prompt(self, example: Example) -> str:
        values = dict(zip(self.columns, example.text.split(UNIT), strict=True))
        # Not str.format: a text may hold braces.
        return re.sub(r"\{(\w+)\}", lambda column: values[column[1]].strip(), self.template)

    @cached_property
    def chance_floor(self) -> float:
        """Accuracy of always giving the most frequent label of the test split; 0 for written answers."""
        if not self.options:
            return 0.0
        counts = Counter(example.label for example in self.test)
        return max(counts.values()) / len(self.test)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of name, prompt, options and both splits: two tasks with it alike give the same figures."""
        parts = (self.name, self.template, *self.options, digest_examples(self.train), digest_examples(self.test))
        return _hash(part.encode() for part in parts).hex()


def digest_examples(examples: Iterable[Example]) -> str:
    """SHA-256 (hex) of a set of examples, whatever their order: the identity of one owner's data in a ledger."""
    rows = sorted(_hash(part.encode() for part in (str(e.label), e.text, *e.answers)) for e in examples)
    return _hash(rows).hex()


def _hash(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()
