"""OPT models from the embedded checkpoint, a local folder or the Hugging Face hub, loaded into main memory."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from fl.directions.direction import Values
from fl.lora import add_adapters
from fl.mapped import mapped_network
from radio.errors import InputError

EMBEDDED = Path(__file__).parent / "embedded"


@dataclass(frozen=True)
class LanguageModel:
    """An `OPTForCausalLM` in evaluation mode with its tokenizer; `arrays` shares memory with its weights, and holds tensors where
    those are on another device."""

    network: Any
    tokenizer: Any
    source: str

    @property
    def arrays(self) -> dict[str, Values]:
        return {name: in_place(parameter.detach()) for name, parameter in self.network.named_parameters()}

    def select(self, patterns: tuple[str, ...]) -> dict[str, Values]:
        """The parameters whose name matches any of the shell patterns.  Raises InputError if a pattern matches none."""
        arrays = self.arrays
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in arrays):
                raise InputError(
                    f"learning.parameters: no parameter of {self.source} matches {pattern!r}; "
                    f"names look like {', '.join(list(arrays)[2:6])}"
                )
        return {name: array for name, array in arrays.items() if any(fnmatchcase(name, p) for p in patterns)}

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def in_place(tensor: torch.Tensor) -> Values:
    """A tensor's own memory as what moves fastest in it: an array in main memory, the tensor itself elsewhere."""
    return tensor.numpy() if tensor.device.type == "cpu" else tensor


@lru_cache(maxsize=4)
def _tokenizer(target: str, local: bool, changed: int) -> Any:
    """One object for every model of a source that is not `changed`, so that what it made of a text is known by it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(target, local_files_only=local)


def _changed(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


def load_model(source: str, lora_rank: int = 0, lora_alpha: float = 16.0, offload: Path | None = None) -> LanguageModel:
    """Load `embedded`, a local folder or a hub id as fp32, with LoRA adapters if a rank is given.

    offload  keep the weights of a local folder's model in a mapped file in this folder (`fl.mapped`)

    Raises InputError if it cannot be had or is not an OPT.
    """
    from transformers import AutoConfig, OPTForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # a second bar, for a second's work
    where = EMBEDDED if source == "embedded" else Path(source)
    local = where.is_dir()
    target = str(where) if local else source
    advice = "use `embedded`, a folder with config.json and weights, or a hub id such as facebook/opt-125m"
    if not local and (source.count("/") != 1 or source.startswith((".", "/", "~"))):
        raise InputError(f"model.source = {source!r}: no such folder and not a hub id; {advice}")
    if offload is not None and not local:
        raise InputError(f"--offload takes a model in a local folder; model.source = {source!r} is none")
    try:
        config = AutoConfig.from_pretrained(target, local_files_only=local)
        if config.model_type != "opt":
            raise InputError(
                f"model.source = {source!r} is a {config.model_type!r} model; pairzero fine-tunes OPT models"
            )
        if offload is not None:
            network = mapped_network(where, config, offload)
        else:
            network = OPTForCausalLM.from_pretrained(
                target, local_files_only=local, dtype=torch.float32, attn_implementation="sdpa"
            )
        tokenizer = _tokenizer(target, local, _changed(where / "tokenizer.json"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"model.source = {source!r} cannot be loaded: {str(error).splitlines()[0]}; {advice}"
        ) from None
    network.eval()
    network.requires_grad_(False)
    if lora_rank:
        add_adapters(network, lora_rank, lora_alpha)
    return LanguageModel(network, tokenizer, source)
