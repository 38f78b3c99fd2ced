"""What the run cost: privacy, uplink and memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from radio.figure import BLUE, MUTED, ORANGE, Plot, absent, render, rounds_axis
from radio.wording import bound, short


def epsilon_spent(
    rounds: Sequence[int], epsilons: Sequence[float], target: float | None, delta: float, void: bool = False
) -> Plot:
    """Privacy spent after so many `rounds`, beside the budget. `void`: secrets came from a public seed."""
    name, title = "epsilon", "Privacy spent over rounds."
    if not len(rounds):
        return absent(name, title, "No privacy loss has been charged yet.")
    lead = "VOID: secret randomness would have spent, in" if void else "Privacy spent in"
    title = f"{lead} {rounds[-1]:,} rounds: \u03b5 = {bound(epsilons[-1])} at \u03b4 = {delta:g}" + (
        f", of {target:g} allowed." if target else "."
    )

    def draw(axes: Axes) -> None:
        axes.plot(rounds, epsilons, "-o", color=BLUE, markersize=3, label="spent")
        if target:
            axes.axhline(
                target, color=ORANGE, linestyle=(0, (5, 2)), linewidth=1.3, label=f"budget \u03b5 = {target:g}"
            )
        axes.set_ylim(0, 1.08 * max([*epsilons, target or 0]))
        axes.set_ylabel(f"\u03b5 at \u03b4 = {delta:g}")
        rounds_axis(axes, np.asarray(rounds))

    caption = (
        "This run's charges to the device charged most, own noise only, per example: Poisson-subsampled Gaussian, privacy "
        "loss distributions. Lost slots count as spent."
    )
    return Plot(name, title, caption, render(name, title, draw))


def uplink(own_bits: float | None, first_order_bits: float | None, signs: bool = False) -> Plot:
    """Uplink of one device over the run in bits, beside sending gradients."""
    name, title = "uplink", "Uplink of one device over the run."
    if not own_bits or not first_order_bits:
        return absent(name, title, "Nothing has been sent yet, or no first-order figure is on record.")
    title = f"A device sent {first_order_bits / own_bits:,.0f} times fewer bits than a first-order method would."
    rows = [
        ("pAirZero, this run", own_bits, f"{short(own_bits)}bit", True),
        ("first-order", first_order_bits, f"{short(first_order_bits)}bit", False),
    ]
    sent, first = ("1 bit for every sign", "16") if signs else ("16 bits for every number", "the same 16")
    caption = (
        f"{sent} sent. First-order is calculated, not run: "
        f"{first} bits for every trained weight in each of these rounds."
    )
    return Plot(name, title, caption, _log_bars(name, title, rows, "uplink bits per device (logarithmic)"))


def memory(peak_rss_mib: float | None, parameters: int | None, trainable: int | None, devices: int | None) -> Plot:
    """Peak resident memory measured, beside what the weights and AdamW's state would take by calculation."""
    name, title = "memory", "Peak memory of the run."
    if not peak_rss_mib:
        return absent(name, title, "Peak memory is recorded when a run ends.")
    whom = f"all {devices} simulated devices" if devices and devices > 1 else "the simulated device"
    title = f"The whole run peaked at {peak_rss_mib:,.0f} MiB, {whom} included."
    rows = [("this run, measured", peak_rss_mib, f"{peak_rss_mib:,.0f} MiB", True)]
    if parameters:
        weights, adam = parameters * 4 / 2**20, (parameters * 4 + (trainable or parameters) * 12) / 2**20
        rows += [
            ("weights alone, float32", weights, f"{weights:,.1f} MiB", False),
            ("AdamW's state, one device", adam, f"{adam:,.1f} MiB", False),
        ]
    caption = (
        "Measured: peak resident memory of the whole simulation process, hence all devices, interpreter, libraries, one "
        "replica of the weights, data and radio. "
        "Grey: calculated, tensors only; AdamW = weights, gradient and two moments, without activations."
    )
    return Plot(name, title, caption, _log_bars(name, title, rows, "MiB (logarithmic)"))


def _log_bars(name: str, title: str, rows: Sequence[tuple[str, float, str, bool]], xlabel: str) -> str:
    """Horizontal bars on a logarithmic axis; `rows` are (label, value, printed value, this run?)."""

    def draw(axes: Axes) -> None:
        at = np.arange(len(rows))[::-1]
        axes.barh(
            at, [value for _, value, _, _ in rows], height=0.55, color=[BLUE if own else MUTED for _, _, _, own in rows]
        )
        for y, (_, value, printed, _) in zip(at, rows, strict=True):
            axes.annotate(printed, (value, y), (5, 0), textcoords="offset points", va="center")
        low, high = min(row[1] for row in rows), max(row[1] for row in rows)
        axes.set_xscale("log")
        axes.set_xlim(10 ** (math.floor(math.log10(low)) - 1), high * (high / low * 10) ** 0.28)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value).rstrip()))
        axes.minorticks_off()
        axes.set_yticks(at, [label for label, _, _, _ in rows])
        axes.set_ylim(-0.55, len(rows) - 0.45)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(xlabel)

    return render(name, title, draw, height=0.85 + 0.42 * len(rows))
