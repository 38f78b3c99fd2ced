"""Colours and type of every figure, those of a radio and those of a run's report alike.

The colours follow Okabe and Ito's set, which readers with any colour vision can tell apart.
"""

from __future__ import annotations

from typing import Any

INK, MUTED, GRID = "#1b2026", "#5d6672", "#dfe3e8"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#00916a", "#b85c94"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#3f9fd8", "#c28800", "#7a6a53", MUTED)
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pairzero",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "figure.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.2,
}
