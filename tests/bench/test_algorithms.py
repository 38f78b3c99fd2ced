"""The comparison of algorithms runs quickly, with no file of the tests, and reports every one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Bench = Callable[..., dict[str, Any]]


def test_every_algorithm_has_its_four_rows(bench: Bench) -> None:
    from fl.baselines.harness import PRESETS

    rows = bench("algorithms")
    assert set(rows) == {f"{n}_{what}" for n in PRESETS for what in ("loss", "accuracy", "forwards", "uplink")}
    # one round of two devices with batches of four: scalars over the air, a gradient of d numbers, or its 32 d bits
    size = 4096 + 2 * 32
    assert (rows["pairzero_uplink"]["value"], rows["pairzero_uplink"]["unit"]) == (8, "channel uses")
    assert (rows["pairzero-central_uplink"]["value"], rows["pairzero-central_uplink"]["unit"]) == (1, "channel uses")
    assert (rows["fedsgd-ota_uplink"]["value"], rows["fedsgd-ota_uplink"]["unit"]) == (size, "channel uses")
    assert (rows["fedsgd_uplink"]["value"], rows["fedsgd_uplink"]["unit"]) == (2 * size * 32, "bit")
    assert rows["mezo_forwards"]["value"] == 2 * 2 * 4


def test_only_those_asked_for_run_and_an_unknown_one_is_named(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert {name.partition("_")[0] for name in bench("algorithms", "--only", "mezo,fedsgd")} == {"mezo", "fedsgd"}
    with pytest.raises(SystemExit) as ended:
        bench("algorithms", "--only", "mezo,fedprox")
    assert ended.value.code == 2 and "fedprox: not known; allowed: pairzero" in capsys.readouterr().err
