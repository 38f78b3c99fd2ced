"""What was learned: accuracy and loss on held-out data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from fl.interval import wilson_interval
from fl.reporting.run_files import Evaluations
from fl.reporting.series import thin
from radio.figure import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, Plot, absent, render, rounds_axis
from radio.wording import percent


def accuracy_ladder(rows: Sequence[tuple[str, float, tuple[float, float] | None]], chance_floor: float | None) -> Plot:
    """`rows` are (label, accuracy, 95 % interval or None), the first this run; the floor, if known, is a line."""
    name, title = "ladder", "This run's held-out accuracy beside what it has to beat."
    if not rows:
        return absent(name, title, "No evaluation has been recorded yet.")

    def draw(axes: Axes) -> None:
        at = np.arange(len(rows))[::-1]
        if chance_floor is not None:
            axes.axvline(chance_floor, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1)
            axes.text(
                chance_floor,
                len(rows) - 0.4,
                f"chance floor {percent(chance_floor)}",
                color=MUTED,
                ha="left",
                va="bottom",
                fontsize=8,
            )
        for y, (_, accuracy, interval), first in zip(at, rows, [True] + [False] * len(rows), strict=False):
            colour = BLUE if first else MUTED
            if interval:
                axes.plot(interval, [y, y], color=colour, linewidth=2.2 if first else 1.4, alpha=0.75)
            axes.plot([accuracy], [y], "o", color=colour, markersize=7 if first else 5)
            right = max(accuracy, interval[1] if interval else accuracy)
            axes.annotate(
                f"{percent(accuracy)}",
                (right, y),
                (6, 0),
                textcoords="offset points",
                va="center",
                weight="bold" if first else "normal",
            )
        axes.set_yticks(at, [label for label, _, _ in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        levels = [level for _, accuracy, interval in rows for level in (accuracy, *(interval or ()))] + (
            [] if chance_floor is None else [chance_floor]
        )
        low, high = min(levels), max(levels)
        axes.set_xlim(max(0.0, low - 0.04), high + 0.12 * (high - low) + 0.05)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("held-out accuracy")

    caption = (
        "Bars are 95 % Wilson intervals over test examples (one seed: they do not hold the variation between runs)."
    )
    return Plot(name, title, caption, render(name, title, draw, height=1.05 + 0.3 * len(rows)))


def loss_over_rounds(evaluations: Evaluations) -> Plot:
    """Held-out loss; the level of the evaluation before the first round, if there was one, is the zero-shot line."""
    name, rounds, loss = "loss", evaluations.rounds, evaluations.loss
    keep = np.isfinite(loss)
    rounds, loss = rounds[keep], loss[keep]
    if not len(rounds):
        return absent(name, "Held-out loss over rounds.", "No evaluation has been recorded yet.")
    title = f"Held-out loss went from {loss[0]:.3f} to {loss[-1]:.3f} in {rounds[-1]} rounds."
    if len(rounds) == 1:
        title = f"Held-out loss was {loss[0]:.3f} at round {rounds[0]}, the only evaluation so far."
    shown = thin(len(rounds))

    def draw(axes: Axes) -> None:
        axes.plot(
            rounds[shown], loss[shown], "-o", color=BLUE, markersize=3.5 if len(rounds) <= 60 else 0, label="this run"
        )
        axes.plot(rounds[-1:], loss[-1:], "o", color=BLUE, markersize=5.5)
        if rounds[0] == 0 and len(rounds) > 1:
            axes.axhline(loss[0], color=ORANGE, linestyle=(0, (5, 2)), linewidth=1.3, label=f"zero-shot {loss[0]:.3f}")
        axes.set_ylabel("held-out loss (nats)")
        rounds_axis(axes, rounds)

    return Plot(
        name,
        title,
        "Evaluated by the server on public held-out data; no training loss ever leaves a device.",
        render(name, title, draw),
    )


def accuracy_over_rounds(
    evaluations: Evaluations, chance_floor: float | None, references: Sequence[tuple[str, float]] = ()
) -> Plot:
    """Accuracy with its 95 % band; `references` are (label, accuracy) levels such as zero-shot."""
    name, rounds, accuracy = "accuracy", evaluations.rounds, evaluations.accuracy
    if not len(rounds):
        return absent(name, "Held-out accuracy over rounds.", "No evaluation has been recorded yet.")
    title = f"Held-out accuracy went from {percent(accuracy[0])} to {percent(accuracy[-1])} in {rounds[-1]} rounds."
    if len(rounds) == 1:
        title = f"Held-out accuracy was {percent(accuracy[0])} at round {rounds[0]}, the only evaluation so far."
    shown = thin(len(rounds))
    band = np.array([wilson_interval(float(a), int(n)) for a, n in zip(accuracy, evaluations.examples, strict=True)])

    def draw(axes: Axes) -> None:
        axes.plot(
            rounds[shown],
            accuracy[shown],
            "-o",
            color=BLUE,
            markersize=3.5 if len(rounds) <= 60 else 0,
            label="this run",
        )
        axes.plot(rounds[-1:], accuracy[-1:], "o", color=BLUE, markersize=5.5)
        if len(rounds) > 1:
            axes.fill_between(rounds[shown], band[shown, 0], band[shown, 1], color=BLUE, alpha=0.16, linewidth=0)
        else:
            axes.plot([rounds[0]] * 2, band[0], color=BLUE)
        if chance_floor is not None:
            axes.axhline(
                chance_floor,
                color=INK,
                linestyle=(0, (1, 2)),
                linewidth=1.3,
                label=f"chance floor {percent(chance_floor)}",
            )
        for (label, level), colour, dash in zip(
            references, (ORANGE, GREEN, PURPLE), ((5, 2), (7, 2, 1, 2), (3, 2)), strict=False
        ):
            axes.axhline(level, color=colour, linestyle=(0, dash), linewidth=1.3, label=f"{label} {percent(level)}")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
        axes.set_ylabel("held-out accuracy")
        rounds_axis(axes, rounds)

    caption = f"Band: 95 % Wilson interval over the examples of each evaluation ({_span(evaluations.examples)})."
    if evaluations.examples.min() < evaluations.examples.max():
        caption += " The first and the final evaluation use all test examples, those between a fixed subset of them."
    return Plot(name, title, caption, render(name, title, draw))


def _span(values: NDArray[np.int64]) -> str:
    low, high = int(values.min()), int(values.max())
    return f"{low:,} examples" if low == high else f"{low:,} to {high:,} examples"
