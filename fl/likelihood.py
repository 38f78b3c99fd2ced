"""What a model makes of a task's examples: losses, at the weights as they are or at several points around them, and the score.

`OptionLikelihood` is classification as in MeZO: the option whose first token the model finds likeliest after the prompt.  Only
the logits of the option tokens at the answer's position are computed (design decision 3).  `fl.written` is for written answers.

An example's loss does not depend on its batch-mates by one bit (decision 8): its padded length is decided by its own length
alone, the number of rows in its forward by that and by the settings, and missing rows are filled with dummies.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fl import decoder
from fl.decoder import EMBEDDINGS
from fl.estimators.estimator import Point
from fl.functional import Functional, Points
from fl.models import LanguageModel
from radio.errors import InputError

LENGTH_STEP = 8  # prompts are padded to the next multiple: little waste, few shapes
REFERENCE = 64  # tokens: what `micro_batch` counts in


@dataclass(frozen=True)
class Encoded:
    """A prompt as token ids, `</s>` first, and the index of the right option."""

    ids: tuple[int, ...]
    label: int


class Group(NamedTuple):
    """One forward's worth of examples of equal padded length."""

    examples: list[int]
    ids: torch.Tensor  # (rows, length), dummies last
    answer: torch.Tensor  # (rows,) position of each example's last token


class Activations(NamedTuple):
    """A group half-way through the network."""

    group: Group
    hidden: torch.Tensor  # (rows, length, width), going into block `cut`
    cut: int


@dataclass(frozen=True)
class Score:
    """Held-out result: mean loss in nats, accuracy (of written answers: exact matches) and how many examples they rest on; of
    written answers the mean F1 of their words."""

    loss: float
    accuracy: float
    examples: int
    f1: float | None = None


@lru_cache(maxsize=2**17)
def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Kept, for runs of one process share most of their sentences, and 50,000 of them take five seconds."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


