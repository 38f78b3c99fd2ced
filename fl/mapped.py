"""Weights in a file that is mapped into memory: for models larger than it, at the speed of the disk.

accelerate's offloading puts placeholders without storage into the network and fetches weights before a layer runs.  Seeded
passes move the arrays themselves, in place, so a placeholder would stay what it was.  A mapped file is an array like any
other, and the system keeps in memory what is in use: a forward pass and a pass over the weights both read it block by block,
in order.  The file is scratch: it has no name and is gone with the process; the weights are the journal's replay.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open

from radio.errors import InputError


def mapped_network(source: Path, config: Any, folder: Path) -> Any:
    """The OPT of a local folder with safetensors, its fp32 weights in an unnamed file in `folder`, read one tensor at a time.

    Raises InputError where there are no safetensors, one lacks a weight, or the file cannot be made.
    """
    from transformers import OPTForCausalLM

    with torch.device("meta"):
        network = OPTForCausalLM._from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    stored = _stored(source)
    wanted = dict(network.named_parameters())
    missing = [name for name in wanted if name not in stored]
    if missing:
        raise InputError(f"{source} has no {missing[0]} in its safetensors; save the model anew with save_pretrained")
    sizes = {name: parameter.numel() for name, parameter in wanted.items()}
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            flat = np.memmap(scratch, np.float32, "w+", shape=(sum(sizes.values()),))
    except OSError as problem:
        raise InputError(
            f"--offload {folder}: cannot make a file of {4 * sum(sizes.values()):,} bytes: {problem}"
        ) from None
    begin = 0
    for name, size in sizes.items():
        part = torch.from_numpy(flat[begin : begin + size]).view(wanted[name].shape)
        with safe_open(stored[name], "pt") as file:
            part.copy_(file.get_tensor(name))
        module, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(module), leaf, torch.nn.Parameter(part, requires_grad=False))
        begin += size
    network.tie_weights()
    return network


def _stored(source: Path) -> dict[str, Path]:
    """Which file has which weight."""
    found: dict[str, Path] = {}
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            found |= dict.fromkeys(file.keys(), path)
    if not found:
        raise InputError(f"--offload reads safetensors one weight at a time, and {source} has none")
    return found
