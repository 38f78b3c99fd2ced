"""`--require accuracy>=0.8`: a condition on the summary that decides the exit code, for CI."""

from __future__ import annotations

import operator
import re
from typing import Any

from radio.errors import InputError, RequirementError

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_PATTERN = re.compile(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*([-+0-9.eE]+)\s*")


def parse(text: str) -> tuple[str, str, float]:
    """(key, operator, value).  Raises InputError before a run is started, not after it."""
    match = _PATTERN.fullmatch(text)
    try:
        if match:
            return match[1], match[2], float(match[3])
    except ValueError:
        pass
    raise InputError(f"--require {text!r}: expected KEY>=NUMBER, for example accuracy>=0.8; operators: >= <= > <")


def check(requirements: list[tuple[str, str, float]], summary: dict[str, Any]) -> None:
    """Raises RequirementError naming every condition that the summary does not meet."""
    failed = []
    for key, sign, value in requirements:
        found = summary.get(key)
        if not isinstance(found, int | float) or isinstance(found, bool):
            numbers = ", ".join(k for k, v in summary.items() if isinstance(v, int | float) and not isinstance(v, bool))
            raise InputError(f"--require {key}: the summary has no number of that name; there are {numbers}")
        if not OPERATORS[sign](found, value):
            failed.append(f"{key} = {found:g}, required {sign} {value:g}")
    if failed:
        raise RequirementError("requirement not met: " + "; ".join(failed))
