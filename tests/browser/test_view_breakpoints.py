"""Breakpoints by hand, in Chromium: set, seen, decided and removed, before a kernel that only takes notes."""

from __future__ import annotations

from pathlib import Path

import pytest

from datagraph.events.snapshot import BreakpointState
from tests.browser.told import GRAPH, STOPPED, Hand, Shows, moment
from tests.browser.told import shows as shows  # noqa: PLC0414 - a fixture

ARMED = BreakpointState('value["name"] == "x"', hits=2)
HOLDS = BreakpointState('value["name"] == "x"', 3, 312, "words", "{'name': 'x', 'note': '<b>bold</b>'}")
BROKEN = BreakpointState("value.cost > 1", 0, error="AttributeError: 'int' object has no attribute 'cost'")
WORDS = "words, from"


def stands(stop: BreakpointState | None, elapsed: float = 13.0) -> str:
    held = stop is not None and stop.position is not None
    return moment(GRAPH, elapsed, stop=stop, count={"waits_for": f"breakpoint:{STOPPED}"} if held else {})


def tick(hand: Hand, stop: BreakpointState | None, elapsed: float) -> None:
    hand.tab.js("(tick) => window.tell({ kind: 'tick', tick })", stands(stop, elapsed))


def box(hand: Hand) -> str:
    return hand.text(".dgv-break")


def test_a_condition_is_asked_for_refused_in_place_and_set(shows: Shows) -> None:
    """What is wrong stands beneath the field, which keeps what was written; the Python is copied before and after."""
    hand = shows()
    hand.right_click(WORDS)
    hand.menu("Break where")
    field = hand.box.get_by_role("textbox", name="Condition")
    hand.tab.go(field.fill("price > 3"))
    hand.keys("Enter")
    hand.says("'price' is not known")
    assert hand.tab.go(field.get_attribute("aria-invalid")) == "true"
    assert hand.tab.js("() => document.activeElement.value") == "price > 3"
    hand.tab.go(field.fill("value > 3"))
    assert hand.tab.go(field.get_attribute("aria-invalid")) is None
    hand.keys("Enter")
    hand.says("count stops at words where value > 3.")
    assert [sent["where"] for sent in hand.sent("breakpoint")] == ["price > 3", "value > 3"]
    assert hand.sent("breakpoint")[0]["edge"] == STOPPED
    assert hand.tab.go(hand.box.get_by_role("button", name="Copy as Python").first.is_visible())


def test_a_mark_says_by_its_shape_what_a_breakpoint_does(shows: Shows) -> None:
    """Hollow with a dot, filled with two bars, crossed; nothing else moves; the label says the same."""
    hand = shows()
    shapes = "() => [...document.querySelectorAll('.dgv-stop')].filter((one) => one.getAttribute('display') !== 'none').map((one) => [one.querySelector('path+path').getAttribute('d'), one.classList.contains('dgv-stands')])"
    places = "() => [...document.querySelectorAll('.dgv-node, .dgv-plate .plate')].map((one) => JSON.stringify(one.getBoundingClientRect()))"
    before = hand.tab.js(places)
    assert hand.tab.js(shapes) == []
    seen: list[list[object]] = [["", False]]
    for elapsed, stop in enumerate((ARMED, HOLDS, BROKEN), start=13):
        tick(hand, stop, elapsed)
        hand.tab.until(f"(last) => ({shapes})().some(([shape]) => shape !== last)", seen[-1][0])
        seen += hand.tab.js(shapes)
    del seen[0]
    assert len({shape for shape, _ in seen}) == 3
    assert [filled for _, filled in seen] == [False, True, False]
    assert hand.tab.js(places) == before
    hand.tab.see(hand.part(WORDS).and_(hand.box.get_by_role("button", name="AttributeError")))


