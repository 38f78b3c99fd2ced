"""What the radio did: sums, their errors, SNR, power and participation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from fl.diagnostics import received_snr_db
from fl.reporting.air_log import AirLog, mean_power_db, ratio_db
from fl.reporting.series import BLOCKS, blocks, thin
from radio.figure import BLUE, INK, MUTED, ORANGE, SERIES, Plot, absent, render, rounds_axis
from radio.wording import decibels, percent

MAX_LINES = 8  # more devices than this are drawn as a heat map
MAX_BARS = 128
FLOOR_DB = -200.0  # where an error of exactly zero is drawn


def sums(air: AirLog) -> Plot:
    """True sum against received sum over all scalars heard, with the identity line."""
    name, title = "sums", "The sum the receiver measured, against the sum that was sent."
    truth, received = air.truth[air.heard], air.received[air.heard]
    if not len(truth):
        return absent(name, title, "No air slot has been received yet.")
    nmse = air.nmse_db()
    shown = thin(len(truth))
    how = f"with a normalised error of {decibels(nmse)}" if nmse > -math.inf else "without any error"
    title = f"The receiver measured the sum of all devices {how}."

    def draw(axes: Axes) -> None:
        low, high = float(min(truth.min(), received.min())), float(max(truth.max(), received.max()))
        margin = 0.05 * (high - low) or 1.0
        ends = [low - margin, high + margin]
        axes.plot(ends, ends, color=MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="identity", zorder=1)
        axes.plot(
            truth[shown],
            received[shown],
            "o",
            color=BLUE,
            markersize=3.2,
            alpha=0.5,
            markeredgewidth=0,
            label="one scalar",
        )
        axes.set(
            xlim=ends,
            ylim=ends,
            xlabel="true sum over active devices (payload units)",
            ylabel="received sum (payload units)",
        )
        axes.text(
            0.03,
            0.95,
            f"NMSE {decibels(nmse)}" if nmse > -math.inf else "no error",
            transform=axes.transAxes,
            va="top",
            weight="bold",
        )

    caption = (
        f"{len(shown):,} of {len(truth):,} received scalars. "
        "NMSE = \u03a3(received \u2212 true)\u00b2 / \u03a3 true\u00b2 over all of them."
    )
    return Plot(name, title, caption, render(name, title, draw), not_private=True)


def error(air: AirLog) -> Plot:
    """Aggregation error in dB over rounds, by stretches and accumulated, beside what the receiver predicts."""
    name, title = "error", "Aggregation error over rounds."
    rows = np.flatnonzero(air.heard.any(axis=1))
    if not len(rows):
        return absent(name, title, "No air slot has been received yet.")
    heard = air.heard[rows]
    truth, received = np.where(heard, air.truth[rows], 0), np.where(heard, air.received[rows], 0)
    wrong, power = ((received - truth) ** 2).sum(axis=1), (truth**2).sum(axis=1)
    predicted = np.where(heard & np.isfinite(air.variance[rows]), air.variance[rows], 0).sum(axis=1)
    rounds = air.rounds[rows]
    if not wrong.any():
        return absent(
            name, title, "The received sums equal the true sums exactly: an ideal air, with no error to plot."
        )
    cut = blocks(len(rows), BLOCKS)
    middle = np.array([rounds[c].mean() for c in cut])

    def level(top: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([max(FLOOR_DB, ratio_db(float(top[c].sum()), float(power[c].sum()))) for c in cut])

    # The running error starts after one stretch: that of a single slot says nothing and would set the scale.
    shown = thin(len(rows))
    shown = shown[shown >= min(cut[0].stop, len(rows)) - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        running = np.maximum(10 * np.log10(np.cumsum(wrong) / np.cumsum(power)), FLOOR_DB)[shown]
    title = f"The aggregation error is {decibels(air.nmse_db())} over the run, relative to the power of the true sum."

    def draw(axes: Axes) -> None:
        axes.plot(
            middle, level(wrong), "o", color=BLUE, markersize=3.2, alpha=0.55, markeredgewidth=0, label="stretches"
        )
        axes.plot(rounds[shown], running, color=BLUE, label="running, from the start")
        if predicted.any():
            axes.plot(middle, level(predicted), color=ORANGE, linewidth=1.2, label="predicted by the receiver")
        axes.set_ylabel("error / true sum (dB)")
        rounds_axis(axes, rounds)

    signal = np.where(heard & np.isfinite(air.signal[rows]), air.signal[rows], truth)
    noise = ratio_db(float(((truth - signal) ** 2).sum()), float((signal**2).sum()))
    caption = (
        f"A stretch is {_stretch(cut)}. The orange line is what the receiver predicts: its noise and, "
        "in coherent mode, the channel estimates' errors for payloads of full size (too much where they are smaller). An error "
        "above it is misalignment or interference."
    )
    if math.isfinite(noise):
        caption += f" For scale: the devices' own privacy noise is {decibels(noise)} relative to the sum before noise."
    return Plot(name, title, caption, render(name, title, draw), not_private=True)


def _stretch(cut: Sequence[slice]) -> str:
    size = max(c.stop - c.start for c in cut)
    return f"up to {size:,} slots" if size > 1 else "one slot"


def snr(air: AirLog) -> Plot:
    """SNR of the sums that were received, and what one full-scale payload would have had, by stretches of rounds."""
    name, title = "snr", "SNR of the received sums over rounds."
    rows = np.flatnonzero(np.isfinite(air.received).any(axis=1) & ~air.erased)
    if not len(rows):
        return absent(name, title, "No air slot has been received yet.")
    received, variance = air.received[rows], air.variance[rows]
    whole = received_snr_db(received, variance)
    if whole == math.inf:
        return absent(name, title, "The SNR is infinite: this air adds no receiver noise.")
    rounds, cut = air.rounds[rows], blocks(len(rows), BLOCKS)
    middle = np.array([rounds[c].mean() for c in cut])
    level = np.array([received_snr_db(received[c], variance[c]) for c in cut])
    full = air.snr_db[rows]
    medians = np.array([np.median(v) if len(v := full[c][np.isfinite(full[c])]) else math.nan for c in cut])
    title = f"The received SNR is {decibels(whole)} over the run" + (
        f"; at full scale it would have been {decibels(float(np.median(full[np.isfinite(full)])))}."
        if np.isfinite(full).any()
        else "."
    )

    def draw(axes: Axes) -> None:
        axes.plot(
            middle, np.where(np.isfinite(level), level, np.nan), "-o", color=BLUE, markersize=3.2, label="received"
        )
        axes.plot(middle, medians, color=ORANGE, linewidth=1.2, label="at full scale, median")
        lost = np.unique(air.rounds[air.erased])
        if len(lost):
            shown = lost[thin(len(lost), 200)]
            axes.plot(
                shown,
                np.full(len(shown), 0.02),
                "|",
                color=INK,
                markersize=7,
                transform=axes.get_xaxis_transform(),
                label=f"erased ({len(lost)} rounds)",
            )
        axes.set_ylabel("SNR (dB)")
        rounds_axis(axes, rounds)

    caption = (
        "Received: power of the received sums beyond that of the noise, over the noise that the receiver predicts; a point is "
        f"{_stretch(cut)}. At full scale: what one device's largest payload would have had, per scalar after integration; "
        "payloads are smaller, because there is room for their noise. The model's dimension is in neither."
    )
    return Plot(name, title, caption, render(name, title, draw))


def power(air: AirLog) -> Plot:
    """Mean power each device transmitted while it sent: lines for few devices, a heat map for many."""
    name, title = "power", "Transmit power of each device over rounds."
    if not np.isfinite(air.power_dbfs).any():
        return absent(name, title, "No transmit power is on record.")
    devices = air.power_dbfs.shape[1]
    many = devices > MAX_LINES
    cut = blocks(len(air.rounds), 4 * BLOCKS if many else BLOCKS)
    level, middle = mean_power_db(air.power_dbfs, cut), np.array([air.rounds[c].mean() for c in cut])
    mean = mean_power_db(air.power_dbfs, [slice(None)])[0]
    weakest, strongest = float(np.nanmin(mean)), float(np.nanmax(mean))
    title = f"Over the run devices sent at {decibels(weakest)}FS to {decibels(strongest)}FS mean power."
    if devices == 1:
        title = f"Over the run the one device sent at {decibels(strongest)}FS mean power."

    def draw(axes: Axes) -> None:
        if many:
            first, last = float(air.rounds.min()), float(air.rounds.max())
            image = axes.imshow(
                level.T,
                aspect="auto",
                origin="lower",
                cmap="cividis",
                interpolation="nearest",
                extent=(first, max(last, first + 1), -0.5, devices - 0.5),
            )
            bar = axes.figure.colorbar(image, ax=axes, pad=0.02, aspect=30)
            bar.set_label("mean power (dBFS)")
            bar.outline.set_visible(False)
            axes.set_ylabel("device")
            axes.grid(visible=False)
            axes.set_xlabel("round")
        else:
            for k in range(devices):
                axes.plot(
                    middle,
                    level[:, k],
                    color=SERIES[k],
                    linewidth=1.3,
                    marker="o",  # without it, a stretch between two silent ones would not be seen
                    markersize=3,
                    label=f"device {k}",
                )
            axes.set_ylabel("mean power (dBFS)")
            rounds_axis(axes, air.rounds)

    caption = (
        "Relative to a full-scale tone at the transmitter's converter, "
        "averaged over stretches of rounds in which the device sent."
    )
    caption += (" Blank: silent." if many else "") + air.which
    return Plot(name, title, caption, render(name, title, draw))


def participation(air: AirLog) -> Plot:
    """Share of air slots in which each device took part."""
    name, title = "participation", "Share of rounds in which each device took part."
    slots, devices = air.active.shape
    if not slots or not devices:
        return absent(name, title, "No air slot has been recorded yet.")
    share = air.active.mean(axis=0)
    title = f"Devices took part in {percent(share.min())} to {percent(share.max())} of the air slots."
    if share.min() == share.max():
        title = (
            f"{'Every device' if devices > 1 else 'The device'} took part in {percent(share.min())} of the air slots."
        )

    def draw(axes: Axes) -> None:
        if devices <= MAX_BARS:
            axes.bar(np.arange(devices), share, width=0.62 if devices <= 20 else 0.85, color=BLUE)
        else:  # one shape: a bar for each takes a minute for some thousands
            axes.stairs(share, np.arange(devices + 1) - 0.5, fill=True, color=BLUE)
        if devices <= 10:
            for k, value in enumerate(share):
                axes.text(k, value + 0.015, f"{percent(value)}", ha="center", va="bottom", fontsize=8)
        axes.set(
            ylim=(0, 1.1),
            xlim=(-0.7, devices - 0.3) if devices > 3 else (-1.5, devices + 0.5),
            xlabel="device",
            ylabel="share of air slots",
        )
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
        axes.set_yticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
        if devices <= 10:
            axes.set_xticks(np.arange(devices))
        axes.grid(axis="x", visible=False)

    caption = "A device in a deep fade is left out by its channel alone, never by its data." + air.which
    return Plot(name, title, caption, render(name, title, draw))
