"""LoRA adapters (Hu et al., ICLR 2022) by peft, so that `learning.parameters = ["*lora_*"]` trains only them.

The start is the same on every machine: A is uniform within +-1/sqrt(in_features), as peft draws it, but from a named public
stream instead of torch's global one; B is zero, so the model starts unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from radio.errors import InputError, install
from radio.streams import stream

TARGETS = ("q_proj", "v_proj")  # as MeZO's recipes


def add_adapters(network: Any, rank: int, alpha: float) -> None:
    """Put adapters of `rank` beside the query and value projections, in place.  Raises InputError without peft."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise InputError(f"model.lora_rank = {rank} needs peft, which is not installed: {install('lora')}") from None
    with torch.random.fork_rng(devices=[]):  # peft draws a start of its own, which is not ours
        inject_adapter_in_model(
            LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=list(TARGETS)), network
        )
    for name, parameter in network.named_parameters():
        if "lora_A" in name:
            bound = 1.0 / np.sqrt(parameter.shape[1])
            drawn = stream(0, "lora", name).uniform(-bound, bound, tuple(parameter.shape))
            parameter.data.copy_(torch.from_numpy(drawn.astype(np.float32)))
        elif "lora_B" in name:
            parameter.data.zero_()
    network.requires_grad_(False)
    network.eval()


def merge_adapters(network: Any) -> None:
    """Add every adapter into the layer it stands beside and take it out, so that the network is a plain OPT again."""
    if not any("lora_" in name for name, _ in network.named_parameters()):
        return
    from peft.tuners.lora import LoraLayer

    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, LoraLayer):
                child.merge()
                setattr(module, name, child.get_base_layer())
    if hasattr(network, "peft_config"):
        del network.peft_config
    network._hf_peft_config_loaded = False
