"""OPT's forward pass in parts, by transformers' own modules: embeddings, some of the blocks, the answer.

The last block is worked out at the answer's position alone, its keys and values apart: nothing else of its output is read
(design decision 3).  Attention is causal and padding comes last, so no padding mask is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EMBEDDINGS = -1  # as the place of a parameter: before all blocks


def depth(network: Any) -> int:
    """Number of decoder blocks."""
    return len(network.model.decoder.layers)


def place(name: str, blocks: int) -> int:
    """The block that a parameter is first needed in; the last one stands for what follows it."""
    words = name.split(".")
    if "layers" in words:
        return int(words[words.index("layers") + 1])
    before = {"embed_tokens", "embed_positions", "project_in"}
    return EMBEDDINGS if before.intersection(words) else blocks - 1


def embed(network: Any, ids: Tensor) -> Tensor:
    """Token and position embeddings.  ids (rows, length) -> (rows, length, width)."""
    decoder = network.model.decoder
    ids = ids.to(decoder.embed_tokens.weight.device)
    positions = torch.arange(ids.shape[1], device=ids.device).expand(ids.shape)
    tokens = decoder.embed_tokens(ids)
    if decoder.project_in is not None:
        tokens = decoder.project_in(tokens)
    return tokens + decoder.embed_positions(None, 0, position_ids=positions).to(tokens.device)


def blocks(network: Any, hidden: Tensor, first: int, last: int) -> Tensor:
    """Blocks first, ..., last - 1 at all positions.  (rows, length, width) -> the same."""
    for block in network.model.decoder.layers[first:last]:
        hidden = block(hidden, attention_mask=None, use_cache=False)
    return hidden


def answer(network: Any, hidden: Tensor, at: Tensor) -> Tensor:
    """The last block, the final norm and the projection, at one position of each row: what the head multiplies.

    hidden (rows, length, width) going into the last block, at (rows,) -> (rows, width of the head)
    """
    decoder = network.model.decoder
    picked = _last_block(decoder.layers[-1], hidden, at)
    if decoder.final_layer_norm is not None:
        picked = decoder.final_layer_norm(picked)
    return picked if decoder.project_out is None else decoder.project_out(picked)


def finish(network: Any, hidden: Tensor) -> Tensor:
    """The last block, the final norm and the projection at all positions: (rows, length, width) -> (rows, length, the head's)."""
    decoder = network.model.decoder
    hidden = blocks(network, hidden, depth(network) - 1, depth(network))
    if decoder.final_layer_norm is not None:
        hidden = decoder.final_layer_norm(hidden)
    return hidden if decoder.project_out is None else decoder.project_out(hidden)


def _last_block(block: Any, hidden: Tensor, at: Tensor) -> Tensor:
    """transformers' `OPTDecoderLayer.forward` for one query a row, (rows, width)."""
    rows, length, width = hidden.shape
    device = block.fc1.weight.device
    hidden, at = hidden.to(device), at.to(device)
    every = torch.arange(rows, device=device)
    attention = block.self_attn
    residual = hidden[every, at]
    if block.do_layer_norm_before:
        hidden = block.self_attn_layer_norm(hidden)
    query = attention.q_proj(hidden[every, at]) * attention.scaling
    heads = (attention.num_heads, attention.head_dim)
    mixed = functional.scaled_dot_product_attention(
        query.view(rows, 1, *heads).transpose(1, 2),
        attention.k_proj(hidden).view(rows, length, *heads).transpose(1, 2),
        attention.v_proj(hidden).view(rows, length, *heads).transpose(1, 2),
        attn_mask=(torch.arange(length, device=device) <= at[:, None])[:, None, None],
        scale=1.0,
    )
    hidden = residual + attention.out_proj(mixed.reshape(rows, width))
    if not block.do_layer_norm_before:
        hidden = block.self_attn_layer_norm(hidden)
    residual = hidden
    if block.do_layer_norm_before:
        hidden = block.final_layer_norm(hidden)
    hidden = residual + block.fc2(block.activation_fn(block.fc1(hidden)))
    return hidden if block.do_layer_norm_before else block.final_layer_norm(hidden)
