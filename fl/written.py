"""Answers in writing, as in MeZO: trained on the likelihood of the answer's own tokens, scored by what the model then writes.

The loss of an example is the mean of its answer's token losses over the whole vocabulary, the line's end included.  Logits are
computed at those positions only, for one example at a time: the shape of the product then depends on nothing but the example,
and so do its bits (design decision 8).  Writing is greedy and ends with the line (transformers' own `generate`, with its cache
of keys and values: without one, every word costs a whole forward).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from fl import decoder
from fl.likelihood import LENGTH_STEP, Encoded, Group, Likelihood, Score
from fl.models import LanguageModel
from fl.tasks.squad import exact_match, f1

LONGEST_ANSWER = 50  # tokens, trained on and written; MeZO's max_new_tokens
END = "\n"


@dataclass(frozen=True)
class Written(Encoded):
    """ids[:start] is the prompt, the rest the first answer; `label` means nothing."""

    start: int
    answers: tuple[str, ...]


class AnswerLikelihood(Likelihood):
    """Losses of a task's answers under one model, and what it answers."""

    def __init__(self, model: LanguageModel, micro_batch: int, workers: int = 1) -> None:
        super().__init__(model, slice(None), micro_batch, workers)
        self._end = self._tokenizer(END, add_special_tokens=False)["input_ids"]

    def encode(self, prompt: str, target: tuple[str, ...]) -> Written:
        """`target` holds the right answers; the first is trained on, cut where it is longer than `LONGEST_ANSWER`."""
        ids = self._ids(prompt, LENGTH_STEP + LONGEST_ANSWER)
        answer = self._tokenizer(f" {target[0]}{END}", add_special_tokens=False)["input_ids"][:LONGEST_ANSWER]
        return Written((*ids, *answer), 0, len(ids), target)

    def tokens(self, examples: Sequence[Encoded]) -> NDArray[np.int64]:
        """All: the head is the embedding."""
        return np.arange(self._network.lm_head.weight.shape[0])

    def evaluate(self, examples: Sequence[Encoded]) -> Score:
        said = self.answers(examples)
        right = [example.answers for example in _written(examples)]
        exact = float(np.mean([exact_match(*pair) for pair in zip(said, right, strict=True)]))
        overlap = float(np.mean([f1(*pair) for pair in zip(said, right, strict=True)]))
        return Score(float(self.losses(examples).mean()), exact, len(examples), overlap)

    def answers(self, examples: Sequence[Encoded]) -> list[str]:
        """What the model writes after each prompt."""
        said = [""] * len(examples)
        prompts = [example.ids[: example.start] for example in _written(examples)]
        rows = max(1, self._tokens // max(len(prompt) for prompt in prompts))
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # alike in length: little padding
        for start in range(0, len(order), rows):
            some = order[start : start + rows]
            width = max(len(prompts[i]) for i in some)
            ids = torch.full((len(some), width), self._pad)
            mask = torch.zeros_like(ids)
            for row, i in enumerate(some):
                ids[row, width - len(prompts[i]) :] = torch.tensor(prompts[i])
                mask[row, width - len(prompts[i]) :] = 1
            for i, text in zip(some, self._write(ids, mask), strict=True):
                said[i] = text
        return said

    def _write(self, ids: torch.Tensor, mask: torch.Tensor) -> list[str]:
        """Greedy continuations of prompts that are padded on the left."""
        with torch.inference_mode():
            out = self._network.generate(
                input_ids=ids.to(self._network.device),
                attention_mask=mask.to(self._network.device),
                do_sample=False,
                max_new_tokens=LONGEST_ANSWER,
                eos_token_id=[self._end[0], self._start],
                pad_token_id=self._pad,
            )
        texts = self._tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        return [text.split(END)[0].strip() for text in texts]

    def _loss(
        self, examples: Sequence[Encoded], group: Group, hidden: torch.Tensor, head: torch.Tensor
    ) -> NDArray[np.float64]:
        copies = len(hidden) // len(group.ids)
        states = decoder.finish(self._network, hidden).to(head.device)
        out = np.empty((copies, len(group.examples)))
        for copy, part in enumerate(states.chunk(copies)):
            rows = head[copy % len(head)].float()
            for row, example in enumerate(_written([examples[i] for i in group.examples])):
                # a copy of its own: a product's last bits may depend on where its operands lie
                at = part[row, example.start - 1 : len(example.ids) - 1].float().clone()
                wanted = torch.tensor(example.ids[example.start :], device=at.device)
                out[copy, row] = functional.cross_entropy((at @ rows.T).double(), wanted).item()
        return out


def _written(examples: Sequence[Encoded]) -> list[Written]:
    return [example for example in examples if isinstance(example, Written)]
