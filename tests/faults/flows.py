"""The flows that are killed, and the model of what their edges must hold afterwards. Imported by every worker process."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import anyio

import datagraph as dg
from datagraph import IO, Batch, Context, IOVal, Supervisor

Streams = dict[str, list[Any]]
FENCED = 7


@dataclass(frozen=True)
class Shape:
    """A flow, what feeds it, and the model: every stream from its inputs, where that is known beforehand.

    `check` compares what cannot be known: it gets the streams as they were stored.
    """

    build: Callable[[], dg.Flow]
    model: Callable[[int], Streams]
    check: Callable[[Streams], None] | None = None
    one_pass: bool = False

    def inputs(self, count: int) -> dict[str, Any]:
        if self.build is merging:
            return {}
        return {"n": iter(range(count)) if self.one_pass else list(range(count))}


# -- the wide flow: every kind of processor that there is --------------------------------------------------------------


def wide() -> dg.Flow:
    return dg.Flow(
        double, label, burst, total, history, paired, windows, quick, shared, picky, halves, tail, name="wide", keep="all",
        keep_results="all", capacity=40,
    )  # fmt: skip


@dg.processor
async def double(n: int) -> int:
    return 2 * n


@dg.processor
def label(n: int) -> str:
    return f"n{n}"


@dg.processor(state="none")
async def burst(double: IO[int]) -> AsyncIterator[int]:
    async for value in double:
        for copy in range(value % 3):
            yield 10 * value + copy


@dg.processor(state="context")
async def total(double: IO[int], ctx: Context) -> AsyncIterator[int]:
    async for value in double:
        ctx.state["sum"] = ctx.state.get("sum", 0) + value
        yield ctx.state["sum"]


@dg.processor
async def history(burst: IO[int]) -> AsyncIterator[list[int]]:
    seen, largest = 0, 0
    async for value in burst:
        seen, largest = seen + 1, max(largest, value)
        yield [seen, largest]


@dg.processor
async def paired(label: str, total: int) -> list[Any]:
    return [label, total]


@dg.processor
async def windows(total: Annotated[list[int], Batch(7)]) -> int:
    return sum(total)


@dg.processor(concurrency=4)
async def quick(n: int) -> int:
    if n % 5 == 0:
        await anyio.lowlevel.checkpoint()
    return -n


@dg.processor(workers=2)
async def shared(label: str) -> str:
    return label.upper()


@dg.processor(on_error="dead_letter")
def picky(quick: int) -> int:
    if quick % 50 == -7 % 50:
        raise ValueError(f"{quick} is one of those")
    return quick * quick


halves = dg.Processor("halves", inputs=["n"], outputs=["even", "odd"], state="none")


@halves
def _halves(n: IO[int]) -> Iterator[IOVal[int]]:
    for value in n:
        yield IOVal(name="odd" if value % 2 else "even", value=value)


@dg.processor(wait=True)
async def tail(even: IO[int]) -> int:
    return sum(await even.collect())


def wide_model(count: int) -> Streams:
    n = list(range(count))
    doubled = [2 * v for v in n]
    bursts = [10 * v + copy for v in doubled for copy in range(v % 3)]
    totals = [sum(doubled[: i + 1]) for i in range(count)] if count < 200 else _sums(doubled)
    most = [max(bursts[: i + 1]) for i in range(len(bursts))] if count < 200 else _maxima(bursts)
    return {
        "n": n,
        "double": doubled,
        "label": [f"n{v}" for v in n],
        "burst": bursts,
        "total": totals,
        "history": [[i + 1, largest] for i, largest in enumerate(most)],
        "paired": [[f"n{v}", t] for v, t in zip(n, totals, strict=True)],
        "windows": [sum(totals[i : i + 7]) for i in range(0, count, 7)],
        "quick": [-v for v in n],
        "shared": [f"N{v}" for v in n],
        "picky": [v * v for v in n if -v % 50 != -7 % 50],
        "even": [v for v in n if v % 2 == 0],
        "odd": [v for v in n if v % 2],
        "tail": [sum(v for v in n if v % 2 == 0)],
    }


def _sums(values: list[int]) -> list[int]:
    found, so_far = [], 0
    for value in values:
        so_far += value
        found.append(so_far)
    return found


def _maxima(values: list[int]) -> list[int]:
    found: list[int] = []
    for value in values:
        found.append(max(value, found[-1]) if found else value)
    return found


# -- the merging flow: what one node writes cannot be known, so those after it must agree with what is stored ------------


def merging() -> dg.Flow:
    return dg.Flow(
        source, left, right, merged, after, tally, hurried, name="merging", keep="all", keep_results="all", capacity=30
    )


SOURCE = 1000


@dg.processor
async def source() -> AsyncIterator[int]:
    for value in range(SOURCE):
        yield value


@dg.processor
async def left(source: int) -> int:
    return source


@dg.processor
def right(source: int) -> int:
    return -source - 1


@dg.processor(state="none")
async def merged(left: IO[int], right: IO[int]) -> AsyncIterator[int]:
    async for item in left.as_available(right):
        yield item.value


@dg.processor
async def after(merged: int) -> int:
    return 3 * merged


@dg.processor
async def tally(merged: IO[int]) -> AsyncIterator[int]:
    so_far = 0
    async for value in merged:
        so_far += value
        yield so_far


@dg.processor(concurrency=3, ordered=False)
async def hurried(source: int) -> int:
    if source % 4 == 0:
        await anyio.sleep(0.001)
    return source


def merging_model(count: int) -> Streams:
    values = list(range(SOURCE))
    return {"source": values, "left": values, "right": [-v - 1 for v in values]}


def merging_check(found: Streams) -> None:
    values = list(range(SOURCE))
    merged = found["merged"]
    assert [v for v in merged if v >= 0] == values
    assert [v for v in merged if v < 0] == [-v - 1 for v in values]
    assert found["after"] == [3 * v for v in merged]
    assert found["tally"] == _sums(merged)
    assert sorted(found["hurried"]) == values


# -- the chain: small, for crashes at every command ---------------------------------------------------------------------


def chain() -> dg.Flow:
    return dg.Flow(double, total, history2, name="chain", keep="all", keep_results="all", capacity=4)


@dg.processor
async def history2(total: IO[int]) -> AsyncIterator[float]:
    seen = 0
    async for value in total:
        seen += 1
        yield math.floor(value / seen)


def chain_model(count: int) -> Streams:
    doubled = [2 * v for v in range(count)]
    totals = _sums(doubled)
    return {
        "n": list(range(count)),
        "double": doubled,
        "total": totals,
        "history2": [math.floor(t / (i + 1)) for i, t in enumerate(totals)],
    }


def knots() -> dg.Flow:
    return dg.Flow(
        double, label, total, paired, windows, quick, picky, name="knots", keep="all", keep_results="all", capacity=5
    )


def knots_model(count: int) -> Streams:
    names = ("n", "double", "label", "total", "paired", "windows", "quick", "picky")
    whole = wide_model(count)
    return {name: whole[name] for name in names}


def teams() -> dg.Flow:
    return dg.Flow(label, shared, name="teams", keep="all", keep_results="all", capacity=4)


def teams_model(count: int) -> Streams:
    return {
        "n": list(range(count)),
        "label": [f"n{v}" for v in range(count)],
        "shared": [f"N{v}" for v in range(count)],
    }


SHAPES = {
    "wide": Shape(wide, wide_model),
    "once": Shape(wide, wide_model, one_pass=True),
    "merging": Shape(merging, merging_model, merging_check),
    "chain": Shape(chain, chain_model),
    "knots": Shape(knots, knots_model),
    "teams": Shape(teams, teams_model),
}


# -- what a worker process does -----------------------------------------------------------------------------------------


def work(
    url: str, shape: str, run: str, count: int, fresh: bool, backend: str = "asyncio", lease: float = 10.0
) -> None:
    """Start the run, or take it over, and stay until it has ended; the exit status is `FENCED` where others ended it."""
    chosen = SHAPES[shape]
    Supervisor.attach({"url": url}, backend=backend, lease=lease)  # type: ignore[arg-type]
    flow = chosen.build()
    inputs = chosen.inputs(count)
    going = flow.start(inputs, name=run) if fresh else dg.recover(run, flow, inputs, force=True)
    going.join(progress=False)
    engine = going._local.engine
    fenced = engine is not None and any(node.status == "fenced" for node in engine.nodes)
    Supervisor.instance.detach()
    if fenced:
        sys.exit(FENCED)
