"""Data sets from the Hugging Face hub, for those who are online."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radio.errors import InputError, install


def hub_splits(task: str, place: tuple[str, ...], files: str) -> tuple[Iterable[Mapping[str, Any]], ...]:
    """Training and validation rows of the data set `place`, (name,) or (name, configuration).

    `files` names the local files that would do instead, for the error.
    """
    advice = f"with {files} in a local folder, use --set task.root=DIR"
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise InputError(f"{task} from the hub needs 'datasets': {install('hub')}; or, {advice}") from error
    try:
        splits = load_dataset(*place)
    # The hub's client raises its own, requests', httpx' and the system's errors, depending on version and failure.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{task} did not come from the hub ({reason}); check the network, or, {advice}") from error
    return splits["train"], splits["validation"]
