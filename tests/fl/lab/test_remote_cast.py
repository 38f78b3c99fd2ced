"""Cues of the server, through its machine: who is asked, who must answer, and what is made of silence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from fl.lab import messages as m
from fl.lab import server_state
from fl.lab.remote_cast import RemoteCast
from radio.cast import CueLost
from radio.cue import REST, Cue
from tests.fl.lab.simulated import FACTS, WELCOME

TUNED = m.Tuned(915e6, 1e6, "shared", 40e6)
NAMES = ("device-0", "device-1", "device-2")


@dataclass
class Hub:
    """As `fl.lab.transport.Hub`, with devices that answer at once unless they are deaf."""

    state: server_state.State
    deaf: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    starting: set[str] = field(default_factory=set)
    cues: list[dict[str, m.Cue]] = field(default_factory=list)

    def feed(self, event: server_state.Event, now: float = 0.0) -> None:
        self.state, _ = server_state.step(self.state, event, now)

    def ask(
        self, kind: server_state.Kind, slot: int, messages: Mapping[str, m.FromServer], number: int = 0
    ) -> frozenset[str]:
        if kind == "cue":
            self.cues.append({n: c for n, c in messages.items() if isinstance(c, m.Cue)})
        self.feed(server_state.Ask(kind, slot, messages, number))
        for name in sorted(set(messages) - self.deaf):
            answer: m.FromDevice = m.Opened(slot)
            if kind == "cue":
                answer = m.Cued(slot, number, name not in self.failing, name in self.starting)
            self.feed(server_state.Heard(name.encode(), name, answer))
        self.feed(server_state.Tick(), now=1000.0)  # whoever has not answered is late
        return self.state.taking


@pytest.fixture
def hub() -> Hub:
    """Three devices in an open slot."""
    made = Hub(server_state.State(WELCOME, FACTS, "0", ("",) * 3, radio=TUNED))
    for name in NAMES:
        made.feed(server_state.Heard(name.encode(), name, m.Hello(m.PROTOCOL, "0", "serial")))
        made.feed(server_state.Heard(name.encode(), name, m.Ready(FACTS, 0, -1, TUNED)))
    order = m.Open(4, 0, 9, 1, 0.01)
    assert made.ask("open", 4, dict.fromkeys(NAMES, order)) == set(NAMES)
    return made


def test_cues_are_words_and_numbered(hub: Hub) -> None:
    cast = RemoteCast(3, lambda: hub)  # type: ignore[arg-type,return-value]
    assert cast.present.tolist() == [True] * 3
    cast.cue({0: REST, 1: Cue("together", 4, level=0.5)})
    cast.cue({2: Cue("payload", 4, 3, 1)})
    assert hub.cues == [
        {"device-0": m.Cue(4, 1, "rest"), "device-1": m.Cue(4, 1, "together", level=0.5)},
        {"device-2": m.Cue(4, 2, "payload", 3, 1)},
    ]
    assert hub.state.taking == set(NAMES)  # who has no cue stays in the round


def test_who_is_away_is_not_asked_for_pilots_but_missed_in_the_air(hub: Hub) -> None:
    hub.feed(server_state.Gone(b"device-1"))
    cast = RemoteCast(3, lambda: hub)  # type: ignore[arg-type,return-value]
    assert cast.present.tolist() == [True, False, True]
    cast.cue({1: Cue("pilot")})
    assert hub.cues == []
    with pytest.raises(CueLost, match="device-1 did not say"):
        cast.cue({0: Cue("payload"), 1: Cue("payload")})
    assert list(hub.cues[0]) == ["device-0"]


@pytest.mark.parametrize("how", ["deaf", "failing"])
def test_an_answer_that_does_not_come_or_says_no(hub: Hub, how: str) -> None:
    cast = RemoteCast(3, lambda: hub)  # type: ignore[arg-type,return-value]
    getattr(hub, how).add("device-2")
    with pytest.raises(CueLost, match="device-2 did not say that a cue was carried out"):
        cast.cue({k: Cue("pilot") for k in range(3)})
    assert hub.state.taking == {"device-0", "device-1"}
    assert hub.state.members["device-2"].late == (how == "deaf")
    cast.mute()  # those who may be sending
    assert hub.cues[-1] == {n: m.Cue(4, 2, "mute") for n in ("device-0", "device-1")}
    cast.mute()
    assert len(hub.cues) == 2


def test_who_is_lost_while_it_sends_is_missed_at_the_end_of_the_slot(hub: Hub) -> None:
    cast = RemoteCast(3, lambda: hub)  # type: ignore[arg-type,return-value]
    cast.cue({0: Cue("payload"), 1: Cue("payload")})
    hub.feed(server_state.Gone(b"device-0"))
    with pytest.raises(CueLost, match=r"^device-0 "):
        cast.mute()
    assert hub.cues[-1] == {"device-1": m.Cue(4, 2, "mute")}
    cast.close()


def test_tones_are_held_by_who_is_here(hub: Hub) -> None:
    hub.feed(server_state.Gone(b"device-1"))
    cast = RemoteCast(3, lambda: hub)  # type: ignore[arg-type,return-value]
    hub.starting = {"device-2"}
    assert cast.hold(anew=False)
    hub.starting = set()
    assert not cast.hold(anew=False)
    assert [sorted({c.kind for c in cues.values()}) for cues in hub.cues] == [["hold"], ["hold"]]
    cast.hold(anew=True)
    assert set(hub.cues[-1]) == {"device-0", "device-2"} and hub.cues[-1]["device-0"].kind == "start"


def test_an_answer_to_another_cue_counts_for_nothing(hub: Hub) -> None:
    hub.feed(server_state.Ask("cue", 4, {"device-0": m.Cue(4, 7, "pilot")}, 7))
    for stale in (m.Cued(4, 6), m.Cued(3, 7), m.Sent(4), m.Opened(4)):
        hub.feed(server_state.Heard(b"device-0", "device-0", stale))
        assert not hub.state.settled
    hub.feed(server_state.Heard(b"device-0", "device-0", m.Cued(4, 7)))
    assert hub.state.settled and "device-0" in hub.state.taking


def test_what_a_device_says_of_its_radio_is_kept(hub: Hub) -> None:
    hub.feed(server_state.Heard(b"device-1", "device-1", m.Status(41.5)))
    assert hub.state.members["device-1"].temperature_c == 41.5
    assert hub.state.members["device-1"].serial == "serial"


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (None, "the server's air is a station's, and x has no radio; start the device with --station"),
        (m.Tuned(868e6, 1e6, "shared", 40e6), "station file of x has lo_hz = 868000000.0, the server's 915000000.0"),
        (m.Tuned(915e6, 2e6, "shared", 40e6), "rate_sps = 2000000.0"),
        (m.Tuned(915e6, 1e6, "free", 40e6), "clock = 'free', the server's 'shared'"),
        (m.Tuned(915e6, 1e6, "shared", 39999696.0), "xo_correction differs from unit to unit: x has 39999696 Hz"),
    ],
)
def test_a_radio_that_does_not_suit_the_receiver_is_refused(theirs: m.Tuned | None, message: str) -> None:
    state = server_state.State(WELCOME, FACTS, "0", ("",), radio=TUNED)
    state, _ = server_state.step(state, server_state.Heard(b"x", "x", m.Hello(m.PROTOCOL, "0")), 0.0)
    after, actions = server_state.step(state, server_state.Heard(b"x", "x", m.Ready(FACTS, 0, -1, theirs)), 0.0)
    (refusal,) = actions
    assert isinstance(refusal, server_state.Send) and isinstance(refusal.message, m.Refused)
    assert message in refusal.message.reason and not after.present


def test_a_radio_where_the_air_is_simulated_is_refused() -> None:
    state = server_state.State(WELCOME, FACTS, "0", ("",))
    state, _ = server_state.step(state, server_state.Heard(b"x", "x", m.Hello(m.PROTOCOL, "0")), 0.0)
    _, (refusal,) = server_state.step(state, server_state.Heard(b"x", "x", m.Ready(FACTS, 0, -1, TUNED)), 0.0)
    assert "without --station" in refusal.message.reason  # type: ignore[union-attr]
