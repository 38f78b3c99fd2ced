"""Event files say what the journal and the diagnostics say."""

from __future__ import annotations

import math
import sys

import pytest

from fl.diagnostics import read_diagnostics
from fl.journal import Journal, read_history
from fl.run import execute
from fl.run_folder import create
from radio.errors import InputError


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_events_say_what_the_run_folder_says(make_experiment, tmp_path):
    folder = create(tmp_path / "run", make_experiment({"run.tensorboard": True}))
    summary = execute(folder, quiet=True)
    seen, lines = read(folder.path), [line for line in read_diagnostics(folder.path) if not line["erased"]]
    evaluations = read_history(folder.path).evaluations
    assert [step for step, _ in seen["held-out/loss"]] == [e["round"] for e in evaluations]
    for tag, key in (("held-out/loss", "loss"), ("held-out/accuracy", "accuracy")):
        assert [value for _, value in seen[tag]] == pytest.approx([e[key] for e in evaluations], rel=1e-6)
    assert seen["privacy/epsilon"][-1] == (summary["rounds"], pytest.approx(summary["epsilon"], rel=1e-6))
    assert [step for step, _ in seen["air/full-scale SNR dB"]] == [line["round"] for line in lines]
    assert [v for _, v in seen["air/full-scale SNR dB"]] == pytest.approx([line["snr_db"][0] for line in lines])
    assert [v for _, v in seen["air/devices"]] == [sum(line["active"]) for line in lines]
    assert [v for _, v in seen["air/samples clipped"]] == [sum(line["clipped"]) for line in lines]
    errors = [math.dist(line["received"], line["truth"]) for line in lines]
    assert [v for _, v in seen["air/error of the sum"]] == pytest.approx(errors, rel=1e-5)


def test_without_the_extra_it_says_what_to_install(make_experiment, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    folder = create(tmp_path / "run", make_experiment({"run.tensorboard": True}))
    with pytest.raises(InputError, match=r"pip install 'pairzero\[tensorboard\]'"):
        execute(folder, quiet=True)
    Journal(folder.path).close()  # nobody holds it any more
