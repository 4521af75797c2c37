"""Live control by hand, in Chromium: what is offered, menus, dragging and forms, before a kernel that only takes notes."""

from __future__ import annotations

import json

from tests.browser.told import GRAPH, Shows, moment
from tests.browser.told import shows as shows  # noqa: PLC0414 - a fixture

# What is offered


def test_what_the_kernel_does_not_offer_is_not_shown(shows: Shows) -> None:
    """A run that can only be looked at, paused and stopped has no palette, no handles and a short menu."""
    hand = shows([])
    hand.right_click("count (")
    assert hand.tab.go(hand.box.get_by_role("menuitem").all_inner_texts()) == ["Look into it", "Pause"]
    hand.keys("Escape")
    assert not hand.tab.go(hand.box.get_by_role("button", name="Add …").is_visible())
    hand.tab.go(hand.part("words, from").hover())
    hand.tab.until("() => document.querySelector('.dgv-near')")
    assert hand.tab.go(hand.box.locator(".dgv-end").count()) == 0


def test_a_saved_page_leaves_the_browser_its_own_menu(shows: Shows) -> None:
    """Without a kernel there is nothing to do, so the right button is not taken."""
    hand = shows(kernel=False)
    hand.tab.js("() => addEventListener('contextmenu', (event) => { window.taken = event.defaultPrevented; })")
    hand.tab.go(hand.part("count (").click(button="right"))
    assert hand.tab.js("() => window.taken") is False
    assert hand.tab.go(hand.box.get_by_role("menu").is_hidden())


def test_nothing_can_be_changed_after_the_end(shows: Shows) -> None:
    """Once the run is over the menus and the palette are gone, and an open question is closed."""
    hand = shows()
    hand.right_click("count (")
    hand.menu("Drop")
    hand.says("This would change")
    over = {**json.loads(moment(GRAPH, 13.0)), "status": "completed"}
    hand.tab.js("(tick) => window.tell({ kind: 'tick', tick })", over)
    hand.tab.go(hand.box.locator(".dgv-change").wait_for(state="hidden"))
    hand.right_click("count (")
    assert hand.tab.go(hand.box.get_by_role("menuitem").all_inner_texts()) == ["Look into it"]


# By keyboard alone


def test_the_menu_is_walked_by_keyboard(shows: Shows) -> None:
    """Shift+F10 opens it, arrows walk and go in and out, a letter finds, Escape gives the focus back."""
    hand = shows(tick=moment(GRAPH, count={"paused": True, "dead_letters": 3}))
    hand.tab.go(hand.part("count (").focus())
    hand.keys("Shift+F10")
    assert hand.focused() == "Look into it"
    hand.keys("ArrowDown", "ArrowDown")
    assert hand.focused() == "Step 1 value"
    hand.keys("s", "s", "s", "s")
    assert hand.focused().startswith("Swap by")
    hand.keys("ArrowRight")
    hand.tab.see(hand.item("count_fast"))
    assert hand.focused().startswith("count_fast")
    hand.keys("ArrowLeft")
    assert hand.focused() == "Look into it"
    hand.keys("End")
    assert hand.focused().startswith("Disconnect")
    hand.keys("Escape")
    assert hand.focused().startswith("count")
    assert hand.tab.go(hand.box.get_by_role("menu").is_hidden())


def test_a_change_is_made_and_undone_by_keyboard(shows: Shows) -> None:
    """Menu key, the diff, Enter applies it, Tab to Undo; Escape closes, and the focus is where it was."""
    hand = shows()
    hand.tab.go(hand.part("words, from").focus())
    hand.keys("ContextMenu", "ArrowDown", "ArrowRight")
    hand.tab.see(hand.item("clean"))
    hand.keys("Enter")
    hand.says("This would change")
    hand.tab.until("() => document.activeElement.textContent === 'Apply'")
    hand.keys("Enter")
    hand.says("Applied in 14 ms")
    assert hand.edits("change") == [{"edit": "insert", "by": "clean", "edge": "words->count.words"}]
    assert hand.focused() == "Close"
    hand.keys("Shift+Tab", "Shift+Tab")
    assert hand.focused() == "Undo"
    hand.keys("Enter")
    hand.says("Undone in 9.0 ms")
    hand.keys("Escape")
    assert hand.focused().startswith("words, from")


