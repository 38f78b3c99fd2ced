"""Flower's Grid without Flower: our ClientApp is called where a message is pushed.  Processes come and go as a test likes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from flwr.app import DEFAULT_TTL, Context, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from fl.flower import client_app


class DirectGrid(Grid):
    """nodes: contexts by node id, which are what a SuperNode keeps; `fresh`: every message has a process of its own."""

    def __init__(self, settings: Iterable[dict[str, Any]], fresh: bool = False) -> None:
        self.nodes = {100 + k: self.node(100 + k, dict(s)) for k, s in enumerate(settings)}
        self.fresh, self.sent, self.silent = fresh, list[tuple[int, str]](), set[int]()
        self.bytes = 0
        self._replies: dict[str, Message] = {}
        self._waiting: list[Message] = []
        client_app._hosts.clear()
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1

    @staticmethod
    def node(number: int, settings: dict[str, Any]) -> Context:
        return Context(1, number, settings, RecordDict(), {})

    def start_anew(self, number: int) -> None:
        """That SuperNode, and with it what runs its messages."""
        client_app._hosts.clear()
        self.nodes[number] = self.node(number, self.nodes[number].node_config)

    def get_node_ids(self) -> Iterable[int]:
        return list(self.nodes)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> str:
        number, kind = message.metadata.dst_node_id, message.metadata.message_type
        identity = str(uuid4())
        message.metadata.__dict__["_message_id"] = identity
        self.sent.append((number, kind))
        self.bytes += message.content["pairzero"].count_bytes()
        if number in self.silent:
            if message.metadata.ttl == DEFAULT_TTL:  # what has a time to live is gone when the node is back
                self._waiting.append(message)
        else:
            self._handle(message)
        return identity

    def _handle(self, message: Message) -> None:
        if self.fresh:
            client_app._hosts.clear()
        try:
            reply = client_app.app(message, self.nodes[message.metadata.dst_node_id])
        except Exception as problem:
            reply = Message(Error(code=0, reason=repr(problem)), reply_to=message)
        self._replies[message.metadata.message_id] = reply

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        ready = [m for m in self._waiting if m.metadata.dst_node_id not in self.silent]
        self._waiting = [m for m in self._waiting if m not in ready]
        for message in ready:
            self._handle(message)
        return [self._replies.pop(identity) for identity in message_ids if identity in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return self.pull_messages(self.push_messages(messages))

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    def create_message(self, *words: Any, **more: Any) -> Message:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError
