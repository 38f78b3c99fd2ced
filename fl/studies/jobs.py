"""Cells one after another in this process, or several at a time, each in a process that is kept for the next.

A small model's products are too short to be shared by threads: as many cells as there are cores, on a thread each, are measured
half as fast again as one after another on all of them.  Digests do not depend on it, figures do not either.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event as EventType
from pathlib import Path

from fl.stop import Stop
from fl.studies.cell import Cell
from fl.studies.outcome import Measured
from fl.studies.record import measure
from radio.errors import InputError

LOOK_S = 0.5  # how often a wait looks for Ctrl-C
SIGNALS = (signal.SIGINT, signal.SIGTERM)

_over: EventType | None = None  # in a worker: no cell is to be begun any more


def one_by_one(
    cells: Iterable[Cell], folder_of: Callable[[Cell], Path], begin: Callable[[Cell], None]
) -> Iterator[Measured]:
    """What was measured of each; `begin` is told of it when it starts."""
    for cell in cells:
        begin(cell)
        yield measure(cell, folder_of(cell))


def together(
    jobs: int, cells: Iterable[Cell], folder_of: Callable[[Cell], Path], begin: Callable[[Cell], None]
) -> Iterator[Measured]:
    """What was measured, in the order it is done; `begin` is told of each cell when it starts.

    Ctrl-C and SIGTERM are passed on to every process, which ends its cell in order; raises what the cells then raise, after
    the last has ended.  InputError where a process was killed.
    """
    stop, left, running = Stop(), iter(cells), dict[Future[Measured], Cell]()
    failed: BaseException | None = None
    context = multiprocessing.get_context("spawn")
    over = context.Event()  # for who is not yet, or no longer, in a cell when the signal comes
    with stop.listening(), ProcessPoolExecutor(jobs, context, _prepare, (over,)) as pool:

        def start() -> None:
            while failed is None and not stop and len(running) < jobs and (cell := next(left, None)) is not None:
                begin(cell)
                before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a new process keeps it until it is ready
                try:
                    running[pool.submit(_carry_out, cell, folder_of(cell))] = cell
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, before)

        def send(number: int) -> None:
            for process in list((pool._processes or {}).values()):
                if process.pid is not None and process.is_alive():
                    os.kill(process.pid, number)

        told = False
        start()
        while running:
            try:
                done, _ = wait(running, LOOK_S, FIRST_COMPLETED)
            except KeyboardInterrupt:  # the second: at once
                send(signal.SIGINT)
                continue
            if (stop or failed) and not told:
                told = True
                over.set()
                send(signal.SIGTERM if stop.terminated else signal.SIGINT)
            for future in done:
                cell = running.pop(future)
                error = future.exception()
                if error is None:
                    yield future.result()
                elif isinstance(error, BrokenProcessPool):
                    failed = InputError(
                        f"the process that measured {cell.name!r} was killed, by the system perhaps, for memory; what is done "
                        f"is kept. Go on with fewer --jobs than {jobs}"
                    )
                elif failed is None or not isinstance(error, KeyboardInterrupt):
                    failed = error
            start()
    if failed is not None and not isinstance(failed, KeyboardInterrupt):
        raise failed
    stop.obey()
    if failed is not None:
        raise failed


def _prepare(over: EventType) -> None:
    """A worker: its signals come from the parent, not the terminal; it is deaf between cells, and gone with the parent."""
    global _over
    _over = over
    os.setpgid(0, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _carry_out(cell: Cell, folder: Path) -> Measured:
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    try:
        if _over is not None and _over.is_set():  # the signal came before there was somebody to hear it
            raise KeyboardInterrupt
        return measure(cell, folder)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
