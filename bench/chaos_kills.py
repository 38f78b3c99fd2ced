"""Processes of a lab killed at random and at every named seam, restarted each time, and what is left in the end."""

from __future__ import annotations

import signal
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.forks import Forks, Prepare, Process
from bench.lab import Lab
from bench.seams import MID_SLOT, Seam, fingerprint, witnessed
from fl.config import load
from fl.export import replay_run
from fl.journal import NAME, read_history
from fl.lab.log import Log
from privacy.accounting import Charge, epsilon
from privacy.record_log import from_exact, read_records
from radio.streams import stream

DEVICES = 2
LONGEST_LIFE_S = 1.5  # at random kills: a second of starting, and some rounds
SOME_ROUNDS = 2000  # bytes of a journal: five rounds or so
PACE_S = 4.0  # a round waits so long at most for a device that was killed
STUCK_S = 180.0


@dataclass
class Tally:
    """What became of the runs.

    seams       that somebody was killed at
    random      kills at any time
    mismatches  replicas whose weights are not those of the journal's replay, or other entries of the log than the journal's
    lost        commits that a process had seen and the journal does not have
    overspends  ledgers above their budget, slots charged twice or transmitted without a charge
    burned      slots in which some device's charge was burned
    replicas    final weights that were compared
    """

    seams: list[Seam] = field(default_factory=list)
    random: int = 0
    mismatches: int = 0
    lost: int = 0
    overspends: int = 0
    burned: int = 0
    replicas: int = 0
    runs: int = 0

    @property
    def kills(self) -> int:
        return len(self.seams) + self.random


def kill_again_and_again(
    forks: Forks, experiment: Path, folder: Path, seams: Sequence[Seam], random: int, seed: int
) -> Tally:
    """Runs of the experiment until every seam was died at and `random` kills were made."""
    tally = Tally()
    waiting = {role: [s for s in seams if s.role == role] for role in ("server", "device")}
    draw = stream(seed, "kills")
    while any(waiting.values()) or tally.random < random or not tally.runs:
        _Campaign(forks, experiment, folder / f"run-{tally.runs}", waiting, random, draw, tally).carry_out()
        tally.runs += 1
    return tally


