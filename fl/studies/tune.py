"""`tune`: the learning rate of every contender, chosen on validation sentences by a rule that is written down."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from fl.studies.cell import Cell
from fl.studies.rates import BUDGET, CONTENDERS, QUICK
from fl.studies.show import number, of, percent, text
from fl.studies.study import Figure, Group, Results, Scale, Study, Table, over_seeds
from radio.palette import SERIES

VALIDATION = 1000
WORK = BUDGET / 3

HELD = {"task.validation_examples": VALIDATION, "task.held_out": "validation", "run.evaluate_examples": 200}
FEW = {"task.validation_examples": 16, "task.held_out": "validation"}


def configurations(scale: Scale, seed: int) -> list[Cell]:
    base = scale.experiment(seed, FEW if scale.quick else HELD)
    work = 4.0 * base.learning.devices * base.learning.batch if scale.quick else WORK
    cells = []
    for name in QUICK[:2] if scale.quick else CONTENDERS:
        rates = CONTENDERS[name].rates
        for rate in scale.some(rates, rates[1:3]):
            cells.append(Cell({"method": name, "rate": rate}, seed, CONTENDERS[name].experiment(base, rate, work)))
    return cells


def chosen(groups: list[Group]) -> dict[str, Group]:
    """The rule: of each method the rate with the least mean validation loss at the end."""
    best: dict[str, Group] = {}
    for group in groups:
        name, loss = text(group.factors["method"]), of(group, "loss")
        before = of(best[name], "loss") if name in best else None
        if loss is not None and (before is None or loss.mean < before.mean):
            best[name] = group
    return best


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    groups = results.groups()
    best = chosen(groups)
    rates: dict[str, list[float]] = {}
    for group in groups:
        rates.setdefault(text(group.factors["method"]), []).append(float(group.factors["rate"] or 0.0))
    rows = []
    for group in groups:
        name, rate = text(group.factors["method"]), float(group.factors["rate"] or 0.0)
        mark = ""
        if best.get(name) is group:
            mark = "chosen, at the grid's edge" if rate in (min(rates[name]), max(rates[name])) else "chosen"
        rows.append([name, f"{rate:g}", number(of(group, "loss")), percent(of(group, "accuracy")), mark])
    header = ["method", "rate", "validation loss, nats", "validation accuracy, %", ""]

    def draw(axes: Axes) -> None:
        for index, name in enumerate(rates):
            mine = [
                (float(g.factors["rate"] or 0.0), of(g, "loss")) for g in groups if text(g.factors["method"]) == name
            ]
            points = [(rate, loss.mean) for rate, loss in mine if loss is not None]
            if points:
                colour = SERIES[index % len(SERIES)]
                marker = "os^vDPX"[index // len(SERIES) % 7]
                axes.plot(
                    *zip(*points, strict=True), color=colour, marker=marker, markersize=3.5, linewidth=1.1, label=name
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("learning rate")
        axes.set_ylabel("validation loss (nats)")

    tables = [Table("rates", "The grid", header, rows), Table("privacy", "What the choice would cost", *_cost(results))]
    return tables, [Figure("rates", "Validation loss at the end over the learning rate.", draw, 4.2)]


def _cost(results: Results) -> tuple[list[str], list[list[str]]]:
    """Were the rates tried on private data: a run each, of the same mechanism, together."""
    from fl.guarantee import guarantee_of
    from fl.studies.training import Train
    from privacy.accounting import epsilon

    header = ["choice made on", "runs", "epsilon of all together", "delta"]
    rows = [["public validation examples (this study)", "any", "0", "0"]]
    private = [
        c.work for c in results.cells if c.seed == 1 and c.factors["method"] == "pairzero" and isinstance(c.work, Train)
    ]
    if not private:
        return header, rows
    guarantee = guarantee_of(private[0].prepared, tight=False)
    if guarantee is not None:
        for runs in (1, len(private)):
            spent = epsilon([(charge, runs * count) for charge, count in guarantee.planned()], guarantee.delta)
            rows.append(["the private examples themselves", str(runs), f"{spent:.2f}", f"{guarantee.delta:g}"])
    return header, rows


STUDY = Study(
    "tune",
    "at which rate is each algorithm at its best?",
    f"""
Grid search over the learning rate, {WORK:,.0f} forward passes each. **The rule:** of each method the rate with the
least mean loss on {VALIDATION:,} validation sentences at the end, and nothing else is looked at; a choice at the grid's
edge is marked, for the best may lie beyond it. Validation sentences are set apart from the training split
(`task.validation_examples`), the same ones for every seed; no device ever holds one and no study reports accuracy on
them alone. They count as public, so this choice costs no privacy. Were it made on the devices' own examples, every rate
tried would be a run on them; the second table says what that would cost together. What is chosen is entered in
`fl/studies/rates.py`.
""",
    lambda scale: over_seeds(scale, configurations),
    show,
    seeds=2,
)
