"""Processes of a lab, for the transport that is made of them."""

from __future__ import annotations

from tests.fl.lab.conftest import ask, lab

__all__ = ["ask", "lab"]
