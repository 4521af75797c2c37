"""What a reader does with one value in JupyterLab: opens its story, follows it along the flow, by mouse and by key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.browser.chromium import Notebook
from tests.browser.seen import THEME, THEMED, View

Opens = Callable[..., Notebook]
FLOW = """
import datagraph as dg

@dg.processor
def text(path: str) -> str:
    return f"<img src=x onerror='window.dgHacked = 1'> the words of {path}"

@dg.processor(on_error="dead_letter")
def words(text: str) -> int:
    if text.endswith("7"):
        raise ValueError("no sevens")
    return len(text)

run = dg.Flow(text, words, name="wordcount").start({"path": [f"file {n}" for n in range(40)]}).join()
run.view()
"""
FOCUS = "() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
EXPANDED = "() => [...document.querySelectorAll('.dgv-lens [aria-expanded=true]')].map((one) => one.textContent)"


def test_a_value_is_followed_along_the_flow(opened: Opens, pictures: Path) -> None:
    """A click on a row tells what the value came from and became; its links lead there; Enter does the same."""
    notebook = opened(FLOW)
    notebook.run(0)
    view, tab = View.under(notebook, 0), notebook.tab
    view.until_written("text", 40)
    view.click("text, from")
    assert view.rows()[2][0] == "37"
    tab.go(view.lens().locator("tbody tr").nth(3).locator("td").nth(1).click())
    view.until_says(".dgv-story", "came from path 36: file 36")
    view.until_says(".dgv-story", r"became words \d+: \d+ \(version 1\)")
    tab.go(view.lens().locator("tbody tr").nth(2).locator("td").nth(1).click())
    view.until_says(".dgv-story", "became a dead letter of words")
    assert tab.js(EXPANDED) == ["37"]
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        tab.js(THEME, theme)
        tab.until(THEMED, "true" if theme.endswith("Light") else "false")
        tab.picture(pictures / f"trace-{theme.split()[1].lower()}.png", view.box.first)
    tab.go(view.lens().get_by_role("button", name="path 37").click())
    view.until_says(".dgv-lens .dgv-title", "path")
    view.until_says(".dgv-story", "came from outside: it is an input of the run")
    assert tab.js(FOCUS).startswith("Value 37:")
    assert tab.js(EXPANDED) == ["37"]
    view.keys("Tab", "Enter")
    view.until_says(".dgv-lens .dgv-title", "text")
    view.until_says(".dgv-story", "became a dead letter of words")
    view.keys("Enter")
    assert tab.js(EXPANDED) == []
    view.keys("Tab", "Enter")
    view.until_says(".dgv-story", "came from path 36: file 36")
    tab.picture(pictures / "trace-links.png", view.box.first)
    view.press("The last values")
    view.until_says(".dgv-lens", "The last 40 values of 40")
    assert tab.js("() => window.dgHacked ?? 0") == 0
