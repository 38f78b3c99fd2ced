"""Rounds between the two state machines, in order and in disorder; the examples of what must not happen are in the fuzz."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fl.lab import device_state, server_state
from fl.lab.messages import Armed, Facts, Hello, Open, Opened, Ping, Pong, Propose, Refused, Rejoin, Sent, Transmit
from tests.fl.lab.simulated import FACTS, Device, Lab


def test_everybody_joins_and_follows() -> None:
    lab = Lab(3)
    lab.settle(5)
    assert lab.server.names == ("device-0", "device-1", "device-2")
    assert len(lab.sums) == 5
    for device in lab.devices:
        assert device.log == lab.log
        assert device.charges == device.emitted == [0, 1, 2, 3, 4]
    assert all(len(taking) == 3 for taking in lab.sums.values())


def test_a_late_start_gets_the_whole_log() -> None:
    lab = Lab(3)
    late = lab.devices.pop()
    lab.settle(7)
    lab.devices.append(late)
    late.start()
    lab.settle(1)
    lab.settle(2)
    assert late.log == lab.log
    assert late.emitted == late.charges == [lab.slot - 1, lab.slot]


def test_a_restart_gets_the_whole_log_and_repeats_no_slot() -> None:
    lab = Lab(3)
    lab.settle(3)
    lab.devices[1].start()
    lab.settle(3)
    assert lab.devices[1].log == lab.log
    assert len(set(lab.devices[1].charges)) == len(lab.devices[1].charges)


def test_who_joins_at_the_very_end_is_told_of_it() -> None:
    lab = Lab(3)
    lab.settle(5)
    lab.devices[2].start()
    lab.feed(server_state.End("finished"))
    for _ in range(20):
        for device in lab.devices:
            device.work()
            lab.hear(device)
            device.receive()
        lab.tick(0.5)
    assert all(device.state.stage == "over" and device.log == lab.log for device in lab.devices)


def test_who_is_joining_when_the_server_fails_is_told_and_waits_no_longer() -> None:
    lab = Lab(3)
    lab.settle(5)
    late = lab.devices[2]
    late.start()
    for _ in range(20):
        late.work()
        lab.hear(late)
        if late.state.stage == "joining" and not late.up:
            break
        late.receive()
        lab.tick(0.5)
    assert not lab.server.members["device-2"].joined
    lab.feed(server_state.End("error"))
    for _ in range(20):
        late.receive()
    assert late.state.stage == "over"


def _until(lab: Lab, kind: server_state.Kind) -> None:
    for _ in range(100):
        for device in lab.devices:
            device.work()
            while device.up:
                lab.hear(device)
            while device.down:
                device.receive()
        if lab.server.phase is not None and lab.server.phase.kind == kind:
            return
        lab.advance()
        lab.tick(0.3)
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["open", "arming"])
def test_who_is_lost_before_the_air_is_left_out(kind: server_state.Kind) -> None:
    lab = Lab(3)
    lab.settle(1)
    _until(lab, kind)
    lab.devices[2].start()
    lab.settle(1)
    assert lab.sums[1] == {"device-0", "device-1"}
    lab.settle(1)
    assert lab.sums[max(lab.sums)] == {"device-0", "device-1", "device-2"}


def test_a_round_whose_transmissions_are_uncertain_is_erased() -> None:
    lab = Lab(2)
    lab.settle(1)
    _until(lab, "air")
    lab.devices[1].start()  # it may have transmitted
    lab.settle(1)
    assert 1 not in lab.sums and not lab.log[1].committed


def test_who_is_late_is_left_out_until_it_speaks() -> None:
    lab = Lab(3)
    lab.settle(1)
    _until(lab, "open")
    quick, slow = lab.devices[:2], lab.devices[2]
    began = lab.now
    lab.devices = quick
    for device in quick:  # they have measured, and half is more than enough to set a deadline
        device.work()
        lab.hear(device)
    lab.devices = [*quick, slow]
    while not lab.server.settled:
        lab.tick(0.5)
    # deadline: GRACE_S after half had answered
    assert server_state.GRACE_S <= lab.now - began <= server_state.GRACE_S + 1.5
    assert lab.server.present == {"device-0", "device-1"}
    lab.settle(2)
    assert lab.sums[1] == {"device-0", "device-1"}
    assert slow.log == lab.log
    assert len(lab.sums[max(lab.sums)]) == 3


def test_who_has_no_budget_left_follows() -> None:
    lab = Lab(3)
    lab.devices[0].budget = 2
    lab.settle(5)
    assert [len(lab.sums[slot]) for slot in range(5)] == [3, 3, 2, 2, 2]
    assert lab.devices[0].emitted == [0, 1]
    assert lab.devices[0].log == lab.log
    assert lab.server.members["device-0"].spent


def test_how_everybody_is_doing_in_a_word() -> None:
    lab = Lab(3)
    assert lab.server.standing == (("", ""),) * 3
    lab.devices[0].budget = 1
    lab.settle(3)
    lab.devices[1].connect()
    lab.feed(server_state.Gone(lab.server.members["device-1"].peer or b""))
    assert lab.server.standing == (("device-0", "spent"), ("device-1", "lost"), ("device-2", "joined"))


def test_who_leaves_before_it_has_joined_is_lost() -> None:
    lab = Lab(3)
    late = lab.devices.pop()
    lab.settle(3)
    lab.devices.append(late)
    late.start()
    lab.tick(0.5)
    lab.hear(late)
    assert lab.server.standing[2] == ("device-2", "joining")
    lab.devices.remove(late)  # it does not like the terms
    lab.tick(1.1)
    assert lab.server.standing[2] == ("device-2", "lost")


def test_a_charged_slot_is_declined() -> None:
    lab = Lab(2)
    lab.devices[1].charges = [0, 1, 2]  # of an earlier server process
    lab.feed(server_state.Tick())
    lab.settle(2)
    assert lab.slot == 4 and lab.devices[1].charges == [0, 1, 2, 3, 4]  # the server skips what it is told of


@pytest.mark.parametrize("what", Facts.__struct_fields__)
def test_other_facts_are_refused_naming_both(what: str) -> None:
    lab = Lab(2)
    other = {name: getattr(FACTS, name) for name in Facts.__struct_fields__} | {what: "cd" * 32}
    lab.facts["device-1"] = Facts(**other)
    odd = lab.devices[1]
    refusals: list[Any] = []
    for _ in range(20):
        for device in lab.devices:
            device.work()
            lab.hear(device)
            refusals += [message for message in device.down if isinstance(message, Refused)]
            device.receive()
        lab.tick(0.3)
    assert odd.state.stage == "over" and lab.server.present == {"device-0"}
    assert getattr(FACTS, what) in refusals[0].reason and "cd" * 32 in refusals[0].reason and what in refusals[0].reason


def test_a_second_device_with_the_same_key_waits() -> None:
    lab = Lab(2)
    lab.settle(1)
    before = lab.server
    hello = server_state.Heard(b"second", "device-0", Hello(1, "0"))
    after, actions = server_state.step(before, hello, lab.now)
    assert after == before
    refusal = actions[-1].message  # type: ignore[union-attr]
    assert isinstance(refusal, Refused) and not refusal.final and "connected already" in refusal.reason
    taken, _ = server_state.step(before, hello, lab.now + server_state.SILENT_S + 1.0)
    assert taken.members["device-0"].peer == b"second"  # the first has said nothing for long


def test_one_too_many() -> None:
    lab = Lab(1)
    lab.settle(1)
    sent: list[Any] = []
    lab._send = lambda peer, message: sent.append(message)  # type: ignore[method-assign]
    lab.feed(server_state.Heard(b"x", "device-7", Hello(1, "0")))
    assert isinstance(sent[-1], Refused) and "device-0" in sent[-1].reason
    lab.feed(server_state.Heard(b"x", "device-7", Ping()))
    assert sent[-1] == Rejoin()
    lab.feed(server_state.Heard(b"y", "device-0", Hello(2, "0")))
    assert "protocol 2" in sent[-1].reason and "1" in sent[-1].reason


def test_places() -> None:
    names = ("", "bench", "")
    assert server_state.place(names, "bench") == 1
    assert server_state.place(names, "device-2") == 2
    assert server_state.place(names, "device-1") == 0
    assert server_state.place(("a", "b"), "c") is None


class Disorder(RuleBasedStateMachine):
    """Three devices and a server; connections break, processes die, messages wait for ever so long."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(3)

    device = st.integers(0, 2)

    @rule(k=device)
    def up(self, k: int) -> None:
        self.lab.hear(self.lab.devices[k])

    @rule(k=device)
    def down(self, k: int) -> None:
        self.lab.devices[k].receive()

    @rule(k=device)
    def work(self, k: int) -> None:
        self.lab.devices[k].work()

    @rule()
    def advance(self) -> None:
        self.lab.advance()

    @rule()
    def all_is_well(self) -> None:
        self.lab.settle(1)

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 20.0, 7200.0]))  # the last: a host that slept
    def time_passes(self, seconds: float) -> None:
        self.lab.tick(seconds)

    @rule(k=device)
    def connection_breaks(self, k: int) -> None:
        self.lab.devices[k].connect()

    @rule(k=device)
    def process_dies(self, k: int) -> None:
        self.lab.devices[k].start()

    @rule(k=device, slot=st.integers(-1, 1))
    def repeated(self, k: int, slot: int) -> None:
        """Old, early and doubled messages of the server."""
        at, position = max(0, self.lab.slot + slot), len(self.lab.log)
        target = self.lab.devices[k]
        for message in (Pong(position), Transmit(at, 1.0), Propose(at, 1, 0.0, (1.0, 0.0), 1.0)):
            target.down.append(message)

    @rule(k=device, slot=st.integers(-1, 1))
    def stale(self, k: int, slot: int) -> None:
        """Answers of another slot, from a device that is in none."""
        sender = self.lab.devices[k]
        if slot:
            at = max(0, self.lab.slot + slot)
            if at != self.lab.slot:
                sender.up += [Opened(at), Armed(at), Sent(at)]

    @invariant()
    def logs_are_prefixes(self) -> None:
        for device in self.lab.devices:
            assert device.log == self.lab.log[: len(device.log)]
            assert device.state.position == len(device.log)

    @invariant()
    def nothing_is_sent_twice_or_uncharged(self) -> None:
        for device in self.lab.devices:
            assert len(set(device.charges)) == len(device.charges)
            assert len(set(device.emitted)) == len(device.emitted)
            assert set(device.emitted) <= set(device.charges)

    @invariant()
    def sums_are_of_who_transmitted(self) -> None:
        for slot, taking in self.lab.sums.items():
            assert taking == {d.name for d in self.lab.devices if slot in d.emitted}

    def teardown(self) -> None:
        self.lab.settle(2, turns=3000)
        assert all(d.state.stage == "ready" for d in self.lab.devices)


TestDisorder = Disorder.TestCase
TestDisorder.settings = settings(max_examples=150, stateful_step_count=60, deadline=None, derandomize=True)


def test_a_device_acts_on_nothing_out_of_turn() -> None:
    lab = Lab(1)
    lab.settle(2)
    device: Device = lab.devices[0]
    before = device.state
    open_, propose = Open(9, 2, 5, 1, 0.01), Propose(9, 1, 0.0, (1.0, 0.0), 1.0)
    for message in (propose, Transmit(9, 1.0), Open(1, 2, 5, 1, 0.01), Open(9, 1, 5, 1, 0.01), Pong(1)):
        state, actions = device_state.step(before, device_state.Heard(message), lab.now)
        assert state == before and actions == (), message
    state, _ = device_state.step(before, device_state.Heard(open_), lab.now)
    assert state.due == open_
    for message in (propose, Transmit(9, 1.0), open_):  # not measured yet
        assert device_state.step(state, device_state.Heard(message), lab.now) == (state, ())
