"""Runs whose noise varies from round to round, fixed ahead (`privacy.schedule`)."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.pld import PLDAccountant

from fl.guarantee import SCHEDULE_LEVELS, guarantee_of, noise_weights
from fl.journal import NAME
from fl.privacy_facts import facts_in
from fl.privacy_plan import noise_of_mean, warning
from fl.run import execute
from fl.run_folder import create
from privacy.accounting import gaussian_epsilon, largest_mu
from privacy.record_log import read_records
from privacy.statement import statement, statement_dict
from radio.errors import BudgetError

ROUNDS = 16
WEIGHTED = {
    "privacy.schedule": "weighted", "privacy.contraction": 0.8, "learning.rounds": ROUNDS, "learning.schedule": "constant",
    "privacy.unit": "device", "privacy.delta": 1e-5, "task.test_examples": 10, "run.evaluate_examples": 10,
    "radio.snr_db": 60.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(make_experiment, tmp_path_factory):
    folder = create(tmp_path_factory.mktemp("weighted") / "run", make_experiment(WEIGHTED))
    execute(folder, quiet=True)
    return folder


def test_noise_falls_as_the_fourth_root_of_the_weight(finished):
    noise = np.array([r["noise_std"] for r in read_records(finished.path / NAME) if r["type"] == "round"])
    assert len(noise) == ROUNDS and len(set(noise)) <= SCHEDULE_LEVELS
    ideal = 0.8 ** (-np.arange(ROUNDS)[::-1] / 4)
    ratio = noise / noise[-1] / ideal
    assert ratio.max() <= 1 + 1e-9 and ratio.min() > 0.7  # rounded down to a few levels


def test_what_was_charged_is_what_was_sent_and_adds_up(finished):
    run = finished.path
    sent = {r["slot"]: r["noise_std"] for r in read_records(run / NAME) if r["type"] == "round"}
    charged = {
        c["slot"]: c["noise_multiplier"] for c in read_records(run / "charges.jsonl") if c["owner"] == "device-0"
    }
    reach = 2 * finished.experiment.privacy.clip
    assert all(sent[slot] == pytest.approx(z * reach, rel=1e-5) for slot, z in charged.items())
    spent = gaussian_epsilon(sum(z**-2.0 for z in charged.values()) ** 0.5, 1e-5)
    ledger = [r for path in (run / "ledger").glob("*.jsonl") for r in read_records(path) if r["kind"] == "charge"]
    assert len(ledger) == len(read_records(run / "charges.jsonl"))
    told = statement_dict(facts_in(run))
    assert told["owners"][0]["epsilon"] == pytest.approx(spent, rel=1e-9)
    assert spent <= finished.experiment.privacy.epsilon
    whole = guarantee_of(finished.experiment)
    full = sum(n / charge.noise_multiplier**2 for charge, n in whole.planned())
    assert full == pytest.approx(largest_mu(finished.experiment.privacy.epsilon, 1e-5) ** 2, rel=1e-3)
    text = " ".join(statement(facts_in(run)).split())
    assert "(fixed for each round before the run)" in text


def test_an_interrupted_run_goes_on_with_the_schedule_and_its_ledger_lets_it(make_experiment, tmp_path, monkeypatch):
    from fl import run as runs

    folder = create(tmp_path / "run", make_experiment(WEIGHTED | {"learning.rounds": 6}))
    write = runs.Diagnostics.write

    def crash(self, slot, *more):
        if slot.slot == 2:
            raise RuntimeError
        write(self, slot, *more)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(runs.Diagnostics, "write", crash)
        execute(folder, quiet=True)
    assert execute(folder, quiet=True)["finished"]
    kinds = guarantee_of(folder.experiment).schedule
    for c in read_records(folder.path / "charges.jsonl"):
        assert c["noise_multiplier"] == kinds[c["slot"]].noise_multiplier and c["times"] == 1


def test_a_slot_charged_and_lost_is_not_certified_twice(make_experiment, tmp_path, monkeypatch):
    """The rest fits, because the noise was sized for every slot once: a certificate with the lost slot in it would not."""
    from fl import session
    from fl.journal import Journal

    folder = create(tmp_path / "run", make_experiment(WEIGHTED | {"learning.rounds": 6}))
    commit, certify, found = Journal.commit, session.certify, []

    def lost(self, slot, *words):
        if slot == 2:
            raise RuntimeError
        commit(self, slot, *words)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Journal, "commit", lost)
        execute(folder, quiet=True)
    monkeypatch.setattr(session, "certify", lambda *words: found.append((words[2], certify(*words))))
    assert execute(folder, quiet=True)["burned"] == 1
    assert found == [(3, True)]


def test_a_second_run_on_the_same_ledger_is_refused_before_it_starts(make_experiment, tmp_path):
    settings = WEIGHTED | {"learning.rounds": 3, "privacy.ledger": str(tmp_path / "ledgers")}
    execute(create(tmp_path / "one", make_experiment(settings)), quiet=True)
    with pytest.raises(BudgetError, match="the run needs"):
        execute(create(tmp_path / "two", make_experiment(settings)), quiet=True)


def test_a_sampled_schedule_certifies_by_dp_accounting_itself(make_experiment):
    experiment = make_experiment(
        {
            "privacy.schedule": "weighted",
            "learning.rounds": 40,
            "learning.local_steps": 2,
            "learning.schedule": "cosine",
        }
    )
    guarantee = guarantee_of(experiment)
    assert len(guarantee.schedule) == experiment.releases == 2 * experiment.slots
    weights = noise_weights(experiment)
    assert weights[0] == 1.0 and weights[20] == pytest.approx(0.25) and weights[-1] == weights[39]
    assert (
        guarantee.at(0).charge == guarantee.at(1).charge == guarantee.charge
    )  # both of a slot; the least noise is first
    assert guarantee.at(10**6).charge == guarantee.schedule[-1]
    accountant = PLDAccountant(value_discretization_interval=1e-3)
    for charge, count in Counter(guarantee.schedule).items():
        gaussian = GaussianDpEvent(charge.noise_multiplier)
        accountant.compose(PoissonSampledDpEvent(charge.sampling_rate, gaussian), count)
    spent = accountant.get_epsilon(experiment.privacy.delta)
    assert 0.97 * experiment.privacy.epsilon < spent <= 1.002 * experiment.privacy.epsilon


def test_the_plan_sees_less_noise_and_warns_of_what_it_hangs_on(make_experiment):
    weighted = make_experiment(WEIGHTED)
    flat = make_experiment(WEIGHTED | {"privacy.schedule": "constant", "privacy.contraction": 1.0})
    w = 0.8 ** np.arange(ROUNDS)[::-1].astype(float)
    w = np.concatenate([w, np.ones(weighted.slots - ROUNDS)])
    ideal = np.sqrt(w).mean() ** 2 / w.mean()  # of the variance, by Cauchy and Schwarz
    own, constant = noise_of_mean(weighted)[0], noise_of_mean(flat)[0]
    assert (own / constant) ** 2 == pytest.approx(ideal, rel=0.05)
    hasty = make_experiment(WEIGHTED | {"learning.rounds": 300, "privacy.contraction": 0.5})
    assert "sensitive to the contraction factor A = 0.5" in warning(hasty)
    assert warning(flat) == ""


def test_the_summary_of_a_finished_run_gives_the_same_schedule_again(finished):
    summary = json.loads((finished.path / "summary.json").read_text())
    again, first = guarantee_of(finished.experiment, summary["noise_multiplier"]), guarantee_of(finished.experiment)
    assert [c.noise_multiplier for c in again.schedule] == pytest.approx([c.noise_multiplier for c in first.schedule])
