"""SQuAD v1.1 (Rajpurkar et al., EMNLP 2016): a question about a paragraph of Wikipedia, answered in writing by a span of it.

Prompt as MeZO's SQuADv2Template: title, context, question, "Answer:"; trained on the first answer and the line's end, generated
greedily until the line's end.  Scored as the official evaluate-v1.1.py scores: exact match and F1 of normalised words, the best
over all answers, mean over questions.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fl.tasks.hub import hub_splits
from fl.tasks.task import UNIT, Example
from radio.errors import InputError

TEMPLATE = "Title: {title}\nContext: {context}\nQuestion: {question}\nAnswer:"
COLUMNS = ("title", "context", "question")
FILES = ("train-v1.1.json", "dev-v1.1.json")
HUB = ("rajpurkar/squad",)


def from_hub() -> tuple[list[Example], list[Example]]:
    train, test = hub_splits("squad", HUB, " and ".join(FILES))
    return of_rows(train), of_rows(test)


def of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Example]:
    """The hub's rows: title, context, question, answers = {text: [...]}."""
    return [_example(row["title"], row["context"], row["question"], row["answers"]["text"], HUB[0]) for row in rows]


def read_squad(path: Path) -> list[Example]:
    """The official JSON: data / paragraphs / qas / answers.  Raises InputError naming what is missing and where."""
    if not path.is_file():
        raise InputError(f"{path} not found; SQuAD needs {' and '.join(FILES)} in one folder: try --set task.root=DIR")
    try:
        examples = list(_questions(json.loads(path.read_text(encoding="utf-8")), path))
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not in SQuAD's format (data / paragraphs / qas / answers): {error!r}") from error
    if not examples:
        raise InputError(f"{path} holds no questions")
    return examples


def _questions(content: Any, path: Path) -> Iterator[Example]:
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                answers = [answer["text"] for answer in qa["answers"]]
                yield _example(
                    article["title"], paragraph["context"], qa["question"], answers, f"{path}, id {qa['id']}"
                )


def _example(title: str, context: str, question: str, answers: Sequence[str], where: str) -> Example:
    if not answers:
        raise InputError(
            f"{where}: {question[:80]!r} has no answer; SQuAD v1.1 answers every question, v2.0 is not read"
        )
    texts = (text.strip().replace(UNIT, " ") for text in (title, context, question))
    return Example(UNIT.join(texts), 0, tuple(answers))


def normalise(answer: str) -> str:
    """Lower case, no punctuation, no articles, single spaces: the official script's, in its order."""
    kept = "".join(letter for letter in answer.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def exact_match(answer: str, right: Iterable[str]) -> bool:
    return normalise(answer) in {normalise(one) for one in right}


def f1(answer: str, right: Iterable[str]) -> float:
    """Largest harmonic mean of precision and recall of words over the right answers."""
    return max(_f1(normalise(answer).split(), normalise(one).split()) for one in right)


def _f1(said: list[str], right: list[str]) -> float:
    common = sum((Counter(said) & Counter(right)).values())
    return 2.0 * common / (len(said) + len(right)) if common else 0.0