def test_a_held_value_is_decided_in_the_lens(shows: Shows) -> None:
    """Its position and its text, which is no markup; Go on and Drop name the position; the key stays on the button."""
    hand = shows(tick=stands(HOLDS))
    hand.tab.see(hand.part("count (").filter(has_text="at a breakpoint"))
    hand.tab.see(hand.part(WORDS).filter(has_text="held at 312"))
    hand.click(WORDS)
    hand.until_says(".dgv-break", "Value 312 is held:")
    assert "{'name': 'x', 'note': '<b>bold</b>'}" in box(hand)
    assert "3 hits" in box(hand)
    go = hand.box.get_by_role("button", name="Go on")
    hand.tab.go(go.focus())
    hand.keys("Enter", "Enter")
    hand.tab.until("() => sent.some((one) => one.kind === 'decide')")
    tick(hand, ARMED, 14.0)
    hand.until_says(".dgv-break", "No value is held now")
    hand.keys("Enter")
    assert hand.focused() == "Go on"
    tick(hand, BreakpointState(HOLDS.condition, 4, 400, "words", "5"), 15.0)
    hand.until_says(".dgv-break", "Value 400 is held:")
    hand.press("Drop")
    hand.tab.until("() => sent.filter((one) => one.kind === 'decide').length === 2")
    asked = [(sent["edge"], sent["verdict"], sent["position"]) for sent in hand.sent("decide")]
    assert asked == [(STOPPED, "go", 312), (STOPPED, "drop", 400)]


def test_a_held_value_is_edited_as_json(shows: Shows) -> None:
    """The field has the value; what is wrong is said beneath and keeps the field; Escape leaves it as it is."""
    hand = shows(tick=stands(HOLDS))
    hand.right_click(WORDS)
    hand.menu("Edit value 312")
    field = hand.box.get_by_role("textbox", name="Value 312 as JSON")
    hand.tab.until("() => document.querySelector('.dgv-break textarea')?.value === '{\"name\": \"x\"}'")
    hand.tab.js("() => { answers.decide = () => 'this is no JSON: a text is written in quotes'; }")
    hand.tab.go(field.fill("x"))
    hand.keys("Control+Enter")
    hand.until_says(".dgv-break-wrong", "this is no JSON")
    hand.tab.js("() => { answers.decide = () => ({ code: '' }); }")
    hand.tab.go(field.fill('{"name": "y"}'))
    hand.press("Replace")
    hand.tab.go(field.wait_for(state="detached"))
    assert hand.sent("decide")[-1]["value"] == '{"name": "y"}'
    assert hand.focused() == "Edit …"
    hand.keys("Enter")
    hand.tab.see(field)
    hand.keys("Escape")
    hand.tab.go(field.wait_for(state="detached"))
    assert hand.focused() == "Edit …"
    hand.press("Remove")
    hand.says("count stops no more at words.")
    assert hand.sent("breakpoint")[-1]["where"] is None


def test_what_is_over_or_past_is_shown_and_not_decided(shows: Shows) -> None:
    """Without these controls, as in an older kernel, nothing is offered; in the replay the buttons do nothing."""
    hand = shows(["plan", "change"], tick=stands(HOLDS))
    hand.right_click(WORDS)
    assert hand.tab.go(hand.box.get_by_role("menuitem").filter(has_text="reak").count()) == 0
    hand.keys("Escape")
    hand.click(WORDS)
    hand.until_says(".dgv-break", "Value 312 is held:")
    assert hand.tab.go(hand.box.get_by_role("button", name="Go on").count()) == 0
    past = shows(tick=stands(HOLDS))
    tick(past, ARMED, 20.0)
    past.click(WORDS)
    past.scrub("Home")
    past.until_says(".dgv-break", "Value 312 is held:")
    assert past.tab.go(past.box.get_by_role("button", name="Go on").is_disabled())
    past.tab.js(
        "() => [...document.querySelectorAll('.dgv-break button')].find((one) => one.textContent === 'Go on').click()"
    )
    assert past.sent("decide") == []


@pytest.mark.parametrize("light", [True, False], ids=["light", "dark"])
def test_breakpoints_are_legible(shows: Shows, pictures: Path, light: bool) -> None:
    """Kept as pictures, in both themes, also where the picture is small."""
    hand = shows(tick=stands(HOLDS), light=light)
    theme = "light" if light else "dark"
    hand.click(WORDS)
    hand.until_says(".dgv-break", "Value 312 is held:")
    hand.tab.go(hand.box.screenshot(path=pictures / f"breakpoint-{theme}.png"))
    hand.press("Edit …")
    hand.tab.until("() => document.querySelector('.dgv-break textarea')?.value")
    hand.tab.go(hand.box.screenshot(path=pictures / f"breakpoint-edit-{theme}.png"))
    small = shows(tick=stands(ARMED), light=light, width=420)
    small.click(WORDS)
    small.until_says(".dgv-break", "No value is held now")
    small.right_click(WORDS)
    small.menu("Change the breakpoint")
    small.tab.go(small.box.screenshot(path=pictures / f"breakpoint-small-{theme}.png"))
