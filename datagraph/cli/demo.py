"""`datagraph demo`: the flow of `stdlib.py` on a server of its own, watched, drawn, and cleaned up after."""

from __future__ import annotations

import json
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from ..drawing.style import number, percent, seconds
from ..drawing.svg import svg
from ..events.snapshot import Snapshot
from ..flow.run import Run
from ..flow.supervisor import Supervisor
from ..graph.text import clean, to_text
from ..observe.progress import progress_line
from ..streams.embedded import end_when_idle
from ..streams.server import Server
from .stdlib import every_file, flow
from .terminal import console, plain_table
from .watch import watch


def run_demo(url: str | None, *, files: int, limit: float, out: Path, plain: bool) -> None:
    """Run it, and leave a picture and the findings in `out`; nothing else is left, however it ends."""
    out.mkdir(parents=True, exist_ok=True)
    typer.echo("looking for Python files ...")
    found = every_file()
    chosen = _spread(found, files)
    typer.echo(
        f"{len(chosen):,} of {len(found):,} Python files of this interpreter's standard library and site-packages are "
        f"read, parsed and counted.\n`judged` sleeps 12 ms a file on purpose, so that there is a bottleneck to see. "
        f"After {limit:.0f} s nothing more is read.\n"
    )
    typer.echo(to_text(flow.graph) + "\n")
    warnings.simplefilter("ignore", SyntaxWarning)  # other people's files, compiled
    with _server(url) as address:
        run = Supervisor.attach(address).start(flow, {"path": chosen}, stop_after=limit)
        try:
            last = watch(run, plain=plain, note=lambda snapshot: _note(snapshot, len(chosen)))
            run.join(progress=False)
            values = run["findings"].to_list()
            busiest = _keep(run, last, values, out)
        except BaseException:
            run.cancel()
            raise
        finally:
            Supervisor.instance.forget(run.id)
    typer.echo(f"\n{progress_line(last)} · {busiest}\n")
    if values:
        _tell(values[0], len(chosen), last)
    typer.echo(f"\nthe picture: {out / 'flow.svg'}\nthe findings: {out / 'findings.json'}")


def _spread(found: Sequence[str], count: int) -> list[str]:
    """So many of them, evenly from first to last; 0 for all."""
    if not count or count >= len(found):
        return list(found)
    return [found[i * len(found) // count] for i in range(count)]


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    """The server to use: the one asked for, or one that lives as long as this."""

    def terminated(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        if url is not None:
            try:
                yield url
            finally:
                Supervisor.instance.detach()
            return
        with tempfile.TemporaryDirectory(prefix="datagraph-demo-") as home, Server(home, aof=False) as server:
            end_when_idle(Path(home))  # should this process be killed
            try:
                yield server.url
            finally:
                Supervisor.instance.detach()
    finally:
        signal.signal(signal.SIGTERM, before)


def _note(snapshot: Snapshot, total: int) -> str:
    judged = snapshot.nodes["judged"].read
    return f"{number(judged)} of {number(total)} files" if snapshot.status == "running" else ""


def _keep(run: Run, last: Snapshot, values: list[Any], out: Path) -> str:
    """Write the picture and the findings; the sentence about what held it up."""
    (out / "flow.svg").write_text(svg(run.graph, last), encoding="utf-8")
    edges = {
        edge.name: {"written": edge.written, "read": edge.read, "values a second": round(edge.rate_out, 1)}
        for edge in last.edges.values()
    }
    report = {
        "seconds": round(last.elapsed, 3),
        "bottleneck": last.sentence,
        "skipped": last.nodes["module"].skipped,
        "edges": edges,
        "findings": values[0] if values else None,
    }
    (out / "findings.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return last.sentence


def _tell(findings: dict[str, Any], chosen: int, last: Snapshot) -> None:
    screen = console()
    kinds, longest = findings["kinds"], findings["longest"]
    read = last.nodes["module"].read
    lines = sum(package["lines"] for package in findings["packages"])
    skipped = last.nodes["module"].skipped
    facts = plain_table("what", "how many", right=("how many",))
    facts.add_row(
        "files read" if read == chosen else f"files read (of {number(chosen)}: the time was up)", number(read)
    )
    facts.add_row("files that are no Python for this interpreter", number(skipped))
    facts.add_row("lines", number(lines))
    facts.add_row("functions", number(kinds.get("function", 0)))
    facts.add_row("classes", number(kinds.get("class", 0)))
    where = f"{Path(longest['path']).name}: {longest['name']}"
    facts.add_row(Text(f"lines of the longest function ({clean(where)})"), number(longest["lines"]))
    screen.print(facts)
    most = plain_table("imported most", "by files", right=("by files",))
    for name, count in findings["imports"]:
        most.add_row(Text(clean(name)), number(count))
    screen.print("", most)
    largest = plain_table("largest packages", "files", "lines", "documented", right=("files", "lines", "documented"))
    for row in findings["packages"][:10]:
        share = percent(row["documented"] / row["files"])
        largest.add_row(Text(clean(row["package"])), number(row["files"]), number(row["lines"]), share)
    screen.print("", largest)
    screen.print(Text(f"\n{number(read)} files in {seconds(last.elapsed)}", style="bold"))