def test_a_pause_a_step_and_dead_letters(shows: Shows) -> None:
    """What needs no diff is done at once, and said; a step needs a pause first."""
    hand = shows()
    hand.right_click("count (")
    assert "pause it first" in hand.tab.text(hand.item("Step 10 values"))
    hand.menu("Pause")
    hand.tab.until("() => sent.some((message) => message.kind === 'do')")
    assert {"action": "pause", "node": "count"}.items() <= hand.sent("do")[-1].items()
    tick = moment(GRAPH, 13.0, count={"paused": True, "dead_letters": 3})
    hand.tab.js("(tick) => window.tell({ kind: 'tick', tick })", tick)
    hand.right_click("count (")
    hand.menu("Step 10 values")
    hand.says("10 values more through count")
    assert {"node": "count", "count": 10}.items() <= hand.sent("step")[-1].items()
    hand.right_click("count (")
    hand.menu("Send 3 dead letters again")
    hand.says("3 dead letters of count sent again")


# By hand


def test_the_source_end_of_an_edge_is_dragged_to_another_node(shows: Shows) -> None:
    """What may be aimed at is lit: all that does not come after the reader. The drop shows the diff and changes nothing."""
    hand = shows()
    hand.drag(hand.end("words, from", "source"), hand.middle(hand.part("read (")), let_go=False)
    lit = "(name) => [...document.querySelectorAll(`.dgv-node.${name}`)].map((node) => node.querySelector('.dgv-name').textContent).sort()"
    assert hand.tab.js(lit, "dgv-legal") == ["path", "read", "size", "split"]
    assert hand.tab.js(lit, "dgv-aimed") == ["read"]
    hand.tab.go(hand.tab.page.mouse.up())
    hand.says("This would change")
    hand.says("count reads text instead of words")
    assert hand.edits() == [{"edit": "move", "edge": "words->count.words", "source": "text"}]
    assert hand.sent("change") == []
    assert hand.tab.js(lit, "dgv-legal") == []
    hand.press("Cancel")
    assert hand.tab.go(hand.box.locator(".dgv-change").is_hidden())


def test_a_node_that_writes_several_streams_is_asked_which(shows: Shows) -> None:
    """A drop on `split` opens a menu of its streams; a drop on an edge means that stream."""
    hand = shows()
    hand.drag(hand.end("text, from", "target"), hand.middle(hand.part("count (")))
    hand.says("This would change")
    assert hand.edits() == [{"edit": "move", "edge": "text->split.text", "target": "count.words"}]
    hand.press("Cancel")
    hand.drag(hand.end("counts, from", "target"), hand.middle(hand.part("size (")))
    assert hand.edits() == [{"edit": "move", "edge": "letters->size.letters", "source": "counts"}]
    hand.press("Cancel")
    hand.drag(hand.end("sizes, from", "target"), hand.middle(hand.part("words, from")))
    hand.says("This would change")
    assert hand.edits() == [{"edit": "move", "edge": "words->count.words", "source": "sizes"}]


def test_a_drag_is_let_go_by_escape_and_by_missing(shows: Shows) -> None:
    """Nothing is asked of the kernel, nothing stays lit, and the picture has not been moved."""
    hand = shows()
    where = hand.middle(hand.part("read ("))
    hand.drag(hand.end("words, from", "source"), where, let_go=False)
    hand.keys("Escape")
    hand.tab.go(hand.tab.page.mouse.up())
    start = hand.end("letters, from", "source")
    hand.drag(start, (start[0], start[1] + 60))
    assert hand.sent("plan") == []
    assert hand.tab.go(hand.box.locator(".dgv-legal, .dgv-ghost").count()) == 0
    assert hand.middle(hand.part("read (")) == where


def test_a_processor_is_dragged_onto_an_edge_behind_a_node_and_beside_all(shows: Shows) -> None:
    """Onto an edge it is inserted; behind a node it reads what that writes; on the page it is a branch of its own."""
    hand = shows()
    hand.press("Add …")
    chips = hand.box.locator(".dgv-chip:visible")
    hand.tab.see(chips)
    hand.drag(hand.middle(chips.nth(0)), hand.middle(hand.part("letters, from")))
    assert hand.edits() == [{"edit": "insert", "by": "clean", "edge": "letters->size.letters"}]
    hand.press("Cancel")
    hand.drag(hand.middle(chips.nth(1)), hand.middle(hand.part("split (")))
    hand.menu("letters")
    hand.tab.until("() => sent.filter((message) => message.kind === 'plan').length === 2")
    assert hand.edits() == [{"edit": "connect", "by": "count_fast", "reads": {"words": "letters"}}]
    hand.press("Cancel")
    stage = hand.tab.go(hand.box.locator(".dgv-stage").bounding_box())
    assert stage is not None
    hand.drag(hand.middle(chips.nth(1)), (stage["x"] + 60, stage["y"] + stage["height"] - 30))
    hand.tab.until("() => sent.filter((message) => message.kind === 'plan').length === 3")
    assert hand.edits() == [{"edit": "connect", "by": "count_fast"}]


