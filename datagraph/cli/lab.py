"""`datagraph lab`: JupyterLab over the notebooks, with the embedded server there already."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from ..exceptions import MissingExtraError
from ..streams.address import Address
from ..streams.embedded import embedded_url_sync

NEEDED: Final = ("jupyterlab", "ipykernel")


def run_lab(directory: Path, *, port: int | None, browser: bool, more: Sequence[str] = ()) -> None:
    """Copy the notebooks that are not in `directory` yet, and become JupyterLab over it.

    `more` are JupyterLab's own arguments.
    """
    if lacking := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise MissingExtraError(
            f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed in {sys.executable}: "
            "pip install 'datagraph[lab]'"
        )
    copied = copy_notebooks(directory)
    typer.echo(f"{len(copied)} notebooks copied to {directory}" if copied else f"the notebooks are in {directory}")
    _hold_embedded_server()
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        *("--log-level=WARN", "-y"),  # one Ctrl-C is enough
        f"--ServerApp.root_dir={directory.absolute()}",
        f"--LabApp.default_url=/lab/tree/{shipped_notebooks()[0].name}",
        *([] if port is None else [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]),
        *([] if browser else ["--no-browser"]),
        *more,
    ]
    sys.stdout.flush()
    os.execv(command[0], command)  # JupyterLab is this process from now on: signals and its end are its own


def shipped_notebooks() -> list[Path]:
    """The notebooks that came with the package: inside an installed one, beside that of a checkout."""
    package = Path(__file__).parents[1]
    for place in (package / "notebooks", package.parent / "notebooks"):
        if found := sorted(place.glob("*.ipynb")):
            return found
    raise MissingExtraError(f"there are no notebooks beside {package}: install datagraph from its wheel or a checkout")


def copy_notebooks(directory: Path) -> list[Path]:
    """Copy those that are not there yet; what is there is the reader's, and stays. Returns the copies.

    They are marked as trusted, as `jupyter trust` does, or else JupyterLab would not show their pictures.
    """
    from nbformat import NO_CONVERT, read, sign  # of the lab extra; it comes with jupyterlab

    directory.mkdir(parents=True, exist_ok=True)
    notary = sign.NotebookNotary()
    copied = []
    for notebook in shipped_notebooks():
        copy = directory / notebook.name
        try:
            with copy.open("xb") as file:
                file.write(notebook.read_bytes())
        except FileExistsError:
            continue
        notary.sign(read(copy, NO_CONVERT))
        copied.append(copy)
    return copied


def _hold_embedded_server() -> None:
    """Keep the embedded server from ending itself: it has a client for as long as this process lives, exec or not."""
    address = Address.parse(embedded_url_sync())
    held = socket.socket(socket.AF_UNIX)
    held.connect(str(address.path))
    os.set_inheritable(held.detach(), True)
