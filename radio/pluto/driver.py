"""The libraries a Pluto needs: loaded on first use, the wrong ones refused, their errors in plain words.

pylibiio without the shared library fails with AttributeError, with a shared library of the other generation with OSError;
only libiio 0.x transmits cyclic buffers whole through pyadi-iio 0.0.21.

    InputError
    └── PlutoError          what a unit or its driver refused; one line, with the next step
        ├── DriverError     libiio or its bindings are missing or of the wrong generation
        ├── UnitBusy        another client has what is asked for
        └── ConnectionLost  the unit went away, or stopped answering; opening it again may help
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from radio.errors import InputError

INSTALL = "install them: apt install libiio0, then pip install 'pairzero[hardware]'"

_LOST = {
    errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ENOTCONN, errno.ESHUTDOWN, errno.ETIMEDOUT,
    errno.ENODEV, errno.EBADF, errno.EIO, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH,
}  # fmt: skip
_WORDS = {
    errno.ECONNREFUSED: "nobody listens there; check the address and the unit's power, or try: pairzero radio find",
    errno.ETIMEDOUT: "no answer within the timeout; unplug the unit and plug it in again",
    errno.EHOSTUNREACH: "no route to it; check the unit's USB network interface and its config.txt",
    errno.ENETUNREACH: "no route to it; check the unit's USB network interface and its config.txt",
    errno.ENXIO: "no such address; allowed: ip:HOST, ip:HOST:PORT, usb:BUS.DEVICE.INTERFACE, a serial (pairzero radio find)",
    errno.ENODEV: "no such unit; list those there are with: pairzero radio find",
    errno.ENOENT: "no such unit or attribute; list the units with: pairzero radio find",
    errno.ENOSYS: "this libiio was built without that kind of address; allowed: ip:HOST, usb:BUS.DEVICE.INTERFACE",
    errno.EBUSY: "in use by another program; close it (GNU Radio, iio-oscilloscope, another pairzero) and try again",
    errno.EACCES: "not permitted; on Linux install the Pluto's udev rule (53-adi-plutosdr-usb.rules) for USB access",
    errno.EPERM: "not permitted; on Linux install the Pluto's udev rule (53-adi-plutosdr-usb.rules) for USB access",
    errno.EINVAL: "the unit refused the value; see what it allows with: pairzero radio probe",
    errno.EPIPE: "no answer, or the connection is gone; check cable and power, then: pairzero radio find",
    errno.ECONNRESET: "the connection is gone; check cable and power, then: pairzero radio find",
    errno.EIO: "input/output error; unplug the unit and plug it in again",
}


class PlutoError(InputError):
    pass


class DriverError(PlutoError):
    pass


class UnitBusy(PlutoError):
    pass


class ConnectionLost(PlutoError):
    pass


def load() -> tuple[ModuleType, ModuleType]:
    """The modules `iio` and `adi`. Raises DriverError, with what to install."""
    try:
        import iio
    except (ImportError, OSError, AttributeError) as error:
        raise DriverError(
            f"Plutos need libiio 0.2x and its Python bindings, which do not load ({error}); {INSTALL}"
        ) from None
    if iio.version[0] >= 1:
        raise DriverError(
            f"libiio {'.'.join(str(part) for part in iio.version[:2])} is installed; allowed: 0.2x, because pyadi-iio cuts "
            f"cyclic transmissions to a quarter over libiio 1.x; {INSTALL}"
        )
    try:
        import adi
    except (ImportError, OSError, AttributeError) as error:
        raise DriverError(f"pyadi-iio does not load ({error}); {INSTALL}") from None
    return iio, adi


def destroy_buffer(buffer: Any) -> None:
    """Destroy an `iio.Buffer`, or nothing, now: one that is left to the garbage collector may outlive its context, and the
    process ends with a segmentation fault."""
    handle = getattr(buffer, "_buffer", None)
    if handle is not None:
        buffer._buffer = None  # its destructor has nothing left to do
        load()[0]._buffer_destroy(handle)


def explain(error: BaseException, uri: str, doing: str) -> PlutoError:
    """The driver's error as one of ours."""
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return PlutoError(
            f"{uri}: {doing}: {str(error).strip() or type(error).__name__}; see pairzero radio probe {uri}"
        )
    name = os.strerror(number)
    kind = ConnectionLost if number in _LOST else UnitBusy if number == errno.EBUSY else PlutoError
    return kind(f"{uri}: {doing}: {_WORDS.get(number, 'try again, or unplug the unit and plug it in again')} ({name})")


@contextmanager
def explained(uri: str, doing: str) -> Iterator[None]:
    """Driver errors inside become ours; what is not the driver's passes."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise explain(error, uri, doing) from error
    except Exception as error:
        # pyadi-iio raises plain Exception; anything more particular is a defect and must show itself.
        if type(error) is Exception or isinstance(error, ValueError):
            raise explain(error, uri, doing) from error
        raise
