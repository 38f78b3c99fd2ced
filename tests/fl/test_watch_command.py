"""`pairzero watch`: one picture of a finished and of a growing run, from the folder alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fl.reporting.run_files import read_run
from fl.watch_command import frame, spark
from privacy.record_log import RecordLog, read_records


def shown(run: Path, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(frame(read_run(run)))
    return console.export_text()


def cut(source: Path, target: Path, rounds: int) -> Path:
    """The folder as it was after so many committed rounds."""
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns("journal.jsonl", "summary.json", "charges.jsonl", "report*")
    )
    log = RecordLog(target / "journal.jsonl")
    for record in read_records(source / "journal.jsonl"):
        if record["type"] == "stop" or record.get("final") or record.get("round", 0) > rounds:
            break
        log.append(record)
    log.close()
    lines = (source / "diagnostics.jsonl").read_text().splitlines(keepends=True)
    (target / "diagnostics.jsonl").write_text("".join(lines[: rounds + 1]))
    return target


def files(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_a_finished_run(finished_run) -> None:
    before = files(finished_run.path)
    text, summary = shown(finished_run.path), finished_run.summary
    assert f"{summary['name']}: finished" in text
    assert f"{summary['rounds']:,} of {summary['rounds']:,}" in text and "left\n" not in text.split("slots")[0]
    assert f"{100 * summary['accuracy']:.1f}" in text and f"chance {100 * summary['chance_floor']:.1f}" in text
    assert f"of {summary['epsilon_target']:g} spent" in text and "at most" not in text
    assert files(finished_run.path) == before


def test_a_growing_run(finished_run, tmp_path: Path) -> None:
    total = finished_run.summary["rounds"]
    run = cut(finished_run.path, tmp_path / "run", total // 2)
    text = shown(run)
    assert "running; last record" in text
    assert f"{total // 2} of {total}" in text and "rounds/s" in text and "left" in text
    assert "epsilon at most" in text
    bound = float(text.split("at most ")[1].split(" of")[0])
    assert bound <= finished_run.summary["epsilon_target"] + 0.01
    (run / "ledger").rename(run / "elsewhere")
    assert "what is spent stands in the devices' own ledgers" in " ".join(shown(run, 120).split())


def test_a_half_written_record_is_not_seen_yet(finished_run, tmp_path: Path) -> None:
    run = cut(finished_run.path, tmp_path / "run", 3)
    for name in ("journal.jsonl", "diagnostics.jsonl"):
        with (run / name).open("a") as file:
            file.write('1234abcd {"type":"round","ro')
    assert "3 of" in shown(run)


def test_a_run_that_has_only_begun(finished_run, tmp_path: Path) -> None:
    run = cut(finished_run.path, tmp_path / "run", 0)
    text = shown(run)
    assert "0 of" in text and "nothing received yet" in text and "no slot yet" in text
    shutil.copy(finished_run.path / "journal.jsonl", run / "all")
    (run / "journal.jsonl").write_bytes((run / "all").read_bytes().split(b"\n")[0] + b"\n")
    assert "getting ready for" in shown(run) and "not evaluated yet" in shown(run)


def test_a_silent_run_may_have_been_killed(finished_run, tmp_path: Path) -> None:
    run = cut(finished_run.path, tmp_path / "run", 3)
    os.utime(run / "journal.jsonl", (time.time() - 600,) * 2)
    assert "no record for 10 min" in shown(run, 300) and f"pairzero run --resume {run}" in shown(run, 300)


def test_faded_and_clipped_devices_and_temperatures_are_shown(finished_run, tmp_path: Path) -> None:
    run = cut(finished_run.path, tmp_path / "run", 4)
    lines = (run / "diagnostics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    devices = len(last["active"])
    last |= {"active": [False] + [True] * (devices - 1), "clipped": [0, 7] + [0] * (devices - 2)}
    last["temperature_c"] = [41.5] + [None] * (devices - 1)
    (run / "diagnostics.jsonl").write_text("\n".join([*lines[:-1], json.dumps(last), ""]))
    rows = [line.split() for line in shown(run).splitlines()]
    table = {row[0]: row for row in rows if row and row[0].isdigit()}
    assert table["0"][1] == "faded" and table["0"][-1] == "41.5"
    assert table["1"][1] == "clipped" and table["1"][-1] == "—"


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits(finished_run, width: int) -> None:
    assert max(len(line) for line in shown(finished_run.path, width).splitlines()) <= width


def test_the_command_prints_once_where_there_is_no_terminal(finished_run, pairzero: Callable) -> None:
    for words in (("--once",), ()):
        outcome = pairzero("watch", finished_run.path, *words)
        assert outcome.code == 0 and "finished" in outcome.out


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, pairzero: Callable) -> None:
    outcome = pairzero("watch", tmp_path)
    assert outcome.code == 2 and "not a run folder" in outcome.err


def test_spark() -> None:
    assert spark([0.0, 0.5, 1.0]) == "▁▅█"
    assert spark([0.7, 0.7]) == "▁▁" and spark([]) == "" and spark([float("nan"), 1.0]) == "▁"
    assert len(spark(range(100))) == 40


def test_a_lab_shows_how_its_devices_are_doing(finished_run, tmp_path: Path) -> None:
    run = cut(finished_run.path, tmp_path / "run", 3)
    devices = [{"name": "bench-1", "state": "joined"}, {"name": "bench-2", "state": "late"}, {"name": "", "state": ""}]
    (run / "devices.json").write_text(json.dumps(devices))
    lines = [json.loads(line) for line in (run / "diagnostics.jsonl").read_text().splitlines()]
    for line in lines[1:]:
        line["temperature_c"] = [41.25, None, 39.0]
    (run / "diagnostics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = shown(run, 120)
    rows = {row.split()[0]: row.split() for row in text.splitlines() if row.startswith(("bench-", "free"))}
    assert rows["bench-1"][1] == "joined" and rows["bench-1"][-1] == "41.2"
    assert rows["bench-2"][1] == "late" and rows["bench-2"][-1] == "—"
    assert "free" in rows and "now" in text and "temp C" in text
