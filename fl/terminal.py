"""Where everything that a person reads is printed, and what one line is printed with."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

console = Console(soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """A line, as it is: brackets in it are no markup."""
    console.print(escape(text))
