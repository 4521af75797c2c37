"""What a reader can do and see in JupyterLab: the lens, both themes, hostile text, saved notebooks and pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.browser.chromium import Notebook, Tab
from tests.browser.jupyter import Jupyter
from tests.browser.seen import PROCESSORS, START, THEME, THEMED, View

Opens = Callable[..., Notebook]
SCRIPT = "<script>window.dgHacked = 1</script><img src=x onerror='window.dgHacked = 2'>"
HOSTILE = f"""
import datagraph as dg

evil = {SCRIPT!r}
quote = '"><svg onload="window.dgHacked=3">'
leaf = quote + " javascript" + chr(0x202E)

first = dg.Processor("<b>first" + quote, inputs=["given"], outputs=["between", leaf])

@first
def _(given):
    "<script>window.dgHacked = 4</script>"
    print(evil)
    yield dg.IOVal(name="between", value=evil + given)
    yield dg.IOVal(name=leaf, value=evil)

@dg.processor(name="second" + quote, outputs=["out"], on_error="dead_letter")
def second(between):
    if between.endswith("bad"):
        raise ValueError(evil)
    return {{evil: between, "rtl": chr(0x202E) + chr(7) + "abc", "long": "x" * 100_000}}

flow = dg.Flow(first, second, name="hostile")
flow
"""
CONTRAST = """(root) => {
    const channels = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map((c) => {
        const v = Number(c) / 255;
        return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    const light = (colour) => { const [r, g, b] = channels(colour); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
    return [...root.querySelectorAll(".dgv-card:not(.dgv-culprit)")].map((card) =>
        ratio(getComputedStyle(card.querySelector(".dgv-name")).fill, getComputedStyle(card.querySelector(".card")).fill));
}"""
FLOWS = """
import itertools, time
import datagraph as dg

def node(name, reads, writes, pause):
    exec(f"def {name}({reads}):\\n    time.sleep({pause})\\n    return {reads}", globals())
    return dg.processor(outputs=[writes], capacity=40)(globals()[name])

def chain(length, slow):
    return [node(f"step_{i}", "given" if not i else f"s{i - 1}", f"s{i}", 0.1 if i == slow else 0.0) for i in range(length)]

def tree(count, slow):
    return [node(f"part_{i}", "given" if not i else f"s{(i - 1) // 3}", f"s{i}", 0.1 if i == slow else 0.0) for i in range(count)]
"""


def test_a_click_on_an_edge_shows_its_values_and_takes_none(opened: Opens) -> None:
    """The lens is a table of the last values, the newest first; afterwards the readers still get all of them."""
    notebook = opened(
        PROCESSORS,
        "run = flow.start({'n': dg.OPEN}, settings={'slow': {'pause': 0.0}})\nrun['n'].send_many(range(80))\nrun.view()",
        "run['n'].complete()\nprint(len(run.results()['slow']))",
    )
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 80)
    view.click("double, from")
    assert view.rows()[0] == ["79", "158"]
    assert len(view.rows()) == 50
    view.until_says(".dgv-lens", "The last 50 values of 80; looking takes nothing away")
    notebook.run(2)
    assert notebook.outputs(2)[0]["text"] == "80\n"


def test_a_click_on_a_node_shows_its_source_and_what_went_wrong(opened: Opens) -> None:
    """Its function as it was written, its settings, its dead letters."""
    notebook = opened(
        PROCESSORS,
        "@dg.processor(on_error='dead_letter')\ndef picky(n: int) -> int:\n    if n == 7:\n        raise ValueError(f'{n} is odd')\n    return n",
        "run = dg.Flow(picky).start({'n': range(20)}).join()\nrun.view()",
    )
    notebook.run(0, 1, 2)
    view = View.under(notebook, 2)
    view.click("picky (n")
    view.until_says(".dgv-lens", "def picky")
    view.until_says(".dgv-lens", "1 dead letter")
    view.until_says(".dgv-lens", "ValueError: 7 is odd")
    notebook.tab.go(notebook.page.keyboard.press("Escape"))
    notebook.tab.until("() => document.querySelector('.dgv-lens').hidden")


def test_both_themes_can_be_read(opened: Opens, pictures: Path) -> None:
    """Light and dark, small and large: the picture takes the theme's colours, names stand out from their cards."""
    sizes = {"five": "chain(5, 2)", "thirty": "tree(30, 4)", "two_hundred": "tree(200, 5)"}
    start = "run = dg.Flow(*{1}, name={0!r}).start({{'given': itertools.count()}})\nrun.view()"
    notebook = opened(FLOWS, *(start.format(*each) for each in sizes.items()))
    notebook.run(0, 1, 2, 3)
    views = {name: View.under(notebook, i) for i, name in enumerate(sizes, 1)}
    for view in views.values():
        notebook.tab.go(view.box.scroll_into_view_if_needed())
        view.until_says(".dgv-sentence", "is the bottleneck")
    cards = set()
    try:
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            notebook.tab.js(THEME, theme)
            light = "true" if theme.endswith("Light") else "false"
            notebook.tab.until(THEMED, light)
            notebook.tab.go(notebook.page.mouse.move(0, 0))
            for name, view in views.items():
                notebook.tab.picture(pictures / f"{name}-{theme.split()[1].lower()}.png", view.box.first)
                contrasts = notebook.tab.go(view.box.evaluate(CONTRAST))
                assert min(contrasts) > 4.5, f"{name}, {theme}: {contrasts}"
                fill = "(root) => getComputedStyle(root.querySelector('.dgv-card .card')).fill"
                cards.add(notebook.tab.go(view.box.evaluate(fill)))
    finally:
        notebook.tab.js(THEME, "JupyterLab Light")
    assert len(cards) == 2


def test_text_of_a_stranger_stays_text(opened: Opens, other_tab: Callable[..., Tab], jupyter: Jupyter) -> None:
    """Scripts in names, docstrings, values, errors and prints are shown as they are, everywhere, and never run."""
    notebook = opened(
        HOSTILE,
        "first",
        "run = flow.start({'given': ['a', 'bad', 'b', evil]}).join()\nrun.view()",
        "run",
        "run.bottleneck()",
        "run.save('hostile.html')\nrun.errors, run.edges(), run.nodes()",
    )
    notebook.run(*range(6))
    view = View.under(notebook, 2)
    for node in ("<b>first", "second"):
        view.click(node)
        view.until_says(".dgv-lens", "Source|dead letter")
    view.until_says(".dgv-lens", re.escape("ValueError: <script>"))
    view.click("out, from")
    assert any(SCRIPT[:30] in cell for row in view.rows() for cell in row)
    view.press("Table")
    assert notebook.tab.js("() => window.dgHacked") is None
    page = other_tab()
    page.open((jupyter.work / "hostile.html").as_uri())
    saved = View(page)
    saved.until_says(".dgv-facts", "completed")
    saved.click("second")
    assert page.js("() => window.dgHacked") is None
    assert page.errors == []


def test_a_saved_notebook_shows_the_recording_without_a_kernel(opened: Opens, lab: Tab) -> None:
    """Saved with its widgets' state and opened again, nothing is run: the last moment is there, and the scrubber works."""
    notebook = opened(PROCESSORS, START, "run.stop()")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 100)
    notebook.run(2)
    view.until_says(".dgv-facts", "completed")
    last = view.written("double")
    lab.js("() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')")
    assert "application/vnd.jupyter.widget-state+json" in notebook.save()["metadata"]["widgets"]
    notebook.reopen()
    again = View.under(notebook, 1)
    again.until_says(".dgv-facts", "completed")
    assert again.written("double") == last
    again.scrub("Home")
    again.until_says(".dgv-badge", "replay")
    assert again.written("double") < last
    assert notebook.outputs(1)[0]["execution_count"] == 2


def test_a_saved_page_needs_nobody(opened: Opens, other_tab: Callable[..., Tab], jupyter: Jupyter) -> None:
    """`run.save("x.html")`, opened from the disk by a browser that is offline: the recording, its scrubber, its lens."""
    notebook = opened(PROCESSORS, START, "run.stop()\nrun.save('page.html')")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 100)
    notebook.run(2)
    page = other_tab(offline=True)
    page.open((jupyter.work / "page.html").as_uri())
    saved = View(page)
    saved.until_says(".dgv-facts", "completed")
    assert saved.written("double") >= 100
    saved.scrub("Home")
    saved.until_says(".dgv-badge", "replay")
    saved.click("double, from")
    saved.until_says(".dgv-lens", "No kernel is connected")
    assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert page.errors == []


def test_keys_are_enough(opened: Opens) -> None:
    """Without a mouse: Tab to the picture, arrows along the flow, Enter for the lens, Escape out of it."""
    notebook = opened(PROCESSORS, START)
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 5)
    keyboard = notebook.page.keyboard
    notebook.tab.go(view.box.locator("[data-pick=n0]").focus())
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        notebook.tab.go(keyboard.press(key))
    view.until_says(".dgv-lens", "double → slow|The last")
    notebook.tab.go(keyboard.press("Escape"))
    notebook.tab.until("() => document.querySelector('.dgv-lens').hidden")
    assert len(notebook.tab.js("() => window.dgNotebook.content.widgets.map((cell) => cell.model.id)")) == 2
