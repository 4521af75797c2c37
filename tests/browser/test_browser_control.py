"""Live control in JupyterLab in Chromium: a run that goes on is changed by hand, and every view of it follows."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.browser.chromium import Notebook
from tests.browser.seen import PROCESSORS, START, THEME, THEMED, View

Opens = Callable[..., Notebook]
BESIDE = """
@dg.processor(outputs=["tripled"])
def triple(n: int) -> int:
    return 3 * n

flow = dg.Flow(double, slow, triple, name="numbers", capacity=50)
"""
PLUS = """
@dg.processor(outputs=["plus"])
def plus(double: int) -> int:
    "One more."
    return double + 1
"""
PICKY = """
broken = True

@dg.processor(outputs=["picked"], on_error="dead_letter")
def picky(n: int) -> int:
    time.sleep(0.01)
    if broken and n in (3, 4):
        raise ValueError(f"{n} is none")
    return n

@dg.processor(outputs=["kept"])
def keep(picked: int) -> int:
    return picked

run = dg.Flow(picky, keep, name="numbers", capacity=50).start({"n": itertools.count()})
run.view()
"""
LIT = "() => [...document.querySelectorAll('.dgv-node.dgv-legal')].map((node) => node.querySelector('.dgv-name').textContent).sort()"


def test_a_processor_is_dragged_into_an_edge_and_taken_out_by_one_click(opened: Opens, pictures: Path) -> None:
    """From the palette onto an edge: the diff first, then values flow through it; Undo puts it back as it was."""
    notebook = opened(PROCESSORS, PLUS, START)
    notebook.run(0, 1, 2)
    view, tab = View.under(notebook, 2), notebook.tab
    view.until_written("double", 3)
    view.press("Add …")
    chip = tab.see(view.box.locator(".dgv-chip:visible").filter(has_text="plus"))
    tab.go(chip.scroll_into_view_if_needed())
    view.drag(view.still(chip), view.middle(view.part("double, from")))
    view.says("This would change")
    view.says("new: plus")
    assert notebook.ask("len(run.graph.processors())") == "2", "it was changed before it was applied"
    shot(notebook, view, pictures / "control-planned")
    view.press("Apply")
    view.says("Applied in")
    view.until_written("plus", 20)
    shot(notebook, view, pictures / "control-applied")
    view.click("slow, from")
    assert any(int(value) % 2 for _, value in view.rows()), "slow still reads what double writes"
    tab.go(view.box.locator(".dgv-change").get_by_role("button", name="Undo").click())
    view.says("Undone in")
    tab.go(view.part("plus (").wait_for(state="detached"))
    assert notebook.ask("[node.name for node in run.graph.processors()]") == "['double', 'slow']"
    view.until_written("double", view.written("double") + 20)


def test_an_edge_is_dragged_to_another_stream_and_a_cycle_is_refused(opened: Opens) -> None:
    """The end of an edge is moved; two moves that make a cycle are refused with the cycle; the copied Python does the same."""
    notebook = opened(PROCESSORS + BESIDE, START)
    notebook.tab.go(notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"]))
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 3)
    view.drag(view.end("double, from", "source"), view.middle(view.part("triple (")), let_go=False)
    assert notebook.tab.js(LIT) == ["n", "triple"]
    notebook.tab.go(notebook.page.mouse.up())
    view.says("slow reads tripled instead of double")
    view.press("Copy as Python")
    notebook.tab.see(view.box.get_by_role("button", name="Copied"))
    code = notebook.tab.js("() => navigator.clipboard.readText()")
    view.press("Cancel")
    assert "tripled" in notebook.ask(code), "the code that was copied is run in the notebook"
    notebook.tab.see(view.part("tripled, from triple to slow"))
    view.click("slow, from")
    notebook.tab.until(ODD)
    view.drag(view.end("n, from n to double", "source"), view.middle(view.part("triple (")))
    view.says("double reads tripled instead of n")
    view.drag(view.end("n, from n to triple", "source"), view.middle(view.part("double (")))
    view.says("This cannot be done")
    view.says("a ring: double -> triple -> double")
    assert notebook.tab.go(view.box.get_by_role("button", name="Apply").is_disabled())
    view.press("Without the last")
    view.says("This would change")
    view.press("Cancel")
    assert notebook.ask("run.errors") == "[]"


ODD = "() => [...document.querySelectorAll('.dgv-lens tbody tr')].some((row) => Number(row.lastElementChild.textContent) % 2)"


def test_a_node_is_tuned_paused_stepped_and_given_its_dead_letters_again(opened: Opens, pictures: Path) -> None:
    """All by the right button: concurrency is another one, three steps are three values, dead letters come through."""
    notebook = opened(PROCESSORS, PICKY, "broken = False")
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("picked", 10)
    view.right_click("picky (")
    view.menu("Tune")
    view.fill("Concurrency", "4")
    view.says("concurrency 1 -> 4")
    view.press("Apply")
    view.says("Applied in")
    assert notebook.ask("run.graph.node('picky').attrs['concurrency']") == "4"
    view.right_click("picky (")
    view.menu("Pause")
    notebook.tab.see(view.part("picky (").filter(has_text="paused"))
    written = "run.snapshot().nodes['picky'].written"
    notebook.ask_until(f"(lambda before: time.sleep(0.3) or {written} == before)({written})")  # four were in hand
    before = int(notebook.ask(written))
    for _ in range(3):
        view.right_click("picky (")
        view.menu("Step 1 value")
        view.says("1 value more through picky")
    view.until_written("picked", before + 3)
    assert notebook.ask(written) == str(before + 3)
    view.right_click("picky (")
    shot(notebook, view, pictures / "control-menu", menu="picky (")
    view.menu("Resume")
    view.until_written("picked", before + 20)
    notebook.run(2)
    view.right_click("picky (")
    view.menu("Send 2 dead letters again")
    view.says("2 dead letters of picky sent again")
    notebook.ask_until("not len(run.dead_letters('picky')) and {3, 4} <= set(run['kept'].peek(10_000))")


def test_a_value_is_held_where_a_condition_is_true_edited_and_let_go(opened: Opens, pictures: Path) -> None:
    """By the edge's menu, in two notebooks' views of one run: what one holds both show, and either decides."""
    first = opened(PROCESSORS, START)
    first.run(0, 1)
    view = View.under(first, 1)
    view.until_written("double", 3)
    view.right_click("double, from")
    view.menu("Break where")
    field = view.box.get_by_role("textbox", name="Condition")
    first.tab.go(field.fill("value.upper() == 'X'"))
    view.keys("Enter")
    view.says("'value.upper' cannot be called")
    first.tab.go(field.fill("value % 200 == 0 and position"))
    view.keys("Enter")
    view.says("slow stops at double where value % 200 == 0 and position.")
    view.until_says(".dgv-sentence", "slow stands at a breakpoint on double: value 100 is held")
    view.click("double, from")
    view.until_says(".dgv-break", "Value 100 is held:.*200")
    shot(first, view, pictures / "control-breakpoint")
    other = opened("import datagraph as dg\nrun = dg.attach_run('numbers')\nrun.view()")
    other.run(0)
    theirs = View.under(other, 0)
    theirs.right_click("double, from")
    theirs.menu("Edit value 100")
    value = theirs.box.get_by_role("textbox", name="Value 100 as JSON")
    other.tab.until("() => document.querySelector('.dgv-break textarea')?.value === '200'")
    other.tab.go(value.fill("-1"))
    theirs.press("Replace")
    theirs.until_says(".dgv-break", "Value 200 is held:.*400")
    assert other.ask("run.breakpoints['double->slow.double'].hit.value") == "400"
    first.show()
    view.until_says(".dgv-break", "Value 200 is held:")
    view.press("Drop")
    view.until_written("double", 230)
    view.press("Remove")
    view.says("slow stops no more at double.")
    assert first.ask("run['slow'].to_list()[99:102], 400 in run['slow'].to_list()") == "([198, -1, 202], False)"


def test_a_cell_that_is_run_again_offers_its_function_to_the_run(opened: Opens) -> None:
    """The node says that there is a newer function, its menu takes it, and its version counts up; a hot run takes it at once."""
    again = PROCESSORS.replace("2 * n", "2 * n + 1").partition("@dg.processor\ndef slow")[0]
    notebook = opened(PROCESSORS, START, again, "run.hot = True", again.replace("+ 1", "+ 3"))
    notebook.run(0, 1)
    view = View.under(notebook, 1)
    view.until_written("double", 5)
    notebook.run(2)
    assert notebook.ask("list(run.offers)") == "['double']"
    notebook.tab.see(view.part("double (").filter(has_text="redefined"))
    view.right_click("double (")
    view.menu("Take its new function")
    view.says("double")
    view.press("Apply")
    view.says("Applied in")
    notebook.tab.see(view.part("double (").filter(has_text="v2"))
    assert notebook.ask("dict(run.offers)") == "{}"
    view.click("double, from")
    notebook.tab.until(ODD)
    notebook.run(3, 4)
    notebook.tab.see(view.part("double (").filter(has_text="v3"))


def test_two_notebooks_change_one_run_and_both_views_follow(opened: Opens) -> None:
    """Another kernel attaches and changes the run; the first view shows it, and its Undo takes it back for both."""
    first = opened(PROCESSORS, PLUS, START)
    first.run(0, 1, 2)
    view = View.under(first, 2)
    view.until_written("double", 3)
    other = opened(
        "import datagraph as dg\nrun = dg.attach_run('numbers')\nrun.view()", "run.tune('slow', concurrency=3)"
    )
    other.run(0)
    theirs = View.under(other, 0)
    theirs.until_written("double", 3)
    theirs.right_click("double, from")
    theirs.menu("Insert", "plus")
    theirs.says("This would change")
    theirs.press("Apply")
    theirs.says("Applied in")
    other.tab.see(theirs.part("plus ("))
    other.run(1)
    first.show()
    first.tab.see(view.part("plus ("))
    view.until_written("plus", 20)
    first.tab.see(view.part("slow (").filter(has_text="×3"))
    for _ in range(2):
        view.press("Undo")
        view.says("Undone in")
        view.press("Close")
    first.tab.go(view.part("plus (").wait_for(state="detached"))
    other.show()
    other.tab.go(theirs.part("plus (").wait_for(state="detached"))
    assert other.ask("[node.name for node in run.graph.processors()]") == "['double', 'slow']"


def shot(notebook: Notebook, view: View, path: Path, menu: str = "") -> None:
    """Keep what it looks like, in both themes, where somebody asked for pictures; an open menu is opened again."""
    for theme in ("Dark", "Light") if "DATAGRAPH_PICTURES" in os.environ else ():
        notebook.tab.js(THEME, f"JupyterLab {theme}")
        notebook.tab.until(THEMED, str(theme == "Light").lower())
        if menu:
            view.right_click(menu)
        notebook.tab.picture(path.with_name(f"{path.name}-{theme.lower()}.png"))
