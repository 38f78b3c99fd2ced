"""What can go wrong for a user, as an exception tree.

    PairzeroError                 every failure we explain; carries the command's exit code
    ├── InputError        (2)     configuration, data, file or hardware that must be mended first
    │   └── BudgetError   (2)     a transmission that would overspend a data owner's privacy budget
    ├── StoppedEarly      (3)     the run ended before its last round and can be resumed
    └── RequirementError  (4)     a `--require` was not met

Messages say what happened, the value, what is allowed and what to try next.
"""

from __future__ import annotations


class PairzeroError(Exception):
    exit_code = 1


class InputError(PairzeroError):
    exit_code = 2


class BudgetError(InputError):
    pass


class StoppedEarly(PairzeroError):
    exit_code = 3


class RequirementError(PairzeroError):
    exit_code = 4


def install(extra: str) -> str:
    """The command that installs one of pyproject.toml's extras, for the message that something is not installed."""
    return (
        f"pip install 'pairzero[{extra}]', or in a clone, where `make` made the environment: "
        f".venv/bin/python -m pip install -c constraints.txt -e '.[{extra}]'"
    )
