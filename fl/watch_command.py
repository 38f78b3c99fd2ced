"""`pairzero watch RUN`: what a run is doing, from its folder alone.  Attach and detach as often as you like; it never writes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from fl.reporting.run_files import RunFiles

RECENT = 20  # slots that "now" is averaged over
BLOCKS = "▁▂▃▄▅▆▇█"
EVERY_S = 1.0  # between two looks, or ten times as long as a look takes


def watch(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, finished or not.")],
    once: Annotated[bool, typer.Option("--once", help="Print what there is now and end.")] = False,
) -> None:
    """Show rounds, accuracy, SNR, devices and epsilon while a run goes on, until it ends or Ctrl-C (which ends only the
    watching)."""
    from rich.console import Console
    from rich.live import Live

    from fl.reporting.progress import ended
    from fl.reporting.run_files import read_run

    console = Console(highlight=False)
    seen = read_run(run)
    if once or not console.is_terminal:
        console.print(frame(seen))
        return
    try:
        with Live(frame(seen), console=console, screen=True, auto_refresh=False) as live:
            while not ended(seen):
                began = time.monotonic()
                seen = read_run(run)
                live.update(frame(seen), refresh=True)
                time.sleep(max(EVERY_S, 10 * (time.monotonic() - began)))
        console.print(frame(seen))
    except KeyboardInterrupt:
        console.print(f"no longer watching; the run is not affected. Again: pairzero watch {run}", markup=False)


def frame(run: RunFiles) -> RenderableType:
    """One picture of a run."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from fl.diagnostics import read_diagnostics
    from fl.reporting.facts import completed
    from fl.reporting.progress import ended, state
    from fl.reporting.run_files import evaluations

    lines = read_diagnostics(run.path)
    held_out = evaluations(run)
    known = completed(run, held_out)
    rows = Table.grid(padding=(0, 2), expand=True)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(ratio=1)
    total = int(run.option("learning", "rounds", 0)) or known["rounds"]
    rows.add_row("run", Text(f"{known['name']}: {state(run)}"))
    rows.add_row("rounds", ProgressBar(total=max(total, 1), completed=known["rounds"], width=40))
    rows.add_row("", f"{known['rounds']:,} of {total:,}{'' if ended(run) else _pace(lines, total - known['rounds'])}")
    rows.add_row("slots", _slots(run))
    rows.add_row("accuracy", _accuracy(known, held_out.accuracy.tolist(), held_out.rounds.tolist()))
    rows.add_row("", spark(held_out.accuracy))
    rows.add_row("air", _air(run))
    rows.add_row("privacy", _privacy(run, known))
    return Group(rows, "", _devices(run, lines))


def _pace(lines: list[dict[str, Any]], left: int) -> str:
    """Rounds a second over the recent slots, and how long the rest takes at that pace."""
    from fl.reporting.progress import span

    recent = [line for line in lines[-RECENT:] if line.get("seconds")]
    took = sum(line["seconds"] for line in recent)
    rounds = sum(not line["erased"] for line in recent)
    return f"   {rounds / took:.2g} rounds/s   {span(left * took / rounds)} left" if rounds else ""


def _slots(run: RunFiles) -> str:
    words = [f"{len(run.records(kind))} {kind}" for kind in ("erased", "burned")]
    resumed = len(run.records("resumed"))
    return ", ".join(words) + (f"; resumed {resumed} time{'s'[: resumed != 1]}" if resumed else "")


def _accuracy(known: dict[str, Any], curve: list[float], rounds: list[int]) -> str:
    from radio.wording import percent

    if not curve:
        return "not evaluated yet"
    low, high = (100 * end for end in known["accuracy_interval"])
    floor = known.get("chance_floor")  # known when the run has ended
    chance = "" if floor is None else f"chance {percent(floor)}, "
    return f"{percent(curve[-1])} ({low:.1f} to {high:.1f}) after round {rounds[-1]}; {chance}at the start {percent(curve[0])}"


