"""Runs `pairzero` commands in processes of their own, many at once, without importing torch anew for each.

Reads one JSON line a request: {"words": [...], "log": FILE, "environment": {...}} forks and answers with the process's id;
{"wait": ID, "seconds": S} answers with its exit code (minus the signal that killed it), or null if it is still running then.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def _import_everything(experiments: list[Path]) -> None:
    import torch
    from transformers import AutoTokenizer, OPTForCausalLM  # noqa: F401

    import fl.guarantee
    import fl.lab.device
    import fl.lab.server
    import fl.reporting.page
    import fl.tasks.bow
    from fl.config import load
    from fl.models import load_model

    torch.set_num_threads(1)
    for settings in map(load, experiments):
        fl.guarantee.guarantee_of(settings)  # what sizing the noise finds out is remembered by the forks
        load_model(settings.model.source)


def _command(words: list[str], log: str, environment: dict[str, str]) -> None:
    from fl.cli import main

    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (file, 1), (file, 2)):
        os.dup2(source, target)
    sys.argv = ["pairzero", *words]
    try:
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
            _command(request["words"], request["log"], request["environment"])
        print(process, flush=True)


if __name__ == "__main__":
    serve([Path(file) for file in sys.argv[1:]])
