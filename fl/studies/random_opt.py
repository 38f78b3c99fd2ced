"""OPT's architectures with random weights, and batches for them: what steps and memory are measured on."""

from __future__ import annotations

from typing import Any

import numpy as np

from fl.likelihood import Encoded, OptionLikelihood
from fl.models import EMBEDDED, LanguageModel

LENGTH = 64
OPTIONS = (" great", " terrible")
# `OPTConfig()` is OPT-125M (125,239,296 weights); the others as published (arXiv 2205.01068; facebook/opt-*)
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 256, "word_embed_proj_dim": 64,
    },
    "125m": {},
    "350m": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "ffn_dim": 4096,
        "word_embed_proj_dim": 512, "do_layer_norm_before": False,
    },
    "1.3b": {
        "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "ffn_dim": 8192,
        "word_embed_proj_dim": 2048,
    },
}  # fmt: skip


def random_opt(size: str = "125m", dtype: Any = None, seed: int = 0) -> LanguageModel:
    """An OPT of one of `SIZES`.

    Built empty and filled in place: transformers' initialiser makes a second embedding before it ties the two, and that
    150 MiB would stand in every peak.
    """
    import torch
    from transformers import AutoTokenizer, OPTConfig, OPTForCausalLM

    config = OPTConfig(**SIZES[size], attn_implementation="sdpa")
    with torch.device("meta"):
        network = OPTForCausalLM._from_config(config, dtype=dtype or torch.float32)
    network.to_empty(device="cpu")
    network.tie_weights()
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if "layer_norm" in name or name.endswith(".bias"):
            parameter.data.fill_(float(name.endswith("layer_norm.weight")))
        else:
            parameter.data.normal_(0.0, config.init_std, generator=generator)
    network.eval()
    network.requires_grad_(False)
    return LanguageModel(network, AutoTokenizer.from_pretrained(EMBEDDED), "random OPT")


def batch(size: int, seed: int = 1, length: int = LENGTH) -> list[Encoded]:
    """`size` examples of `length` random tokens."""
    rng = np.random.default_rng(seed)
    return [
        Encoded((2, *(int(token) for token in rng.integers(5, 8000, length - 1))), int(rng.integers(2)))
        for _ in range(size)
    ]


def likelihood(model: LanguageModel, rows: int) -> OptionLikelihood:
    return OptionLikelihood(model, OPTIONS, rows)
