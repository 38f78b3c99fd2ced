"""Which tests can run on this machine, and what every test shares.

Tests marked `data` need the shared data folder (`PAIRZERO_DATA`, default `../shared/data` from the project's root),
tests marked `gpu` a CUDA device, tests marked `libiio` the system's libiio 0.2x and its Python bindings, tests marked
`engines` the extras ray and flower. Where that is missing they are deselected, and the summary says how many and why.
`PAIRZERO_REQUIRE_DATA=1` makes it an error when no `data` test passed: CI sets it where the folder is there, so that a
wrong path cannot turn those tests off silently.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

PROJECT_ROOT = Path(__file__).resolve().parents[1]

# A red test must be red on every machine, however slow, and on every repetition.
settings.register_profile("pairzero", deadline=None, derandomize=True)
settings.load_profile("pairzero")

# Files of minutes, which are begun first: several processes share the files out (`make test`), and one that takes long and is
# begun last keeps the others waiting.
LONGEST = ("test_benchmarks.py", "test_lab_kills.py", "test_readme.py", "test_conformance.py")

NOTES = pytest.StashKey[list[str]]()


def data_folder() -> Path:
    """Where the shared data is looked for; a relative PAIRZERO_DATA counts from the project's root."""
    return (PROJECT_ROOT / (os.environ.get("PAIRZERO_DATA") or "../shared/data")).resolve()


def data_required() -> bool:
    return os.environ.get("PAIRZERO_REQUIRE_DATA", "") not in ("", "0")


def cuda_is_available() -> bool:
    import torch  # only where a test needs the answer: importing it takes seconds

    return torch.cuda.is_available()


def why_no_libiio() -> str:
    """What keeps the Plutos' driver from loading, or ""."""
    from radio.pluto.driver import DriverError, load

    try:
        load()
    except DriverError as error:
        return str(error)
    return ""


def why_no_engines() -> str:
    """Which of Ray and Flower are not installed, or ""."""
    missing = [name for name in ("ray", "flwr") if find_spec(name) is None]
    return f"{' and '.join(missing)} not installed (extras ray, flower)" if missing else ""


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """A Ray of two logical processors on this machine, which runs started in this process use."""
    import ray

    from fl.ray_session import prepare

    prepare()
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=128 << 20,
        log_to_driver=False,
        configure_logging=False,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The shared data folder. Asking for it marks the test `data`."""
    return data_folder()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOTES] = []


@pytest.hookimpl(tryfirst=True)  # before pytest applies -m, which must see the marks added here
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "data_root" in getattr(item, "fixturenames", ()) and item.get_closest_marker("data") is None:
            item.add_marker("data")
    marked = {
        mark: [item for item in items if item.get_closest_marker(mark)] for mark in ("data", "gpu", "libiio", "engines")
    }
    reasons = {}
    if marked["data"] and not data_folder().is_dir():
        reasons["data"] = f"no data at {data_folder()} (PAIRZERO_DATA)"
        if data_required():
            raise pytest.UsageError(f"PAIRZERO_REQUIRE_DATA is set, but there is {reasons['data']}")
    if marked["gpu"] and not cuda_is_available():
        reasons["gpu"] = "no CUDA device"
    if marked["libiio"] and (why := why_no_libiio()):
        reasons["libiio"] = why
    if marked["engines"] and (why := why_no_engines()):
        reasons["engines"] = why
    left_out = {item for mark in reasons for item in marked[mark]}
    if left_out:
        config.stash[NOTES] += [f"deselected {len(marked[m])} tests marked {m}: {why}" for m, why in reasons.items()]
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(tryfirst=True)  # before the terminal writes its summary
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # one of several processes: the one that started them tells and judges
        output["notes"] = session.config.stash[NOTES]
        return
    if not data_required() or session.config.option.collectonly:
        return
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = terminal.stats.get("passed", []) if terminal else []
    if not any("data" in report.keywords for report in passed):
        session.config.stash[NOTES].append("ERROR: PAIRZERO_REQUIRE_DATA is set, but no test marked data passed")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A process of pytest-xdist has ended. Each has collected every test, so all say the same."""
    notes = getattr(node, "workeroutput", {}).get("notes", [])
    known = node.config.stash[NOTES]
    known += [note for note in notes if note not in known]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for note in config.stash[NOTES]:
        terminalreporter.write_line(note, yellow=True)
