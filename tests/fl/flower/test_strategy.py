"""Runs over Flower's messages, with its engine left out: bits, charges, catching up, lost nodes, own data and ledgers."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest

from fl.export import replay_run
from fl.journal import NAME, read_history
from fl.lab.messages import Propose
from fl.run import execute
from fl.run_folder import create
from privacy.record_log import read_records
from radio.errors import InputError, StoppedEarly

pytestmark = pytest.mark.engines
SENTENCES = "sentence\tlabel\n" + "".join(
    f"a {w} film , number {i}\t{y}\n" for i in range(30) for w, y in (("fine", 1), ("dull", 0))
)


def test_partitions_end_with_the_bits_of_one_process_even_if_every_message_has_a_process_of_its_own(
    make_experiment, partitions, strategy, tmp_path, ledger_charges
):
    changes = {
        "privacy.reproducible": True, "learning.perturbations": 2, "learning.optimiser": "momentum", "learning.rounds": 3,
    }  # fmt: skip
    here = create(tmp_path / "here", make_experiment(changes))
    wanted = execute(here, quiet=True)
    for fresh in (False, True):
        run = create(tmp_path / f"flower-{fresh}", make_experiment(changes))
        grid = partitions(3, fresh)
        strategy(run).start(grid)
        assert run.summary["params_digest"] == wanted["params_digest"] == replay_run(run.path).digest()
        assert ledger_charges(run.path) == ledger_charges(here.path)
        slots = len(read_history(run.path).slots)
        kinds = [kind for _, kind in grid.sent]
        assert kinds.count("query.measure") == 3 * slots  # each was sent at once what it lacked
        assert kinds.count("query.greet") == 3 and kinds.count("train.arm") == kinds.count("train.fire")


def test_a_run_that_lost_a_node_goes_on_where_it_stopped(make_experiment, partitions, strategy, tmp_path):
    experiment = make_experiment({"privacy.reproducible": True})
    whole = execute(create(tmp_path / "whole", experiment), quiet=True)["params_digest"]
    run = create(tmp_path / "run", experiment)
    grid = partitions(3)
    deliver = grid._deliver

    def dying(message):
        if len(read_history(run.path).slots) == 3 and message.metadata.message_type == "train.arm":
            grid.silent.add(102)
        return deliver(message)

    grid._deliver = dying
    with pytest.raises(StoppedEarly, match=r"1 of [123] nodes did not answer, device-2 .* resume the run"):
        strategy(run).start(grid)
    assert read_history(run.path).slots == {0, 1, 2}
    strategy(run).start(partitions(3))
    assert run.summary["params_digest"] == whole
    strategy(run).start(partitions(3))  # finished: nothing happens
    assert read_history(run.path).resumed == 1


def owners(tmp_path, number, **more):
    nodes = []
    for k in range(number):
        file = tmp_path / f"own-{k}.tsv"
        file.write_text(SENTENCES.replace("film", f"film{k}"))
        nodes.append({"name": f"bench-{k}", "data": str(file), "ledger": str(tmp_path / f"ledger-{k}"), **more})
    return nodes


def charged(tmp_path, k):
    (file,) = (tmp_path / f"ledger-{k}").glob("*.jsonl")
    return [r["slot"] for r in read_records(file) if r["kind"] == "charge"]


OWN = {"task.public": None, "task.examples_per_device": 60, "learning.devices": 2, "radio.mode": "ideal"}


def test_owners_charge_their_own_ledgers_and_a_node_that_is_away_misses_its_rounds(
    make_experiment, direct, strategy, tmp_path, monkeypatch
):
    monkeypatch.setattr("fl.lab.device.time.monotonic", iter(np.arange(1e6)).__next__)  # the pace, without waiting
    monkeypatch.setattr("fl.flower.client_app.time.sleep", lambda s: None)
    run = create(tmp_path / "run", make_experiment(OWN))
    grid = direct(owners(tmp_path, 2))
    deliver, anew = grid._deliver, []

    def away(message):
        rounds = read_history(run.path).rounds
        if rounds == 4 and not anew:
            grid.start_anew(101)
            anew.append(101)
        (grid.silent.add if rounds in (2, 3) else grid.silent.discard)(101)
        return deliver(message)

    grid._deliver = away
    strategy(run, at_nodes=True).start(grid)
    history = read_history(run.path)
    assert history.rounds == 6 and history.erased == 0
    assert charged(tmp_path, 0) == sorted(history.committed)
    assert charged(tmp_path, 1) == [s for s in sorted(history.committed) if s not in (2, 3, 4)]
    active = [r["active"] for r in read_records(run.path / NAME) if r["type"] == "round"]
    # it is heard of after slot 4 was opened; it was started anew meanwhile, and has caught up from nothing
    assert active == [2, 2, 1, 1, 1, 2]
    places = json.loads((run.path / "devices.json").read_text())
    assert [place["name"] for place in places] == ["bench-0", "bench-1"]
    copies = [(r["owner"], r["slot"]) for r in read_records(run.path / "charges.jsonl")]
    assert sorted(copies) == sorted((f"bench-{k}", s) for k in (0, 1) for s in charged(tmp_path, k))
    assert "truth" not in json.loads((run.path / "diagnostics.jsonl").read_text().splitlines()[-1])
    assert replay_run(run.path).digest() == run.summary["params_digest"]


def test_nobody_fires_twice_or_what_was_not_armed(make_experiment, direct, strategy, tmp_path, monkeypatch):
    from flwr.app import Message

    from fl.flower.wire import ARM, FIRE, Place, pack, unpack
    from fl.lab.messages import Declined, Transmit

    monkeypatch.setattr("fl.flower.client_app.Host.pace_s", lambda *_: 0.0)
    run = create(tmp_path / "run", make_experiment({**OWN, "learning.devices": 1, "learning.rounds": 1}))
    grid = direct(owners(tmp_path, 1))
    strategy(run, at_nodes=True).start(grid)
    place = Place(read_history(run.path).header["run_id"], 0)
    for kind, word in (
        (FIRE, Transmit(0, 1.0)),
        (ARM, Propose(0, 1, 0.0, (1.0, 0.0), 1.0)),
        (ARM, Propose(1, 1, 0.0, (1.0, 0.0), 1.0)),
    ):
        (reply,) = grid.send_and_receive([Message(pack([place, word]), 100, kind)])
        assert isinstance(unpack(reply.content)[0], Declined)
    assert charged(tmp_path, 0) == [0]


@pytest.mark.parametrize(
    "at_nodes, settings, reason",
    [
        (False, {"partition-id": 0, "epsilon": 1.0}, "owner's terms"),
        (False, {}, "no partition-id"),
        (True, {}, "neither data of its own"),
        (True, {"partition-id": 0, "epsilon": 0.1}, "--epsilon 0.1 is the most this owner allows"),
        (True, {"partition-id": 7}, "allowed: 0 to 0"),
    ],
)
def test_a_node_that_cannot_take_part_says_why(make_experiment, direct, strategy, tmp_path, at_nodes, settings, reason):
    said = []
    run = create(tmp_path / "run", make_experiment({"learning.devices": 1}))
    with pytest.raises(InputError, match="0 of 1 nodes have joined"):
        strategy(run, at_nodes=at_nodes, say=said.append).start(direct([settings]))
    assert reason in " ".join(said)


def test_what_flower_does_not_carry_is_refused(make_experiment, partitions, strategy, tmp_path):
    run = create(tmp_path / "run", make_experiment({"learning.local_steps": 2}))
    with pytest.raises(InputError, match=r"learning.local_steps = 2 is for runs in one process and over Ray"):
        strategy(run).start(partitions(3))
    with pytest.raises(InputError, match="are the experiment's"):
        strategy(run).start(partitions(3), num_rounds=3)


class Antenna:
    """A node's transmitter that keeps what it was given."""

    sent: ClassVar[list[tuple]] = []

    def __init__(self, settings):
        self.name = settings["name"]

    def transmit(self, slot, values, propose, window_s):
        self.sent.append((self.name, slot, tuple(values), complex(*propose.precoder)))
        return True

    def close(self):
        pass


