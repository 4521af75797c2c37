"""The view in a real kernel: it goes on while a cell awaits, sleeps or computes, and hears what can be heard."""

from __future__ import annotations

from collections.abc import Iterator

import ipykernel
import pytest

from tests.notebook.kernel import FrontEnd

HEARS_IN_SUBSHELLS = ipykernel.version_info >= (7,)
UNTIL_PAUSED = """
until = time.monotonic() + 20
while run.status != "paused" and time.monotonic() < until:
    time.sleep(0.1)
print(run.status)
"""
GOING = "run = dg.Flow(double).start({'n': dg.OPEN}); view = run.view()"


@pytest.fixture(scope="module")
def one_kernel(valkey_url: str) -> Iterator[FrontEnd]:
    """A kernel for all tests of this file."""
    with FrontEnd(valkey_url) as kernel:
        yield kernel


@pytest.fixture
def kernel(one_kernel: FrontEnd) -> Iterator[FrontEnd]:
    """The kernel, with a view of a run that goes on, and a browser that has said hello."""
    one_kernel.messages.clear()
    one_kernel.run(GOING)
    one_kernel.say(kind="hello")
    one_kernel.wait_for("tick", 3)
    yield one_kernel
    one_kernel.run("view.close(); run.cancel()")


def test_the_kernel_is_the_one_that_is_asked_for(kernel: FrontEnd) -> None:
    """`.ci/kernels` runs these tests with several versions: the kernel has the same as the tests."""
    assert kernel.run("import ipykernel; print(ipykernel.__version__)").strip() == ipykernel.__version__


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio; await asyncio.sleep(1.5)",
        "time.sleep(1.5)",
        "until = time.monotonic() + 1.5\nwhile time.monotonic() < until: sum(range(1000))",
        "import threading; threading.Event().wait(1.5)",
    ],
    ids=["awaits", "sleeps", "computes", "waits"],
)
def test_a_busy_cell_stops_no_tick(kernel: FrontEnd, code: str) -> None:
    """Some ten a second, whatever the cell does, and nothing of it is printed in the cell."""
    before = len(kernel.of("tick"))
    assert kernel.run(code) == ""
    assert len(kernel.of("tick")) - before >= 9


@pytest.mark.may_skip("older kernels have no subshells")
def test_a_sleeping_cell_does_not_keep_a_click_waiting(kernel: FrontEnd) -> None:
    """What comes by a subshell, as JupyterLab sends it, is done before the cell ends; ticks between change nothing."""
    if not HEARS_IN_SUBSHELLS:
        pytest.skip(f"ipykernel {ipykernel.__version__} has no subshells")
    subshell = kernel.subshell()
    cell = kernel.start(UNTIL_PAUSED)
    kernel.wait_for("tick", len(kernel.of("tick")) + 3)
    kernel.say(subshell=subshell, kind="do", id=71, action="pause")
    kernel.wait(lambda: [m for m in kernel.of("reply") if m["id"] == 71 and m["ok"]], "an answer")
    kernel.wait(lambda: kernel.ticks()[-1]["paused"], "a tick that shows the pause")
    assert kernel.finish(cell) == "paused\n"


def test_a_click_that_must_wait_is_done_when_the_cell_ends(kernel: FrontEnd) -> None:
    """Without a subshell the kernel hears it later, and does it then."""
    cell = kernel.start("time.sleep(1)")
    kernel.say(kind="do", id=72, action="pause")
    kernel.finish(cell)
    kernel.wait(lambda: [m for m in kernel.of("reply") if m["id"] == 72 and m["ok"]], "an answer")


def test_a_long_cell_is_no_reason_to_stop_but_silence_after_it_is(kernel: FrontEnd) -> None:
    """While a cell sleeps the kernel hears nothing, and the view goes on; when it could hear and does not, it rests."""
    kernel.run("from datagraph.notebook import live; live.ALIVE_SECONDS = 0.3")
    kernel.wait_for_quiet(1.0)
    before = len(kernel.of("tick"))
    kernel.say(kind="alive")
    assert kernel.run("time.sleep(1.5)") == ""
    assert len(kernel.of("tick")) - before >= 9
    kernel.wait_for_quiet(1.0)
    kernel.run("live.ALIVE_SECONDS = 6.0")
    kernel.say(kind="alive")
    kernel.wait_for("tick", len(kernel.of("tick")) + 3)


def test_a_restarted_kernel_takes_up_the_view_by_the_runs_id(kernel: FrontEnd) -> None:
    """The run of a process that is there no more is seen again, with what became of it."""
    run = kernel.run("print(run.id)").strip()
    kernel.run("run['n'].send_many([1, 2, 3])")
    kernel.restart()
    kernel.run(f"run = dg.attach_run({run!r}); view = run.view()")
    kernel.messages.clear()
    kernel.say(kind="hello")
    kernel.wait(lambda: [t for t in kernel.ticks() if t["e"][0][0] == 3 and "lost" in t["n"][1][0]], "the lost worker")