def test_the_palette_works_without_a_pointer(shows: Shows) -> None:
    """Arrows walk along the chips, Enter opens a menu; what reads a stream that is not there is asked which."""
    hand = shows()
    hand.tab.go(hand.box.get_by_role("button", name="Add …").focus())
    hand.keys("Enter")
    hand.tab.until("() => document.activeElement.classList.contains('dgv-chip')")
    hand.keys("ArrowRight", "ArrowRight", "Enter")
    assert "nothing from" in hand.tab.text(hand.item("Connect"))
    hand.keys("Escape", "ArrowLeft", "ArrowLeft", "Enter")
    hand.menu("Insert into", "words")
    assert hand.edits() == [{"edit": "insert", "by": "clean", "edge": "words->count.words"}]


def test_a_swap_starts_fresh_only_if_asked(shows: Shows) -> None:
    """The state is handed over unless the box is ticked; the diff is asked for again."""
    hand = shows()
    hand.right_click("count (")
    hand.menu("Swap by", "count_fast")
    hand.says("This would change")
    assert hand.edits() == [{"edit": "swap", "node": "count", "by": "count_fast", "fresh": False}]
    hand.tab.go(hand.box.get_by_role("checkbox").check())
    hand.tab.until("() => sent.filter((message) => message.kind === 'plan').length === 2")
    hand.says("This would change")
    hand.press("Apply")
    assert hand.edits("change") == [{"edit": "swap", "node": "count", "by": "count_fast", "fresh": True}]


def test_sliders_show_what_they_would_change(shows: Shows) -> None:
    """Only what was moved is in the change; an empty field is "no limit"; a setting is a number where it looks like one."""
    hand = shows()
    hand.right_click("count (")
    hand.menu("Tune")
    hand.tab.see(hand.box.get_by_role("slider", name="Concurrency"))
    hand.tab.go(hand.box.get_by_role("slider", name="Concurrency").press("ArrowRight"))
    hand.tab.go(hand.box.get_by_role("spinbutton", name="Rate").fill("50"))
    hand.tab.go(hand.box.get_by_role("textbox", name="pause").fill("0.5"))
    hand.tab.until("() => Object.keys(sent.findLast((m) => m.kind === 'plan')?.edits[0].changes ?? {}).length === 3")
    changes = {"concurrency": 3, "rate": 50, "pause": 0.5}
    assert hand.edits() == [{"edit": "tune", "node": "count", "changes": changes}]
    hand.tab.go(hand.box.get_by_role("spinbutton", name="Rate").fill(""))
    hand.tab.go(hand.box.get_by_role("spinbutton", name="Concurrency").fill("2"))
    hand.tab.until("() => Object.keys(sent.findLast((m) => m.kind === 'plan').edits[0].changes).length === 1")
    hand.says("Tuning count would change")
    hand.press("Apply")
    hand.says("Applied")
    assert hand.edits("change") == [{"edit": "tune", "node": "count", "changes": {"pause": 0.5}}]


def test_an_input_is_read_again_from_a_position(shows: Shows) -> None:
    """The slider goes from the first value to the last one written."""
    hand = shows()
    hand.right_click("words, from")
    hand.menu("Read again from")
    hand.tab.go(hand.box.get_by_role("spinbutton", name="Position").fill("250"))
    hand.press("Read from there")
    hand.says("count reads on from 250")
    assert {"node": "count", "port": "words", "position": 250}.items() <= hand.sent("seek")[-1].items()


def test_the_card_beside_the_pointer_hides_neither_its_part_nor_itself(shows: Shows) -> None:
    """All of it is in the window, also where the picture is low; it goes when the page is scrolled."""
    hand = shows()
    hand.tab.go(hand.part("count (").hover())
    card = hand.tab.see(hand.box.locator(".dgv-hover"))
    box, part = (hand.tab.go(one.bounding_box()) for one in (card, hand.part("count (")))
    assert box is not None
    assert part is not None
    assert box["y"] >= part["y"] + part["height"] or box["y"] + box["height"] <= part["y"]
    assert box["y"] + box["height"] <= hand.tab.js("() => innerHeight")
    hand.tab.js("() => document.dispatchEvent(new Event('scroll'))")
    assert hand.tab.go(card.is_hidden())
