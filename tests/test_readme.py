"""Every command of README.md and hardware.md runs, in the order a reader would type them, made small where it would take long."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from fl import cli, first_order
from radio.pluto.permit import FULL_SCALE_DBM
from radio.station import load_station

ROOT = Path(__file__).parent.parent
SMALL = [
    part
    for setting in ("learning.rounds=3", "learning.batch=4", "task.test_examples=40", "task.examples_per_device=50")
    for part in ("--set", setting)
]
BY_CI = {"make demo", "make test"}  # .ci/run runs these two as they stand
ADDRESS = re.compile(
    r"ip:127\.[\d.]+|tcp://127\.0\.0\.1:\d+"
)  # of a unit of `pairzero emulate` without --port; of a server


def commands(page: str) -> list[str]:
    """Lines of the page's code blocks without a language that are commands of ours, comments cut off."""
    found: list[str] = []
    fence: str | None = None
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fence = line if fence is None else None
        elif fence == "```":
            found.append(line.split("#")[0].strip())
    return [line for line in found if line.startswith(("pairzero", "make", "python"))]


def sentences(folder: Path) -> None:
    """An SST-2 folder and a corpora folder of a few hand-made lines."""
    words = ["warm", "clever", "moving", "superb"], ["dull", "noisy", "tedious", "weak"]
    rows = [f"a {word} film , number {i}\t{1 - bad}" for i in range(40) for bad in (0, 1) for word in words[bad]]
    text = "\n".join(["sentence\tlabel", *rows]) + "\n"
    (folder / "sst2").mkdir()
    (folder / "corpora").mkdir()
    for name in ("train", "dev"):
        (folder / "sst2" / f"{name}.tsv").write_text(text)
    document = "It was a quiet evening. The film began late, and nobody minded! Was it good? It was.\n" * 30
    for corpus in ("imdb", "wikipedia", "books"):
        for split in ("train", "valid"):
            (folder / "corpora" / f"{corpus}.{split}.txt").write_text(f"{document}<|endoftext|>\n" * 4)


def shrink(command: str, folder: Path) -> list[str]:
    """The command's arguments with its data replaced by the hand-made folder and its work cut down."""
    for written, here in (("../shared/data/tasks", folder), ("../shared/data", folder), ("runs/demo", "runs/short")):
        command = command.replace(written, str(here))
    words = shlex.split(command)
    if words[1] == "run" and "--resume" not in words:
        extra = list(SMALL)
        if "examples/sst2.toml" in words:
            extra += ["--out", "runs/sst2"]
        return [*words, *extra]
    if words[1] == "server":
        return [*words, *SMALL, "--listen", "tcp://127.0.0.1:*"]
    if words[1] == "calibrate" and "--station" in words and "--steps" not in words:
        return [*words, "--steps", "receive_gain,channel,known_scalar"]
    if words[1] == "reproduce":
        return [*words[:3], "--quick"]
    if words[1] == "plan":
        return [*words, *SMALL]
    if words[1] == "sweep":
        return [*words, *SMALL, "--seeds", "1"]
    if words[1:3] == ["privacy", "plan"]:
        return [*words, "--set", "privacy.unit=device"]  # closed form: sampled rounds take seconds a point
    if words[1] == "pretrain":
        return [*words, "--tokens", "4096", "--width", "32", "--heads", "2", "--vocabulary", "400", "--sequence", "32"]
    if words[1:3] == ["radio", "tone"]:
        return [*words, "--seconds", "0.1"]
    return words


