"""The page of a report, made from whole run folders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fl.reporting import air_figures
from fl.reporting.facts import privacy_state
from fl.reporting.page import write_report
from fl.reporting.run_files import evaluations, read_run
from radio.errors import InputError

MakeRun = Callable[..., Path]


class Page(HTMLParser):
    """Text, ids and references of a page, and whether its tags nest."""

    VOID = frozenset({"meta", "br", "link", "img", "hr", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.ids: list[str | None] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for key, value in attrs if key == "id"]
        self.references += [
            value or ""
            for key, value in attrs
            if key in ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data.replace("\u00a0", " ")


def read(run: Path) -> tuple[str, Page]:
    html = write_report(run).read_text(encoding="utf-8")
    return html, Page(html)


FIGURES = {
    "ladder",
    "accuracy",
    "loss",
    "sums",
    "error",
    "snr",
    "participation",
    "power",
    "epsilon",
    "uplink",
    "memory",
}


def shown(page: Page) -> set[str]:
    return {name.removeprefix("figure-") for name in page.ids if name and name.startswith("figure-")}


def test_finished_run_has_everything(tmp_path: Path, make_run: MakeRun, notice: str) -> None:
    run = make_run(tmp_path / "run", devices=12, rounds=12)
    summary = json.loads((run / "summary.json").read_text())
    html, page = read(run)
    assert shown(page) == FIGURES
    for expected in (
        f"{100 * summary['accuracy']:.1f} %",
        "\u03b5 = 6.32",
        "\u03b4 = 1e-05",
        "3 min 12 s",
        "812 MiB",
        "50.0 %",
        "86.8 %",
        "2,000 examples, 1 seed",
        f"{summary['aggregate_nmse_db']:.1f} dB".replace("-", "\u2212"),
        "cd" * 32,
        "0123456789abcdef",
        "2.13.0",
        notice,
    ):
        assert expected in page.text
    for key, value in summary.items():  # every figure once as the file has it
        if not isinstance(value, dict):
            assert (value if isinstance(value, str) else json.dumps(value)) in page.text, key
    assert "thrown away. x < y & z." in page.text and "x < y & z." not in html  # escaped
    assert "unfinished" not in page.text and "Privacy was off" not in page.text and "void" not in page.text
    assert page.text.count("Simulation truths were used") == 2
    # Nothing comes from outside, and nothing of this machine is in it.
    assert all(reference.startswith(("#", "data:image/png;base64,")) for reference in page.references)
    assert not re.search(r"url\((?!#)|@import|<script|<link", html) and str(tmp_path) not in html
    assert len(page.ids) == len(set(page.ids))
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)


def test_report_is_a_function_of_the_folder_and_leaves_no_part(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", rounds=0, privacy=False)
    before = {path.name for path in run.iterdir()}
    assert read(run)[0] == read(run)[0]
    assert {path.name for path in run.iterdir()} == before | {"report.html"}


@pytest.mark.parametrize("summary", [True, False])
def test_interrupted_run(tmp_path: Path, make_run: MakeRun, summary: bool) -> None:
    run = make_run(tmp_path / "run", finished=False, rounds=10, summary=summary)
    _, page = read(run)
    assert "This run is unfinished: 10 of 20 rounds were committed" in page.text
    last = evaluations(read_run(run))
    assert f"{100 * last.accuracy[-1]:.1f} %" in page.text
    assert shown(page) == (FIGURES if summary else FIGURES - {"epsilon"})
    assert ("stopped: interrupted" in page.text) == summary


def test_privacy_off_is_a_red_banner(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", privacy=False, rounds=0)
    html, page = read(run)
    assert "Privacy was off." in page.text and 'class="banner red"' in html and "epsilon" not in shown(page)
    assert "carried no privacy noise" in page.text and "\u03b5 =" not in page.text


def test_reproducible_secrets_void_the_guarantee(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", rounds=1, reproducible=True)
    assert privacy_state(read_run(run)) == "void"
    html, page = read(run)
    assert (
        "The privacy guarantee is void." in page.text
        and 'class="banner red"' in html
        and "is protected with \u03b5 = 6.32" not in page.text
    )


def test_before_the_first_round(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path / "run", finished=False, rounds=0, summary=False)
    _, page = read(run)
    assert "0 of 0 rounds" not in page.text and "No evaluation has been recorded yet." in page.text
    (run / "journal.jsonl").unlink()
    (run / "diagnostics.jsonl").unlink()
    assert write_report(run).is_file()


UNUSUAL = [
    {"devices": 1, "rounds": 1},
    {"devices": 100, "rounds": 6, "perturbations": 2, "evaluate_every": 1000},
]


@pytest.mark.parametrize("options", UNUSUAL, ids=str)
def test_unusual_runs(tmp_path: Path, make_run: MakeRun, options: dict[str, Any]) -> None:
    run = make_run(tmp_path / "run", privacy=False, **options)
    _, page = read(run)
    assert shown(page) == FIGURES - {"epsilon"}
    assert not re.search(
        r"\bnan\b|\binf\b|None|undefined", re.sub(r"(?s)summary\.json, value by value.*", "", page.text)
    )


@pytest.mark.parametrize(
    ("mode", "sent", "rows", "pilots"),
    [
        ("tdma", "sent one after another, and the receiver added", "devices sending one after another", True),
        ("vote", "voted at the same time, and the receiver measured the majority", "at the same time", False),
        ("energy", "sent at the same time, and the receiver measured their sum", "at the same time", True),
        ("a mode of another version", "sent at the same time", "at the same time", True),
    ],
)
def test_the_mode_says_how_numbers_travel(
    tmp_path: Path, make_run: MakeRun, mode: str, sent: str, rows: str, pilots: bool
) -> None:
    run = make_run(tmp_path / "run", privacy=False, rounds=2)
    with (run / "experiment.toml").open("a") as file:
        file.write(f'\n[radio]\nmode = "{mode}"\n')
    _, page = read(run)
    assert sent in page.text and rows in page.text
    assert ("none are sent in this mode" in page.text) != pilots


def test_ideal_air_is_said_in_words(tmp_path: Path, make_run: MakeRun) -> None:
    air = read_run(make_run(tmp_path / "run", privacy=False, ideal=True, rounds=6)).air
    assert "The SNR is infinite" in air_figures.snr(air).svg
    assert "equal the true sums exactly" in air_figures.error(air).svg


def test_long_runs_stay_small(tmp_path: Path, make_run: MakeRun) -> None:
    """4,000 scalars and 200 evaluations: the page must not grow with the run."""
    run = make_run(tmp_path / "run", privacy=False, devices=9, rounds=200, perturbations=20, evaluate_every=1)
    assert write_report(run).stat().st_size < 1_000_000


def test_what_is_not_a_run_is_said(tmp_path: Path, make_run: MakeRun) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        write_report(tmp_path)
    run = make_run(tmp_path / "run", rounds=1)
    (run / "summary.json").write_text("{")
    with pytest.raises(InputError, match=r"summary\.json"):
        write_report(run)
    assert not (run / "report.html").exists()
