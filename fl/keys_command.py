"""`pairzero keys ...`: who may take part in a run of several processes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

keys_app = typer.Typer(help="Keys of the server and of the devices that it lets in.", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option("--keys", metavar="FOLDER", help="Key folder; default: $XDG_CONFIG_HOME/pairzero/keys."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Device: letters, digits, `-` and `_`.")]


@keys_app.command("init")
def make(keys: Folder = None) -> None:
    """Make the server's key, once, on the server's host."""
    from fl.lab.keys import default_folder, init

    folder = keys or default_folder()
    init(folder)
    typer.echo(f"server key: {folder / 'server.key'}; now let devices in: pairzero keys enroll NAME{_option(keys)}")


@keys_app.command()
def enroll(name: Name, keys: Folder = None) -> None:
    """Make a device's key and let the device in, on the server's host."""
    from fl.lab.keys import default_folder
    from fl.lab.keys import enroll as let_in

    bundle = let_in(keys or default_folder(), name)
    typer.echo(f"enrolled {name}; its key: {bundle}")
    typer.echo(
        f"if {name} is another host, move that folder there (scp -rp {bundle} HOST:), and name it there with --keys {name}; "
        "it holds a secret, so delete it here afterwards"
    )


@keys_app.command("list")
def show(keys: Folder = None) -> None:
    """List the devices that are let in."""
    from fl.lab.keys import default_folder, listing

    devices = listing(keys or default_folder())
    for device in devices:
        typer.echo(
            f"{device.name:32}  {device.public.decode()}  {'secret key is here' if device.here else 'carried away'}"
        )
    if not devices:
        typer.echo(f"no device is enrolled; let one in: pairzero keys enroll NAME{_option(keys)}")


@keys_app.command()
def revoke(name: Name, keys: Folder = None) -> None:
    """Let a device in no longer, from this moment on; a running server notices by itself."""
    from fl.lab.keys import default_folder
    from fl.lab.keys import revoke as shut_out

    shut_out(keys or default_folder(), name)
    typer.echo(
        f"revoked {name}: its key is worth nothing now, and a new one needs: pairzero keys enroll {name}{_option(keys)}"
    )


def _option(keys: Path | None) -> str:
    return "" if keys is None else f" --keys {keys}"
