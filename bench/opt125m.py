"""OPT-125M's architecture with random weights, and batches for it: what the step and memory benchmarks run."""

from __future__ import annotations

from typing import Any

from fl.models import LanguageModel
from fl.studies import random_opt as architectures
from fl.studies.random_opt import LENGTH, OPTIONS, batch, likelihood

__all__ = ["LENGTH", "OPTIONS", "batch", "likelihood", "random_opt"]


def random_opt(quick: bool, dtype: Any = None, seed: int = 0) -> LanguageModel:
    """`quick`: the same, 64 wide and two layers deep."""
    return architectures.random_opt("tiny" if quick else "125m", dtype, seed)
