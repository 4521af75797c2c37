"""Unordered processors over several restarts: what was finished ahead of a slow value is finished for good."""

from __future__ import annotations

import anyio
import pytest

import datagraph as dg
from datagraph import Supervisor


@pytest.mark.parametrize("private", [False, True])
def test_values_finished_ahead_of_a_slow_one_are_not_done_again(
    valkey_url: str, anyio_backend: str, *, private: bool
) -> None:
    """Value 0 never ends in the first two processes; each leaves ten others done, which the last does not repeat."""
    stuck = True

    @dg.processor(concurrency=3, ordered=False, on_error="dead_letter" if private else "fail")
    async def hurried(n: int) -> int:
        if n == 0 and stuck:
            await anyio.sleep_forever()
        return n

    name = ""
    for start in (0, 10, 20):
        Supervisor.attach(valkey_url, backend=anyio_backend)  # type: ignore[arg-type]
        stuck = start < 20
        flow = dg.Flow(hurried, name="unordered")
        run = flow.start({"n": dg.OPEN}) if not name else dg.recover(name, flow, {"n": dg.OPEN}, force=True)
        name = run.id
        run["n"].send_many(list(range(start, start + 10)))
        if stuck:
            expected = start + 9
            for count, _ in enumerate(run["hurried"].stream(), 1):
                if count == expected:
                    break
        else:
            run.stop()
            assert sorted(run["hurried"].to_list()) == list(range(30))
        Supervisor.instance.detach()
