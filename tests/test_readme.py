"""Every command of README.md and hardware.md runs, in the order a reader would type them, made small where it would take long."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fl import cli

ROOT = Path(__file__).parent.parent
SMALL = ["--set", "learning.rounds=3", "--set", "task.test_examples=40", "--set", "task.examples_per_device=50"]
BY_CI = {"make demo", "make test"}  # .ci/run runs these two as they stand


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
    if words[1] == "pretrain":
        return [*words, "--tokens", "4096", "--width", "32", "--heads", "2", "--vocabulary", "400", "--sequence", "32"]
    return words


@pytest.fixture
def background() -> Iterator[Callable[[list[str]], None]]:
    """Starts a command that serves until it is interrupted, and waits until it says that it is ready."""
    with ExitStack() as stack:

        def start(arguments: list[str]) -> None:
            command = [sys.executable, "-m", "fl.cli", *arguments]
            served = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
            stack.enter_context(served)
            stack.callback(served.terminate)
            assert served.stdout is not None
            heard = list(iter(served.stdout.readline, "ready\n")) if served.poll() is None else []
            assert served.poll() is None, f"{arguments}: {heard}"

        yield start


def test_every_command_of_the_pages_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, background: Callable[[list[str]], None]
) -> None:
    found = commands("README.md") + commands("hardware.md")
    assert set(found) >= BY_CI
    ours = [c for c in found if c not in BY_CI]
    assert len(ours) >= 6 and all(c.startswith("pairzero ") for c in ours)
    sentences(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for command in ours:
        if command.endswith("&"):
            background(shlex.split(command)[1:-1])
            continue
        monkeypatch.setattr(sys, "argv", shrink(command, tmp_path))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        shown = capsys.readouterr()
        assert ended.value.code in (0, None), f"{command}: exit {ended.value.code}\n{shown.out}\n{shown.err}"
    exported = tmp_path / "exported" / "short"
    assert (exported / "config.json").is_file() and (exported / "model.safetensors").is_file()
    assert (tmp_path / "runs" / "short" / "report.html").is_file()
    assert (tmp_path / "runs" / "pretrained" / "model.safetensors").is_file()


def test_no_placeholder_is_left_on_a_page() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "hardware.md", "docs/results.md", "fl/embedded/README.md"):
        assert not re.search(r"@[A-Z0-9]+@|TESTTIME", (ROOT / page).read_text(encoding="utf-8")), page


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in ("README.md", "CONTRIBUTING.md", "hardware.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (ROOT / target).exists(), f"{page} links to {target}"
