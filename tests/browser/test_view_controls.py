"""Live control by hand, in Chromium: menus, dragging, forms and the diff, before a kernel that only notes what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from datagraph.drawing.scene import scene
from datagraph.events.journal import pack
from datagraph.events.snapshot import EdgeState, NodeState, Snapshot
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port
from datagraph.notebook.assets import css, esm
from tests.browser.chromium import Tab
from tests.browser.seen import View

CALLS = ["plan", "change", "undo", "step", "resend", "known", "seek"]
KNOWN = [
    {"name": "clean", "inputs": ["text"], "outputs": ["cleaned"], "doc": "Leaves out what is no word."},
    {"name": "count_fast", "inputs": ["words"], "outputs": ["counts"], "doc": ""},
    {
        "name": "merge",
        "inputs": ["nothing", "words"],
        "outputs": ["merged"],
        "doc": "Needs a stream that is not there.",
    },
    {"name": "<b>bold</b>", "inputs": ["text"], "outputs": ["x"], "doc": "<img src=x onerror='window.hacked=1'>"},
]
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>body{{margin:12px}}{css}</style>
<body data-jp-theme-light="{light}" style="background:{page}"><div id="view" style="width:{width}px"></div>
<script type="application/json" id="data">{data}</script>
<script type="module">
{esm}
{{
const data = JSON.parse(document.getElementById("data").textContent);
const heard = new Set();
const tell = (message) => heard.forEach((hear) => hear(message));
const said = {{ lines: ["`count` reads `text` instead of `words`"], problems: [], code: 'run.apply(dg.Move("words->count.words", source="text"))' }};
const answers = {{
  plan: () => said, change: () => ({{ lines: said.lines, ms: 14.2, code: said.code }}), undo: () => ({{ lines: ["as it was"], ms: 9 }}),
  step: () => ({{ status: "paused" }}), resend: () => ({{ count: 3 }}), known: () => ({{ known: data.known }}), seek: () => ({{}}), do: () => ({{}}), lens: () => ({{}}),
  knobs: () => ({{ knobs: {{ capacity: 4000, concurrency: 2, workers: 1, rate: null, retries: 0, timeout: null, on_error: "fail" }}, settings: {{ pause: null }} }}),
}};
Object.assign(window, {{ sent: [], tell, answers, silent: false }});
mount(document.getElementById("view"), {{
  scene: data.scene, tick: null, recording: null,
  send: data.kernel ? (message) => {{
    sent.push(message);
    const made = window.silent ? undefined : answers[message.kind]?.(message);
    if (made === undefined || !message.id) return;
    const reply = typeof made === "string" ? {{ ok: false, error: made }} : {{ ok: true, data: made }};
    setTimeout(() => tell({{ kind: "reply", id: message.id, ...reply }}), 5);
  }} : null,
  on: (hear) => {{ heard.add(hear); return () => heard.delete(hear); }},
}});
tell({{ kind: "scene", scene: data.scene, controls: data.controls }});
tell({{ kind: "tick", tick: data.tick }});
}}
</script>"""


def worker(name: str, reads: str, writes: str, **attrs: Any) -> Node:
    inputs, outputs = (tuple(Port(each) for each in names.split()) for names in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


GRAPH = by_port(
    [
        worker("read", "path", "text"),
        worker("split", "text", "words letters"),
        worker("count", "words", "counts"),
        worker("size", "letters", "sizes"),
    ],
    name="wordcount",
)
CLEANED = by_port(
    [
        worker("read", "path", "text"),
        worker("clean", "text", "cleaned"),
        worker("split", "cleaned", "words letters"),
        worker("count", "words", "counts"),
    ],
    name="wordcount",
)


def moment(graph: Graph, elapsed: float = 12.0, *, edits: int = 0, **nodes: dict[str, Any]) -> str:
    """A tick of a run in which `count` is slow."""
    states = {
        node.name: NodeState(
            node.name, "running", busy=0.3, starved=0.7, read=1200, written=1200, rate=100.0, **nodes.get(node.name, {})
        )
        for node in graph
    }
    edges = {
        e.name: EdgeState(e.name, e.stream, e.source, e.target, 1200, 1100, 100, 800, e.capacity, 0.5, 100.0, 90.0)
        for e in graph.edges
    }
    seen = Snapshot("r1", "wordcount", 1_700_000_000.0 + elapsed, elapsed=elapsed, nodes=states, edges=edges, workers=1)
    return json.dumps({**pack(seen, graph), "edits": edits})


class Hand(View):
    """A reader with a mouse and a keyboard, and what the kernel heard of it."""

    def focused(self) -> str:
        return self.tab.js(
            "() => document.activeElement.textContent || document.activeElement.getAttribute('aria-label')"
        )

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.tab.js("() => sent") if message["kind"] == kind]

    def edits(self, kind: str = "plan") -> list[dict[str, Any]]:
        """The edits of the last message of a kind, once there is one."""
        self.tab.until("(kind) => sent.some((message) => message.kind === kind)", kind)
        return self.sent(kind)[-1]["edits"]


Shows = Callable[..., Hand]


@pytest.fixture
def shows(other_tab: Callable[..., Tab], tmp_path: Path) -> Iterator[Shows]:
    """Shows a run in a page; asks nobody for anything, complains of nothing."""
    tabs: list[Tab] = []

    def show(
        controls: list[str] = CALLS,
        *,
        tick: str = "",
        kernel: bool = True,
        light: bool = True,
        width: int = 1080,
        **options: Any,
    ) -> Hand:
        told = {
            "scene": scene(GRAPH),
            "tick": tick or moment(GRAPH),
            "known": KNOWN,
            "controls": controls,
            "kernel": kernel,
        }
        data = json.dumps(told).replace("<", "\\u003c")
        page = PAGE.format(
            css=css(), esm=esm(), data=data, light=str(light).lower(), width=width, page="#fff" if light else "#111"
        )
        (tmp_path / "page.html").write_text(page, encoding="utf-8")
        tabs.append(other_tab(**options))
        tabs[-1].open((tmp_path / "page.html").as_uri())
        return Hand(tabs[-1])

    yield show
    for tab in tabs:
        assert tab.strangers() == []
        assert tab.errors == []


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
