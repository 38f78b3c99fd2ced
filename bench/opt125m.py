"""OPT-125M's architecture with random weights, and batches for it: what the step and memory benchmarks run."""

from __future__ import annotations

from typing import Any

import numpy as np

from fl.likelihood import Encoded, OptionLikelihood
from fl.models import EMBEDDED, LanguageModel

LENGTH = 64
OPTIONS = (" great", " terrible")
QUICK = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_dim": 256, "word_embed_proj_dim": 64}


def random_opt(quick: bool, dtype: Any = None, seed: int = 0) -> LanguageModel:
    """`OPTConfig()` is OPT-125M (125,239,296 weights); `quick`: the same, 64 wide and two layers deep.

    Built empty and filled in place: transformers' initialiser makes a second embedding before it ties the two, and that
    150 MiB would stand in every peak.
    """
    import torch
    from transformers import AutoTokenizer, OPTConfig, OPTForCausalLM

    config = OPTConfig(**(QUICK if quick else {}), attn_implementation="sdpa")
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
