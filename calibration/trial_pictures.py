"""Pictures of known sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from calibration.trial import Trial
from radio.cell import SampledMode
from radio.palette import BLUE, GREEN, GRID, INK, MUTED, ORANGE, PURPLE
from radio.pictures import Picture

COLOURS: dict[SampledMode, str] = {"coherent": BLUE, "energy": ORANGE, "tdma": GREEN, "vote": PURPLE}


def pictures(trials: dict[SampledMode, Trial], facts: dict[str, Any]) -> tuple[Picture, ...]:
    shown: list[SampledMode] = [mode for mode in trials if mode != "vote"]
    if not shown:
        return ()
    best = min(shown, key=lambda mode: trials[mode].mse()[0])
    return (
        Picture(
            "sums",
            f"Known sums: nearest to their truth in {best} mode, NMSE {facts[best]['nmse_db']:.1f} dB.".replace(
                "-", "\u2212"
            ),
            "Each point is one public sum; payloads are uniform in [\u22121, 1]. Full scale is the number of devices.",
            _against_truth(trials, shown),
        ),
        Picture(
            "modes",
            "Error of the sum by mode, measured and predicted.",
            "Dots: rms over full scale with its 95 % interval; bars: the closed form from measured noise, gains and pilots.",
            _by_mode(trials, facts, shown),
        ),
    )


def _against_truth(trials: dict[SampledMode, Trial], shown: Sequence[SampledMode]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for mode in shown:
            truth, error = (
                np.array(trials[mode].truth).ravel(),
                100.0 * trials[mode].errors().ravel() / trials[mode].devices,
            )
            colour = COLOURS[mode]
            axes.plot(truth, error, "o", markersize=3.5, alpha=0.7, markeredgewidth=0, color=colour, label=mode)
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        axes.set_xlabel("true sum (payload peaks)")
        axes.set_ylabel("error (% of full scale)")

    return draw


def _by_mode(
    trials: dict[SampledMode, Trial], facts: dict[str, Any], shown: Sequence[SampledMode]
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for place, mode in enumerate(shown):
            full = trials[mode].devices
            mse, error = trials[mode].mse()
            low, high = (100.0 * math.sqrt(max(x, 1e-4 * mse)) / full for x in (mse - 1.96 * error, mse + 1.96 * error))
            rms = 100.0 * math.sqrt(mse) / full
            predicted = facts[mode].get("predicted")
            if predicted:
                axes.plot([100.0 * math.sqrt(predicted) / full] * 2, [place - 0.28, place + 0.28], color=INK, linewidth=2.2,
                          label="predicted" if mode == shown[0] or "predicted" not in facts[shown[0]] else None)  # fmt: skip
            if math.isfinite(error):
                axes.plot([low, high], [place, place], color=GRID, linewidth=7, solid_capstyle="butt")
            colour = COLOURS[mode]
            axes.plot(rms, place, "o", color=colour, markersize=6)
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("rms error (% of full scale)")

    return draw
