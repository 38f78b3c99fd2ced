"""Ray, started on this machine or joined elsewhere, for as long as a run or a sweep needs it.  Nothing is reported to anyone."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from radio.errors import InputError, install

# Nothing is reported; workers are the run itself and not a background job, which is how Ray starts them (nice 15); on a busy
# machine importing torch takes a worker longer than Ray's minute; the last would else be warned about.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
STORE_BYTES = 128 << 20  # of a local Ray's object store: what moves is small
LOCAL = "local"


def prepare() -> None:
    """The environment that Ray reads when it starts; what is set already stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


class RaySession:
    """`ray`: the module, connected.

    Args:
        address: None for a Ray of its own on this machine; "auto", HOST:PORT or ray://HOST:PORT for one that runs.  Where
            this process is connected already, that connection is used and left open.

    Raises InputError where Ray is not installed or does not answer.
    """

    def __init__(self, address: str | None = None) -> None:
        prepare()
        try:
            import ray
        except ImportError:
            raise InputError(f"Ray is not installed; {install('ray')}, or leave --ray out") from None
        self.ray: Any = ray
        self._ours = not ray.is_initialized()
        if not self._ours:
            return
        settings: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
        if address is None:
            settings |= {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        # Ray takes SIGTERM for itself, which ends a run in order.
        main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGTERM) if main else None
        try:
            ray.init(address=address or LOCAL, **settings)
        except (OSError, RuntimeError, ValueError) as problem:
            where = "on this machine" if address is None else f"at {address}"
            advice = "see its log in /tmp/ray" if address is None else "start one (ray start --head), or leave it out"
            raise InputError(f"no Ray {where}: {problem}; {advice}") from None
        finally:
            if main:
                signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)

    @property
    def processors(self) -> int:
        return int(self.ray.cluster_resources().get("CPU", 0))

    def close(self) -> None:
        if self._ours:
            self.ray.shutdown()
