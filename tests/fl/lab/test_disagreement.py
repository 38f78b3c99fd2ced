"""Weights that differ: whose, why and since which round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import hypothesis.strategies as st
from hypothesis import given

from bench.lab import Lab
from fl.config import Experiment
from fl.journal import read_history
from fl.lab.disagreement import Verdict, explain, sentence
from fl.lab.messages import PLACES
from tests.fl.lab.test_lab_runs import write

Make = Callable[..., Experiment]
RIGHT = [f"right {n}" for n in range(1001)]
ROUNDS = {"learning.devices": 2, "radio.mode": "ideal", "learning.rounds": 6, "run.evaluate_every": 3}


def at(digests: Sequence[str]) -> Callable[[Sequence[int]], Sequence[str]]:
    return lambda places: [digests[place] for place in places]


@given(st.integers(1, 1000), st.data())
def test_the_round_of_a_faulty_replay_is_found(position: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, position))
    agreed = data.draw(st.integers(0, position - 1))  # whatever the live weights did
    wrong = RIGHT[:first] + [f"wrong {n}" for n in range(first, 1001)]
    asked: list[int] = []

    def theirs(places: Sequence[int]) -> Sequence[str]:
        assert 1 <= len(places) <= PLACES and list(places) == sorted(set(places))
        asked.append(len(places))
        return at(wrong)(places)

    verdict = explain(theirs, at(RIGHT), RIGHT[position], agreed, position)
    assert verdict == Verdict("device", "arithmetic", first - 1, first)
    assert len(asked) <= 4  # 17^3 > 1000, and one to begin with


@given(st.integers(0, 999), st.integers(1, 1000))
def test_where_the_replays_agree_it_was_memory(agreed: int, more: int) -> None:
    position = min(1000, agreed + more)
    assert explain(at(RIGHT), at(RIGHT), RIGHT[position], agreed, position) == Verdict(
        "device", "memory", agreed, position
    )
    assert explain(at(RIGHT), at(RIGHT), "altered", agreed, position) == Verdict("server", "memory", agreed, position)
    silent = explain(lambda places: None, at(RIGHT), RIGHT[position], agreed, position)
    assert silent == Verdict("device", "unknown", agreed, position)


def test_slots_are_named_not_entries() -> None:
    slots = [0, 1, 5, 6]  # 2 to 4 were burned
    assert "device-1 went wrong in slot 5:" in sentence(Verdict("device", "memory", 2, 3), "device-1", slots)
    assert "between slot 1 and slot 6:" in sentence(Verdict("device", "memory", 1, 4), "device-1", slots)
    assert "the server went wrong in slot 0:" in sentence(Verdict("server", "memory", 0, 1), "device-1", slots)


def said(lab: Lab, make_experiment: Make, fault: tuple[str, dict[str, int]], rare: bool = False) -> str:
    """What the server says when device-1 has that fault."""
    prepare = [("tests.fl.lab.faults:rare_digests", {})] if rare else []
    server = lab.server(write(lab, make_experiment(ROUNDS)), "--out", lab.run, prepare=prepare)
    lab.device(0), lab.device(1, prepare=[fault])
    assert server.wait() == 2
    history = read_history(lab.run)
    assert history.stop is None and history.rounds >= 2  # what was committed stands
    return " ".join(server.printed.split())


def test_a_bit_that_flips_is_found_in_its_slot(lab: Lab, make_experiment: Make) -> None:
    text = said(lab, make_experiment, ("tests.fl.lab.faults:bit_flip", {"position": 2}))
    assert "device-1 has other weights than the server after 2 slots" in text
    assert "the weights of device-1 went wrong in slot 1: a replay of its own log gives the right ones" in text


def test_with_rare_digests_an_interval_is_named(lab: Lab, make_experiment: Make) -> None:
    text = said(lab, make_experiment, ("tests.fl.lab.faults:bit_flip", {"position": 2}), rare=True)
    assert "the weights of device-1 went wrong between slot 0 and slot 2: a replay of its own log gives" in text


def test_the_slot_of_a_wrong_step_is_found_in_an_interval(lab: Lab, make_experiment: Make) -> None:
    text = said(lab, make_experiment, ("tests.fl.lab.faults:wrong_step", {"position": 1}), rare=True)
    assert "device-1 has other weights than the server after 3 slots" in text
    assert "the weights of device-1 went wrong in slot 1 first: its replay of the same log gives other weights" in text
