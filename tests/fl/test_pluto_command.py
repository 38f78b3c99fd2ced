"""`pairzero radio find | probe | selftest | tone` against virtual units."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fl.cli import app
from radio.emulator.cores import TransmitCore
from radio.emulator.server import Plutos, serve
from radio.emulator.wave import NEUTRAL
from radio.errors import InputError
from radio.pluto import selftest as checks
from radio.pluto import tone as tones

pytestmark = pytest.mark.libiio


@pytest.fixture
def plutos() -> Iterator[Plutos]:
    with serve(2, seed=8, host="127.0.0.1", port=0) as units:
        yield units


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["radio", *arguments])


def refused(*arguments: str) -> str:
    """The message of a command that ends with exit code 2."""
    result = call(*arguments)
    assert isinstance(result.exception, InputError) and result.exception.exit_code == 2
    return str(result.exception)


def test_find_lists_serials(plutos: Plutos) -> None:
    result = call("find", "--uri", plutos.uris[0], "--uri", plutos.uris[1])
    assert result.exit_code == 0
    assert "serial virtual-00" in result.stdout and "serial virtual-01" in result.stdout


def test_find_says_what_cannot_be_used(plutos: Plutos) -> None:
    message = refused("find", "--uri", plutos.uris[0], "--uri", plutos.uris[0], "--uri", "ip:127.0.0.1:9")
    assert f"serial virtual-00 answers at {plutos.uris[0]} as well" in message
    assert "ip:127.0.0.1:9: open: nobody listens there" in message


def test_probe_changes_nothing(plutos: Plutos) -> None:
    before = [vars(unit.transceiver.settings).copy() for unit in plutos.units]
    result = call("probe", plutos.uris[0])
    assert result.exit_code == 0
    for text in ("virtual-00", "v0.39-virtual", "325000000 to 3800000000", "-89.75 to 0 in steps of 0.25", "zynq"):
        assert text in result.stdout
    assert [vars(unit.transceiver.settings) for unit in plutos.units] == before


def test_selftest_passes_and_never_radiates(plutos: Plutos, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = plutos.units[0]
    on_air = []
    put = unit.air.put
    monkeypatch.setattr(unit.air, "put", lambda sender: (on_air.append(sender), put(sender)))
    tuned = (unit.transceiver.settings.tx_lo_hz, unit.transceiver.settings.rate_sps)
    result = call("selftest", plutos.uris[0])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("pass  ") == 10 and "FAIL" not in result.stdout
    assert on_air and not any(sender.on and (sender.waves or sender.gain_db > -89.75) for sender in on_air)
    assert (unit.transceiver.settings.tx_lo_hz, unit.transceiver.settings.rate_sps) == tuned


def test_selftest_finds_a_unit_that_does_not_weigh(plutos: Plutos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TransmitCore, "stage", property(lambda core: NEUTRAL, lambda core, value: None), raising=False)
    results = {check.name: check for check in checks.selftest(plutos.uris[0])}
    assert not results["weights, live"].passed
    assert "do not scale a running transmission" in results["weights, live"].detail
    assert results["stale samples"].passed and "new waves" in results["stale samples"].detail
    assert "1 test(s) failed" in refused("selftest", plutos.uris[0])


def test_tone_needs_a_permission(plutos: Plutos, tmp_path: Path) -> None:
    assert "pass --allow-tx" in refused("tone", plutos.uris[0], "--lo", "915e6", "--seconds", "0.01")
    file = tmp_path / "s.toml"
    text = '[station]\nlo_hz = 868.3e6\nreceive_gain_db = 20\nrate_sps = 600e3\n[receiver]\nuri = "a"\n[[device]]\nuri = "b"\n'
    file.write_text(text)
    assert "nothing permits it" in refused("tone", plutos.uris[0], "--lo", "868.3e6", "--station", str(file))
    file.write_text(text + "[permit]\nband_hz = [868.0e6, 868.6e6]\nmax_eirp_dbm = -50\nduty = 0.01\n")
    outside = refused("tone", plutos.uris[0], "--lo", "915e6", "--station", str(file), "--rate", "600e3")
    assert "outside the permitted 868 to 868.6 MHz" in outside
    loud = refused(
        "tone", plutos.uris[0], "--lo", "868.3e6", "--station", str(file), "--rate", "600e3", "--attenuation", "10"
    )
    assert "permitted are -50 dBm" in loud
    assert all(unit.starts == 0 for unit in plutos.units)


def test_tone_is_heard_at_its_frequency_and_muted(plutos: Plutos, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = plutos.units[0]
    during = []
    monkeypatch.setattr(tones.time, "sleep", lambda seconds: during.append((seconds, unit._sender)))
    result = call("tone", plutos.uris[0], "--lo", "915e6", "--offset", "125e3", "--attenuation", "30", "--allow-tx")
    assert result.exit_code == 0, result.output
    assert "the tone was at 915.125000 MHz" in result.stdout
    (seconds, sender), *_ = during
    assert seconds == 5.0 and sender.on and sender.gain_db == -30.0 and len(sender.waves) == 1
    assert unit.transceiver.settings.tx_gain_db == -89.75 and unit.transmit_buffer is None


@pytest.mark.parametrize(
    ("option", "value", "message"), [("--offset", "0", "leakage"), ("--seconds", "0", "above 0, at most 3600")]
)
def test_tone_settings_that_make_no_sense(plutos: Plutos, option: str, value: str, message: str) -> None:
    assert message in refused("tone", plutos.uris[0], "--lo", "915e6", "--allow-tx", option, value)


def test_a_station_duty_that_is_too_short_for_the_tone_refuses_it(plutos: Plutos) -> None:
    permit = tones.TransmitPermit(914e6, 916e6, 10.0, duty=0.01, duty_period_s=100.0)
    with pytest.raises(InputError, match="leaves 1 s"):
        tones.send_tone(plutos.uris[0], permit, lo_hz=915e6, offset_hz=1e5, rate_sps=1e6, gain_db=-40.0, seconds=2.0)
    assert plutos.units[0].starts == 0


BLOCKED = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("iio", "adi"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Absent())
"""
NOT_FOUND = "import ctypes.util; ctypes.util.find_library = lambda name: None"


@pytest.mark.parametrize(
    ("absence", "arguments"),
    [
        (BLOCKED, ["find"]),
        (BLOCKED, ["tone", "ip:127.0.0.1", "--lo", "915e6", "--allow-tx"]),
        (NOT_FOUND, ["probe", "ip:127.0.0.1"]),
    ],
)
def test_without_the_libraries_a_command_says_in_one_line_what_to_install(absence: str, arguments: list[str]) -> None:
    code = f"{absence}\nimport sys\nfrom fl.cli import main\nsys.argv[1:] = {['radio', *arguments]}\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    assert "apt install libiio0" in done.stderr and "pip install 'pairzero[hardware]'" in done.stderr
