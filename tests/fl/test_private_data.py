"""What holds when the examples are somebody's: one budget for them, and nothing unnoised about them in any file."""

from __future__ import annotations

from pathlib import Path

import pytest

from fl.diagnostics import read_diagnostics
from fl.run import execute
from fl.run_folder import create
from privacy.record_log import read_records
from radio.errors import BudgetError, InputError

PRIVATE = {"task.public": False, "learning.rounds": 2, "learning.devices": 2}


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    folder = tmp_path / "sst2"
    folder.mkdir()
    words = ["warm", "clever", "moving", "superb", "dull", "noisy", "tedious", "weak"]
    rows = [f"the {w} film number {i}\t{int(w in words[:4])}" for i in range(25) for w in words]
    for name in ("train", "dev"):
        (folder / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *rows]) + "\n")
    return folder


@pytest.fixture
def private(make_experiment, sentences: Path, tmp_path: Path):
    def make(**changes):
        named = {key.replace("__", "."): value for key, value in changes.items()}
        data = {"task.name": "sst2", "task.root": str(sentences), "privacy.ledger": str(tmp_path / "ledgers")}
        return make_experiment({**PRIVATE, **data, **named})

    return make


@pytest.mark.parametrize(
    "changed",
    [{"run__seed": 12}, {"learning__devices": 3}, {"task__examples_per_device": 40}, {"task__partition": "dirichlet"}],
)
def test_another_deal_of_the_same_examples_has_no_new_budget(private, tmp_path, changed):
    execute(create(tmp_path / "first", private()), quiet=True)
    with pytest.raises(BudgetError, match="more rounds of this run's kind"):
        execute(create(tmp_path / "second", private(**changed)), quiet=True)
    ledgers = list((tmp_path / "ledgers").glob("*.jsonl"))
    assert len(ledgers) == 1
    charges = [r for r in read_records(ledgers[0]) if r["kind"] == "charge"]
    assert len(charges) == 2  # one a slot, not one a device


def test_no_file_of_the_run_holds_an_unnoised_function_of_the_examples(private, tmp_path):
    from fl.session import experiment_task

    experiment = private()
    folder = create(tmp_path / "run", experiment)
    summary = execute(folder, quiet=True)
    assert summary["bow_accuracy"] is None and summary["first_order_accuracy"] is None
    task = experiment_task(experiment)
    for name in ("journal.jsonl", "summary.json", "statement.txt", "charges.jsonl", "report.html"):
        text = (folder.path / name).read_text()
        assert task.digest not in text and task.pool[:32] not in text
    assert summary["privacy"]["public_data"] is False


def test_yardsticks_without_privacy_are_refused_on_private_data(private, tmp_path):
    with pytest.raises(InputError, match=r"run\.first_order trains on the data without any privacy"):
        execute(create(tmp_path / "run", private(run__first_order=True)), quiet=True)


def test_a_ledger_inside_the_run_folder_is_refused(private, tmp_path):
    with pytest.raises(InputError, match="lies inside the run folder"):
        execute(create(tmp_path / "run", private(privacy__ledger=str(tmp_path / "run" / "ledger"))), quiet=True)


def test_reproducible_noise_on_private_data_leaves_its_mark_on_the_budget(private, tmp_path):
    summary = execute(create(tmp_path / "test", private(privacy__reproducible=True)), quiet=True)
    assert summary["privacy"]["guarantee"] == "void" and summary["privacy"]["public_data"] is False
    with pytest.raises(BudgetError):
        execute(create(tmp_path / "real", private()), quiet=True)


def test_sums_before_noise_are_in_no_file(private, tmp_path):
    summary = execute(create(tmp_path / "run", private(learning__perturbations=2)), quiet=True)
    assert summary["aggregate_nmse_db"] is None and (tmp_path / "run" / "report.html").is_file()
    lines = read_diagnostics(tmp_path / "run")
    assert lines and not any({"truth", "signal", "nonfinite"} & set(line) for line in lines)


def test_devices_dealt_out_anew_do_not_add_up(private, tmp_path):
    """A device of the first run is scattered over all those of the second, so the second says nothing of it."""
    device = {"privacy__unit": "device", "privacy__epsilon": 4.0}
    execute(create(tmp_path / "first", private(**device)), quiet=True)
    with pytest.raises(InputError, match=r"as dealt in .*run\.seed, learning\.devices, task"):
        execute(create(tmp_path / "second", private(**device, run__seed=12)), quiet=True)
    with pytest.raises(BudgetError):
        execute(create(tmp_path / "third", private(**device)), quiet=True)


@pytest.mark.parametrize("left", [0, 2])
def test_a_run_whose_ledger_was_lost_or_cut_short_does_not_go_on(private, tmp_path, monkeypatch, left):
    from fl import run as runs

    folder = create(tmp_path / "run", private(learning__rounds=4))
    write = runs.Diagnostics.write

    def crash(self, slot, *more):
        write(self, slot, *more)
        if slot.slot == 2:
            raise RuntimeError

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(runs.Diagnostics, "write", crash)
        execute(folder, quiet=True)
    (ledger,) = (tmp_path / "ledgers").glob("*.jsonl")
    whole = ledger.read_bytes()
    ledger.write_bytes(b"".join(whole.splitlines(keepends=True)[:left]))
    with pytest.raises(InputError, match=r"committed \d rounds, slot \d the first, that no ledger .* was charged for"):
        execute(folder, quiet=True)
    ledger.write_bytes(whole)
    assert execute(folder, quiet=True)["finished"]
