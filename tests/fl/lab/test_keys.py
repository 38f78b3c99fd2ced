"""Key folders: what is made, what is refused, and what the refusal says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import zmq

from fl.lab.keys import default_folder, enroll, init, listing, load_device, load_server, revoke, throw_away
from radio.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    init(path)
    return path


def test_only_the_owner_can_read_what_is_made(folder: Path) -> None:
    enroll(folder, "bench-1")
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert not list(folder.rglob(".*")), "nothing hidden is left behind"


def test_a_device_has_its_own_pair_and_knows_the_server(folder: Path) -> None:
    first, second = (load_device(enroll(folder, name), name) for name in ("bench-1", "bench-2"))
    server = load_server(folder)
    assert first.server == second.server == server.public
    assert zmq.curve_public(first.secret) == first.public != second.public
    assert [server.name_of(keys.public) for keys in (first, second)] == ["bench-1", "bench-2"]
    assert repr(first).find(first.secret.decode()) < 0 and repr(server).find(server.secret.decode()) < 0


def test_the_bundle_alone_is_enough_on_another_host(folder: Path, tmp_path: Path) -> None:
    carried = tmp_path / "other"
    shutil.move(enroll(folder, "bench-1"), carried)
    assert load_device(carried, "bench-1").server == load_server(folder).public
    assert [(device.name, device.here) for device in listing(folder)] == [("bench-1", False)]
    with pytest.raises(InputError, match=r"no key of device 'bench-2'.*pairzero keys enroll bench-2"):
        load_device(carried, "bench-2")


def test_enrolling_and_revoking_are_seen_by_a_loaded_server(folder: Path) -> None:
    server = load_server(folder)
    old = load_device(enroll(folder, "bench-1"), "bench-1").public
    assert server.name_of(old) == "bench-1"
    revoke(folder, "bench-1")
    assert server.name_of(old) is None
    new = load_device(enroll(folder, "bench-1"), "bench-1").public
    assert server.name_of(old) is None
    assert server.name_of(new) == "bench-1"
    assert not (folder / "devices" / "bench-2").exists()


def test_a_revoked_secret_is_deleted(folder: Path) -> None:
    bundle = enroll(folder, "bench-1")
    revoke(folder, "bench-1")
    assert not bundle.exists() and listing(folder) == []


@pytest.mark.parametrize("name", ["", "a b", "../up", "-x", ".x", "é", "a" * 33, "a/b", "a\n"])
def test_bad_names_are_refused(folder: Path, name: str) -> None:
    for action in (enroll, revoke, load_device):
        with pytest.raises(InputError, match=r"device name .* allowed are"):
            action(folder, name)


def test_a_second_enrolment_and_a_second_server_are_refused(folder: Path) -> None:
    bundle = enroll(folder, "bench-1")
    before = load_device(bundle, "bench-1")
    with pytest.raises(InputError, match=r"enrolled already.*pairzero keys revoke bench-1"):
        enroll(folder, "bench-1")
    with pytest.raises(InputError, match="holds a server key already"):
        init(folder)
    assert load_device(folder, "bench-1") == before


def test_an_interrupted_enrolment_can_be_repeated(folder: Path) -> None:
    (folder / "devices" / "bench-1").mkdir()
    (folder / "devices" / "bench-1" / "bench-1.key_secret").write_text("half")
    assert load_device(enroll(folder, "bench-1"), "bench-1").name == "bench-1"


def test_revoking_a_stranger_names_who_is_known(folder: Path) -> None:
    enroll(folder, "bench-2")
    with pytest.raises(InputError, match=r"'bench-1' is not enrolled.*enrolled: bench-2"):
        revoke(folder, "bench-1")


def test_secret_keys_that_others_can_read_are_refused(folder: Path) -> None:
    secret = enroll(folder, "bench-1") / "bench-1.key_secret"
    secret.chmod(0o640)
    with pytest.raises(InputError, match=r"mode 640 lets others read it.*chmod 600"):
        load_device(folder, "bench-1")
    (folder / "server.key_secret").chmod(0o604)
    with pytest.raises(InputError, match=r"mode 604 .*chmod 600"):
        load_server(folder)


def test_an_enrolment_folder_that_others_can_write_is_refused(folder: Path) -> None:
    (folder / "enrolled").chmod(0o770)
    with pytest.raises(InputError, match=r"others could enrol devices.*chmod 700"):
        load_server(folder)


def test_a_shared_folder_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    with pytest.raises(InputError, match=r"can be read by others.*chmod 700"):
        init(shared)


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b'public-key = "short"\nsecret-key = "short"\n'])
def test_damaged_keys_are_refused(folder: Path, damage: bytes) -> None:
    bundle = enroll(folder, "bench-1")
    (bundle / "bench-1.key_secret").write_bytes(damage)
    with pytest.raises(InputError, match="not a whole key pair"):
        load_device(bundle, "bench-1")
    (bundle / "server.key").write_bytes(damage)
    with pytest.raises(InputError, match="missing or damaged"):
        load_device(bundle, "bench-1")
    (folder / "enrolled" / "bench-1.key").write_bytes(damage)
    assert listing(folder) == []


def test_keys_of_two_pairs_mixed_are_refused(folder: Path) -> None:
    bundle = enroll(folder, "bench-1")
    other = load_device(enroll(folder, "bench-2"), "bench-2")
    secret = bundle / "bench-1.key_secret"
    secret.write_text(secret.read_text().replace(load_device(bundle, "bench-1").public.decode(), other.public.decode()))
    with pytest.raises(InputError, match="not a whole key pair"):
        load_device(bundle, "bench-1")


def test_without_a_server_key_the_next_step_is_named(tmp_path: Path) -> None:
    for action in (load_server, listing, lambda folder: enroll(folder, "bench-1")):
        with pytest.raises(InputError, match="pairzero keys init"):
            action(tmp_path)


def test_throw_away_keys_match() -> None:
    server, devices = throw_away(["a", "b"])
    assert {name: server.name_of(keys.public) for name, keys in devices.items()} == {"a": "a", "b": "b"}
    assert {keys.server for keys in devices.values()} == {server.public}
    assert server.name_of(server.public) is None


def test_the_default_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "pairzero" / "keys"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert default_folder() == Path(os.path.expanduser("~/.config/pairzero/keys"))