class _Campaign:
    """One run, from its start to its end, whatever happens to its processes."""

    def __init__(
        self,
        forks: Forks,
        experiment: Path,
        folder: Path,
        waiting: dict[str, list[Seam]],
        random: int,
        draw: np.random.Generator,
        tally: Tally,
    ) -> None:
        folder.mkdir()
        self.lab = Lab(forks, folder, DEVICES)
        self.experiment, self.waiting, self.random, self.draw, self.tally = experiment, waiting, random, draw, tally
        self.port = _free_port()
        self.lab.endpoint = f"tcp://127.0.0.1:{self.port}"
        self.names = ["server", *(f"device-{k}" for k in range(DEVICES))]
        self.running: dict[str, Process] = {}
        self.armed: dict[str, Seam] = {}
        self.digests: dict[str, str] = {}
        self.slow = folder / "slow"
        self.slow.touch()
        self.kills = 0
        self.before = self.enough = 0  # size of the journal at the last kill, and how far it is to grow before the next
        self.moment = 0.0  # of the next kill at the earliest

    def carry_out(self) -> None:
        try:
            for name in self.names:
                self._start(name)
            progress, moved = -1, time.monotonic()
            self._next_kill()
            while self.running:
                time.sleep(0.02)
                for name in list(self.running):
                    self._look(name)
                now = time.monotonic()
                if self.tally.random >= self.random and not any(self.waiting.values()):
                    self.slow.unlink(missing_ok=True)
                grown = _size(self.lab.run / NAME) - self.before
                if self.tally.random < self.random and not any(self.waiting.values()):
                    self._kill_somebody(now, grown)
                if (done := self.kills + _size(self.lab.run / NAME)) != progress:
                    progress, moved = done, now
                assert now - moved < STUCK_S, f"stuck: {[(n, p.printed[-2000:]) for n, p in self.running.items()]}"
        finally:
            self.lab.close()
        self._judge()

    def _kill_somebody(self, now: float, grown: int) -> None:
        if self.running and now >= self.moment and grown >= self.enough:
            self._kill(list(self.running)[int(self.draw.integers(len(self.running)))])

    def _next_kill(self) -> None:
        """Any time after the last, so also while somebody is starting; every other one in the middle of the rounds."""
        self.before = _size(self.lab.run / NAME)
        self.enough = int(self.draw.integers(2)) * int(self.draw.integers(1, SOME_ROUNDS))
        self.moment = time.monotonic() + float(self.draw.uniform(0.05, LONGEST_LIFE_S))

    def _start(self, name: str) -> None:
        role = "server" if name == "server" else "device"
        prepare: list[tuple[str, dict[str, Any]]] = [
            ("bench.seams:witness", {"role": role, "file": str(self._notes(name))})
        ]
        if role == "server":
            prepare.append(("bench.seams:pace", {"file": str(self.slow), "devices": DEVICES, "seconds": PACE_S}))
        if free := [seam for seam in self.waiting[role] if seam not in self.armed.values()]:
            self.armed[name] = free[0]
            notes = {"file": str(self._notes(name))}
            for seam in (free[0], *([MID_SLOT] if free[0].where.endswith(".burn") else [])):
                there = {"where": seam.where, "when": seam.when, "what": seam.what, "call": seam.call}
                prepare.append(("bench.seams:die", there | notes))
        self.running[name] = self._command(name, prepare)

    def _command(self, name: str, prepare: Prepare) -> Process:
        if name != "server":
            return self.lab.device(int(name.rpartition("-")[2]), "--patience", "600", prepare=prepare)
        begun = (self.lab.run / NAME).is_file()
        words = ("--resume", self.lab.run) if begun else (self.experiment, "--out", self.lab.run)
        listen = f"tcp://127.0.0.1:{self.port}"
        return self.lab("server", *words, "--listen", listen, "--wait", "2", prepare=prepare)

    def _look(self, name: str) -> None:
        process = self.running[name]
        code = process.poll()
        if code is None:
            if "server" not in self.running and name != "server":
                self._left_behind(name)
            return
        del self.running[name]
        seam = self.armed.pop(name, None)
        if code == -signal.SIGKILL:
            if seam is not None:  # by its own hand
                self._died(name, seam)
                self.kills += 1
                self._next_kill()
            self._start(name)
        else:
            if seam is not None:  # it was not passed in this run
                self.waiting[seam.role].remove(seam)
                self.waiting[seam.role].append(seam)
            assert code == 0, f"{name} ended with code {code}: {process.printed}"
            if name != "server":
                self.digests[name] = process.printed.rpartition("digest of the weights ")[2].split()[0]

    def _died(self, name: str, seam: Seam) -> None:
        there = [note["died"] for note in witnessed(self._notes(name)) if "died" in note][-1]
        if there == [seam.where, seam.when]:
            self.waiting[seam.role].remove(seam)
            self.tally.seams.append(seam)
        else:  # MID_SLOT
            self.tally.random += 1

    def _kill(self, name: str) -> None:
        if self.running[name].poll() is None:
            self.armed.pop(name, None)
            self.running[name].kill()
            self.running[name].wait()
            self.tally.random += 1
            self.kills += 1
        self._next_kill()

    def _left_behind(self, name: str) -> None:
        """Its server has ended without it, because it was dead at that moment: there is nobody to follow any more."""
        process = self.running[name]
        if process.poll(2.0) is None:
            process.end()
            self.armed.pop(name, None)
            del self.running[name]

    def _notes(self, name: str) -> Path:
        return self.lab.folder / f"witness-{name}.jsonl"

    def _judge(self) -> None:
        tally, run = self.tally, self.lab.run
        history, records = read_history(run), read_records(run / NAME)
        log, replay = Log.of(history, records), replay_run(run).digest()
        finals = [*self.digests.values(), *(r["digest"] for r in records if r["type"] == "stop")]
        tally.replicas += len(finals)
        tally.mismatches += sum(digest != replay for digest in finals)
        sent: dict[str, Counter[int]] = {}
        for name in self.names:
            for note in witnessed(self._notes(name)):
                tally.lost += "closed" in note and note["closed"] not in history.slots
                if "sent" in note:
                    sent.setdefault(name, Counter())[note["sent"]] += 1
                for position, print_ in note.get("seen", {}).items():
                    there = int(position) < len(log)
                    tally.lost += not there
                    tally.mismatches += there and fingerprint(log.rounds(int(position), int(position) + 1)[0]) != print_
        self._judge_ledgers(records, sent)

    def _judge_ledgers(self, records: list[dict[str, Any]], sent: dict[str, Counter[int]]) -> None:
        tally = self.tally
        experiment = load(self.experiment)
        charged: Counter[int] = Counter()
        for file in (self.lab.folder / "data").rglob("*.jsonl"):
            header, *charges = read_records(file)
            slots = Counter(r["slot"] for r in charges)
            charged.update(slots)
            kinds = Counter(Charge(from_exact(r["sampling_rate"]), from_exact(r["noise_multiplier"])) for r in charges)
            spent = epsilon(list(kinds.items()), from_exact(header["delta"])) if kinds else 0.0
            tally.overspends += spent > experiment.privacy.epsilon
            tally.overspends += sum(times > 1 for times in slots.values())
            transmitted = sent.get(header["owner"], Counter())
            tally.overspends += sum(times > slots[slot] for slot, times in transmitted.items())
        counted = {r["slot"]: r["active"] for r in records if r["type"] == "round"}
        burned = sum(times > counted.get(slot, 0) for slot, times in charged.items())
        tally.overspends += sum(times > charged[slot] for slot, times in counted.items())
        assert burned <= self.kills, f"{burned} slots have burned charges after {self.kills} kills"
        tally.burned += burned


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