def test_with_a_transmitter_the_node_sends_and_only_says_so(make_experiment, direct, strategy, tmp_path, monkeypatch):
    from fl.flower import strategy as module
    from radio.ideal import IdealAir

    class Receiving(IdealAir):
        def aggregate_sent(self, slot, scalars, plan, names):
            heard = {name: values for name, at, values, _ in Antenna.sent if at == slot}
            payloads = np.array([heard[name] for name in names])
            return self.aggregate(slot, payloads, plan)

    monkeypatch.setattr("fl.flower.client_app.Host.pace_s", lambda *_: 0.0)
    monkeypatch.setattr(module._FlowerNodesRun, "_open_air", lambda self, listen, leaving: Receiving(2))
    run = create(tmp_path / "run", make_experiment({**OWN, "learning.rounds": 2}))
    Antenna.sent.clear()
    grid = direct(owners(tmp_path, 2, transmitter=f"{__name__}:Antenna"))
    strategy(run, at_nodes=True).start(grid)
    assert [(name, slot) for name, slot, _, _ in Antenna.sent] == [(f"bench-{k}", s) for s in (0, 1) for k in (0, 1)]
    means = [r["mean"][0] for r in read_records(run.path / NAME) if r["type"] == "round"]
    assert means == [sum(v[0] for _, s, v, _ in Antenna.sent if s == slot) / 2 for slot in (0, 1)]


def test_a_transmitter_and_a_simulated_air_do_not_go_together(make_experiment, direct, strategy, tmp_path, monkeypatch):
    monkeypatch.setattr("fl.flower.client_app.Host.pace_s", lambda *_: 0.0)
    run = create(tmp_path / "run", make_experiment(OWN))
    grid = direct(owners(tmp_path, 2, transmitter=f"{__name__}:Antenna"))
    with pytest.raises(InputError, match="bench-0 has a transmitter, and this end simulated air"):
        strategy(run, at_nodes=True).start(grid)
