"""The live view in JupyterLab in Chromium: what moves, what it names, and that it goes on whatever the kernel does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.chromium import Notebook, Tab
from tests.browser.jupyter import Jupyter
from tests.browser.seen import PROCESSORS, START, View

Opens = Callable[..., Notebook]
MOMENTS = """async (least) => {
    const clock = document.querySelector(".dgv-clock");
    const seen = new Set();
    while (seen.size < least) {
        seen.add(document.querySelector(".dgv-sentence").textContent + clock.textContent + document.querySelector(".dgv-plates").textContent);
        await new Promise((done) => requestAnimationFrame(done));
    }
    return seen.size;
}"""
COUNT = """() => {
    window.dgHeard = {};
    window.dgNotebook.sessionContext.session.kernel.iopubMessage.connect((_, message) => {
        const { comm_id: comm, data } = message.content ?? {};
        if (data?.method === "custom" && data.content?.kind === "tick") (window.dgHeard[comm] ??= []).push(performance.now());
    });
}"""
POLLS = "(lambda before: (time.sleep(1), run.subject.watcher.polls - before)[1])(run.subject.watcher.polls)"
TALKING = """() => {
    const now = performance.now();
    const lately = Object.values(window.dgHeard).filter((times) => times[times.length - 1] > now - 1000);
    return Object.keys(window.dgHeard).length >= 3 && lately.length === 1 && lately[0].filter((at) => at > now - 1000).length;
}"""


def test_counts_move_and_the_bottleneck_is_named(opened: Opens) -> None:
    """The numbers on the edges grow by themselves, the full edge says so, and one node is the culprit, in words and in red."""
    notebook = opened(PROCESSORS, START)
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 20)
    view.until_written("double", view.written("double") + 50)
    view.until_says(".dgv-sentence", "slow is the bottleneck: .*its input holds .* of 50, double waits")
    notebook.tab.see(view.box.locator(".dgv-culprit").filter(has_text="slow"))
    assert view.facts.startswith("running")


def test_it_moves_while_a_cell_awaits_sleeps_or_computes(opened: Opens) -> None:
    """Ten different pictures come while the kernel is busy in each of the three ways."""
    busy = [
        "await asyncio.sleep(3)",
        "time.sleep(3)",
        "end = time.monotonic() + 3\nwhile time.monotonic() < end: sum(range(1000))",
    ]
    notebook = opened(PROCESSORS, START, *busy)
    notebook.run(0, 1)
    View.under(notebook, 1).until_written("double", 1)
    for cell in range(2, 5):
        notebook.start(cell)
        notebook.tab.js(MOMENTS, 10)
        assert notebook.running(cell), f"the pictures came only after the end of: {busy[cell - 2]}"
        notebook.run(cell)


def test_running_the_cell_again_leaves_one_poller(opened: Opens) -> None:
    """Of three views of one run in one cell the last is there, and the kernel sends to it alone; without it, to nobody."""
    patience = "from datagraph.notebook import live\nlive.ALIVE_SECONDS = 2.5"  # the browser is heard every 2 s
    notebook = opened(f"{PROCESSORS}\n{patience}", START, "run.view()")
    notebook.tab.js(COUNT)
    notebook.run(0, 1)
    for _ in range(3):
        notebook.run(2)
        View.under(notebook, 2).until_written("double", 1)
    notebook.tab.js("() => window.dgNotebook.content.widgets[1].outputArea.model.clear()")
    heard = notebook.tab.until(TALKING)
    assert heard <= 12
    assert notebook.tab.js("() => document.querySelectorAll('.dgv').length") == 1
    notebook.ask_until(f"{POLLS} > 5")
    notebook.tab.js("() => window.dgNotebook.content.widgets[2].outputArea.model.clear()")
    notebook.ask_until(f"{POLLS} < 4")


def test_a_flow_drawn_before_its_run_becomes_live(opened: Opens) -> None:
    """`flow.view()` shows the plan; when a run starts, the same picture moves."""
    notebook = opened(PROCESSORS, "flow.view()", "run = flow.start({'n': itertools.count()})")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_says(".dgv-facts", "not started")
    notebook.run(2)
    view.until_written("double", 10)


def test_pause_and_resume_by_hand(opened: Opens) -> None:
    """The buttons do what they say, and the picture and the run agree."""
    notebook = opened(PROCESSORS, START)
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 5)
    view.press("Pause")
    view.until_says(".dgv-facts", "paused")
    notebook.ask_until("run.status == 'paused'")
    view.press("Resume")
    view.until_says(".dgv-facts", "running")
    view.press("Stop")
    view.until_says(".dgv-facts", "completed")
    assert notebook.ask("run.status") == "'completed'"


def test_the_scrubber_works_while_the_kernel_is_blocked(opened: Opens) -> None:
    """In the middle of a time.sleep the reader goes back to the first moment, and forward again, and to now."""
    notebook = opened(PROCESSORS, START, "time.sleep(6)")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 100)
    notebook.start(2)
    view.scrub("Home")
    view.until_says(".dgv-badge", "replay")
    view.until_says(".dgv-clock", r"^0\.\d s of ")
    first = view.written("double")
    assert first < 60
    for _ in range(3):
        view.scrub("ArrowRight")
    view.until_written("double", first + 1)
    assert view.written("double") < 100
    view.press("Live")
    view.until_written("double", 100)
    assert notebook.running(2), "the kernel was not blocked any more: the test shows nothing"


def test_a_click_on_a_busy_kernel_is_not_lost(opened: Opens, kernel_of: Callable[[str], str]) -> None:
    """Where the kernel hears nothing until its cell ends, the view says so, and what was clicked is done then."""
    notebook = opened(PROCESSORS, START, "time.sleep(4)", kernel=kernel_of("6.31.0"))
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 5)
    notebook.start(2)
    view.press("Pause")
    view.until_says(".dgv-notice", "kernel is busy")
    assert notebook.running(2)
    view.until_says(".dgv-facts", "paused")
    assert notebook.ask("run.status") == "'paused'"


def test_a_store_that_goes_away_is_said_and_comes_back(opened: Opens, jupyter: Jupyter) -> None:
    """While the server answers nobody the picture is marked as stale; then it goes on."""
    notebook = opened(PROCESSORS, START)
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 5)
    jupyter.store.pause()
    try:
        view.until_says(".dgv-badge", "stale")
        before = view.written("double")
    finally:
        jupyter.store.unpause()
    view.until_written("double", before + 20)
    notebook.tab.until("() => document.querySelector('.dgv-badge').textContent === ''")


def test_a_restarted_kernel_finds_its_run_again(opened: Opens) -> None:
    """The old picture is marked as stale; another kernel attaches by name, sees what was done, and goes on with it."""
    notebook = opened(
        PROCESSORS,
        START,
        "run = dg.attach_run('numbers')\nrun.view()",
        "run = dg.recover('numbers', flow, {'n': itertools.count()}, force=True)",
    )
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 50)
    notebook.tab.js("() => window.dgNotebook.sessionContext.session.kernel.restart()")
    notebook.tab.js("() => window.dgNotebook.sessionContext.session.kernel.info")
    notebook.run(0, 2)
    again = View(notebook.tab, notebook.cell(2), root=1)
    again.until_written("double", 50)
    view.until_says(".dgv-badge", "stale")
    there = again.written("double")
    notebook.run(3)
    again.until_written("double", there + 50)


def test_notebook_7_shows_the_same(jupyter: Jupyter, other_tab: Callable[[], Tab]) -> None:
    """The same file, in Notebook 7."""
    tab = other_tab()
    jupyter.write("seven.ipynb", [PROCESSORS, START])
    tab.open(f"{jupyter.url}/notebooks/seven.ipynb")
    tab.until("() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
    tab.errors.clear()  # of its own, while it starts
    tab.js("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    view = View(tab)
    view.until_written("double", 20)
    view.until_says(".dgv-sentence", "slow is the bottleneck")
    assert tab.strangers() == []
    assert tab.errors == []


@pytest.mark.parametrize("version", ["6.31.0", "7.3.0", "7.4.0"])
def test_kernels_of_each_kind_behave(opened: Opens, kernel_of: Callable[[str], str], version: str) -> None:
    """The picture moves while a cell sleeps, a click is done, and the lens answers, with every ipykernel in use."""
    notebook = opened(PROCESSORS, START, "time.sleep(2)", kernel=kernel_of(version))
    assert notebook.ask("__import__('ipykernel').__version__") == repr(version)
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    notebook.start(2)
    view.until_written("double", 5)
    view.until_written("double", view.written("double") + 20)
    assert notebook.running(2)
    notebook.run(2)
    view.click("double, from")
    assert all(int(row[1]) % 2 == 0 for row in view.rows())
    view.press("Pause")
    view.until_says(".dgv-facts", "paused")
    assert notebook.ask("run.status") == "'paused'"
