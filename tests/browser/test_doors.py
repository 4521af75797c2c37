"""Each door's live view in JupyterLab: nodes get done, counts move, what failed is shown, and a click says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.chromium import Notebook
from tests.browser.seen import View

Opens = Callable[..., Notebook]
FUNCTIONS = """
import itertools, tempfile, threading, time

gate = threading.Event()

def upper(text):
    return text.upper()

def held(upper):
    gate.wait(30)
    return upper

def boom(held):
    raise ValueError("too hot")

def told(boom):
    return boom
"""
DAG = """
from datagraph.dag import build_dag

with build_dag(str, name="heat") as tm:
    a = tm.add_node(upper, tm.parameter_node)
    b = tm.add_node(held, a)
    tm.add_node(told, tm.add_node(boom, b))

run = tm.start("warm")
run.view()
"""
WORKFLOW = """
from datagraph.workflow import FunctionTask, WorkflowManager

def task(name, *given):
    reads = dict(zip(given[::2], given[1::2]))
    return FunctionTask(name, globals()[name], reads, [name], where="thread")

a = task("upper", "text", "warm")
b = task("held", "upper", a[ "upper"])
c = task("told", "boom", task("boom", "held", b["held"])["boom"])
run = WorkflowManager(c, name="heat").start()
run.view()
"""
PIPELINE = """
import time
from datagraph.pipeline import PipelineBuilder

def double(n):
    time.sleep(0.002)
    return 2 * n

def picky(n):
    if n == 20:
        raise ValueError(f"{n} is too hot")
    return n

def last(n):
    if broken:
        raise RuntimeError("no more")

broken = False
pipeline = (
    PipelineBuilder().task("double", double).task("picky", picky, on_error="skip").task("last", last)
    .edge("double", "picky").edge("picky", "last").build(name="heat")
)
run = pipeline.start(itertools.count())
run.view()
"""


@pytest.mark.parametrize("code", [DAG, WORKFLOW], ids=["dag", "workflow"])
def test_nodes_get_done_and_the_one_that_fails_is_shown(opened: Opens, code: str) -> None:
    """What is done says so while the next is at work; then one fails, the rest is not run, and a click says why."""
    notebook = opened(FUNCTIONS, code, "gate.set()")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    shows(view, "upper (", "done")
    shows(view, "held (", "100 % busy|running")
    assert view.facts.startswith("running")
    notebook.run(2)
    shows(view, "held (", "done")
    shows(view, "boom (", "too hot")
    shows(view, "told (", "waiting|not run|skipped|cancelled")
    view.until_says(".dgv-facts", "failed")
    view.until_says(".dgv-error", "too hot")
    view.click("boom (")
    view.until_says(".dgv-lens", "def boom")
    view.until_says(".dgv-lens", "ValueError: too hot")


def test_counts_of_a_pipeline_move_and_its_dead_letters_are_shown(opened: Opens) -> None:
    """Values flow, one is left as a dead letter, the lens has both; then a task that fails ends the run."""
    notebook = opened(FUNCTIONS, PIPELINE, "broken = True")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double→picky", 50)
    view.until_written("double→picky", view.written("double→picky") + 50)
    shows(view, "picky (", "1 (skipped|dead letter)")
    view.click("picky (")
    view.until_says(".dgv-lens", "ValueError: 20 is too hot")
    view.click("double→picky")
    assert all(int(value) % 2 == 0 for _, value in view.rows())
    notebook.run(2)
    shows(view, "last (", "no more")
    view.until_says(".dgv-facts", "failed")


def shows(view: View, part: str, words: str) -> None:
    """Wait until the card of a node says something."""
    view.tab.until(
        "([part, words]) => [...document.querySelectorAll('.dgv-card')].some("
        "(card) => card.ariaLabel.startsWith(part) && RegExp(words).test(card.textContent))",
        [part, words],
    )
