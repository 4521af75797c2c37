"""The commands. Each imports what it needs, so that `--help` and `--version` answer at once."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import Commands, failure, misuse
from .settings import read_settings

if TYPE_CHECKING:
    from ..flow.run import Run
    from ..flow.supervisor import Supervisor

app = typer.Typer(
    cls=Commands,
    name="datagraph",
    help="Streaming dataflow for Python that you can see while it runs. Start with: datagraph demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunName = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or its name: then the newest of that name.")]
Target = Annotated[str, typer.Argument(metavar="MODULE:FLOW", help="Where the flow is: module:name or file.py:name.")]
Node = Annotated[str | None, typer.Option("--node", help="Only this node.", show_default=False)]


class Fsync(StrEnum):
    """How often what is written goes to disk."""

    ALWAYS = "always"
    EVERYSEC = "everysec"
    NO = "no"


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"datagraph {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="DATAGRAPH_URL", help="The store; by default your own embedded server.", show_default=False
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """Options before the command hold for every command."""
    context.obj = url


def _attach(context: typer.Context, name: str) -> Run:
    return _supervise(context).attach_run(name)


def _supervise(context: typer.Context) -> Supervisor:
    from ..flow.supervisor import Supervisor

    return Supervisor.attach(context.obj)


@app.command()
def demo(
    context: typer.Context,
    files: Annotated[int, typer.Option(min=0, help="How many files, spread evenly; 0 for every one.")] = 2000,
    seconds: Annotated[float, typer.Option(min=1, help="Seconds after which no more is read.")] = 40.0,
    out: Annotated[Path, typer.Option(help="Where the picture and the findings go.")] = Path("datagraph-demo"),
    plain: Annotated[bool, typer.Option("--plain", help="A line now and then instead of the live table.")] = False,
) -> None:
    """Run a real flow over this interpreter's own Python files, and watch it.

    Nine processors read, parse and count; one sleeps on purpose, and is named as the bottleneck. It starts a private
    Valkey server in a temporary directory and removes it again. It takes about half a minute.

    Example: datagraph demo --files 1000
    """
    from .demo import run_demo

    run_demo(context.obj, files=files, limit=seconds, out=out, plain=plain)


@app.command()
def runs(context: typer.Context) -> None:
    """List the runs that the store has, newest first.

    Example: datagraph --url redis://localhost:6379/0 runs
    """
    from rich.text import Text

    from ..drawing.style import seconds
    from ..graph.text import clean
    from .terminal import console, plain_table, status_text

    found = _supervise(context).runs()
    if not found:
        typer.echo("there are no runs")
        return
    table = plain_table("id", "name", "status", "age", "took", "nodes", right=("age", "took", "nodes"))
    now = time.time()
    for record in found:
        table.add_row(
            Text(clean(record.id)),
            Text(clean(record.name)),
            status_text(record.status, paused=record.status == "running" and record.paused),
            seconds(max(0.0, now - record.created)),
            seconds(max(0.0, record.ended - record.created)) if record.ended else "",
            str(sum(node["kind"] == "processor" for node in record.graph.get("nodes", ()))),
        )
    console().print(table)


@app.command()
def top(
    context: typer.Context,
    run: RunName,
    once: Annotated[bool, typer.Option("--once", help="Print one table and exit.")] = False,
    every: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 0.5,
) -> None:
    """Watch a run: what its nodes do, what its edges hold, and what holds it up. Ends when the run ends.

    Where there is no terminal it prints a line every two seconds. Watching takes nothing from the run.

    Example: datagraph top stdlib
    """
    from .terminal import console, picture
    from .watch import watch

    found = _attach(context, run)
    if not once:
        watch(found, every=every)
        return
    snapshot = found.snapshot()
    if snapshot.status == "running":  # rates are of the last second, not since the start
        time.sleep(1.0)
        snapshot = found.snapshot()
    console().print(picture(snapshot))


@app.command()
def draw(
    target: Target,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A file: .svg, .dot, .mmd (Mermaid), .txt; .png and .pdf need graphviz."),
    ] = None,
) -> None:
    """Draw a flow: in the terminal, or to a file. What keeps it from running is said beneath.

    Example: datagraph draw mypackage.flows:flow -o flow.svg
    """
    from .draw import draw_flow
    from .target import load_flow

    draw_flow(load_flow(target), output)


@app.command()
def forget(
    context: typer.Context,
    run: RunName,
    force: Annotated[bool, typer.Option("--force", help="Even if it has not ended.")] = False,
) -> None:
    """Delete everything that the store has of a run.

    Example: datagraph forget stdlib-1f3a9c02
    """
    supervisor = _supervise(context)
    found = supervisor.attach_run(run)
    if found.status in {"running", "paused"} and not force:
        raise failure(f"the run {found.id!r} is {found.status}: stop or cancel it first, or say --force")
    name = found.id
    typer.echo(f"forgot {name}: {supervisor.forget(name)} keys")


@app.command()
def recover(
    context: typer.Context,
    run: RunName,
    target: Target,
    inputs: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Inputs that were not finished: a mapping, or a function for one."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Take over from a process whose lease still holds.")] = False,
) -> None:
    """Go on with a run whose process is gone, until it ends. Nothing is lost and nothing is repeated.

    Example: datagraph recover stdlib-1f3a9c02 mypackage.flows:flow --inputs mypackage.flows:inputs
    """
    from .target import load_flow, load_inputs
    from .watch import watch

    flow = load_flow(target)
    given = load_inputs(inputs) if inputs is not None else None
    found = _supervise(context).recover(run, flow, given, force=force)
    watch(found)
    found.join(progress=False)
    typer.echo(f"{found.id} completed")


@app.command()
def stop(
    context: typer.Context,
    run: RunName,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for what is under way.")] = 30.0,
) -> None:
    """Close what feeds a run and let everything under way arrive; its results stay.

    Example: datagraph stop stdlib
    """
    found = _attach(context, run)
    try:
        found.stop(timeout=timeout)
    except TimeoutError:
        raise failure(f"{found.id} still drains after {timeout:g} s: see datagraph top {found.id}") from None
    typer.echo(f"{found.id} {found.status}")


@app.command()
def pause(context: typer.Context, run: RunName, node: Node = None) -> None:
    """Let a run, or one node of it, call no more functions until `resume`; nothing is lost.

    Example: datagraph pause stdlib --node judged
    """
    found = _attach(context, run)
    found.pause(node)
    typer.echo(f"{found.id} {'paused' if node is None else f'paused at {node}'}")


@app.command()
def resume(context: typer.Context, run: RunName, node: Node = None) -> None:
    """Let a paused run, or a paused node of it, go on.

    Example: datagraph resume stdlib --node judged
    """
    found = _attach(context, run)
    found.resume(node)
    typer.echo(f"{found.id} {'goes on' if node is None else f'goes on at {node}'}")


@app.command()
def tune(
    context: typer.Context,
    run: RunName,
    node: Annotated[str, typer.Argument(metavar="NODE", help="The processor.")],
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...", help="capacity, concurrency, workers, rate, retries, timeout, on_error."
        ),
    ],
) -> None:
    """Change the settings of a node while its run goes on; the process that runs it does so.

    Example: datagraph tune stdlib judged concurrency=2
    """
    from ..graph.edit import Tune

    typer.echo(str(_attach(context, run).apply(Tune(node, **read_settings(changes)))))


@app.command()
def changes(context: typer.Context, run: RunName) -> None:
    """List what was changed in a run, oldest first: when, what, and what was taken back.

    Example: datagraph changes stdlib
    """
    from rich.text import Text

    from .terminal import console, plain_table

    found = _attach(context, run).changes
    if not found:
        typer.echo("nothing was changed")
        return
    table = plain_table("", "ago", "change", "taken back", right=("", "ago"))
    for row in found.rows(len(found)):
        table.add_row(*map(Text, row))
    console().print(table)


@app.command()
def undo(context: typer.Context, run: RunName) -> None:
    """Take back the last change of a run that was not taken back yet.

    Example: datagraph undo stdlib
    """
    typer.echo(str(_attach(context, run).undo()))


@app.command()
def step(
    context: typer.Context,
    run: RunName,
    node: Annotated[str, typer.Argument(metavar="NODE", help="The processor; paused before.")],
    count: Annotated[int, typer.Argument(min=1, help="Values to do.")] = 1,
) -> None:
    """Let a paused node do some values more; see `pause`.

    Example: datagraph step stdlib judged 3
    """
    _attach(context, run).step(node, count)
    typer.echo(f"{node} may do {count} more")


@app.command()
def cancel(context: typer.Context, run: RunName) -> None:
    """End a run at once. What is under way is abandoned; what is in the store stays.

    Example: datagraph cancel stdlib
    """
    found = _attach(context, run)
    found.cancel()
    typer.echo(f"{found.id} {found.status}")


@app.command()
def lab(
    directory: Annotated[Path, typer.Option("--dir", help="Where your copies of the notebooks are.")] = Path(
        "datagraph-notebooks"
    ),
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="By default the first free one from 8888.", show_default=False)
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open a browser.")] = True,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="MORE", help="After --: JupyterLab's own arguments.", show_default=False),
    ] = None,
) -> None:
    """Open the notebooks in JupyterLab, with your embedded server ready, until Ctrl-C.

    They are copied to a directory of yours first; what is there already stays as it is.

    Example: datagraph lab --no-browser --port 8899
    """
    from .lab import run_lab

    run_lab(directory, port=port, browser=browser, more=more or ())


@app.command()
def server(
    directory: Annotated[Path, typer.Option("--dir", help="Where its data is; made if need be.")] = Path(
        "datagraph-data"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 6379,
    appendfsync: Annotated[Fsync, typer.Option(help="How often what is written goes to disk.")] = Fsync.EVERYSEC,
    maxmemory: Annotated[str | None, typer.Option(help='At most so much, such as "512mb".', show_default=False)] = None,
) -> None:
    """Run a Valkey server that keeps what is written, until Ctrl-C. Only this machine can reach it.

    Runs in it survive crashes of their processes and of the server. Use it with --url or DATAGRAPH_URL.

    Example: datagraph server --dir ./data --port 6400
    """
    from .serve import serve

    if maxmemory is not None and not maxmemory[:1].isdigit():
        raise misuse(f"--maxmemory is a size such as 512mb; got {maxmemory!r}")
    serve(directory, port=port, appendfsync=appendfsync.value, maxmemory=maxmemory)
