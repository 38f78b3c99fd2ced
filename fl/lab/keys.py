"""CURVE keys of the control plane: who the server is, and which devices it lets in.

A key folder is the same on every host; each host holds only its part of it:

    server.key, server.key_secret     the server's own pair
    enrolled/NAME.key                 public keys of the devices that are let in
    devices/NAME/                     one device: NAME.key_secret, NAME.key and server.key, to carry to its host

Certificates are pyzmq's (`zmq.auth`), keys are z85 text of 40 characters.  Folders are 0700 and files 0600; a secret key that
others can read is refused, as ssh does.  A device's name is bound to its key by the server's `enrolled/` alone, never by what a
message says.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import zmq
import zmq.auth

from radio.errors import InputError

KEY_LENGTH = 40  # of a CURVE key in z85: 32 bytes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class ServerKeys:
    """`name_of(public key)` is the device the key belongs to, or None when it is not, or no longer, enrolled.  It is asked
    at every handshake and for every frame, from two threads."""

    public: bytes
    secret: bytes = field(repr=False)
    name_of: Callable[[bytes], str | None]


@dataclass(frozen=True)
class DeviceKeys:
    name: str
    public: bytes
    secret: bytes = field(repr=False)
    server: bytes  # the only server this device talks to


@dataclass(frozen=True)
class Enrolment:
    name: str
    public: bytes
    here: bool  # its secret key is still in this folder


class Enrolled:
    """The devices of `enrolled/`, read anew as files come and go, so that enrolling and revoking need no restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[bytes, tuple[str, str, _Stamp]] = {}  # key -> name, file, and how it was when it was read

    def name_of(self, key: bytes) -> str | None:
        known = self._known.get(key)
        if known is None or _stamp(known[1]) != known[2]:
            stamps = {file.stem: _stamp(str(file)) for file in self.folder.glob("*.key")}  # before they are read
            self._known = {
                key: (name, str(self.folder / f"{name}.key"), stamps.get(name)) for key, name in self.scan().items()
            }
            known = self._known.get(key)
        return None if known is None else known[0]

    def scan(self) -> dict[bytes, str]:
        found = ((_public(file), file.stem) for file in sorted(self.folder.glob("*.key")) if NAME.fullmatch(file.stem))
        return {key: name for key, name in found if key is not None}


def _stamp(file: str) -> _Stamp:
    """Changes with the file; None if there is none.  For every frame of a round, which reading the file would be too slow for."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def default_folder() -> Path:
    """`$XDG_CONFIG_HOME/pairzero/keys`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "pairzero" / "keys"


def check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise InputError(
            f"device name {name!r}: allowed are 1 to 32 letters, digits, `-` and `_`, beginning with a letter or digit"
        )
    return name


def init(folder: Path) -> None:
    """Make the server's pair.  Raises InputError where there is one already, or where others can read the folder."""
    if (folder / "server.key_secret").exists():
        raise InputError(
            f"{folder} holds a server key already, which the enrolled devices know; use it, or name a new folder with --keys"
        )
    with _writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            raise InputError(f"{folder} can be read by others; keys need a folder of their own: chmod 700 {folder}")
        for part in ("enrolled", "devices"):
            (folder / part).mkdir(mode=0o700, exist_ok=True)
        with _pair(folder, "server") as made:
            os.replace(made / "server.key", folder / "server.key")
            os.replace(made / "server.key_secret", folder / "server.key_secret")


def enroll(folder: Path, name: str) -> Path:
    """Make a device's pair and let it in; returns the folder to carry to its host.  Raises InputError for a bad name or one
    that is enrolled already, and where there is no server key."""
    check_name(name)
    load_server(folder)
    public, bundle = folder / "enrolled" / f"{name}.key", folder / "devices" / name
    with _writing(folder), _pair(folder / "devices", name) as made:
        shutil.copy(folder / "server.key", made / "server.key")
        try:
            os.link(made / f"{name}.key", public)  # the one step that of two enrolments only one passes
        except FileExistsError:
            raise InputError(
                f"device {name!r} is enrolled already in {folder}; "
                f"for a new key: pairzero keys revoke {name}, then enroll it again"
            ) from None
        shutil.rmtree(bundle, ignore_errors=True)  # what an interrupted enrolment left
        os.rename(made, bundle)
    return bundle


