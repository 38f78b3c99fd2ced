"""Pretraining text: files of documents, a byte-level BPE with OPT's special tokens, and token streams on disk.

A corpus file is UTF-8 text, xz-compressed or plain, whose documents are separated by a line `<|endoftext|>`.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from radio.errors import InputError

SEPARATOR = "<|endoftext|>\n"
# The order fixes the ids: OPT's configuration expects bos = eos = 2 and pad = 1.
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
PAD, EOS = 1, 2


def documents(path: Path, limit_chars: int | None = None) -> Iterator[str]:
    """Yield the documents of a corpus file, at most `limit_chars` characters of them in all."""
    if not path.is_file():
        raise InputError(f"corpus file {path} not found; name a folder that holds it with --corpora")
    opener = lzma.open if path.suffix == ".xz" else open
    lines: list[str] = []
    read = 0
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            if line != SEPARATOR:
                lines.append(line)
                continue
            text = "".join(lines).strip()
            lines = []
            if not text:
                continue
            yield text
            read += len(text)
            if limit_chars is not None and read >= limit_chars:
                return
    if tail := "".join(lines).strip():
        yield tail


def train_tokenizer(texts: Iterator[str], vocab_size: int) -> Any:
    """Train a byte-level BPE (GPT-2's scheme) that starts every sequence with `</s>`, as OPT's tokenizer does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer=trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="</s> $A", pair="</s> $A $B", special_tokens=[("</s>", EOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="</s>", eos_token="</s>", unk_token="</s>", pad_token="<pad>"
    )


def encode(path: Path, tokenizer: Any, out: Path, limit_chars: int | None = None) -> np.ndarray:
    """Tokenise a corpus file into `out` (uint16, documents ended by `</s>`) once, and map it into memory.  Shape (N,)."""
    if not out.exists():
        backend = tokenizer.backend_tokenizer
        partial = out.with_suffix(".partial")
        with partial.open("wb") as sink:
            batch: list[str] = []

            def flush() -> None:
                for encoding in backend.encode_batch(batch, add_special_tokens=False):
                    np.asarray([*encoding.ids, EOS], np.uint16).tofile(sink)
                batch.clear()

            for text in documents(path, limit_chars):
                batch.append(text)
                if len(batch) == 512:
                    flush()
            flush()
        partial.rename(out)
    return np.memmap(out, np.uint16, "r")


def sentence_starts(stream: np.ndarray, tokenizer: Any) -> np.ndarray:
    """Positions in `stream` where a sentence or a document begins, so that windows look like prompts.  Shape (M,)."""
    vocabulary = tokenizer.get_vocab()
    ends = np.zeros(len(vocabulary), bool)
    for token, index in vocabulary.items():
        # "Ċ" is the byte-level alphabet's line feed.
        ends[index] = index == EOS or token.endswith((".", "!", "?", "Ċ"))
    starts = np.flatnonzero(ends[stream[:-1]]) + 1
    return starts.astype(np.int64)
