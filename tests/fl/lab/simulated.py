"""A lab without processes, sockets and clocks: the two state machines, and what is on the wire between them."""

from __future__ import annotations

from collections import deque

from fl.lab import device_state, server_state
from fl.lab.messages import (
    Facts,
    FromDevice,
    FromServer,
    Open,
    Propose,
    Rejoin,
    Round,
    Suffix,
    Transmit,
    Welcome,
)

DIGEST = "ab" * 32
FACTS = Facts(DIGEST, DIGEST, DIGEST, "fp32", DIGEST)
WELCOME = Welcome("0123456789abcdef", "{}", 0, 40001, 2)


class Device:
    """One device: its machine, its ledger, and what it has done, all for good; a restart keeps the ledger only."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab, self.name = lab, name
        self.charges: list[int] = []
        self.emitted: list[int] = []
        self.budget = 1 << 30
        self.connections = 0
        self.start()

    def start(self) -> None:
        self.state = device_state.State("0")
        self.log: list[Round] = []
        self.due: device_state.Event | None = None  # the outcome of something slow
        self.connect()

    def connect(self) -> None:
        """A new connection: whatever was under way on the old one is lost."""
        self.connections += 1
        self.peer = f"{self.name}/{self.connections}".encode()
        self.up: deque[FromDevice] = deque()
        self.down: deque[FromServer] = deque()
        if self.connections > 1:
            self.feed(device_state.Heard(Rejoin()))

    def feed(self, event: device_state.Event) -> None:
        self.state, actions = device_state.step(self.state, event, self.lab.now)
        for action in actions:
            match action:
                case device_state.Say(message):
                    self.up.append(message)
                case device_state.Build():
                    charged = max(self.charges, default=-1)
                    self.due = device_state.Built(self.lab.facts.get(self.name, FACTS), charged)
                case device_state.Release(propose):
                    spent = len(self.charges) >= self.budget
                    if not spent:
                        self.charges.append(propose.slot)
                    self.feed(device_state.Released(propose.slot, "budget" if spent else None))
                case device_state.Emit(transmit):
                    self.emitted.append(transmit.slot)
                    self.feed(device_state.Transmitted(transmit.slot))
                case device_state.Apply(entries):
                    for entry in entries:
                        assert entry.position == len(self.log)
                        self.log.append(entry)

    def work(self) -> None:
        """Finish building or measuring."""
        if self.due is not None:
            due, self.due = self.due, None
            self.feed(due)
        elif self.state.due is not None:
            self.feed(device_state.Measured(self.state.due.slot))

    def receive(self) -> None:
        if self.down:
            self.feed(device_state.Heard(self.down.popleft()))


class Lab:
    def __init__(self, devices: int = 3) -> None:
        self.now = 0.0
        self.facts: dict[str, Facts] = {}
        self.log: list[Round] = []
        self.slot = -1
        self.sums: dict[int, frozenset[str]] = {}  # slot -> who was counted as having transmitted
        self.server = server_state.State(WELCOME, FACTS, "0", ("",) * devices, chunk=2)
        self.devices = [Device(self, f"device-{k}") for k in range(devices)]

    def feed(self, event: server_state.Event) -> None:
        self.server, actions = server_state.step(self.server, event, self.now)
        for action in actions:
            match action:
                case server_state.Send(peer, message):
                    self._send(peer, message)
                case server_state.SendSuffix(peer, had):
                    entries = tuple(self.log[had : had + self.server.chunk])
                    self._send(peer, Suffix(len(self.log), entries))

    def _send(self, peer: bytes, message: FromServer) -> None:
        for device in self.devices:
            if device.peer == peer:
                device.down.append(message)
                return
        self.feed(server_state.Gone(peer))

    def hear(self, device: Device) -> None:
        if device.up:
            self.feed(server_state.Heard(device.peer, device.name, device.up.popleft()))

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.feed(server_state.Tick())
        for device in self.devices:
            device.feed(device_state.Tick())

    def advance(self) -> None:
        """What the round loop does when the machine has settled."""
        phase = self.server.phase
        if not self.server.settled:
            return
        if phase is None:
            if not self.server.present:
                return
            self.slot = max(self.slot, self.server.charged) + 1
            order = Open(self.slot, len(self.log), 99 + self.slot, 1, 0.01)
            self.feed(server_state.Ask("open", self.slot, dict.fromkeys(self.server.present, order)))
        elif phase.kind == "open":
            propose = Propose(self.slot, 1, 0.0, (1.0, 0.0), 1.0)
            self.feed(server_state.Ask("arming", self.slot, dict.fromkeys(self.server.taking, propose)))
        elif phase.kind == "arming":
            self.armed = self.server.taking
            go = Transmit(self.slot, 1.0)
            self.feed(server_state.Ask("air", self.slot, dict.fromkeys(self.server.taking, go)))
        else:
            certain = self.server.taking == self.armed and bool(self.armed)
            if certain:
                self.sums[self.slot] = self.server.taking
            entry = Round(len(self.log), self.slot, 99 + self.slot, 0.01, 1, "central", certain)
            self.log.append(entry)
            self.feed(server_state.Close(entry))

    def settle(self, rounds: int = 1, turns: int = 400) -> None:
        """Let everything take its course without disturbance until so many more rounds are in the log."""
        target = len(self.log) + rounds
        for _ in range(turns):
            for device in self.devices:
                device.work()
                while device.up:
                    self.hear(device)
                while device.down:
                    device.receive()
            if len(self.log) >= target and all(len(d.log) == len(self.log) for d in self.devices):
                return
            if len(self.log) < target:
                self.advance()
            self.tick(0.3)
        raise AssertionError(f"{len(self.log)} rounds, devices {[(d.state.stage, len(d.log)) for d in self.devices]}")
