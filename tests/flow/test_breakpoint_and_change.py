"""A value that is held at a breakpoint while the wiring around it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

import datagraph as dg
from datagraph import IO, Flow

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("supervisor")]


@dg.processor
async def price(n: int) -> float:
    return 100.0 * n if n % 400 == 123 else float(n)


@dg.processor
async def mended(price: float) -> float:
    return price / 100 if price > 2000 else price


@pytest.mark.parametrize("reads_its_stream", [True, False])
def test_what_is_held_goes_through_what_is_inserted_before_it(reads_its_stream: bool) -> None:
    """A held value has not been read: inserting into its edge takes it along, and what was decided of it is void."""

    @dg.processor(name="kept", capacity=20)
    async def streaming(price: IO[float]) -> AsyncIterator[float]:
        async for each in price:
            yield each

    @dg.processor(name="kept", capacity=20, outputs=("kept",))
    async def called(price: float) -> float:
        return price

    run = Flow(price, streaming if reads_its_stream else called).start({"n": range(2000)}, paused=True)
    stop = run.breakpoint("price->kept.price", lambda value: value > 2000)
    run.resume()
    hit = stop.wait(timeout=10)
    assert (hit.value, hit.position) == (12300.0, 123)
    hit.replace(123.0)
    hit = stop.wait(timeout=10)
    run.apply(dg.Insert(mended, "price->kept.price"))
    hit.replace(-1.0)
    run.join()
    assert run["kept"].to_list() == [float(n) for n in range(2000)]
    assert (stop.hits, stop.hit) == (2, None)
