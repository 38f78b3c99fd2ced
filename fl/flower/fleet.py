"""The nodes of a Flower run: who is there, at which place, how much of the log each has, and what they answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from flwr.app import Message
from flwr.serverapp import Grid
from numpy.typing import NDArray

from fl.config import Experiment
from fl.flower.wire import DIGEST, GREET, MEASURE, Greet, Greeted, Has, Place, Refusal, Word, encode, pack, unpack
from fl.lab.log import Log
from fl.lab.messages import CHUNK, Digest, Facts, MessageError, Open, Opened, Suffix

RECENT = 16  # entries that everybody is sent anyway: a process of a simulation may have been idle for some slots
TURN_S = 0.2  # between two looks for answers

T = TypeVar("T")


class Fleet:
    """Nodes of a run.

    Args:
        grid: of the ServerApp.
        run_id: of the run.
        experiment: which the nodes are given.
        at_nodes: data and ledgers are the nodes' own; else they are partitions, and node `partition-id` is that device.
        facts: what must be equal at every node.
        log: of the run; entries are added by whoever commits.
        names: by place, "" where nobody has had it yet.
        timeout_s: for an answer; who is later is left out until it is greeted again.
        say: gets lines for a person.
    """

    def __init__(
        self,
        grid: Grid,
        run_id: str,
        experiment: Experiment,
        at_nodes: bool,
        facts: Facts,
        log: Log,
        names: Sequence[str],
        timeout_s: float,
        say: Callable[[str], None],
    ) -> None:
        self.names = list(names)
        self.charged = -1  # the last slot that a node's ledger has
        self._grid, self._run_id, self._at_nodes = grid, run_id, at_nodes
        self._hello = encode(Greet(run_id, experiment.model_dump_json(), at_nodes))
        self._facts, self._log, self._timeout_s, self._say = facts, log, timeout_s, say
        self._nodes: list[int | None] = [None] * len(self.names)
        self._had = [0] * len(self.names)  # entries a place's process had when it was last spoken to
        self._greeting: dict[str, int] = {}  # message -> node, not answered yet
        self._refused: set[int] = set()

    @property
    def present(self) -> NDArray[np.bool_]:
        """(K,) whose node is there and has been greeted."""
        return np.array([node is not None for node in self._nodes])

    def gather(self, wait_s: float) -> None:
        """Greet who is new; return when all places are taken, or after `wait_s`."""
        deadline = time.monotonic() + wait_s
        while True:
            self._greet()
            if self.present.all() or time.monotonic() >= deadline:
                return
            time.sleep(TURN_S)

    def _greet(self) -> None:
        connected = set(self._grid.get_node_ids())
        for k, node in enumerate(self._nodes):
            if node is not None and node not in connected:
                self._lose(k)
        known = {*self._greeting.values(), *self._nodes, *self._refused}
        new = [node for node in connected if node not in known]
        if new:
            sent = self._grid.push_messages([Message(pack([self._hello]), node, GREET) for node in new])
            self._greeting |= dict(zip(sent, new, strict=True))
        if not self._greeting:
            return
        for reply in self._grid.pull_messages(list(self._greeting)):
            node = self._greeting.pop(reply.metadata.reply_to_message_id, None)
            if node is not None:
                self._welcome(node, reply)
        for message, node in list(self._greeting.items()):
            if node not in connected:
                del self._greeting[message]

    def _welcome(self, node: int, reply: Message) -> None:
        word = next(iter(self._words(reply)), None)
        if isinstance(word, Greeted):
            reason = self._objection(word)
        else:
            reason = word.reason if isinstance(word, Refusal) else "it does not answer in words that make sense"
        if reason:
            self._refused.add(node)
            self._say(f"node {node} takes no part: {reason}")
            return
        assert isinstance(word, Greeted)
        place = word.partition if word.partition >= 0 else self._place(word.name)
        assert place is not None
        self._nodes[place], self.names[place], self._had[place] = node, word.name, 0
        self.charged = max(self.charged, word.charged)

    def _objection(self, word: Greeted) -> str:
        if word.facts != self._facts:
            different = [
                key for key in Facts.__struct_fields__ if getattr(word.facts, key) != getattr(self._facts, key)
            ]
            return f"{word.name} has another {', another '.join(different)} than the server; compare files and versions"
        if word.partition >= len(self.names):
            return f"its partition-id is {word.partition}; allowed: 0 to {len(self.names) - 1}, for learning.devices"
        place = word.partition if word.partition >= 0 else self._place(word.name)
        if place is None:
            return f"all {len(self.names)} places of the experiment are taken (learning.devices)"
        if self._nodes[place] is not None:
            return f"another node is {self.names[place]}; give every node a name or a partition-id of its own"
        return ""

    def _place(self, name: str) -> int | None:
        """That which the name has had, or a free one."""
        if name in self.names:
            return self.names.index(name)
        return self.names.index("") if "" in self.names else None

    def ask(self, kind: str, words: Mapping[int, Sequence[Word | bytes]]) -> dict[int, list[Word]]:
        """Put words to places and wait for their answers.  Who does not answer is no longer present."""
        places = {node: k for k in words if (node := self._nodes[k]) is not None}
        messages = [
            Message(pack([Place(self._run_id, k), *words[k]]), node, kind, ttl=self._timeout_s)
            for node, k in places.items()
        ]
        answers: dict[int, list[Word]] = {}
        for reply in self._grid.send_and_receive(messages, timeout=self._timeout_s) if messages else ():
            place = places.get(reply.metadata.src_node_id)
            if place is not None and (said := self._words(reply)):
                answers[place] = said
        for k in places.values():
            if k not in answers:
                self._lose(k)
        return answers

    def measure(self, order: Open) -> NDArray[np.bool_]:
        """(K,) who has measured.  Who is further behind than was guessed is sent the rest, once."""
        opened = np.zeros(len(self.names), bool)
        asked = [int(k) for k in np.flatnonzero(self.present)]
        for word in self._with_log(MEASURE, asked, [order], Opened):
            opened[word[0]] = word[1].slot == order.slot
        return opened

    def digests(self) -> dict[int, str]:
        """Digest of the weights by place, of those who answer."""
        asked = [int(k) for k in np.flatnonzero(self.present)]
        return {k: word.digest for k, word in self._with_log(DIGEST, asked, [], Digest)}

    def _with_log(self, kind: str, places: list[int], words: list[Word], wanted: type[T]) -> list[tuple[int, T]]:
        """Ask something that takes the weights after the whole log."""
        found: list[tuple[int, T]] = []
        frames: dict[int, list[bytes]] = {}  # first entry -> suffix
        for _ in range(2):
            begin = {k: max(0, min(self._had[k], len(self._log) - RECENT)) for k in places}
            for first in set(begin.values()) - frames.keys():
                frames[first] = self._suffix(first)
            answers = self.ask(kind, {k: [*words, *frames[begin[k]]] for k in places})
            behind = []
            for k, said in answers.items():
                word = next((w for w in said if isinstance(w, wanted)), None)
                has = next((w for w in said if isinstance(w, Has)), None)
                if has is not None:
                    self._had[k] = max(has.entries, 0)
                if word is not None:
                    found.append((k, word))
                elif has is not None and has.entries >= 0:
                    behind.append(k)
                else:
                    self._lose(k)  # its node has forgotten the run: greet it again
            if not behind:
                break
            places = behind
        return found

    def _suffix(self, first: int) -> list[bytes]:
        length = len(self._log)
        cuts = range(first, length, CHUNK) if first < length else [first]
        return [encode(Suffix(length, tuple(self._log.rounds(cut, min(cut + CHUNK, length))))) for cut in cuts]

    def _lose(self, place: int) -> None:
        if self._nodes[place] is not None:
            self._say(f"{self.names[place]} is left out until it answers again")
        self._nodes[place] = None

    def _words(self, reply: Message) -> list[Word]:
        if reply.has_error():
            self._say(f"node {reply.metadata.src_node_id}: {reply.error.reason}")
            return []
        try:
            return unpack(reply.content)
        except MessageError as problem:
            self._say(f"node {reply.metadata.src_node_id}: {problem}")
            return []