def spark(values: Iterable[float], most: int = 40) -> str:
    """A curve in characters, lowest to highest; the latest `most` values."""
    shown = [v for v in values if math.isfinite(v)][-most:]
    low, high = min(shown, default=0.0), max(shown, default=0.0)
    return "".join(BLOCKS[round((v - low) / (high - low or 1.0) * (len(BLOCKS) - 1))] for v in shown)


def _air(run: RunFiles) -> str:
    from fl.diagnostics import received_snr_db
    from radio.wording import decibels

    air, mode = run.air, f"{run.option('radio', 'mode', '')} mode".strip()
    heard = ~air.erased[-RECENT:]
    if not heard.any():
        return f"{mode}; nothing received yet"
    snr = received_snr_db(air.received[-RECENT:][heard], air.variance[-RECENT:][heard])
    return f"received SNR {decibels(snr)} over the last {int(heard.sum())} slots, {mode}"


def _privacy(run: RunFiles, known: dict[str, Any]) -> str:
    from fl.reporting.facts import privacy_state
    from fl.reporting.progress import epsilon_bound
    from radio.wording import bound

    state = privacy_state(run)
    if state == "off":
        return "off"
    target, spent, word = float(known.get("epsilon_target") or 0.0), known.get("epsilon"), ""
    if spent is None:
        spent, word = epsilon_bound(run), "at most "
    if spent is None:
        return f"epsilon {target:g} at delta {known['delta']:g}; what is spent stands in the devices' own ledgers"
    left = math.floor(max(0.0, target - spent) * 100) / 100
    void = "; reproducible secrets, THE GUARANTEE IS VOID" if state == "void" else ""
    return f"epsilon {word}{bound(spent)} of {target:g} spent, {left:.2f} left (delta {known['delta']:g}, {known['unit']}){void}"


def _devices(run: RunFiles, lines: list[dict[str, Any]]) -> Table:
    """A row a device, as far as the folder tells: in the last slot, and over all."""
    import numpy as np
    from rich.table import Table

    from fl.reporting.sentences import device_rows

    temperatures: list[float | None] = next(
        (line["temperature_c"] for line in reversed(lines) if line.get("temperature_c")), []
    )
    present = _present(run)
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    columns = ["device", *(["now"] if present else []), "last slot", "took part", "gain dB", "sends dBFS", "clipped"]
    columns += ["temp C"] if temperatures else []
    for column in columns:
        table.add_column(column, justify="left" if column in ("device", "now", "last slot") else "right", no_wrap=True)
    rows = device_rows(run.air)
    for k in range(max(len(rows), len(present))):
        name, now = present[k] if k < len(present) else (str(k), "")
        cells = [name or "free", now] if present else [str(k)]
        state = ""
        if k < len(rows):
            row = rows[k]
            clipped = run.air.clipped[-1, k] if k < run.air.clipped.shape[1] else np.nan
            state = "left out" if present and now != "joined" else "faded"
            state = state if not run.air.active[-1, k] else "clipped" if clipped > 0 else "active"
            warm = temperatures[k] if k < len(temperatures) else None
            cells += [state, row["active"], row["gain"], row["power"], row["clipped"]]
            cells += (["—" if warm is None else f"{warm:.1f}"]) if temperatures else []
        style = {"faded": "yellow", "left out": "yellow", "clipped": "red"}.get(state)
        table.add_row(*cells, style="yellow" if now in ("lost", "late") else style)
    if not table.row_count:
        table.add_row("no slot yet")
    return table


def _present(run: RunFiles) -> list[tuple[str, str]]:
    """Of a lab, name and state of the device of each place; a run that has ended has no state."""
    from fl.reporting.progress import ended
    from fl.run_folder import DEVICES

    try:
        devices = json.loads((run.path / DEVICES).read_text(encoding="utf-8"))
        return [(device["name"], "" if ended(run) else device["state"]) for device in devices]
    except (OSError, ValueError):
        return []  # a run in one process
