"""This project's own rounds, as they really run: devices, privacy, radio, transport, journal; compared like any baseline.

The presets of `fl.baselines.harness` that use it differ in keys of the experiment only, so each of them is a run that
`pairzero run --set ...` can do.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fl import session
from fl.baselines.algorithm import FLOAT_BITS, Cost
from fl.baselines.setting import Setting
from fl.crew import LocalCrew
from fl.guarantee import guarantee_of
from fl.journal import Journal
from fl.proposal import limits_of
from fl.rounds import train
from fl.transport import InProcess

RUN = "comparison"


class PairZero:
    def __init__(self, setting: Setting) -> None:
        """The journal and the throw-away ledgers live in a temporary folder until the setting is closed."""
        self._setting = setting
        experiment, resources = setting.experiment, setting.resources
        folder = Path(resources.enter_context(TemporaryDirectory()))
        guarantee = guarantee_of(experiment)
        ledgers = folder / "ledger"
        devices = session.build_devices(experiment, setting.task, setting.replica.likelihood, guarantee, ledgers)
        resources.callback(session.close_ledgers, devices)
        self._limits = limits_of(experiment, guarantee)
        self._air = session.build_air(experiment)
        resources.callback(self._air.close)
        self._journal = Journal(folder, {"run_id": RUN})
        resources.callback(self._journal.close)
        self._transport = InProcess(RUN, LocalCrew(setting.replica, devices), devices, self._air)

    def round(self, t: int) -> Cost:
        """Slots until one is committed; erased ones cost as much as any.  Raises StoppedEarly when the air erases too many.

        Batches are secret: examples are counted at their expectation, B on every device.
        """
        setting, history = self._setting, self._journal.history
        learning = setting.experiment.learning
        target, slots = history.rounds + 1, len(history.slots)
        train(
            setting.experiment.run.seed,
            learning,
            self._limits,
            self._transport,
            self._air,
            self._journal,
            lambda slot: None,
            lambda: history.rounds == target,
        )
        slots = len(history.slots) - slots
        passes = slots * setting.passes * setting.devices * learning.local_steps
        return Cost(
            forwards=passes * learning.batch,
            passes=passes,
            uplink_uses=self._air.mode.channel_uses(slots * learning.scalars, setting.devices),
            downlink_bits=setting.devices * learning.scalars * FLOAT_BITS,
        )
