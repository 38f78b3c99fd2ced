"""Tables and figures that most studies share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullFormatter, NullLocator, PercentFormatter

from fl.studies.outcome import Point, Value, first_below, first_reaching
from fl.studies.statistics import Estimate, estimate, paired
from fl.studies.study import Figure, Group, Results, Table
from radio.palette import MUTED, SERIES

NONE = "–"
WORK = "forward passes, examples of all devices"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (7, 2, 1, 2)))


def percent(found: Estimate | None, signed: bool = False) -> str:
    """`76.3 ± 0.8 (3)`: mean, half of the 95 % interval, seeds."""
    if found is None:
        return NONE
    sign = "+" if signed else ""
    half = "" if found.half is None else f" ± {100 * found.half:.1f}"
    return f"{100 * found.mean:{sign}.1f}{half} ({found.n})"


def number(found: Estimate | None) -> str:
    """Mean, and half of the 95 % interval where values differ."""
    if found is None:
        return NONE
    return plain(found.mean) + (f" ± {plain(found.half, 2)}" if found.half else "")


def plain(value: float, digits: int = 3) -> str:
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def text(value: Value) -> str:
    return NONE if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def accuracy_table(results: Results, extra: Sequence[tuple[str, str]] = (), name: str = "accuracy") -> Table:
    """A row a configuration: factors, held-out accuracy and loss, zero-shot, chance floor; `extra` are (heading, figure)."""
    groups = results.groups()
    factors = list(dict.fromkeys(key for group in groups for key in group.factors))
    header = [*factors, "accuracy, %", "loss, nats", "zero-shot, %", "chance floor, %", *(h for h, _ in extra)]
    rows = []
    for group in groups:
        single = {key: estimate(list(group.values(key).values())) for key in ("zero_shot_accuracy", "chance_floor")}
        rows.append(
            [
                *(text(group.factors.get(key)) for key in factors),
                percent(of(group, "accuracy")),
                number(of(group, "loss")),
                *(NONE if found is None else f"{100 * found.mean:.1f}" for found in single.values()),
                *(number(of(group, key)) for _, key in extra),
            ]
        )
    return Table(name, "Held-out accuracy: mean ± half of the 95 % interval (seeds)", header, rows)


def of(group: Group, key: str) -> Estimate | None:
    return estimate(list(group.values(key).values()))


def difference_table(results: Results, reference: dict[str, Value], title: str, name: str = "differences") -> Table:
    """Accuracy less that of the configuration `reference`, seed by seed: same data, batches and directions."""
    groups = results.groups()
    base = next((g for g in groups if g.matches(**reference)), None)
    factors = list(dict.fromkeys(key for group in groups for key in group.factors))
    rows = []
    for group in groups:
        if base is not None and group is not base:
            found = paired(group.values("accuracy"), base.values("accuracy"))
            rows.append([*(text(group.factors.get(key)) for key in factors), percent(found, signed=True)])
    return Table(name, title, [*factors, "difference, points"], rows)


def levels(
    results: Results, x: str, series: str, label: str, name: str = "accuracy", logarithmic: bool = False
) -> Figure:
    """Accuracy over the numeric factor `x`, a line for each value of `series`, bars for 95 % intervals; a configuration
    without a value of `x` is a level across."""
    groups = results.groups()
    names = list(dict.fromkeys(text(group.factors.get(series)) for group in groups))
    marks = sorted({at for g in groups if isinstance(at := g.factors.get(x), int | float)})

    lines = list(
        dict.fromkeys(text(g.factors.get(series)) for g in groups if isinstance(g.factors.get(x), int | float))
    )

    def beside(at: float, one: str) -> float:
        """A little to one side, or bars at one level would hide each other."""
        step = lines.index(one) - (len(lines) - 1) / 2.0
        return at * 1.025**step if logarithmic else at + 0.003 * step * (marks[-1] - marks[0])

    def draw(axes: Axes) -> None:
        for index, one in enumerate(names):
            colour, dash = SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
            mine = [(g.factors.get(x), of(g, "accuracy")) for g in groups if text(g.factors.get(series)) == one]
            points = [(at, found) for at, found in mine if isinstance(at, int | float) and found is not None]
            points.sort(key=lambda point: point[0])
            for at, found in mine:
                if found is not None and not isinstance(at, int | float):
                    axes.axhline(found.mean, color=colour, linestyle=(0, (4, 3)), linewidth=1.1, label=one)
            if points:
                places = [beside(at, one) for at, _ in points]
                means = [found.mean for _, found in points]
                halves = [found.half or 0.0 for _, found in points]
                axes.errorbar(
                    places,
                    means,
                    halves,
                    color=colour,
                    linestyle=dash,
                    marker="o",
                    markersize=3.5,
                    capsize=2,
                    label=one,
                )
                for at, (_, found) in zip(places, points, strict=True):
                    if found.n == 1:
                        axes.plot(at, found.mean, "o", color=colour, markerfacecolor="white", markersize=3.5, zorder=4)
        if logarithmic:
            axes.set_xscale("log")
            axes.set_xticks(marks, [f"{at:g}" for at in marks])
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(label)
        _accuracy(axes, groups)

    return Figure(
        name, f"Held-out accuracy over {label}; bars are 95 % intervals over seeds, hollow marks have one seed.", draw
    )


def curves(results: Results, x: str, label: str, series: str = "method", logarithmic: bool = False) -> Figure:
    """Mean accuracy over seeds against what was spent; `x` is an attribute of `Point`."""
    groups = results.groups()

    def draw(axes: Axes) -> None:
        for index, group in enumerate(groups):
            found = [measured.curve for measured in group.seeds.values() if measured.curve]
            if not found:
                continue
            shortest = min(found, key=len)
            at = [getattr(point, x) for point in shortest]
            if not max(at) > 0.0:
                continue  # a method that does not spend this
            mean = np.mean([[point.accuracy for point in curve[: len(shortest)]] for curve in found], axis=0)
            kept = [i for i, value in enumerate(at) if value > 0.0 or not logarithmic]
            colour, dash = SERIES[index % len(SERIES)], DASHES[index // len(SERIES) % len(DASHES)]
            label_of = text(group.factors.get(series))
            axes.plot([at[i] for i in kept], mean[kept], color=colour, linestyle=dash, linewidth=1.4, label=label_of)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(EngFormatter(sep="\u2009"))
        axes.set_xlabel(label)
        _accuracy(axes, groups)

    return Figure(f"accuracy-{x.replace('_', '-')}", f"Held-out accuracy against {label}, mean over seeds.", draw, 3.6)


def _accuracy(axes: Axes, groups: Sequence[Group]) -> None:
    floors = [value for group in groups for value in group.values("chance_floor").values()]
    if floors:
        axes.axhline(floors[0], color=MUTED, linestyle=(0, (1, 2)), linewidth=1.2, label="chance floor")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="\u00a0%"))
    axes.set_ylabel("held-out accuracy")


def reaching_table(
    results: Results, targets: Sequence[float], series: str = "method", losses: Sequence[float] = ()
) -> Table:
    """Rounds, forward passes, uplink at the first evaluation that reaches each target, mean over the seeds that do."""
    wanted: list[tuple[str, Callable[[tuple[Point, ...], float], Point | None], float]] = [
        *((f"{100 * target:g} %", first_reaching, target) for target in targets),
        *((f"{loss:g} nats", first_below, loss) for loss in losses),
    ]
    work = f"{WORK} (a backward pass as two)"
    header = [series, "target", "seeds that reach it", "rounds", work, "channel uses", "uplink bits"]
    rows = []
    for group in results.groups():
        for name, first, target in wanted:
            seen = [first(measured.curve, target) for measured in group.seeds.values()]
            hit = [point for point in seen if point is not None]
            rows.append([text(group.factors.get(series)), name, f"{len(hit)} of {len(seen)}", *_means(hit)])
    return Table(
        "targets",
        "What it took to reach an accuracy or a loss for the first time (at evaluations on the way, all of the same sentences)",
        header,
        rows,
    )


def _means(points: Sequence[Point]) -> list[str]:
    costs = [(float(p.round), p.work, p.uplink_uses, p.uplink_bits) for p in points]
    return [number(estimate([cost[i] for cost in costs])) for i in range(4)]
