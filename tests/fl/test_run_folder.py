"""The run folder: there at once, before heavy imports; never made over something else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fl.config import Experiment
from fl.journal import Journal, read_history
from fl.run_folder import LIBRARIES, create, is_run, open_run, write_atomic, write_json
from radio.errors import InputError

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_new_folder_has_settings_versions_seeds_and_a_journal(tmp_path):
    experiment = Experiment()
    folder = create(tmp_path / "deep" / "run", experiment)
    assert is_run(folder.path)
    assert folder.summary is None
    assert tomllib.loads((folder.path / "experiment.toml").read_text())["learning"]["rounds"] == 150
    versions = json.loads((folder.path / "versions.json").read_text())
    assert versions["python"] == sys.version.split()[0]
    assert set(LIBRARIES) < set(versions)
    assert versions["torch"]
    assert versions["cores"] == os.cpu_count()
    assert json.loads((folder.path / "seeds.json").read_text())["experiment"] == 1
    assert "NOT PRIVATE" in json.loads((folder.path / "diagnostics.jsonl").read_text())["notice"]
    header = read_history(folder.path).header
    assert header["experiment"] == experiment.digest()
    assert open_run(folder.path).experiment == experiment


def test_run_ids_are_unique(tmp_path):
    ids = {read_history(create(tmp_path / str(i), Experiment()).path).header["run_id"] for i in range(5)}
    assert len(ids) == 5


def test_the_folder_is_there_before_torch_is_imported(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nimport fl.cli\nimport fl.shipped\n"
        "from fl import run_folder\nfrom fl.config import load\nfrom fl.requirement import parse\n"
        f"folder = run_folder.create(Path({str(tmp_path / 'run')!r}), load(fl.shipped.default_experiment()))\n"
        "heavy = {'torch', 'transformers', 'scipy', 'sklearn', 'numba', 'dp_accounting', 'matplotlib'}\n"
        "print(folder.path.is_dir(), sorted(heavy & set(sys.modules)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "True []"


def test_a_foreign_folder_is_never_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    for fresh in (False, True):
        with pytest.raises(InputError, match="not empty and not a run folder"):
            create(tmp_path, Experiment(), fresh)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_file_in_the_way_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot create the run folder"):
        create(tmp_path / "file", Experiment())


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "run").mkdir()
    assert is_run(create(tmp_path / "run", Experiment()).path)


def test_an_existing_run_is_replaced_only_when_asked(tmp_path):
    create(tmp_path, Experiment())
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"--resume .*--fresh"):
        create(tmp_path, Experiment())
    assert contents(tmp_path) == before
    create(tmp_path, Experiment(), fresh=True)
    assert contents(tmp_path)["journal.jsonl"] != before["journal.jsonl"]


def test_a_run_in_progress_is_not_replaced(tmp_path):
    create(tmp_path, Experiment())
    before = contents(tmp_path)
    journal = Journal(tmp_path)
    with pytest.raises(InputError, match="in use by another process"):
        create(tmp_path, Experiment(), fresh=True)
    journal.close()
    assert contents(tmp_path) == before


def test_a_run_keeps_its_settings(tmp_path):
    create(tmp_path, Experiment())
    path = tmp_path / "experiment.toml"
    path.write_text(path.read_text().replace("rounds = 150", "rounds = 151"))
    with pytest.raises(InputError, match="not the experiment this run was started with"):
        open_run(tmp_path)


def test_no_run_no_opening(tmp_path):
    with pytest.raises(InputError, match="is not a run folder"):
        open_run(tmp_path)


def test_files_are_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ValueError):
        write_json(path, {"x": float("nan")})
    assert json.loads(path.read_text()) == {"x": 1}
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_atomic(tmp_path / "b", "text over a folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b"]


def test_a_run_in_progress_is_not_removed_by_a_second_process(make_experiment, tmp_path):
    from fl.journal import Journal
    from fl.run_folder import create, discard_unstarted, is_run

    folder = create(tmp_path / "run", make_experiment())
    first = Journal(folder.path)
    try:
        with pytest.raises(InputError, match="in use by another process"):
            discard_unstarted(folder)
        assert is_run(folder.path)
    finally:
        first.close()
    discard_unstarted(folder)
    assert not folder.path.exists()


def test_a_folder_that_a_kill_left_half_made_is_made_anew(make_experiment, tmp_path):
    from fl.run_folder import create, is_run

    half = tmp_path / "run"
    half.mkdir()
    (half / "experiment.toml").write_text("[mod")
    assert is_run(create(half, make_experiment()).path)


def test_a_damaged_summary_counts_as_none(make_experiment, tmp_path):
    from fl.run_folder import create

    folder = create(tmp_path / "run", make_experiment())
    (folder.path / "summary.json").write_text("{")
    assert folder.summary is None
