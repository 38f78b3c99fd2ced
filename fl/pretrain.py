"""Pretrain a small OPT from raw text: the recipe behind the embedded checkpoint.

Muon on the matrices inside the blocks, AdamW on embeddings, norms and biases; linear warm-up, linear decay to zero.
A step is a pure function of (seed, step), so an interrupted pretraining resumes on the very same batches.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import OPTConfig, OPTForCausalLM

from fl import corpus
from radio.errors import InputError

HEAD_CHUNK = 512  # rows of logits held at once; a full batch of them would dominate memory and time


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the checkpoint, apart from the corpora's bytes."""

    tokens: int = 30_000_000
    width: int = 256
    layers: int = 4
    heads: int = 4
    positions: int = 512
    vocabulary: int = 8192
    batch: int = 32
    sequence: int = 128
    rate: float = 6e-3
    warmup: float = 0.02
    weight_decay: float = 0.05
    seed: int = 2604
    mixture: tuple[tuple[str, float], ...] = (("imdb", 0.8), ("wikipedia", 0.12), ("books", 0.08))

    @property
    def steps(self) -> int:
        return math.ceil(self.tokens / (self.batch * self.sequence))


class _HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of `hidden @ weight.T` in bf16, gradients computed in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(ctx, hidden, weight, target):
        rows = hidden.shape[0]
        half_hidden, half_weight = hidden.to(torch.bfloat16), weight.to(torch.bfloat16)
        grad_hidden = torch.empty_like(half_hidden)
        grad_weight = torch.zeros_like(weight)
        total = torch.zeros(())
        for start in range(0, rows, HEAD_CHUNK):
            part, wanted = half_hidden[start : start + HEAD_CHUNK], target[start : start + HEAD_CHUNK, None]
            logits = (part @ half_weight.t()).float()
            logits.sub_(logits.amax(1, keepdim=True))
            chosen = logits.gather(1, wanted)
            scale = logits.exp_().sum(1, keepdim=True)
            total += (scale.log() - chosen).sum()
            residual = logits.div_(scale).scatter_add_(1, wanted, torch.full_like(chosen, -1.0)).to(torch.bfloat16)
            grad_hidden[start : start + HEAD_CHUNK] = residual @ half_weight
            grad_weight += (residual.t() @ part).float()
        ctx.save_for_backward(grad_hidden.float() / rows, grad_weight / rows)
        return total / rows

    @staticmethod
    def backward(ctx, upstream):
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * upstream, grad_weight * upstream, None


