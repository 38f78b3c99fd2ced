"""Runs `pairzero` commands in processes of their own, many at once, without importing torch anew for each; see `bench.forks`.

Reads one JSON line a request: {"words": [...], "log": FILE, "environment": {...}, "prepare": [[FUNCTION, {...}], ...]} forks,
calls each `module:function` with its arguments in the child, and answers with the process's id; {"wait": ID, "seconds": S}
answers with its exit code (minus the signal that killed it), or null if it is still running then.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def _import_everything(experiments: list[Path]) -> None:
    import matplotlib.backends.backend_svg  # noqa: F401
    import torch
    from transformers import AutoTokenizer, OPTForCausalLM  # noqa: F401

    import fl.guarantee
    import fl.lab.device
    import fl.lab.facts
    import fl.lab.server
    import fl.reporting.page
    import fl.run
    import fl.tasks.bow
    from fl import session
    from fl.config import load
    from privacy.accounting import rounds_allowed

    torch.set_num_threads(1)
    for settings in map(load, experiments):
        # what sizing the noise and counting the rounds of a budget find out, and compiled code, is remembered by the forks
        if (guarantee := fl.guarantee.guarantee_of(settings)) is not None:
            rounds_allowed(guarantee.charge, [], settings.privacy.epsilon, guarantee.delta)
        fl.lab.facts.facts_of(settings, session.build_replica(settings, session.experiment_task(settings)))


def _command(
    words: list[str], log: str, environment: dict[str, str], prepare: list[tuple[str, dict[str, Any]]]
) -> None:
    from fl.cli import main

    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    sys.argv = ["pairzero", *words]
    try:
        for name, arguments in prepare:
            module, _, function = name.partition(":")
            getattr(importlib.import_module(module), function)(**arguments)
        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wait(process: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.005)


def serve(experiments: list[Path]) -> None:
    _import_everything(experiments)
    while line := sys.stdin.readline():
        request = json.loads(line)
        if "wait" in request:
            print(json.dumps(_wait(request["wait"], request["seconds"])), flush=True)
            continue
        process = os.fork()
        if process == 0:
            _command(**request)
        print(process, flush=True)


if __name__ == "__main__":
    serve([Path(file) for file in sys.argv[1:]])
