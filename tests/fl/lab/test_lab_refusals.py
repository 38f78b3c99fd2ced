"""Who may not take part, or not any more: another model, a spent budget, an owner's limits; each in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bench.lab import Lab
from fl.config import Experiment
from fl.guarantee import guarantee_of
from fl.tasks.registry import load_own
from privacy.identity import keyed_digest
from privacy.ledger import Budget, Ledger, Owner
from privacy.record_log import read_records
from tests.fl.lab.test_lab_crashes import summary_of
from tests.fl.lab.test_lab_runs import write

Make = Callable[..., Experiment]


def test_another_model_is_refused_naming_both(lab: Lab, make_experiment: Make, tiny_model: Path) -> None:
    other = lab.folder / "other"
    shutil.copytree(tiny_model, other)
    weights = load_file(other / "model.safetensors")
    name = sorted(weights)[0]
    weights[name] = np.nextafter(weights[name], np.float32(np.inf))
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    server = lab.server(write(lab, make_experiment({"learning.rounds": 2})), "--out", lab.run, "--wait", "5")
    odd = lab.device(2, "--model", other)
    assert odd.wait() == 2
    text = " ".join(odd.printed.split())
    assert "the model of device-2 is " in text
    theirs, ours = (text.partition(mark)[2].split()[0].strip(",") for mark in ("device-2 is ", "the server's is "))
    other_one = lab.device(0)  # the run goes on without the odd one
    assert server.wait() == 0, server.printed
    assert other_one.wait() == 0
    assert ours == summary_of(lab.run)["model_digest"] != theirs


def test_who_has_spent_its_budget_follows(lab: Lab, make_experiment: Make) -> None:
    """The owner of device-1 has spent most of the budget on another run: what is left is enough for a few rounds."""
    experiment = make_experiment({"learning.rounds": 6, "radio.mode": "ideal"})
    guarantee = guarantee_of(experiment)
    assert guarantee is not None
    data, folder = lab.folder / "own.tsv", lab.folder / "ledgers"
    rows = [("a fine film", 1), ("a poor film", 0)] * 25
    data.write_text("sentence\tlabel\n" + "".join(f"{text} {k}\t{label}\n" for k, (text, label) in enumerate(rows)))
    name = keyed_digest(folder, load_own("sst2", data, False).pool)
    with Ledger(
        folder / f"{name[:32]}.jsonl",
        Owner("device-1", name),
        Budget(experiment.privacy.epsilon, guarantee.delta),
        unit=guarantee.unit,
        threat=str(guarantee.threat),
    ) as ledger:
        spare = ledger.remaining(guarantee.charge, 100)
        for slot in range(spare - 2):
            ledger.charge("another run", slot, guarantee.charge)
    server = lab.server(write(lab, experiment), "--out", lab.run)
    devices = [lab.device(0), lab.device(1, "--data", data, "--ledger", folder), lab.device(2)]
    assert server.wait() == 0, server.printed
    assert [device.wait() for device in devices] == [0, 0, 0], devices[1].printed
    assert "the privacy budget of device-1 is spent" in server.printed
    rounds = [r for r in read_records(lab.run / "journal.jsonl") if r["type"] == "round"]
    assert [r["active"] for r in rounds] == [3, 3, 2, 2, 2, 2]
    digest = summary_of(lab.run)["params_digest"]
    assert f"digest of the weights {digest}" in devices[1].printed


def test_an_owner_is_not_talked_out_of_limits(lab: Lab, make_experiment: Make) -> None:
    lab.server(write(lab, make_experiment()), "--out", lab.run)
    data = lab.folder / "own.tsv"
    data.write_text("sentence\tlabel\na fine film\t1\na poor film\t0\n")
    for words, said in (
        (("--epsilon", "0.1"), "privacy.epsilon = 0.5, but --epsilon 0.1"),
        (("--clip", "1"), "privacy.clip = 10, but --clip 1"),
        (("--noise", "1000"), "noise multiplier is"),
    ):
        refused = lab.device(0, "--data", data, *words)
        assert refused.wait() == 2
        assert said in " ".join(refused.printed.split())
    assert lab.ledgers() == {}


@pytest.mark.parametrize("key, value", [("radio.check_every", 3), ("run.record_every", 2), ("learning.local_steps", 2)])
def test_what_only_one_process_does_is_refused(lab: Lab, make_experiment: Make, key: str, value: int) -> None:
    server = lab("server", write(lab, make_experiment({key: value})), "--out", lab.run, "--listen", "tcp://127.0.0.1:*")
    assert server.wait() == 2
    assert f"{key} = {value} is for runs in one process" in " ".join(server.printed.split())
