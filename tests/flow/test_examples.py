"""The examples of the design, as they are written, and in a notebook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.flow.processes import ROOT

FIRST = """
from collections.abc import AsyncIterator
from typing import Annotated

import anyio

import datagraph
from datagraph import IO, Depends, Flow, IOVal, LocalExecutor, Processor, Supervisor


def get_multiplier() -> int:
    return 2


foobar = Processor(name="foobar", inputs=["foo"], outputs=["bar"])

@foobar
async def _foobar(foo: IO[int], multiplier: Annotated[int, Depends(get_multiplier)]) -> AsyncIterator[IOVal[int]]:
    foo_val = await foo.first()
    for i in range(foo_val):
        yield IOVal(name="bar", value=i * multiplier)

async def main():
    flow = Flow.from_processors(foobar)
    flow.resolve()
    result = await Supervisor.instance.start_flow(flow, inputs=[IOVal(name="foo", value=5)])
    async for val in result["bar"].stream():
        print(val)                                     # 0 2 4 6 8, one a line
"""
ATTACH = """
Supervisor.attach(redis_config={{"url": {url!r}}}, executor=LocalExecutor())
"""
SHORT = """
import pathlib, time
import datagraph as dg

@dg.processor
def text(path: str): return pathlib.Path(path).read_text(errors="ignore")

@dg.processor(capacity=200)
def words(text: str): time.sleep(.005); return len(text.split())

stdlib = pathlib.Path(pathlib.__file__).parent
run = dg.Flow(text, words).start({"path": [str(p) for p in list(stdlib.rglob("*.py"))[:450]]})
"""
OUTPUT = "0\n2\n4\n6\n8\n"


@pytest.fixture(params=["redis", "valkey", "embedded", "memory"])
def attach(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The line that attaches to each kind of store; none for the embedded server, which is then one of this test."""
    monkeypatch.setenv("DATAGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATAGRAPH_IDLE", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    if request.param == "embedded":
        yield ""
    elif request.param == "memory":
        yield ATTACH.format(url="memory://")
    else:
        yield ATTACH.format(url=request.getfixturevalue(f"{request.param}_url"))


def run_script(code: str, tmp_path: Path, *flags: str) -> str:
    """What a program prints."""
    path = tmp_path / "example.py"
    path.write_text(code)
    done = subprocess.run([sys.executable, *flags, str(path)], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def run_cells(tmp_path: Path, *cells: str) -> list[str]:
    """What each cell prints, in a kernel of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=40, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    return [_printed(cell) for cell in notebook.cells]


def _printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs if output.get("name") == "stdout")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_first_example_in_a_script(attach: str, backend: str, tmp_path: Path) -> None:
    """Exactly as it is written, with either backend, on every store."""
    code = FIRST + attach + f'anyio.run(main, backend="{backend}")\n'
    assert run_script(code, tmp_path) == OUTPUT


def test_the_first_example_without_asserts(tmp_path: Path) -> None:
    """`python -O` changes nothing."""
    code = FIRST + ATTACH.format(url="memory://") + 'anyio.run(main, backend="trio")\n'
    assert run_script(code, tmp_path, "-O") == OUTPUT


def test_the_short_example_in_a_script(attach: str, tmp_path: Path) -> None:
    """Start, look, name the bottleneck, take what there is, stop."""
    code = (
        ("from datagraph import *\n" + attach if attach else "")
        + SHORT
        + """
sentence = str(run.bottleneck())
assert run.status == "running"
frame = run["words"].to_pandas()
assert len(frame) > 10, frame
run.stop()
path, words = len(run["path"]), run["words"].to_list()
files = [pathlib.Path(p) for p in run["path"].to_list()]
assert words == [len(p.read_text(errors="ignore").split()) for p in files]
print(run.status, path == len(words) > len(frame), "words" in sentence)
"""
    )
    assert run_script(code, tmp_path) == "completed True True\n"


def test_the_examples_in_a_notebook(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of the cells; `await main()`, `datagraph.run(main)`; a cell that blocks while the flow goes on."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    out = run_cells(
        tmp_path,
        FIRST,
        ATTACH.format(url=redis_url),
        "await main()",
        "datagraph.run(main)",
        'datagraph.run(main, backend="trio")',
        SHORT,
        'before = len(run["words"]); time.sleep(.4); print(len(run["words"]) - before > 10)',
        'print(run.status, 10 < len(run["words"].to_pandas()) <= len(run["words"]))\nrun.pause()',
        'run.resume(); print(await run["words"].first() >= 0); _ = run.stop()',
        'print(run.status, len(run["path"]) == len(run["words"]))',
        # A cell that is run again attaches to the same supervisor.
        ATTACH.format(url=redis_url) + "print(Supervisor.instance is _ or run._thread is Supervisor.instance.thread)",
    )
    assert out[2:5] == [OUTPUT] * 3
    assert out[6:] == ["True\n", "running True\n", "True\n", "completed True\n", "True\n"]


def test_a_failure_in_a_notebook_is_seen_by_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell that joins gets the error with its type; a restart of the cell works."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    out = run_cells(
        tmp_path,
        "import datagraph as dg\ndg.Supervisor.attach('memory://')\n@dg.processor\ndef inverse(n: int): return 1 / n",
        "run = dg.Flow(inverse).start({'n': [1, 0]})",
        "try: run.join()\nexcept ZeroDivisionError as error: print(error.node, error.value, error.position)",
        "@dg.processor\ndef inverse(n: int): return 1 / n if n else 0",
        "print(dg.Flow(inverse).run({'n': [1, 0]}))",
    )
    assert out[2:] == ["inverse 0 1\n", "", "{'inverse': [1.0, 0]}\n"]
