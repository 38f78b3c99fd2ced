"""Facts as files can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Numbers, strings, lists and tables: arrays become lists, complex numbers [re, im], and None is left out of tables, for
    TOML has none. NaN and infinity stay."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value if item is not None]
    if isinstance(value, complex):
        return [value.real, value.imag]
    return value
