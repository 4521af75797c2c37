"""What goes wrong in a command: one line on stderr, exit code 1, and no traceback."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ..exceptions import DatagraphError

INTERRUPTED = 130


class Commands(TyperGroup):
    """The commands; what one of them raises is told in a line."""

    def invoke(self, ctx: Any) -> Any:  # click's Context, or that of the copy that newer typers bring
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except DatagraphError as error:
            raise failure(str(error)) from None
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except TimeoutError as error:
            raise failure(str(error) or "it took too long") from None
        except OSError as error:
            raise failure(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


def failure(message: str) -> typer.Exit:
    """Say what is wrong, and the exit to raise."""
    typer.echo(f"datagraph: {' '.join(message.split())}", err=True)
    return typer.Exit(1)


def misuse(message: str) -> typer.BadParameter:
    """For an argument that cannot be: exit code 2."""
    return typer.BadParameter(message)
