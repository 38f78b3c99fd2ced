"""The command line: exit codes, and one clear message naming file, key, value and what is allowed."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from fl.models import load_model
from fl.run_folder import create


@pytest.fixture
def experiment(make_experiment, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(make_experiment().to_toml())
    return path


def one_message(outcome, code: int, *parts: str) -> None:
    """Exit code and a message of ours on stderr, never a traceback."""
    assert outcome.code == code, outcome.err
    assert len(re.findall("^pairzero: ", outcome.err, re.MULTILINE)) == 1
    assert "Traceback" not in outcome.err + outcome.out
    for part in parts:
        assert part in outcome.err


@pytest.mark.parametrize(
    "words, parts",
    [
        (["nowhere.toml"], ["nowhere.toml not found"]),
        (["E", "--set", "learning.round=5"], ["--set: unknown key learning.round; did you mean learning.rounds?"]),
        (["E", "--set", "lerning.rounds=5"], ["--set", "unknown section lerning; did you mean learning?"]),
        (["E", "--set", "learning.rounds=few"], ["--set: learning.rounds = 'few'", "integer"]),
        (["E", "--set", "learning.rounds=0"], ["--set: learning.rounds = 0", "greater than or equal to 1"]),
        (["E", "--set", "radio.fading=heavy"], ["radio.fading = 'heavy'", "'rayleigh', 'rician' or 'static'"]),
        (["E", "--set", "rounds"], ["--set rounds: expected section.key=value"]),
        (["E", "--require", "accuracy=high"], ["--require 'accuracy=high'", "KEY>=NUMBER", ">= <= > <"]),
        (["E", "--resume", "a", "--out", "b"], ["leave out --out"]),
        (["E", "--set", "task.name=sst2", "--set", "task.root=/nowhere"], ["/nowhere"]),
        (["E", "--set", "task.root=/nowhere"], ["task.root", "reviews"]),
        (["E", "--set", "model.source=./nothing"], ["model.source = './nothing'", "no such folder"]),
        (["E", "--set", "learning.parameters=['*lora*']"], ["learning.parameters", "'*lora*'"]),
    ],
)
def test_what_is_wrong_is_said_in_one_message_with_exit_code_2(pairzero, experiment, words, parts):
    one_message(pairzero("run", *[str(experiment) if w == "E" else w for w in words]), 2, *parts)


def test_errors_in_a_file_name_the_file(pairzero, tmp_path):
    (tmp_path / "bad.toml").write_text('[learning]\nmu = "tiny"\n')
    one_message(pairzero("run", "bad.toml"), 2, "bad.toml: learning.mu = 'tiny'", "number")


def test_nothing_is_left_behind_by_a_bad_command(pairzero, experiment, tmp_path):
    before = sorted(tmp_path.iterdir())
    for words in (["--set", "learning.rounds=0"], ["--require", "x"]):
        assert pairzero("run", experiment, *words).code == 2
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_of_something_else_is_refused(pairzero, experiment, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "photo.jpg").write_text("x")
    for words in ([], ["--fresh"]):
        one_message(
            pairzero("run", experiment, "--out", "out", *words), 2, "--out out is not empty and not a run folder"
        )


def test_an_existing_run_is_not_overwritten(pairzero, experiment, make_experiment, tmp_path):
    create(tmp_path / "out", make_experiment())
    one_message(pairzero("run", experiment, "--out", "out"), 2, "already holds a run", "--resume out", "--fresh")


def test_a_run_with_a_requirement_prints_its_result_and_decides_the_exit_code(pairzero, experiment, tmp_path):
    words = ["run", experiment, "--set", "learning.rounds=2", "--set", "run.name=short"]
    done = pairzero(*words, "--require", "accuracy>=0", "--require", "rounds>=2")
    assert done.code == 0, done.err
    for part in ("run folder runs/short", "chance floor 50.0%", "95 % interval", "zero-shot", "bag of words", "epsilon",
                 "rounds/s", "report: runs/short/report.html", "privacy statement: runs/short/statement.txt"):  # fmt: skip
        assert part in done.out, part
    assert (tmp_path / "runs" / "short" / "report.html").is_file()
    # the name is taken now: the next run is numbered; its requirement is not met, and its results are written all the same
    unmet = pairzero(*words, "--require", "accuracy>=1.01")
    one_message(unmet, 4, "requirement not met: accuracy = ", "required >= 1.01")
    assert json.loads((tmp_path / "runs" / "short-2" / "summary.json").read_text())["finished"]


def test_resuming_a_finished_run_prints_its_summary(pairzero, finished_run):
    before = {p: p.read_bytes() for p in finished_run.path.rglob("*") if p.is_file()}
    done = pairzero("run", "--resume", finished_run.path)
    assert done.code == 0, done.err
    assert "this run is finished" in done.out
    assert f"accuracy {finished_run.summary['accuracy']:.1%}" in done.out
    assert {p: p.read_bytes() for p in finished_run.path.rglob("*") if p.is_file()} == before
    one_message(pairzero("run", "--resume", finished_run.path, "--require", "accuracy>1"), 4, "not met")


def test_resuming_keeps_the_settings(pairzero, finished_run, experiment):
    one_message(pairzero("run", "--resume", finished_run.path, "--set", "learning.rounds=9"), 2, "keeps the experiment")


def test_resuming_nothing_starts(pairzero, experiment, tmp_path):
    words = ["--set", "learning.rounds=1", "--set", "privacy.enabled=false", "--set", "radio.mode=ideal", "--quiet"]
    done = pairzero("run", experiment, "--resume", "new", *words)
    assert done.code == 0, done.err
    assert "privacy is OFF" in done.out
    assert json.loads((tmp_path / "new" / "summary.json").read_text())["rounds"] == 1


def accuracy(text: str) -> str:
    (found,) = re.findall(r"accuracy ([\d.]+%)", text)
    return found


def test_the_exported_model_scores_what_the_run_scored(pairzero, finished_run, tmp_path):
    done = pairzero("export", finished_run.path, "model")
    assert done.code == 0, done.err
    exported = load_model(str(tmp_path / "model"))
    from fl.weights import digest

    assert digest(exported.arrays) == finished_run.summary["params_digest"]
    by_run = pairzero("evaluate", finished_run.path)
    assert by_run.code == 0, by_run.err
    assert accuracy(by_run.out) == f"{finished_run.summary['accuracy']:.1%}"
    assert "chance floor 50.0%" in by_run.out
    assert "40 examples" in by_run.out
    by_model = pairzero("evaluate", "model", "--task", "reviews", "--seed", 11)
    assert by_model.code == 0, by_model.err
    assert "2000 examples" in by_model.out
    assert "chance floor 50.0%" in by_model.out
    # on the run's own examples the two agree exactly
    from fl.export import replay_run
    from fl.likelihood import OptionLikelihood
    from fl.tasks.registry import load_task

    task = load_task("reviews", seed=11, devices=1)
    likelihood = OptionLikelihood(exported, task.options, 8)
    examples = [likelihood.encode(task.prompt(e), e.label) for e in task.test[:40]]
    assert likelihood.evaluate(examples).accuracy == finished_run.summary["accuracy"]
    assert replay_run(finished_run.path).digest() == finished_run.summary["params_digest"]
    one_message(pairzero("export", finished_run.path, "model"), 2, "not an empty folder")


def test_commands_on_what_is_no_run_say_so(pairzero, tmp_path):
    (tmp_path / "empty").mkdir()
    for command in (["report", "empty"], ["export", "empty", "out"]):
        one_message(pairzero(*command), 2, "empty")
    one_message(pairzero("evaluate", "empty"), 2, "--task")
    one_message(pairzero("evaluate", "empty", "--task", "reviews"), 2, "empty")
    one_message(
        pairzero("evaluate", "embedded", "--task", "imdb"), 2, "'imdb'", "reviews, squad, boolq, cb, rte, sst2, wic"
    )


def test_a_run_that_never_began_cannot_be_exported(pairzero, make_experiment, tmp_path):
    create(tmp_path / "run", make_experiment())
    one_message(pairzero("export", "run", "out"), 2, "nothing to replay", "--resume run")


def test_the_report_is_written_again(pairzero, finished_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished_run.path, copy)
    (copy / "report.html").unlink()
    done = pairzero("report", "copy")
    assert done.code == 0, done.err
    assert done.out.split() == ["report:", "copy/report.html"]
    page = (copy / "report.html").read_text()
    assert f"{100 * finished_run.summary['accuracy']:.1f}" in page


def test_help_names_every_command(pairzero):
    done = pairzero("--help")
    assert done.code == 0
    for command in ("run", "export", "evaluate", "report", "pretrain"):
        assert command in done.out


def test_a_wrong_option_is_a_user_error(pairzero):
    assert pairzero("run", "--speed", "9").code == 2
    assert pairzero("walk").code == 2