class Likelihood(ABC):
    """Losses of one task's examples under one model.

    head         the rows of the head that scoring reads: token ids, or all
    micro_batch  examples of `REFERENCE` tokens in one forward; more of shorter ones and fewer of longer ones, so that a forward
                 has at most as many tokens, or one example.  It bounds the memory and changes the last bits of the losses
    workers      forwards that run at the same time.  A small model's products are too short to be shared by threads; whole
                 forwards are not (set torch's own threads to 1 then).  It changes no bit of the losses
    """

    def __init__(self, model: LanguageModel, head: torch.Tensor | slice, micro_batch: int, workers: int = 1) -> None:
        self.source = model.source
        self._network = model.network
        self._tokenizer = model.tokenizer
        self._head = head
        self._tokens = micro_batch * REFERENCE
        self._depth = decoder.depth(model.network)
        self._pad = model.tokenizer.pad_token_id
        self._start = model.tokenizer.bos_token_id
        self._longest = model.network.config.max_position_embeddings
        self._pool = ThreadPoolExecutor(workers, "forward") if workers > 1 else None

    @abstractmethod
    def encode(self, prompt: str, target: Any) -> Encoded:
        """Token ids of a prompt and what `Example.target` says; one longer than the model's context loses its beginning, never
        its question."""

    @abstractmethod
    def tokens(self, examples: Sequence[Encoded]) -> NDArray[np.int64]:
        """The rows of the embedding that scoring these examples reads."""

    @abstractmethod
    def evaluate(self, examples: Sequence[Encoded]) -> Score:
        """The held-out score."""

    @abstractmethod
    def _loss(
        self, examples: Sequence[Encoded], group: Group, hidden: torch.Tensor, head: torch.Tensor
    ) -> NDArray[np.float64]:
        """Losses (copies, examples of the group) from what goes into the last block, (copies x rows, length, width); head
        (copies or 1, its rows, width)."""

    def _ids(self, prompt: str, room: int) -> tuple[int, ...]:
        """`</s>` and the prompt's tokens, with room for so many more."""
        return (self._start, *_tokens(self._tokenizer, prompt)[-(self._longest - room) :])

    def _rows(self) -> torch.Tensor:
        return self._network.lm_head.weight[self._head][None]

    def losses(self, examples: Sequence[Encoded]) -> NDArray[np.float64]:
        """-log P(what is right) of every example, in nats.  Shape (n,)."""
        out = np.empty(len(examples))

        def forward(group: Group) -> None:
            hidden = decoder.embed(self._network, group.ids)
            hidden = decoder.blocks(self._network, hidden, 0, self._depth - 1)
            out[group.examples] = self._loss(examples, group, hidden, self._rows())[0]

        self._each(forward, self._groups(examples))
        return out

    def losses_at(
        self, examples: Sequence[Encoded], functional: Functional, seed: int, points: Sequence[Point], mu: float
    ) -> NDArray[np.float64]:
        """Losses at several points, the weights untouched.  Shape (points, n).

        As many points share a forward as there are tokens for, in equal parts: rows of further points cost less than further
        forwards, and than dummies.
        """
        out = np.empty((len(points), len(examples)))
        shared = max(1, self._tokens // LENGTH_STEP)
        for start in range(0, len(points), shared):
            share = functional.at(seed, points[start : start + shared], mu)
            groups: dict[tuple[int, int], list[Group]] = {}  # by the points that share a forward
            for length, members in self._classes(examples).items():
                forwards = math.ceil(share.copies / max(1, self._tokens // length))
                fit = math.ceil(share.copies / forwards)
                for first in range(0, share.copies, fit):
                    last = min(first + fit, share.copies)
                    groups.setdefault((first, last), []).extend(self._split(examples, members, length, fit))
            for (first, last), together in groups.items():
                some, rows = share[first:last], out[start + first : start + last]

                def forward(group: Group, some: Points = some, rows: NDArray[np.float64] = rows) -> None:
                    rows[:, group.examples] = self._losses_of(examples, group, some)

                with some.applied():
                    self._each(forward, together)
        return out

    def _each(self, forward: Callable[[Group], None], groups: Iterable[Group]) -> None:
        """The forward of every group, `workers` at a time; an error of one is raised when all have ended."""

        def run(group: Group) -> None:
            with torch.inference_mode():  # a thread's own
                forward(group)

        if self._pool is None:
            for group in groups:
                run(group)
            return
        under_way = [self._pool.submit(run, group) for group in groups]
        wait(under_way)
        for done in under_way:
            done.result()

    def _losses_of(self, examples: Sequence[Encoded], group: Group, points: Points) -> NDArray[np.float64]:
        """(points, examples of the group): blocks that no point touches are gone through once."""
        copies, network = points.copies, self._network
        ids = group.ids if points.first > EMBEDDINGS else group.ids.repeat(copies, 1)
        hidden = decoder.embed(network, ids)
        if points.first > EMBEDDINGS:
            hidden = decoder.blocks(network, hidden, 0, points.first).repeat(copies, 1, 1)
        hidden = decoder.blocks(network, hidden, max(points.first, 0), self._depth - 1)
        return self._loss(examples, group, hidden, points.head(self._head))

    def activations(self, examples: Sequence[Encoded], cut: int) -> list[Activations]:
        """What goes into block `cut` (1, ..., blocks - 1) for every group of examples: 4 x width bytes a token, dummies and
        padding included, in fp32."""
        out = []
        for group in self._groups(examples):
            with torch.inference_mode():
                hidden = decoder.blocks(self._network, decoder.embed(self._network, group.ids), 0, cut)
            out.append(Activations(group, hidden, cut))
        return out

    def losses_from(self, examples: Sequence[Encoded], activations: Sequence[Activations]) -> NDArray[np.float64]:
        """The losses (n,) of the same examples by the blocks that are left."""
        out = np.empty(len(examples))
        for group, hidden, cut in activations:
            with torch.inference_mode():
                last = decoder.blocks(self._network, hidden, cut, self._depth - 1)
                out[group.examples] = self._loss(examples, group, last, self._rows())[0]
        return out

    def _classes(self, examples: Sequence[Encoded]) -> dict[int, list[int]]:
        """Examples by padded length, short ones first."""
        lengths = [-(-len(e.ids) // LENGTH_STEP) * LENGTH_STEP for e in examples]
        return {length: [i for i, own in enumerate(lengths) if own == length] for length in sorted(set(lengths))}

    def _groups(self, examples: Sequence[Encoded]) -> Iterator[Group]:
        for length, members in self._classes(examples).items():
            yield from self._split(examples, members, length, 1)

    def _split(self, examples: Sequence[Encoded], members: list[int], length: int, copies: int) -> Iterator[Group]:
        """Examples of one length, as many in a forward as there is room for `copies` times; dummies fill the last."""
        room = max(1, self._tokens // (length * copies))
        for start in range(0, len(members), room):
            chosen = members[start : start + room]
            ids = torch.full((room, length), self._pad)
            ids[:, 0] = self._start
            answer = torch.zeros(room, dtype=torch.int64)
            for row, i in enumerate(chosen):
                ids[row, : len(examples[i].ids)] = torch.tensor(examples[i].ids)
                answer[row] = len(examples[i].ids) - 1
            yield Group(chosen, ids, answer)


class OptionLikelihood(Likelihood):
    """Losses and logits of one task's options under one model."""

    def __init__(self, model: LanguageModel, options: Sequence[str], micro_batch: int, workers: int = 1) -> None:
        first = [model.tokenizer(option, add_special_tokens=False)["input_ids"][0] for option in options]
        if len(set(first)) < len(first):
            raise InputError(
                f"the options {list(options)} start with the tokens {first} under the tokenizer of {model.source}; "
                "they must differ in their first token"
            )
        self.option_ids = torch.tensor(first)
        super().__init__(model, self.option_ids, micro_batch, workers)

    def encode(self, prompt: str, target: int) -> Encoded:
        """`target` is the index of the right option."""
        return Encoded(self._ids(prompt, LENGTH_STEP), target)

    def tokens(self, examples: Sequence[Encoded]) -> NDArray[np.int64]:
        """Their tokens, the padding's and the options'."""
        used = {self._pad, self._start, *self.option_ids.tolist()}
        return np.array(sorted(used.union(*(e.ids for e in examples))), np.int64)

    def logits(self, examples: Sequence[Encoded]) -> NDArray[np.float64]:
        """Option logits (n, options) at the answer position."""
        out = np.empty((len(examples), len(self.option_ids)))

        def forward(group: Group) -> None:
            hidden = decoder.embed(self._network, group.ids)
            hidden = decoder.blocks(self._network, hidden, 0, self._depth - 1)
            out[group.examples] = self._answer(hidden, group.answer, self._rows())[: len(group.examples)]

        self._each(forward, self._groups(examples))
        return out

    def evaluate(self, examples: Sequence[Encoded]) -> Score:
        logits, labels = self.logits(examples), _labels(examples)
        loss = float(option_losses(logits, labels).mean())
        return Score(loss, float((logits.argmax(axis=1) == labels).mean()), len(examples))

    def _loss(
        self, examples: Sequence[Encoded], group: Group, hidden: torch.Tensor, head: torch.Tensor
    ) -> NDArray[np.float64]:
        copies = len(hidden) // len(group.ids)
        logits = self._answer(hidden, group.answer.repeat(copies), head)
        labels = _labels([examples[i] for i in group.examples])
        return np.array([option_losses(part[: len(labels)], labels) for part in np.split(logits, copies)])

    def _answer(self, hidden: torch.Tensor, at: torch.Tensor, head: torch.Tensor) -> NDArray[np.float64]:
        """Option logits (rows, options); head (points or 1, options, width)."""
        picked = decoder.answer(self._network, hidden, at).to(head.device).float()
        # an elementwise product and a row sum: the same additions for a row wherever it stands
        parts = picked.view(len(head), -1, 1, picked.shape[-1])
        return (parts * head.float()[:, None]).sum(-1).view(len(picked), -1).double().cpu().numpy()


def _labels(examples: Sequence[Encoded]) -> NDArray[np.int64]:
    return np.array([e.label for e in examples], np.int64)


def option_losses(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy over the options.  logits (n, options), labels (n,) -> (n,)."""
    peak = logits.max(axis=1)
    normaliser = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return normaliser - logits[np.arange(len(labels)), labels]
