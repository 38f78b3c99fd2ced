"""Runs under every threat and unit, through the command line: what the devices send, what is charged, what is told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fl.config import load
from fl.diagnostics import read_diagnostics
from fl.guarantee import guarantee_of
from fl.journal import NAME
from fl.privacy_facts import facts_in
from fl.run import execute
from fl.run_folder import create
from privacy.record_log import encode, read_records
from privacy.statement import statement, statement_dict

QUICK = {
    "learning.rounds": 4, "task.test_examples": 10, "run.evaluate_examples": 10, "learning.parameters": ["*norm*"],
    "radio.snr_db": 40.0, "privacy.epsilon": 4.0,
}  # fmt: skip
RUNS = {
    "own-noise": {},
    "aggregate": {"privacy.threat": "aggregate", "privacy.dropouts": 1, "privacy.csi_margin_db": 0.5},
    "trusted-receiver": {"privacy.threat": "trusted-receiver", "privacy.assume_perfect_csi": True},
    "device": {"privacy.unit": "device"},
}


@pytest.fixture(scope="module")
def runs(make_experiment, tmp_path_factory):
    """Name -> folder of a finished run."""
    made = {}

    def of(name):
        if name not in made:
            folder = create(tmp_path_factory.mktemp(name) / "run", make_experiment({**QUICK, **RUNS[name]}))
            execute(folder, quiet=True)
            made[name] = folder.path
        return made[name]

    return of


def slots(run) -> list[dict]:
    return [r for r in read_records(run / NAME) if r["type"] in ("round", "erased")]


def figures(run) -> dict[str, dict]:
    return {threat["name"]: threat for threat in statement_dict(facts_in(run))["threats"]}


def sent(run) -> list[np.ndarray]:
    """What the devices sent less what they measured, summed over the active ones: the noise that arrived."""
    return [np.array(line["truth"]) - np.array(line["signal"]) for line in read_diagnostics(run) if not line["erased"]]


@pytest.mark.parametrize("name", RUNS)
def test_every_threat_and_unit_runs_and_tells_what_it_enforced(runs, name):
    summary = json.loads((runs(name) / "summary.json").read_text())
    assert summary["finished"] and summary["rounds"] == 4
    assert 0 < summary["epsilon"] <= summary["epsilon_target"] == 4.0
    told = summary["privacy"]
    threat = name if name != "device" else "own-noise"
    assert (told["threat"], told["unit"]) == (threat, "device" if name == "device" else "example")
    found = {t["name"]: t for t in told["threats"]}
    assert [t for t in found if found[t]["enforced"]] == [threat]
    assert found[threat]["epsilon"] == pytest.approx(summary["epsilon"], rel=1e-3)
    text = (runs(name) / "statement.txt").read_text()
    assert f"{threat} (ENFORCED)" in text
    page = (runs(name) / "report.html").read_text()
    assert all(t in page for t in ("own-noise", "aggregate", "trusted-receiver", "broadcast-only"))


def test_the_ledger_knows_unit_and_threat(runs):
    headers = {name: read_records(next((runs(name) / "ledger").glob("*.jsonl")))[0] for name in RUNS}
    assert {name: header["threat"] for name, header in headers.items()} == {
        "own-noise": "own-noise",
        "aggregate": "aggregate (C = 0, D = 1, CSI margin 0.5 dB)",
        "trusted-receiver": "trusted-receiver (C = 0, D = 0, CSI margin 0 dB)",
        "device": "own-noise",
    }
    assert headers["device"]["unit"].startswith("device") and headers["aggregate"]["unit"].startswith("example")


def test_own_noise_is_the_same_whoever_takes_part_and_others_are_reported_beside_it(runs):
    run = runs("own-noise")
    stds = {record["noise_std"] for record in slots(run)}
    z = guarantee_of(load(run / "experiment.toml")).charge.noise_multiplier
    assert len(stds) == 1
    assert stds.pop() == pytest.approx(z * 10.0 / 10, rel=1e-5)  # z clip / B
    told = figures(run)
    order = [told[t]["epsilon"] for t in ("own-noise", "aggregate", "trusted-receiver", "broadcast-only")]
    assert order[0] > order[1] >= order[2] == order[3] > 0
    assert "not guaranteed beyond 0 silent dropouts" in told["aggregate"]["note"]


def test_aggregate_adds_less_noise_the_more_take_part_and_charges_the_same(runs):
    run = runs("aggregate")
    experiment = load(run / "experiment.toml")
    guarantee = guarantee_of(experiment)
    kappa = 10**0.05
    for record in slots(run):
        others = max(0, record["active"] - 1 - 1)  # one silent dropout
        wanted = guarantee.charge.noise_multiplier * 10.0 / 10 / math.sqrt(1 + others / kappa)
        assert record["noise_std"] == pytest.approx(wanted, rel=1e-5)
    assert {c["noise_multiplier"] for c in read_records(run / "charges.jsonl")} == {guarantee.charge.noise_multiplier}
    told = figures(run)
    assert told["own-noise"]["epsilon"] > told["aggregate"]["epsilon"]
    assert guarantee.delta == pytest.approx(0.98e-5)  # a hundredth each for estimates and converters
    assert guarantee.backoff > 5.5
    text = " ".join((run / "statement.txt").read_text().split())
    assert "Not guaranteed beyond 1 silent dropout and 0 colluders" in text
    assert "ASSUMED, and nothing checks it" in text
    assert all(sum(line["clipped"]) == 0 for line in read_diagnostics(run))


def test_trusted_receiver_adds_no_noise_and_holds_the_amplitude_down(runs):
    run = runs("trusted-receiver")
    experiment = load(run / "experiment.toml")
    guarantee = guarantee_of(experiment)
    assert all(not noise.any() for noise in sent(run))
    for record in slots(run):
        assert record["noise_std"] == 0.0
        assert record["receiver_variance"] >= guarantee.wanted * (1 - 1e-9)
    # at 40 dB there is far too little noise at full power, so it is held to what is wanted
    assert [record["receiver_variance"] for record in slots(run)] == pytest.approx([guarantee.wanted] * len(slots(run)))
    told = figures(run)
    assert told["own-noise"]["epsilon"] is None and told["own-noise"]["known"]
    assert "own-noise (reported): epsilon infinite" in " ".join((run / "statement.txt").read_text().split())


def test_device_level_noise_is_that_of_the_whole_payload(runs):
    run = runs("device")
    charge = guarantee_of(load(run / "experiment.toml")).charge
    assert charge.sampling_rate == 1.0
    assert slots(run)[0]["noise_std"] == pytest.approx(charge.noise_multiplier * 2 * 10.0, rel=1e-5)  # z 2C
    text = " ".join((run / "statement.txt").read_text().split())
    assert "all data of one device, replaced by any other" in text
    assert "NO protection" not in text
    assert json.loads((run / "summary.json").read_text())["privacy"]["device_epsilon"] is None
    page = (run / "report.html").read_text()
    assert "any one device" in page


def test_the_device_level_figure_stands_beside_the_example_level_one(runs):
    facts = facts_in(runs("own-noise"))
    # mu of a whole device: sqrt(T) 2C / sigma
    sigma = slots(runs("own-noise"))[0]["noise_std"]
    mu = 2 * 10.0 / sigma * math.sqrt(max(o.rounds_charged for o in facts.owners))
    from privacy.accounting import gaussian_epsilon

    assert facts.device_epsilon == pytest.approx(gaussian_epsilon(mu, 1e-5), rel=1e-4)
    assert "NO protection" in " ".join(statement(facts).split())


@pytest.mark.parametrize("name", ["own-noise", "aggregate"])
def test_the_folder_suffices_for_the_statement(runs, pairzero, name):
    run = runs(name)
    found = pairzero("privacy", "statement", run)
    assert found.code == 0
    assert found.out.strip() == (run / "statement.txt").read_text().strip()
    told = json.loads(pairzero("privacy", "statement", run, "--json").out)
    assert told == json.loads((run / "summary.json").read_text())["privacy"]


def test_a_run_of_an_earlier_version_has_the_figures_it_can_have(runs, tmp_path, pairzero):
    import shutil

    old = tmp_path / "old"
    shutil.copytree(runs("own-noise"), old)
    later = ("noise_std", "receiver_variance", "csi_error")
    records = [{k: v for k, v in r.items() if k not in later} for r in read_records(old / NAME)]
    (old / NAME).write_bytes(b"".join(encode(r) for r in records))
    keys = ("unit", "threat", "colluders", "dropouts", "assume_perfect_csi")
    text = (old / "experiment.toml").read_text().splitlines()
    (old / "experiment.toml").write_text("\n".join(line for line in text if line.split(" ")[0] not in keys))
    summary = json.loads((old / "summary.json").read_text())
    for key in ("threat", "threats", "device_epsilon", "examples"):
        del summary["privacy"][key]
    (old / "summary.json").write_text(json.dumps(summary))
    told = json.loads(pairzero("privacy", "statement", old, "--json").out)
    found = {t["name"]: t for t in told["threats"]}
    assert found["own-noise"]["epsilon"] == pytest.approx(summary["epsilon"], rel=1e-3)
    assert found["aggregate"]["epsilon"] is None
    assert "has not recorded" in found["aggregate"]["note"]
    assert told["device_epsilon"] > 100
    assert pairzero("report", old).code == 0


def test_a_run_that_never_ended_counts_every_slot_for_everybody(runs, tmp_path):
    import shutil

    part = tmp_path / "part"
    shutil.copytree(runs("own-noise"), part)
    for name in ("charges.jsonl", "summary.json", "statement.txt"):
        (part / name).unlink()
    facts = facts_in(part)
    (owner,) = facts.owners
    assert (owner.name, owner.rounds_charged) == ("every device, at most", len(slots(part)))
    assert 0 < owner.epsilon <= 4.0


def test_a_folder_that_is_no_run_is_named(pairzero, tmp_path):
    found = pairzero("privacy", "statement", tmp_path)
    assert found.code == 2
    assert "is not a run folder" in found.err