def build(recipe: Recipe) -> Any:
    """A freshly initialised OPT; weights come from the recipe's own generator, never from the global one."""
    model = OPTForCausalLM(
        OPTConfig(
            vocab_size=recipe.vocabulary,
            hidden_size=recipe.width,
            word_embed_proj_dim=recipe.width,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            ffn_dim=4 * recipe.width,
            max_position_embeddings=recipe.positions,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            # scaled_dot_product_attention's CPU kernel is half as fast in bf16 at these lengths
            attn_implementation="eager",
        )
    )
    generator = torch.Generator().manual_seed(recipe.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 2:
                residual = name.endswith(("out_proj.weight", "fc2.weight"))
                std = 0.02 / math.sqrt(2 * recipe.layers) if residual else 0.02
                parameter.normal_(0.0, std, generator=generator)
            else:
                parameter.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
    return model


def _optimisers(model: Any, recipe: Recipe) -> dict[str, torch.optim.Optimizer]:
    inside = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    held = {id(p) for p in inside}
    others = [p for p in model.parameters() if id(p) not in held]
    return {
        "muon": torch.optim.Muon(
            inside, lr=recipe.rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
        "adamw": torch.optim.AdamW(others, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    }


def _rate(recipe: Recipe, step: int) -> float:
    warm = max(1, round(recipe.warmup * recipe.steps))
    return recipe.rate * min((step + 1) / warm, (recipe.steps - step) / (recipe.steps - warm + 1))


def _batch(streams: list[tuple[np.ndarray, np.ndarray]], recipe: Recipe, step: int) -> torch.Tensor:
    """(batch, sequence + 1) windows that begin with `</s>` at a sentence's start, drawn by (seed, step)."""
    rng = np.random.Generator(np.random.Philox(key=[recipe.seed, step]))
    weights = np.array([w for _, w in recipe.mixture])
    rows = []
    for source in rng.choice(len(streams), recipe.batch, p=weights / weights.sum()):
        stream, starts = streams[source]
        usable = np.searchsorted(starts, len(stream) - recipe.sequence)
        at = starts[rng.integers(usable)]
        rows.append(np.concatenate([[corpus.EOS], stream[at : at + recipe.sequence].astype(np.int64)]))
    return torch.from_numpy(np.stack(rows))


def perplexity(model: Any, stream: np.ndarray, sequence: int, windows: int = 400) -> float:
    """exp(mean next-token loss in fp32) over evenly spaced windows of a validation stream, each begun with `</s>`."""
    windows = min(windows, len(stream) // sequence)
    total = 0.0
    with torch.inference_mode():
        for starts in np.array_split(
            np.linspace(0, len(stream) - sequence, windows).astype(int), max(1, windows // 16)
        ):
            rows = [np.concatenate([[corpus.EOS], stream[s : s + sequence].astype(np.int64)]) for s in starts]
            ids = torch.from_numpy(np.stack(rows))
            logits = model(ids[:, :-1]).logits
            total += float(functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum"))
    return math.exp(total / (windows * sequence))


def _save_state(
    path: Path, model: Any, optimisers: dict[str, torch.optim.Optimizer], step: int, seconds: float
) -> None:
    tensors = {f"model/{n}": p.detach() for n, p in model.named_parameters()}
    for label, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{label}/{index}/{k}": torch.as_tensor(v) for k, v in state.items()}
    partial = path.with_suffix(".partial")
    save_file({k: v.contiguous() for k, v in tensors.items()}, partial, {"step": str(step), "seconds": str(seconds)})
    partial.rename(path)


def _load_state(path: Path, model: Any, optimisers: dict[str, torch.optim.Optimizer]) -> tuple[int, float]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        meta = file.metadata()
    tensors = load_file(path)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model/{name}"])
    for label, optimiser in optimisers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"{label}/"):
                _, index, field = key.split("/")
                state.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    return int(meta["step"]), float(meta["seconds"])


def _encoded(corpora: Path, name: str, split: str, tokenizer: Any, cache: Path, limit: int | None) -> np.ndarray:
    found = sorted(corpora.glob(f"{name}*.{split}.txt*")) or sorted(corpora.glob(f"{name}.{split}.txt*"))
    if not found:
        raise InputError(f"no {split} text of the corpus {name!r} in {corpora}; expected {name}.{split}.txt or .txt.xz")
    return corpus.encode(found[0], tokenizer, cache / f"{name}.{split}.u16", limit)


def pretrain(
    recipe: Recipe,
    corpora: Path,
    out: Path,
    report: Callable[[dict], None],
    save_every: int = 500,
    tokenizer_chars: int = 30_000_000,
) -> dict:
    """Train to `recipe.tokens` tokens and write a Hugging Face folder to `out` (half precision).

    `out/work` holds the tokenised corpora and the latest state; calling again with the same recipe resumes from it.
    `report` receives {"step", "steps", "loss", "tokens_per_s", "stage"}.  Returns the model card's figures.
    """
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    recipe_file = work / "recipe.json"
    described = json.loads(json.dumps(asdict(recipe)))
    if recipe_file.exists() and json.loads(recipe_file.read_text()) != described:
        raise InputError(f"{work} holds a pretraining with another recipe; name another --out or delete {work}")
    recipe_file.write_text(json.dumps(described, indent=1))

    if (work / "tokenizer.json").exists():
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(work)
    else:
        report({"stage": "tokenizer"})
        share = {name: int(weight * tokenizer_chars) for name, weight in recipe.mixture}
        files = [(sorted(corpora.glob(f"{name}*.train.txt*")), chars) for name, chars in share.items()]
        if missing := [name for (found, _), name in zip(files, share, strict=True) if not found]:
            raise InputError(f"no training text of {missing} in {corpora}; expected NAME.train.txt or .txt.xz")
        texts = chain.from_iterable(corpus.documents(found[0], chars) for found, chars in files)
        tokenizer = corpus.train_tokenizer(texts, recipe.vocabulary)
        tokenizer.save_pretrained(work)

    report({"stage": "encoding"})
    streams = []
    for name, weight in recipe.mixture:
        # no corpus is read further than about twice what its share of the tokens can use
        limit = int(2 * weight * recipe.tokens * 4)
        stream = _encoded(corpora, name, "train", tokenizer, work, limit)
        streams.append((stream, corpus.sentence_starts(stream, tokenizer)))

    model = build(recipe)
    optimisers = _optimisers(model, recipe)
    state = work / "state.safetensors"
    step, seconds = _load_state(state, model, optimisers) if state.exists() else (0, 0.0)
    weight = model.get_output_embeddings().weight
    while step < recipe.steps:
        began = time.perf_counter()
        ids = _batch(streams, recipe, step)
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = _rate(recipe, step)
            optimiser.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            hidden = model.model(ids[:, :-1]).last_hidden_state
        loss = _HeadLoss.apply(hidden.float().flatten(0, 1), weight, ids[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers.values():
            optimiser.step()
        step += 1
        seconds += (took := time.perf_counter() - began)
        report(
            {
                "stage": "training",
                "step": step,
                "steps": recipe.steps,
                "loss": float(loss.detach()),
                "tokens_per_s": recipe.batch * recipe.sequence / took,
            }
        )
        if step % save_every == 0 or step == recipe.steps:
            _save_state(state, model, optimisers, step, seconds)

    report({"stage": "validation"})
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    model.float()
    validation = {
        name: round(perplexity(model, _encoded(corpora, name, "valid", tokenizer, work, None), recipe.sequence), 2)
        for name, _ in recipe.mixture
    }
    card = {
        "recipe": described,
        "steps": recipe.steps,
        "tokens_seen": recipe.steps * recipe.batch * recipe.sequence,
        "train_tokens_available": {
            name: len(stream) for (name, _), (stream, _) in zip(recipe.mixture, streams, strict=True)
        },
        "train_seconds": round(seconds),
        "parameters": sum(p.numel() for p in model.parameters()),
        "validation_perplexity": validation,
    }
    (out / "pretraining.json").write_text(json.dumps(card, indent=1) + "\n")
    return card
