"""A run whose devices are elsewhere with ledgers of their own: what the server of it can know of privacy is what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fl.device import Device
from fl.privacy_facts import CHARGES, facts_of
from fl.run import Execution
from fl.run_folder import DEVICES, write_atomic, write_json
from privacy.accounting import epsilon
from privacy.facts import OwnerSpent, PrivacyFacts
from privacy.record_log import encode, read_records


class RemoteLedgers(Execution):
    """charged: device -> slot -> charges, as the devices have said in this process; their ledgers rule."""

    def __init__(self, *settings: Any, **options: Any) -> None:
        super().__init__(*settings, **options)
        self.charged: dict[str, dict[int, int]] = {}
        self.earlier = self._earlier_charges()

    def _build_devices(self, ledgers: Path) -> list[Device]:
        return []

    def _names(self) -> tuple[str, ...]:
        """Which device has which place, as it was when the run was last carried on."""
        file = self.folder.path / DEVICES
        if file.is_file():
            return tuple(device["name"] for device in json.loads(file.read_text(encoding="utf-8")))
        return ("",) * self.experiment.learning.devices

    def _named(self, names: tuple[str, ...]) -> None:
        write_json(self.folder.path / DEVICES, [{"name": name, "state": ""} for name in names])

    def _earlier_charges(self) -> dict[str, dict[int, int]]:
        """What earlier processes of this run knew; after a crash, every slot of the journal counts for every device."""
        file = self.folder.path / CHARGES
        known: dict[str, dict[int, int]] = {}
        for copy in read_records(file) if file.is_file() else []:
            known.setdefault(copy["owner"], {})[copy["slot"]] = copy["times"]
        seen = {slot for slots in known.values() for slot in slots}
        for name in filter(None, self._names()):
            known.setdefault(name, {}).update({slot: 1 for slot in self.journal.history.slots - seen})
        return known

    def _charges(self) -> dict[str, dict[int, int]]:
        earlier, latest = self.earlier, self.charged
        return {n: {**earlier.get(n, {}), **latest.get(n, {})} for n in sorted({*earlier, *latest})}

    def _epsilon(self) -> float | None:
        if self.guarantee is None:
            return None
        worst = max((sum(slots.values()) for slots in self._charges().values()), default=0)
        return epsilon([(self.guarantee.charge, worst)] if worst else [], self.guarantee.delta)

    def _evaluate(self, final: bool, full: bool = False) -> float:
        accuracy = super()._evaluate(final, full)
        self._copy_charges()  # for whoever watches: the ledgers are elsewhere
        return accuracy

    def _copy_charges(self) -> None:
        if self.guarantee is None:
            return
        charge = self.guarantee.charge
        same = {"sampling_rate": charge.sampling_rate, "noise_multiplier": charge.noise_multiplier}
        lines = [
            encode({"owner": name, "slot": slot, "times": times, **same}).decode()
            for name, slots in self._charges().items()
            for slot, times in sorted(slots.items())
        ]
        write_atomic(self.folder.path / CHARGES, "".join(lines))

    def _privacy_facts(self) -> PrivacyFacts:
        owners = []
        for name, slots in self._charges().items():
            rounds = sum(slots.values())
            if self.guarantee is not None:
                spent = epsilon([(self.guarantee.charge, rounds)] if rounds else [], self.guarantee.delta)
                owners.append(OwnerSpent(name, spent, rounds, "the device's own ledger; this run alone"))
        return facts_of(self.folder.path, self.experiment, self.guarantee, owners)
