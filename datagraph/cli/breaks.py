"""The command `break`: breakpoints from a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import failure, misuse
from .main import RunName, app

if TYPE_CHECKING:
    from ..flow.breakpoints import Breakpoint, Hit
    from ..flow.run import Run


@app.command(name="break")
def break_(
    context: typer.Context,
    run: RunName,
    edge: Annotated[str | None, typer.Argument(metavar="EDGE", help="As in words->count.words.")] = None,
    condition: Annotated[
        str | None, typer.Argument(metavar="CONDITION", help="Over value and position, as in Python: 'value > 100'.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(min=0, help="Seconds to wait for a value that is held.", show_default=False)
    ] = None,
    go: Annotated[bool, typer.Option("--go", help="Let the value that is held go on.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Pass it over: the node never gets it.")] = False,
    replace: Annotated[
        str | None, typer.Option(metavar="JSON", help="Give the node this in its place.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Hold nothing more; what is held goes on.")] = False,
) -> None:
    """Hold a run at values that a condition chooses, and say what becomes of them.

    With RUN alone: the breakpoints there are, and what each holds. With a condition: set one, in the place of one
    that is there. A condition may have value[...], value.name, comparisons, and, or, not, in, + - / // %, len, abs,
    min, max, round, str, int, float, type_name.

    Example: datagraph break stdlib "words->count.words" 'len(value) > 20 and "x" in value' --wait 10

    Example: datagraph break stdlib "words->count.words" --replace '"short"'
    """
    decided = [name for name, given in (("go", go), ("drop", drop), ("replace", replace is not None)) if given]
    if len(decided) > 1 or (remove and (decided or condition is not None)) or (decided and condition is not None):
        raise misuse("one at a time: a condition, --go, --drop, --replace or --remove")
    if edge is None and (decided or remove or wait is not None):
        raise misuse("--wait, --go, --drop, --replace and --remove are for one EDGE, such as words->count.words")
    value = _json(replace)
    found = _attach(context, run)
    if edge is None:
        _show(found)
    elif condition is not None:
        stop = found.breakpoint(edge, condition)
        typer.echo(f"{edge} stops where {stop.condition}")
    else:
        stop = _there(found, edge)
        if remove:
            stop.remove()
            typer.echo(f"{edge} stops no more")
        elif decided:
            _decide(stop, decided[0], value)
        elif wait is None:
            _show(found, edge)
    if wait is not None and edge is not None and not remove:
        try:
            typer.echo(_told(stop.wait(timeout=wait)))
        except TimeoutError:
            raise failure(f"no value was held in {wait:g} s") from None


def _attach(context: typer.Context, name: str) -> Run:
    from ..flow.supervisor import Supervisor

    return Supervisor.attach(context.obj).attach_run(name)


def _there(run: Run, edge: str) -> Breakpoint:
    found = run.breakpoints
    if edge not in found:
        there = f"; there are: {', '.join(found)}" if found else ""
        raise failure(f"there is no breakpoint on {edge!r}{there}: give a condition, such as 'value > 100', to set one")
    return found[edge]


def _decide(stop: Breakpoint, verdict: str, value: object) -> None:
    hit = stop.hit
    if hit is None:
        raise failure(f"{stop.edge!r} holds no value now: wait for one by --wait 10")
    if verdict == "replace":
        hit.replace(value)
    elif verdict == "drop":
        hit.drop()
    else:
        hit.go()
    said = {"go": "goes on", "drop": "is dropped", "replace": "is replaced"}[verdict]
    typer.echo(f"value {hit.position} {said}")


def _show(run: Run, edge: str | None = None) -> None:
    from ..graph.text import clean

    found = {name: stop for name, stop in run.breakpoints.items() if edge in (None, name)}
    if not found:
        typer.echo("there are no breakpoints")
    for name, stop in found.items():
        hits = stop.hits
        typer.echo(f"{clean(name)} stops where {clean(stop.condition, 500)}: {hits} hit{'' if hits == 1 else 's'}")
        error, hit = stop.error, stop.hit
        if error is not None:
            typer.echo(f"  {clean(str(error), 500)}")
        if hit is not None:
            typer.echo(f"  {_told(hit)}")


def _told(hit: Hit) -> str:
    from ..streams.text import cut, short

    return f"value {hit.position} is held: {short(hit.value, 500) if hit.exact else cut(str(hit.value), 500)}"


def _json(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise misuse(f"{text} is no JSON ({error}); a text is written in quotes: '\"like this\"'") from None
