"""Where a network's weights lie: in main memory, on an accelerator, or spread over several (`pairzero run --device-map`).

Equal logs give equal digests wherever that is.  Weights outside main memory are moved where they lie, by the torch form of the
directions.  One device needs torch alone.  `auto` and `balanced` are accelerate's: whole decoder blocks fill the accelerators
evenly, main memory takes the rest and computes it there, and hooks carry the activations from one device to the next.  What it
would put on disk has no storage in the network, only placeholders, and cannot be moved in place: refused, see `fl.mapped`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from radio.errors import InputError, install

if TYPE_CHECKING:
    import torch

SPREAD = ("auto", "balanced")
WHOLE = ["OPTDecoderLayer"]  # never split: its residuals must meet
ROOM = 0.9  # of an accelerator's free memory for weights, the rest for activations
OFFLOAD = "--offload DIR keeps the weights in a mapped file instead"


def check_map(device_map: str) -> None:
    """Raises InputError for what no machine knows.  Light: before torch is imported."""
    if device_map not in SPREAD and not re.fullmatch(r"cpu|cuda(:\d+)?", device_map):
        raise InputError(f"--device-map {device_map!r} is unknown; allowed: cpu, cuda, cuda:N, {', '.join(SPREAD)}")


def place(network: Any, device_map: str, beside: int = 0) -> None:
    """Move a network that is in main memory, in place.

    beside  bytes that will lie beside the weights: of what moves, a copy in bf16 (`fl.half`)

    Raises InputError where there is no such device or no room, and where accelerate is needed and absent.
    """
    check_map(device_map)
    if device_map in SPREAD:
        spread(network, inferred(network, device_map, beside))
    else:
        network.to(_device(device_map, size(network) + beside))


def size(network: Any) -> int:
    """Bytes of all weights."""
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())


def placed(network: Any) -> dict[str, int]:
    """How many weights lie on each device."""
    counts: dict[str, int] = {}
    for parameter in network.parameters():
        counts[str(parameter.device)] = counts.get(str(parameter.device), 0) + parameter.numel()
    return counts


def inferred(network: Any, device_map: str, beside: int = 0) -> dict[str, int | str]:
    """accelerate's device of every part of the network."""
    try:
        from accelerate import infer_auto_device_map
        from accelerate.utils import get_balanced_memory, get_max_memory
    except ImportError:
        raise InputError(
            f"--device-map {device_map} needs accelerate, which is not installed: {install('large')}; one device (cuda, cuda:N) "
            "does without"
        ) from None
    free = get_max_memory()
    if "mps" in free:  # Apple's has no fp64, in which losses come back
        free = {"cpu": free["mps"]}
    if "cpu" in free:
        free["cpu"] += size(network)  # which is there already
    share = size(network) / (size(network) + beside)
    room = {device: int(share * bytes * (1 if device == "cpu" else ROOM)) for device, bytes in free.items()}
    room = get_balanced_memory(network, room, no_split_module_classes=WHOLE)
    return dict(infer_auto_device_map(network, max_memory=room, no_split_module_classes=WHOLE))


def spread(network: Any, parts: Mapping[str, int | str], hooks: bool = False) -> None:
    """Put every part of a network on its device.

    parts   names of modules to devices, as accelerate has them: an accelerator's number, or `cpu`
    hooks   carry activations between parts that are on the same device too

    Raises InputError where a part would be offloaded.
    """
    from accelerate import dispatch_model

    nowhere = [name for name, device in parts.items() if str(device) in ("disk", "meta")]
    if nowhere:
        raise InputError(
            f"--device-map: the {size(network):,} bytes of the model's weights do not fit the accelerators and main memory; "
            f"{nowhere[0]} and all after it would be offloaded by accelerate, as placeholders that cannot be moved. {OFFLOAD}"
        )
    # It says of parts in main memory that they are on the meta device, which is so only where an accelerator computes them.
    logging.getLogger("accelerate.big_modeling").setLevel(logging.ERROR)
    dispatch_model(network, dict(parts), main_device="cpu" if "cpu" in parts.values() else None, force_hooks=hooks)


def _device(name: str, wanted: float) -> torch.device:
    """A device with room for so many bytes."""
    import torch

    device = torch.device(name)
    if device.type == "cpu":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        there = f"{count} CUDA device{'s' * (count != 1)}" if count else "no CUDA device"
        raise InputError(
            f"--device-map {name}: torch {torch.__version__} sees {there} here; use "
            + (f"cuda:0 to cuda:{count - 1}, or cpu" if count else "cpu, which is the default")
        )
    free, _ = torch.cuda.mem_get_info(device)
    if wanted > free:
        raise InputError(
            f"--device-map {name}: the weights take {wanted:,.0f} bytes and the device has {free:,} free; `auto` takes main "
            f"memory and other accelerators besides, and {OFFLOAD}"
        )
    return device
