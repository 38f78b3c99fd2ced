"""Runs `pairzero` commands in processes of their own without importing torch anew for each.

Reads one JSON line a command, {"words": [...], "log": FILE}; forks; prints the process's id and, when it has ended, its
exit code (minus the signal that killed it), then waits for an empty line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def _import_everything(experiment: Path) -> None:
    import torch
    from transformers import OPTForCausalLM  # noqa: F401

    import fl.guarantee
    import fl.reporting.page
    import fl.run
    import fl.session
    import fl.tasks.bow
    from fl.config import load

    torch.set_num_threads(1)
    fl.guarantee.guarantee_of(load(experiment))  # what sizing the noise finds out is remembered by the forks


def _command(words: list[str], log: str) -> None:
    from fl.cli import main

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
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


def serve(experiment: Path) -> None:
    _import_everything(experiment)
    while line := sys.stdin.readline():
        if not line.strip():
            continue
        request = json.loads(line)
        process = os.fork()
        if process == 0:
            _command(request["words"], request["log"])
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
