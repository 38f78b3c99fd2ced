"""Devices spread over Ray actors: a lost actor loses no committed round and no charge, and a run goes on with Ray or without."""

from __future__ import annotations

import builtins
import json
import sys
from contextlib import suppress
from types import SimpleNamespace

import pytest

from fl.export import replay_run
from fl.journal import NAME, read_history
from fl.ray_crew import RayCrew
from fl.run import Actors, execute
from fl.run_folder import create
from privacy.record_log import read_records
from radio.errors import InputError, StoppedEarly

TWO = Actors(2)


def burned(run):
    return [r["slot"] for r in read_records(run / NAME) if r["type"] == "burned"]


def lose_an_actor(monkeypatch, slot):
    """The second actor dies after the charge of that slot and before it has released anything."""
    release = RayCrew.release

    def losing(self, order, *rest):
        if order.slot == slot:
            self._ray.kill(self._actors[1])
            with suppress(self._ray.exceptions.RayActorError):  # it dies some time later, and might still answer
                while True:
                    self._ray.get(self._actors[1].digest.remote())
        return release(self, order, *rest)

    monkeypatch.setattr(RayCrew, "release", losing)


@pytest.mark.engines
def test_a_reproducible_run_that_loses_an_actor_goes_on_without_ray_to_the_same_bits(
    ray_here, make_experiment, tmp_path, monkeypatch, ledger_charges
):
    experiment = make_experiment({"privacy.reproducible": True, "learning.perturbations": 2})
    whole = create(tmp_path / "whole", experiment)
    wanted = execute(whole, quiet=True)["params_digest"]
    run = create(tmp_path / "run", experiment)
    with monkeypatch.context() as patched:
        lose_an_actor(patched, 3)
        with pytest.raises(StoppedEarly, match=r"a Ray actor is lost .* resume the run, with or without --ray"):
            execute(run, quiet=True, actors=TWO)
    history = read_history(run.path)
    assert 3 not in history.slots and history.stop["reason"] == "interrupted"
    assert json.loads((run.path / "summary.json").read_text())["params_digest"] == history.stop["digest"]
    assert replay_run(run.path).digest() == history.stop["digest"]
    summary = execute(run, quiet=True)
    assert (summary["params_digest"], summary["resumed"], summary["burned"]) == (wanted, 1, 0)
    assert ledger_charges(run.path) == ledger_charges(whole.path)


@pytest.mark.engines
def test_a_private_run_on_a_shared_ledger_burns_the_slot_that_an_actor_took_with_it(
    ray_here, make_experiment, tmp_path, monkeypatch
):
    changes = {"task.public": False, "privacy.ledger": str(tmp_path / "ledgers"), "learning.rounds": 3}
    run = create(tmp_path / "run", make_experiment(changes))
    with monkeypatch.context() as patched:
        lose_an_actor(patched, 1)
        with pytest.raises(StoppedEarly):
            execute(run, quiet=True, actors=TWO)
    summary = execute(run, quiet=True)
    assert burned(run.path) == [1] and summary["rounds"] == 3
    (ledger,) = (tmp_path / "ledgers").glob("*.jsonl")
    charged = [r["slot"] for r in read_records(ledger) if r["kind"] == "charge"]
    history = read_history(run.path)
    assert charged == sorted(history.committed | {1})  # each once, the burned one included


def test_an_actor_with_other_weights_is_named(monkeypatch):
    crew = RayCrew.__new__(RayCrew)  # without actors
    crew._replica, crew._log = SimpleNamespace(digest=lambda: "a" * 64), range(7)
    crew._actors = [SimpleNamespace(digest=SimpleNamespace(remote=lambda d=d: d)) for d in ("a" * 64, "b" * 64)]
    monkeypatch.setattr(RayCrew, "_get", lambda self, pending: pending)
    with pytest.raises(InputError, match=r"Ray actor 1 has other weights .* after 7 slots \(bbbb.* compare the model"):
        crew.check()


@pytest.mark.engines
def test_an_actor_that_cannot_start_says_why(ray_here, make_experiment, tiny_model, tmp_path, monkeypatch):
    from fl.config import Experiment

    run = create(tmp_path / "run", make_experiment())
    text = run.experiment.model_dump_json().replace(str(tiny_model), str(tmp_path / "nowhere"))
    monkeypatch.setattr(Experiment, "model_dump_json", lambda self: text)
    with pytest.raises(InputError, match=r"a Ray actor could not start: .*nowhere"):
        execute(run, quiet=True, actors=TWO)


@pytest.mark.engines
@pytest.mark.parametrize(
    "actors, message",
    [(4, "--ray 4; allowed: 1 to 3, the number of devices"), (3, "need 3 processors, this Ray has 2")],
)
def test_a_number_of_actors_that_cannot_be_had_is_refused(
    ray_here, pairzero, make_experiment, tmp_path, actors, message
):
    file = tmp_path / "e.toml"
    file.write_text(make_experiment().to_toml())
    ended = pairzero("run", file, "--ray", str(actors), "--out", tmp_path / "run")
    assert ended.code == 2 and message in ended.err.replace("\n", " ")


def test_without_ray_the_message_says_what_to_install(pairzero, make_experiment, tmp_path, monkeypatch):
    found = builtins.__import__

    def without(name, *rest):
        if name == "ray":
            raise ImportError(name)
        return found(name, *rest)

    file = tmp_path / "e.toml"
    file.write_text(make_experiment().to_toml())
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    ended = pairzero("run", file, "--ray", "2", "--out", tmp_path / "run")
    assert ended.code == 2
    assert "Ray is not installed; pip install 'pairzero[ray]'" in ended.err


def test_an_address_without_a_number_of_actors_is_refused(pairzero):
    ended = pairzero("run", "--ray-address", "auto")
    assert ended.code == 2 and "--ray-address without --ray" in ended.err
