"""What a device's machine lets a server have it send over its radio: rules of `fl.lab.device_state`, in order and in disorder."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fl.lab import device_state as d
from fl.lab.messages import Commit, Cue, Cued, Open, Pong, Propose, Rejoin, Round, Stop, Suffix, Transmit, Tuned
from tests.fl.lab.simulated import FACTS

TUNED = Tuned(915e6, 1e6, "shared", 40e6)
READY = replace(d.State("0", "s", radio=TUNED), stage="ready", run_id="0123456789abcdef", facts=FACTS, spoke=0.0)
WINDOW_S = 30.0


def feed(state: d.State, *events: d.Event, now: float = 0.0) -> tuple[d.State, list[d.Action]]:
    actions: list[d.Action] = []
    for event in events:
        state, more = d.step(state, event, now)
        actions += more
    return state, actions


def opened(slot: int = 0) -> d.State:
    order = Open(slot, slot, 5, 2, 0.01)
    return feed(READY, d.Heard(order), d.Measured(slot))[0]


def armed() -> d.State:
    return feed(opened(), d.Heard(Propose(0, 1, 0.0, (1.0, 0.0), 1.0)), d.Released(0))[0]


def window() -> d.State:
    state, said = feed(armed(), d.Heard(Transmit(0, WINDOW_S)))
    assert said == [d.Say(Cued(0, 0))]
    return state


def cue(kind: str, number: int, scalar: int = 0, codeword: int = 0, slot: int = 0) -> d.Heard:
    return d.Heard(Cue(slot, number, kind, scalar, codeword))  # type: ignore[arg-type]


def performed(actions: list[d.Action]) -> list[Cue]:
    return [action.cue for action in actions if isinstance(action, d.Perform)]


def test_a_round_in_order() -> None:
    state = opened()
    said: list[str] = []
    number = 0
    for kind in ("start", "pilot", "rest", "together", "rest"):
        number += 1
        state, actions = feed(state, cue(kind, number))
        assert [c.kind for c in performed(actions)] == [kind]
        state, actions = feed(state, d.Performed(performed(actions)[0], started=kind == "start"))
        said += [a.message.kind if hasattr(a.message, "kind") else "cued" for a in actions if isinstance(a, d.Say)]
    assert said == ["cued"] * 5 and state.until is None
    state, _ = feed(state, d.Heard(Propose(0, 1, 0.0, (1.0, 0.0), 1.0)), d.Released(0), d.Heard(Transmit(0, WINDOW_S)))
    for scalar, kind in ((0, "payload"), (1, "payload"), (2, "reference"), (2, "rest")):
        number += 1
        state, actions = feed(state, cue(kind, number, scalar))
        assert [c.kind for c in performed(actions)] == [kind]
    entry = Round(0, 0, 5, 0.01, 2, "central", True)
    state, actions = feed(state, d.Heard(Commit(entry)))
    assert actions[0] == d.Apply((entry,)) and state.until is None  # silent already


def test_a_payload_once_and_only_in_its_window() -> None:
    for state in (READY, opened(), armed()):
        assert performed(feed(state, cue("payload", 1))[1]) == []
    state, actions = feed(window(), cue("payload", 1), cue("payload", 2), cue("payload", 1), cue("payload", 3, 1))
    assert [(c.scalar, c.number) for c in performed(actions)] == [(0, 1), (1, 3)]
    assert performed(feed(state, cue("payload", 4, 0, 1))[1]) == []  # not backwards
    assert performed(feed(window(), cue("payload", 1, slot=1))[1]) == []
    assert performed(feed(window(), cue("payload", 1), now=WINDOW_S)[1]) == []
    assert performed(feed(window(), d.Heard(Transmit(0, 600.0)), cue("payload", 1), now=WINDOW_S)[1]) == []


def test_public_cues_only_while_the_channel_is_sounded() -> None:
    unmeasured = feed(READY, d.Heard(Open(0, 0, 5, 1, 0.01)))[0]
    for kind in d.SOUNDING:
        assert performed(feed(opened(), cue(kind, 1))[1])
        for state in (READY, unmeasured, armed(), window()):
            assert performed(feed(state, cue(kind, 1))[1]) == [], kind


def test_a_device_without_a_radio_takes_no_cue() -> None:
    state = replace(opened(), radio=None)
    assert feed(state, cue("pilot", 1)) == (state, [])


def test_what_nobody_ends_ends_by_itself() -> None:
    loud, _ = feed(window(), cue("payload", 1))
    for late in (d.LOUD_S, WINDOW_S):
        quiet, actions = feed(loud, d.Tick(), now=late)
        assert actions[0] == d.Mute() and quiet.until is None and quiet.order is None
    # and whoever listened is told that it heard a part only
    _, actions = feed(quiet, cue("rest", 2))
    assert actions == [d.Mute(), d.Say(Cued(0, 2, done=False))]
    short = feed(armed(), d.Heard(Transmit(0, 1.0)))[0]
    loud, _ = feed(short, cue("payload", 1))
    assert loud.until == 1.0  # the window's end comes first
    assert d.Mute() not in feed(feed(loud, cue("rest", 2))[0], d.Tick(), now=WINDOW_S)[1]


def test_silence_comes_before_anything_that_takes_long() -> None:
    loud, _ = feed(opened(), cue("pilot", 1))
    entry = Round(0, 0, 5, 0.01, 2, "central", False)
    for event in (
        Commit(entry),
        Suffix(1, (entry,)),
        Stop("finished"),
        Stop("interrupted"),
        Rejoin(),
        Pong(9),
        Open(1, 0, 5, 1, 0.01),
    ):
        state, actions = feed(loud, d.Heard(event))
        assert actions[0] == d.Mute() and state.until is None, event
    state, actions = feed(loud, d.Heard(Propose(0, 1, 0.0, (1.0, 0.0), 1.0)))
    assert actions[0] == d.Mute()
    assert feed(loud, d.Heard(Pong(0)))[1] == []  # but not before what means nothing


def test_a_link_that_breaks_ends_a_tone_that_is_held() -> None:
    state, _ = feed(opened(), cue("start", 1), cue("rest", 2))
    assert state.until is None
    assert feed(state, d.Heard(Rejoin()))[1][0] == d.Mute()


def test_the_radio_is_looked_at_while_it_is_silent() -> None:
    state, actions = feed(READY, d.Tick(), now=d.STATUS_S)
    assert d.Look() in actions
    assert d.Look() not in feed(state, d.Tick(), now=d.STATUS_S + 2.0)[1]
    assert d.Look() not in feed(window(), d.Tick(), now=d.STATUS_S)[1]
    assert feed(state, d.Looked(31.5))[1] == [d.Say(d.Status(31.5))]


class Cueing(RuleBasedStateMachine):
    """A server that says anything at any time, and a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.now = READY, 0.0
        self.sent: list[tuple[int, int, int]] = []
        self.charged: set[int] = set()
        self.granted: set[int] = set()
        self.loud_since: float | None = None

    def feed(self, event: d.Event) -> None:
        self.state, actions = d.step(self.state, event, self.now)
        for action in actions:
            match action:
                case d.Mute():
                    self.loud_since = None
                case d.Release(propose):
                    assert self.loud_since is None
                    assert propose.slot not in self.charged
                    self.charged.add(propose.slot)
                    self.feed(d.Released(propose.slot))
                case d.Apply() | d.Build() | d.Report() | d.Leave():
                    assert self.loud_since is None
                case d.Perform(cue):
                    self.perform(cue)
                    self.feed(d.Performed(cue))

    def perform(self, cue: Cue) -> None:
        if cue.kind == "payload":
            assert cue.slot in self.charged and cue.slot in self.granted
            self.sent.append((cue.slot, cue.scalar, cue.codeword))
        if cue.kind in d.SILENCE:
            self.loud_since = None
        elif cue.kind not in ("hold", "start"):
            self.loud_since = self.now

    slot = st.integers(0, 2)

    @rule(slot=slot)
    def open(self, slot: int) -> None:
        self.feed(d.Heard(Open(slot, self.state.position, 5, 2, 0.01)))

    @rule()
    def measured(self) -> None:
        if self.state.due is not None:
            assert self.loud_since is None
            self.feed(d.Measured(self.state.due.slot))

    @rule(slot=slot)
    def propose(self, slot: int) -> None:
        self.feed(d.Heard(Propose(slot, 1, 0.0, (1.0, 0.0), 1.0)))

    @rule(slot=slot, seconds=st.sampled_from([0.5, 20.0]))
    def transmit(self, slot: int, seconds: float) -> None:
        if self.state.progress == "armed" and self.state.order is not None and self.state.order.slot == slot:
            self.granted.add(slot)
        self.feed(d.Heard(Transmit(slot, seconds)))

    @rule(
        slot=slot,
        number=st.integers(1, 12),
        kind=st.sampled_from([*d.SOUNDING, *d.SILENCE, "payload", "payload", "payload", "reference"]),
        scalar=st.integers(0, 2),
        codeword=st.integers(0, 1),
    )
    def cue(self, slot: int, number: int, kind: str, scalar: int, codeword: int) -> None:
        self.feed(cue(kind, number, scalar, codeword, slot))

    @rule()
    def commit(self) -> None:
        self.feed(d.Heard(Commit(Round(self.state.position, self.state.position, 5, 0.01, 2, "central", False))))

    @rule(seconds=st.sampled_from([0.1, 3.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(d.Tick())

    @rule()
    def link_breaks(self) -> None:
        self.feed(d.Heard(Rejoin()))
        assert self.loud_since is None
        self.state = replace(self.state, stage="ready")  # it has joined again

    @invariant()
    def every_number_once(self) -> None:
        assert len(set(self.sent)) == len(self.sent)

    @invariant()
    def nothing_is_on_the_air_for_long(self) -> None:
        assert self.loud_since is None or self.now - self.loud_since < d.LOUD_S


TestCueing = Cueing.TestCase
TestCueing.settings = settings(max_examples=200, stateful_step_count=50, deadline=None, derandomize=True)