class Background:
    """Commands of the pages that end in `&`, on free ports: other tests on this machine have units and servers of their own."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._uris: dict[str, str] = {}
        self._runs: list[tuple[list[str], subprocess.Popen[str]]] = []  # which end by themselves

    def start(self, words: list[str], folder: Path) -> None:
        if words[1] == "emulate":
            return self._emulate(words)
        process = self._open(self.translate(words, folder))
        self._runs.append((words, process))
        if words[1] == "server":
            assert process.stdout is not None
            heard = next((line for line in process.stdout if "listening at " in line), "")
            assert heard, words
            self._uris["tcp://127.0.0.1:5755"] = heard.partition("listening at ")[2].split()[0]

    def finish(self) -> None:
        """The server and its devices come to their end."""
        for words, process in self._runs:
            printed, _ = process.communicate(timeout=120)
            assert process.returncode == 0, f"{words}: {printed}"

    def _open(self, words: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "fl.cli", *words[1:]],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._stack.enter_context(process)
        self._stack.callback(process.terminate)
        return process

    def _emulate(self, words: list[str]) -> None:
        """Returns once the units are ready. From now on the addresses that they have on the page stand for them."""
        served = self._open([*words, "--host", "127.0.0.1", "--port", "0"])
        assert served.stdout is not None
        heard = list(iter(served.stdout.readline, "ready\n")) if served.poll() is None else []
        assert served.poll() is None, f"{words}: {heard}"
        network, _, first = (words[words.index("--host") + 1] if "--host" in words else "127.0.0.2").rpartition(".")
        self._uris |= {f"ip:{network}.{int(first) + k}": line.split()[0] for k, line in enumerate(heard)}

    def translate(self, words: list[str], folder: Path) -> list[str]:
        """The words with the units' addresses in place of the page's, also in the station file that they name."""
        made: list[str] = []
        for before, word in zip(["", *words], words, strict=False):
            if before == "--local":
                made[-1:] = [part for k in range(int(word)) for part in ("--uri", f"ip:127.0.0.{2 + k}")]
            elif before == "--station":
                copy = folder / f"on-free-ports-{Path(word).name}"
                copy.write_text(self._here(Path(word).read_text(encoding="utf-8")), encoding="utf-8")
                made.append(str(copy))
            else:
                made.append(word)
        return [self._here(word) if ADDRESS.fullmatch(word) else word for word in made]

    def _here(self, text: str) -> str:
        return ADDRESS.sub(lambda found: self._uris[found[0]], text)


@pytest.fixture
def background() -> Iterator[Background]:
    with ExitStack() as stack:
        yield Background(stack)


def test_every_command_of_the_pages_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], background: Background
) -> None:
    found = commands("README.md") + commands("hardware.md")
    assert set(found) >= BY_CI
    ours = [c for c in found if c not in BY_CI]
    assert len(ours) >= 6 and all(c.startswith("pairzero ") for c in ours)
    sentences(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setattr(
        first_order, "first_order_accuracy", partial(first_order.first_order_accuracy, steps=2, batch=8)
    )
    for command in ours:
        if command.endswith("&"):
            background.start(shrink(command.rstrip(" &"), tmp_path), tmp_path)
            continue
        monkeypatch.setattr(sys, "argv", background.translate(shrink(command, tmp_path), tmp_path))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert ended.value.code in (0, None), f"{command}: exit {ended.value.code}\n{shown.out}\n{shown.err}"
    background.finish()
    exported = tmp_path / "exported" / "short"
    assert (exported / "config.json").is_file() and (exported / "model.safetensors").is_file()
    assert (tmp_path / "runs" / "short" / "report.html").is_file()
    assert (tmp_path / "runs" / "pretrained" / "model.safetensors").is_file()


def test_the_link_budget_of_the_page_is_that_of_the_station_file() -> None:
    page = (ROOT / "hardware.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| *(\d*) *\| ([-+]\d+) \|$", page, re.MULTILINE)
    level = {name: int(after) for name, _, after in rows}
    station = load_station(ROOT / "examples" / "stations" / "bench.toml")
    assert rows[0][::2] == ("full-scale tone, transmit gain 0 dB", f"{FULL_SCALE_DBM:+g}")
    for (_, _, before), (name, loss, after) in pairwise(rows):
        assert int(before) - int(loss) == int(after), name
    assert all(station.eirp_dbm(device) == level["attenuator"] for device in station.device)


def texts() -> set[str]:
    """Every literal text of the program, split at what it fills in."""
    found: set[str] = set()
    for folder in ("radio", "fl", "privacy", "calibration"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def test_the_messages_of_the_troubleshooting_table_are_the_programs_own() -> None:
    page = (ROOT / "hardware.md").read_text(encoding="utf-8")
    section = page.partition("\n## Troubleshooting\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if " | " in line]
    quoted = [message for row in rows for message in re.findall(r"`([^`]+)`", row[1])]
    assert len(quoted) >= 25
    known = texts()
    for message in quoted:
        for part in message.split("…"):
            assert any(part.strip() in text for text in known), f"nothing prints {part.strip()!r} ({message})"


def test_no_placeholder_is_left_on_a_page() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "hardware.md", "docs/results.md", "fl/embedded/README.md"):
        assert not re.search(r"@[A-Z0-9]+@|TESTTIME", (ROOT / page).read_text(encoding="utf-8")), page


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "hardware.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (ROOT / target).exists(), f"{page} links to {target}"
