"""`memory`: what training holds, and what it uploads."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from fl.studies.cell import Cell
from fl.studies.outcome import Value
from fl.studies.peak import Peak
from fl.studies.show import NONE
from fl.studies.study import Figure, Results, Scale, Study, Table
from radio.palette import SERIES

PAPER = 250.0 / 955.58  # MB of OPT-125M in arXiv 2604.12401: pAirZero's over Adam's
FP32 = {
    "125m": ("inference", "pairzero", "sign-pairzero", "mezo", "sgd", "adamw"),
    "350m": ("inference", "pairzero", "mezo", "sgd", "adamw"),
    "1.3b": ("inference", "pairzero", "sgd"),  # AdamW's 21 GB and MeZO's copies do not fit the machine of two cores
}
BF16 = {
    "125m": ("inference", "pairzero", "mezo", "sgd", "adamw"),
    "350m": ("inference", "pairzero", "sgd", "adamw"),
    "1.3b": ("inference", "pairzero", "sgd", "adamw"),
}


def design(scale: Scale) -> list[Cell]:
    if scale.quick:
        return [_cell(method, "tiny", "fp32") for method in ("import", "pairzero")]
    cells = [_cell("import", "125m", "fp32")]
    for size in FP32:
        cells += [_cell(method, size, "fp32") for method in FP32[size]]
        cells += [_cell(method, size, "bf16") for method in BF16[size]]
    return cells


def _cell(method: str, size: str, dtype: str) -> Cell:
    return Cell({"method": method, "model": size, "precision": dtype}, 0, Peak(method, size, dtype))


def show(results: Results) -> tuple[list[Table], list[Figure]]:
    peaks = {
        _key(cell.factors): results.measured[cell.digest] for cell in results.cells if cell.digest in results.measured
    }
    shared = next((m.number("peak_rss_mib") for (method, *_), m in peaks.items() if method == "import"), None)
    rows: list[list[str]] = []
    bars: list[tuple[str, float]] = []
    for (method, size, dtype), measured in peaks.items():
        peak, adamw = measured.number("peak_rss_mib"), peaks.get(("adamw", size, dtype))
        if method == "import" or peak is None:
            continue
        most = None if adamw is None else adamw.number("peak_rss_mib")
        uplink = measured.number("uplink_bits")
        rows.append(
            [
                method, size, dtype, f"{peak:,.0f}", NONE if shared is None else f"{peak - shared:,.0f}",
                NONE if most is None else f"{100 * peak / most:.0f}",
                NONE if most is None or shared is None else f"{100 * (peak - shared) / (most - shared):.0f}",
                NONE if uplink is None else f"{uplink:,.0f}",
            ]
        )  # fmt: skip
        if shared is not None:
            bars.append((f"{size} {dtype}, {method}", peak - shared))
    header = [
        "method",
        "model",
        "precision",
        "peak, MiB",
        "net of imports",
        "% of AdamW",
        "net, %",
        "uplink bits a round",
    ]
    table = Table("memory", "Largest resident set of one process, batch 16, 64 tokens", header, rows)

    def draw(axes: Axes) -> None:
        colours = {
            name: SERIES[i] for i, name in enumerate(("pairzero", "inference", "mezo", "sgd", "adamw", "sign-pairzero"))
        }
        for place, (label, value) in enumerate(reversed(bars)):
            # points, not bars: sizes are a decade apart, and a bar on a logarithmic axis begins anywhere
            axes.plot(value, place, "o", color=colours[label.rpartition(" ")[2]], markersize=6)
            axes.text(value, place, f"   {value:,.0f}", va="center", fontsize=7)
        axes.set_yticks(range(len(bars)), [label for label, _ in reversed(bars)], fontsize=7)
        axes.set_ylim(-0.7, len(bars) - 0.3)
        axes.margins(x=0.12)
        axes.set_xlabel("peak memory net of imports, MiB")
        if bars and max(value for _, value in bars) > 20 * min(value for _, value in bars):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda mib, _: f"{mib:,g}"))

    return [table], [Figure("memory", "Peak memory above the process after its imports.", draw, 0.9 + 0.21 * len(bars))]


def _key(factors: Mapping[str, Value]) -> tuple[str, str, str]:
    return str(factors["method"]), str(factors["model"]), str(factors["precision"])


STUDY = Study(
    "memory",
    "does zeroth-order training hold no more than inference, and how much less than backpropagation?",
    f"""
Every figure is the largest resident set of one process that builds a model with random weights and takes two steps
with all weights trained; *net* is above the same process after its imports (Python, torch, transformers, our kernels:
everybody's). The paper says that pAirZero's peak is 25 % of Adam's on OPT-125M ({100 * PAPER:.0f} % by its 250 and
955.58 MB). Against AdamW in fp32 that is to be compared with the net column; whole processes have the imports on both
sides. In bf16 ours keeps fp32 masters beside the copy, because steps of 1e-6 are lost on bf16 weights; the others hold
everything in bf16 and lose them. Uplink: 16 bits for a transmitted number as the paper counts, one for a sign, and 16
for each weight of a gradient.
""",
    design,
    show,
    seeds=1,
    models=False,
)