def revoke(folder: Path, name: str) -> None:
    """Let a device in no longer, from now on and on live connections too.  Raises InputError if it is not enrolled."""
    check_name(name)
    with _writing(folder):
        try:
            (folder / "enrolled" / f"{name}.key").unlink()
        except FileNotFoundError:
            known = ", ".join(device.name for device in listing(folder)) or "none"
            raise InputError(f"device {name!r} is not enrolled in {folder}; enrolled: {known}") from None
        shutil.rmtree(folder / "devices" / name, ignore_errors=True)


def listing(folder: Path) -> list[Enrolment]:
    """The enrolled devices by name.  Raises InputError where there is no server key."""
    load_server(folder)
    names = {name: key for key, name in Enrolled(folder / "enrolled").scan().items()}
    return [
        Enrolment(name, names[name], (folder / "devices" / name / f"{name}.key_secret").exists())
        for name in sorted(names)
    ]


def load_server(folder: Path) -> ServerKeys:
    """Raises InputError where keys are missing, damaged or readable by others."""
    if not (folder / "server.key_secret").exists():
        raise InputError(f"{folder} holds no server key; make one with: pairzero keys init --keys {folder}")
    if (folder / "enrolled").is_dir() and (folder / "enrolled").stat().st_mode & 0o022:
        raise InputError(
            f"others could enrol devices in {folder / 'enrolled'}; close it: chmod 700 {folder / 'enrolled'}"
        )
    public, secret = _read_pair(folder / "server.key_secret")
    return ServerKeys(public, secret, Enrolled(folder / "enrolled").name_of)


def load_device(folder: Path, name: str) -> DeviceKeys:
    """Keys of one device, from a key folder or from the device's own folder.  Raises InputError where they are missing,
    damaged or readable by others."""
    check_name(name)
    places = (folder / "devices" / name, folder)
    for place in places:
        if (place / f"{name}.key_secret").exists():
            break
    else:
        raise InputError(
            f"no key of device {name!r} in {places[0]} or {folder}; on the server's host run `pairzero keys enroll {name}`, "
            "and carry the folder that it names here (or name it with --keys)"
        )
    server = _public(place / "server.key")
    if server is None:
        raise InputError(
            f"{place / 'server.key'} is missing or damaged; carry the whole folder again from the server's host"
        )
    return DeviceKeys(name, *_read_pair(place / f"{name}.key_secret"), server)


def throw_away(names: Iterable[str]) -> tuple[ServerKeys, dict[str, DeviceKeys]]:
    """Keys that never touch a disk, for a server and its devices on one host."""
    public, secret = zmq.curve_keypair()
    devices = {name: DeviceKeys(check_name(name), *zmq.curve_keypair(), public) for name in names}
    return ServerKeys(public, secret, {keys.public: name for name, keys in devices.items()}.get), devices


def _public(file: Path) -> bytes | None:
    """The public key of a certificate, or None where there is none that can be read."""
    try:
        key, _ = zmq.auth.load_certificate(file)
    except (OSError, ValueError):
        return None
    return key if len(key) == KEY_LENGTH else None


def _read_pair(file: Path) -> tuple[bytes, bytes]:
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        raise InputError(
            f"{file} is a secret key, and its mode {mode:03o} lets others read it; allowed is 600: chmod 600 {file}"
        )
    try:
        public, secret = zmq.auth.load_certificate(file)
        if secret is None or zmq.curve_public(secret) != public:
            raise ValueError
    except (OSError, ValueError, zmq.ZMQError):
        raise InputError(
            f"{file} is not a whole key pair; make a new one (pairzero keys enroll, or init in a new folder)"
        ) from None
    return public, secret


@contextmanager
def _pair(folder: Path, name: str) -> Iterator[Path]:
    """A new pair in a hidden folder of `folder`, which is gone afterwards unless it was moved."""
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))  # 0700
    try:
        for file in zmq.auth.create_certificates(made, name):
            os.chmod(file, 0o600)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be changed: {error.strerror or error}; name another folder with --keys"
        ) from None
