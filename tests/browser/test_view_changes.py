"""What a change says, in Chromium: refusals, copies, undo, and the picture of another graph, before a kernel that only takes notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from datagraph.drawing.scene import scene
from datagraph.graph.model import Graph
from tests.browser.told import CALLS, CLEANED, GRAPH, Hand, Shows, moment
from tests.browser.told import shows as shows  # noqa: PLC0414 - a fixture

# What is said


def test_several_edits_are_one_change(shows: Shows) -> None:
    """A refused change stays open: what is done next is added to it, and the last one can be taken out again."""
    hand = shows()
    refused = "`split` would be left without its input 'text'"
    hand.tab.js(
        "(why) => { answers.plan = ({ edits }) => edits.length < 2 ? { lines: [], problems: [why] } : { lines: ['two'], problems: [], code: 'x' }; }",
        refused,
    )
    hand.drag(hand.end("text, from", "target"), hand.middle(hand.part("count (")))
    hand.says("split would be left without its input 'text'")
    assert hand.tab.go(hand.box.get_by_role("button", name="Apply").is_disabled())
    hand.right_click("split (")
    hand.menu("Drop")
    hand.says("This would change")
    assert [edit["edit"] for edit in hand.edits()] == ["move", "drop"]
    hand.press("Without the last")
    hand.says("This cannot be done")
    assert [edit["edit"] for edit in hand.edits()] == ["move"]


def test_a_change_that_fails_is_told_and_can_be_tried_again(shows: Shows) -> None:
    """Another notebook was quicker: the reason stands there, the change is still at hand."""
    hand = shows()
    hand.tab.js(
        "() => { answers.change = () => 'another change was applied meanwhile: look at it, then apply this again'; }"
    )
    hand.right_click("count (")
    hand.menu("Drop")
    hand.says("This would change")
    hand.press("Apply")
    hand.says("another change was applied meanwhile")
    assert hand.tab.go(hand.box.get_by_role("button", name="Apply").is_enabled())


def test_a_busy_kernel_is_told_as_for_other_clicks(shows: Shows) -> None:
    """No answer in a second and a half: it will hear this when the cell ends; then the plan comes."""
    hand = shows()
    hand.tab.js("() => { window.silent = true; }")
    hand.right_click("count (")
    hand.menu("Drop")
    hand.tab.see(hand.box.locator(".dgv-notice").filter(has_text="kernel is busy"))
    (asked,) = hand.sent("plan")
    data = {"lines": ["dropped: `count`"], "problems": [], "code": "x"}
    hand.tab.js("(reply) => window.tell(reply)", {"kind": "reply", "id": asked["id"], "ok": True, "data": data})
    hand.says("dropped: count")
    assert hand.tab.go(hand.box.locator(".dgv-notice").is_hidden())


def test_the_code_is_copied(shows: Shows) -> None:
    """Copy as Python gives what does the same from a cell."""
    hand = shows(permissions=["clipboard-read", "clipboard-write"])
    hand.right_click("count (")
    hand.menu("Drop")
    hand.says("This would change")
    hand.press("Copy as Python")
    hand.tab.see(hand.box.get_by_role("button", name="Copied"))
    assert (
        hand.tab.js("() => navigator.clipboard.readText()") == 'run.apply(dg.Move("words->count.words", source="text"))'
    )


def test_names_of_processors_are_never_markup(shows: Shows) -> None:
    """In the palette, in menus and in the diff a name is text."""
    hand = shows()
    hand.tab.js(
        "() => { answers.plan = () => ({ lines: ['new: `<img src=x onerror=window.hacked=2>`'], problems: [], code: '' }); }"
    )
    hand.press("Add …")
    hand.tab.see(hand.box.locator(".dgv-chip").filter(has_text="<b>bold</b>"))
    hand.right_click("words, from")
    hand.menu("Insert", "<b>bold</b>")
    hand.says("<img src=x")
    assert hand.tab.js("() => window.hacked ?? document.querySelectorAll('.dgv img, .dgv-menu b').length") == 0


def test_the_last_change_is_undone_from_the_head(shows: Shows) -> None:
    """The button is at hand as soon as there is something to undo, whoever changed it."""
    hand = shows()
    undo = hand.box.get_by_role("button", name="Undo", exact=True).first
    assert hand.tab.go(undo.is_disabled())
    hand.tab.js("(tick) => window.tell({ kind: 'tick', tick })", moment(GRAPH, 13.0, edits=1))
    hand.tab.go(undo.click())
    hand.says("Undone in 9.0 ms")


# When it is another graph


def retold(hand: Hand, graph: Graph) -> None:
    hand.tab.js("(message) => window.tell(message)", {"kind": "scene", "scene": scene(graph), "controls": CALLS})


MOVED = "() => Math.max(0, ...document.getAnimations().filter((a) => a.effect.getKeyframes()[0].transform).map((a) => a.effect.getTiming().duration))"


VALUES = """(versions) => { answers.lens = () => ({
    edge: "words->count.words", stream: "words", columns: ["value"], rows: [["a"], ["b"], ["c"]], positions: [7, 8, 9],
    written: 10, first: 7, note: "", versions,
}); }"""


def test_the_lens_shows_versions_only_where_there_are_several(shows: Shows, pictures: Path) -> None:
    """A column beside the positions; one whose version nobody knows any more is left empty."""
    hand = shows()
    hand.tab.js(VALUES, [])
    hand.tab.go(hand.part("words, from").click())
    assert hand.rows() == [["9", "c"], ["8", "b"], ["7", "a"]]
    hand.tab.go(hand.tab.page.keyboard.press("Escape"))
    hand.tab.js(VALUES, [None, 1, 2])
    hand.tab.go(hand.part("words, from").click())
    hand.tab.see(hand.lens().locator("th").filter(has_text="version"))
    assert hand.rows() == [["9", "v2", "c"], ["8", "v1", "b"], ["7", "", "a"]]
    hand.tab.go(hand.lens().screenshot(path=str(pictures / "lens-versions.png")))


def test_what_stays_glides_and_keeps_its_past(shows: Shows) -> None:
    """The picture moves in a quarter of a second; the lens stays open, the recording is one, what is new has none."""
    hand = shows()
    hand.tab.js("(tick) => window.tell({ kind: 'tick', tick })", moment(GRAPH, 14.0))
    hand.tab.go(hand.part("count (").click())
    hand.tab.js("() => { window.high = document.querySelector('.dgv-stage').clientHeight; }")
    retold(hand, CLEANED)
    assert hand.tab.js(MOVED) == 250
    hand.tab.until("() => document.querySelector('.dgv-stage').clientHeight !== window.high")
    assert hand.tab.go(hand.box.locator(".dgv-detail-0").count()) == 1
    hand.tab.see(hand.part("clean ("))
    assert hand.tab.go(hand.part("size (").count()) == 0
    assert hand.tab.text(hand.box.locator(".dgv-lens .dgv-title")) == "count"
    hand.tab.js("(tick) => window.tell({ kind: 'tick', tick })", moment(CLEANED, 16.0))
    hand.tab.see(hand.box.locator(".dgv-clock").filter(has_text="16 s"))
    hand.tab.go(hand.box.locator(".dgv-time input").press("ArrowLeft"))
    hand.tab.see(hand.box.locator(".dgv-clock").filter(has_text="14 s of 16 s"))
    read = "(name) => [...document.querySelectorAll('.dgv-card')].find((c) => c.querySelector('.dgv-name').textContent === name).textContent"
    assert "1,200 in" in hand.tab.js(read, "count")
    assert "1,200 in" not in hand.tab.js(read, "clean")


def test_nothing_moves_where_motion_is_not_wanted(shows: Shows) -> None:
    """With reduced motion the new picture is simply there."""
    hand = shows(reduced_motion="reduce")
    retold(hand, CLEANED)
    hand.tab.see(hand.part("clean ("))
    assert hand.tab.js(MOVED) == 0


def test_a_drag_is_let_go_when_the_picture_changes(shows: Shows) -> None:
    """What hung at the pointer is gone with the picture it came from; a later release does nothing."""
    hand = shows()
    hand.drag(hand.end("words, from", "source"), hand.middle(hand.part("read (")), let_go=False)
    retold(hand, CLEANED)
    hand.tab.see(hand.part("clean ("))
    hand.tab.go(hand.tab.page.mouse.up())
    assert hand.tab.go(hand.box.locator(".dgv-aiming, .dgv-legal, .dgv-ghost").count()) == 0
    assert hand.sent("plan") == []


def test_an_open_question_is_asked_again_of_the_new_graph(shows: Shows) -> None:
    """Somebody else changed the run: what is planned here is planned anew."""
    hand = shows()
    hand.right_click("count (")
    hand.menu("Drop")
    hand.says("This would change")
    retold(hand, CLEANED)
    hand.tab.until("() => sent.filter((message) => message.kind === 'plan').length === 2")
    assert hand.edits() == [{"edit": "drop", "node": "count"}]


@pytest.mark.parametrize("light, width", [(True, 1080), (False, 480)], ids=["light, wide", "dark, narrow"])
def test_menus_and_forms_fit_and_can_be_read(shows: Shows, light: bool, width: int, pictures: Path) -> None:
    """No text is cut off or wider than the view, in both themes, also in a narrow column."""
    hand = shows(light=light, width=width, tick=moment(GRAPH, count={"paused": True, "dead_letters": 3}))
    name = f"controls-{'light' if light else 'dark'}-{width}"
    hand.right_click("count (")
    hand.tab.picture(pictures / f"{name}-menu.png")
    hand.menu("Tune")
    hand.tab.see(hand.box.get_by_role("slider", name="Rate"))
    hand.tab.go(hand.box.get_by_role("slider", name="Rate").press("Home"))
    hand.says("Tuning count would change")
    hand.tab.picture(pictures / f"{name}-form.png")
    wide = """() => [...document.querySelectorAll(".dgv-change, .dgv-change *")].filter((part) => part.getBoundingClientRect().right
        > document.querySelector(".dgv").getBoundingClientRect().right + 0.5).map((part) => part.className || part.tagName)"""
    assert hand.tab.js(wide) == []
