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
from privacy.slots import Slots


class RemoteLedgers(Execution):
    """charged: device -> the slots it was charged for, as the devices have said; their ledgers rule."""

    def __init__(self, *settings: Any, **options: Any) -> None:
        super().__init__(*settings, **options)
        self.charged = self._earlier_charges()

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

    def _earlier_charges(self) -> dict[str, Slots]:
        """What earlier processes of this run knew; after a crash, every slot of the journal counts for every device."""
        file = self.folder.path / CHARGES
        known: dict[str, Slots] = {}
        for copy in read_records(file) if file.is_file() else []:
            for _ in range(copy["times"]):
                known.setdefault(copy["owner"], Slots()).add(copy["slot"])
        missed = sorted(self.journal.history.slots - Slots(slot for slots in known.values() for slot in slots))
        for name in filter(None, self._names()):
            for slot in missed:
                known.setdefault(name, Slots()).add(slot)
        return known

    def _epsilon(self) -> float | None:
        if self.guarantee is None:
            return None
        worst = max((slots.total for slots in self.charged.values()), default=0)
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
        lines = (
            encode({"owner": name, "slot": slot, "times": times, **same}).decode()
            for name, slots in sorted(self.charged.items())
            for slot, times in slots.items()
        )
        write_atomic(self.folder.path / CHARGES, lines)

    def _privacy_facts(self) -> PrivacyFacts:
        owners = []
        for name, slots in sorted(self.charged.items()):
            rounds = slots.total
            if self.guarantee is not None:
                spent = epsilon([(self.guarantee.charge, rounds)] if rounds else [], self.guarantee.delta)
                owners.append(OwnerSpent(name, spent, rounds, "the device's own ledger; this run alone"))
        return facts_of(self.folder.path, self.experiment, self.guarantee, owners)
