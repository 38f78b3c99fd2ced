"""Classification by option likelihood, as in MeZO: the option whose first token the model finds likeliest after the prompt.

Only the logits of the option tokens at the answer's position are computed (design decision 3), and an example's loss does not
depend on its batch-mates by one bit (decision 8): every forward has the same number of rows, an example's padded length is
decided by its own length alone, and missing rows are filled with dummies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fl.models import LanguageModel
from radio.errors import InputError

LENGTH_STEP = 8  # prompts are padded to the next multiple: little waste, few shapes


@dataclass(frozen=True)
class Encoded:
    """A prompt as token ids, `</s>` first, and the index of the right option."""

    ids: tuple[int, ...]
    label: int


class OptionLikelihood:
    """Losses and logits of one task's options under one model."""

    def __init__(self, model: LanguageModel, options: Sequence[str], micro_batch: int) -> None:
        self._network = model.network
        self._tokenizer = model.tokenizer
        self._rows = micro_batch
        self._pad = model.tokenizer.pad_token_id
        self._start = model.tokenizer.bos_token_id
        self._longest = model.network.config.max_position_embeddings
        first = [self._tokenizer(option, add_special_tokens=False)["input_ids"][0] for option in options]
        if len(set(first)) < len(first):
            raise InputError(
                f"the options {list(options)} start with the tokens {first} under the tokenizer of {model.source}; "
                "they must differ in their first token"
            )
        self.option_ids = torch.tensor(first)

    def encode(self, prompt: str, label: int) -> Encoded:
        """Token ids of a prompt; one longer than the model's context loses its beginning, never its question."""
        ids = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
        return Encoded((self._start, *ids[-(self._longest - LENGTH_STEP) :]), label)

    def logits(self, examples: Sequence[Encoded]) -> NDArray[np.float64]:
        """Option logits (n, options) at the answer position."""
        out = np.empty((len(examples), len(self.option_ids)))
        lengths = [-(-len(e.ids) // LENGTH_STEP) * LENGTH_STEP for e in examples]
        order = sorted(range(len(examples)), key=lengths.__getitem__)
        start = 0
        while start < len(order):
            length = lengths[order[start]]
            chunk = [i for i in order[start : start + self._rows] if lengths[i] == length]
            start += len(chunk)
            out[chunk] = self._forward([examples[i] for i in chunk], length)
        return out

    def losses(self, examples: Sequence[Encoded]) -> NDArray[np.float64]:
        """-log P(right option | one of the options) of every example, in nats.  Shape (n,)."""
        return option_losses(self.logits(examples), np.array([e.label for e in examples], np.int64))

    def _forward(self, examples: Sequence[Encoded], length: int) -> NDArray[np.float64]:
        ids = torch.full((self._rows, length), self._pad)
        ids[:, 0] = self._start
        answer = torch.zeros(self._rows, dtype=torch.int64)
        for row, example in enumerate(examples):
            ids[row, : len(example.ids)] = torch.tensor(example.ids)
            answer[row] = len(example.ids) - 1
        with torch.inference_mode():
            # Attention is causal and padding comes last, so no attention mask is needed.
            hidden = self._network.model(input_ids=ids, use_cache=False).last_hidden_state
            weights = self._network.lm_head.weight[self.option_ids]
            # an elementwise product and a row sum: the same additions for a row wherever it stands
            picked = hidden[torch.arange(self._rows), answer]
            logits = (picked[:, None, :] * weights[None]).sum(-1)
        return logits[: len(examples)].double().numpy()


def option_losses(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy over the options.  logits (n, options), labels (n,) -> (n,)."""
    peak = logits.max(axis=1)
    normaliser = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    return normaliser - logits[np.arange(len(labels)), labels]


@dataclass(frozen=True)
class Score:
    """Held-out result: mean loss in nats, accuracy, and how many examples it rests on."""

    loss: float
    accuracy: float
    examples: int


def evaluate(likelihood: OptionLikelihood, examples: Sequence[Encoded]) -> Score:
    logits = likelihood.logits(examples)
    labels = np.array([e.label for e in examples])
    return Score(
        float(option_losses(logits, labels).mean()), float((logits.argmax(axis=1) == labels).mean()), len(examples)
    )
