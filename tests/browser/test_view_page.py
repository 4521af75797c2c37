"""The view by itself in Chromium, told what a kernel would tell it: nothing moves, nothing overlaps, nothing is believed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datagraph.drawing import style
from datagraph.drawing.scene import scene
from datagraph.events.journal import pack
from datagraph.events.snapshot import EdgeState, NodeState, Snapshot
from datagraph.graph.model import Graph
from datagraph.graph.wiring import by_port
from datagraph.notebook.assets import css, esm
from tests.browser.chromium import Tab
from tests.browser.seen import COLLISIONS, PLACES, View
from tests.drawing.test_scene import BRANCHED, CHAIN
from tests.drawing.test_svg import HOSTILE, worker

PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>{css}</style>
<body data-jp-theme-light="{light}"><div id="view" style="width:{width}px"></div>
<script type="application/json" id="data">{data}</script>
<script type="module">
{esm}
const data = JSON.parse(document.getElementById("data").textContent);
const heard = new Set();
Object.assign(window, {{ sent: [], format: {{ number, short, seconds, percent }} }});
window.tellView = (message) => heard.forEach((hear) => hear(message));
window.listeners = () => heard.size;
window.unmount = mount(document.getElementById("view"), {{
  scene: data.scene, tick: null, recording: data.recording,
  send: data.kernel ? (message) => window.sent.push(message) : null,
  on: (hear) => {{ heard.add(hear); return () => heard.delete(hear); }},
}});
</script>"""
STARTED = 1_700_000_000.0


def tick(graph: Graph, elapsed: float, **more: Any) -> dict[str, Any]:
    """A moment of a run in which the last processor holds all others up."""
    count = int(100 * elapsed)
    slow = graph.processors()[-1].name
    nodes = {
        node.name: NodeState(
            node.name,
            "running",
            busy=0.97 if node.name == slow else 0.07,
            starved=0.03,
            blocked=0.0 if node.name == slow else 0.9,
            read=count,
            written=count,
            rate=100.0,
        )
        for node in graph
    }
    edges = {
        e.name: EdgeState(
            e.name, e.stream, e.source, e.target, count, count - 10, 10, 800, e.capacity, 0.9, 100.0, 90.0, 12.0
        )
        for e in graph.edges
    }
    said = f"`{slow}` is the bottleneck: 97 % busy"
    moment = Snapshot("r1", "", STARTED + elapsed, elapsed=elapsed, nodes=nodes, edges=edges, workers=1)
    return pack(replace(moment, **{"sentence": said, "bottleneck": slow, **more}), graph)


class Shown(View):
    """A view in a page of its own, and the kernel that it believes to have."""

    def tell(self, **message: Any) -> None:
        """Say something as a kernel would."""
        self.tab.js("(message) => window.tellView(message)", message)

    def tick(self, moment: dict[str, Any], *, shown: bool = True) -> None:
        """A tick, as JSON; if it is `shown`, the picture that it makes is there when this returns."""
        self.tell(kind="tick", tick=json.dumps(moment))
        if shown:
            self.until_says(".dgv-facts", re.escape(style.seconds(moment["elapsed"])))

    def sent(self, kind: str) -> list[dict[str, Any]]:
        """The messages of that kind that the view has sent."""
        return [message for message in self.tab.js("() => window.sent") if message["kind"] == kind]

    def key(self, *keys: str) -> str:
        """Press keys; the label of what has the focus then."""
        self.keys(*keys)
        return self.tab.js("() => document.activeElement.getAttribute('aria-label') ?? ''")


Shows = Callable[..., Shown]


@pytest.fixture
def shows(other_tab: Callable[..., Tab], tmp_path: Path) -> Iterator[Shows]:
    """Shows a graph in a page; asks nobody for anything, complains of nothing."""
    tabs: list[Tab] = []

    def show(
        graph: Graph,
        recording: object = None,
        *,
        kernel: bool = True,
        light: bool = True,
        width: int = 1080,
        **options: Any,
    ) -> Shown:
        data = json.dumps({"scene": scene(graph), "recording": recording, "kernel": kernel}).replace("<", "\\u003c")
        page = PAGE.format(css=css(), esm=esm(), data=data, light=str(light).lower(), width=width)
        (tmp_path / "page.html").write_text(page, encoding="utf-8", errors="replace")
        tab = other_tab(**options)
        tabs.append(tab)
        tab.open((tmp_path / "page.html").as_uri())
        return Shown(tab)

    yield show
    for tab in tabs:
        assert tab.strangers() == []
        assert tab.errors == []


def test_numbers_are_written_as_in_the_static_picture(shows: Shows) -> None:
    """The view's formats are those of `drawing.style`, digit by digit."""
    view = shows(BRANCHED)
    values = [0, 0.04, 1, 7.26, 9.96, 42, 999, 1_000, 1_234, 99_960, 123_456, 9_999_999, 12_345_678, 3.1e9, 7e13]
    for name in ("number", "short", "seconds"):
        told = view.tab.js(f"(values) => values.map(window.format.{name})", values)
        assert told == [getattr(style, name)(value) for value in values], name
    shares = [0.0, 0.004, 0.073, 0.6, 0.999, 1.0]
    assert view.tab.js("(all) => all.map(window.format.percent)", shares) == [style.percent(one) for one in shares]


def test_nothing_is_made_or_moved_when_numbers_change(shows: Shows) -> None:
    """A tick changes attributes and texts: no element comes or goes, and everything stays where it was."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    view.tick(tick(BRANCHED, 2.0))  # the scrubber is there from the second on
    places = view.tab.js(PLACES)
    view.tab.js("""() => {
        window.changes = [];
        const observer = new MutationObserver((all) => window.changes.push(...all.flatMap((one) =>
            [...one.addedNodes, ...one.removedNodes].filter((node) => node.nodeType === 1).map((node) => node.nodeName))));
        observer.observe(document.querySelector(".dgv-svg"), { childList: true, subtree: true });
    }""")
    short, long = "`path` is the bottleneck: 97 % busy", "`path` waits for `paths`, which holds 50 of 50; " * 4
    for elapsed, said in ((3.0, short), (400.0, long), (90_000.0, short)):
        view.tick(tick(BRANCHED, elapsed, sentence=said))
        view.until_says(".dgv-sentence", said.strip().replace("`", ""))
        assert view.written("path") == 100 * elapsed
        assert view.tab.js(PLACES) == places
    assert view.tab.js("() => window.changes") == []


@pytest.mark.parametrize("graph", [BRANCHED, CHAIN], ids=["branched", "chain"])
@pytest.mark.parametrize("trouble", ["", "dead letters", "failed"])
def test_labels_never_overlap(shows: Shows, graph: Graph, trouble: str) -> None:
    """With the longest numbers that there are, and everything wrong that can be, every text keeps to its place."""
    view = shows(graph)
    worst = tick(graph, 99_999.0)
    fields = scene(graph)["fields"]
    at = {name: i for i, name in enumerate(fields["edge"])}
    for row in worst["e"]:
        row[at["lag"]] = row[at["capacity"]] or 9_999_999
        row[at["fill"]], row[at["rate_out"]] = 1.0, 99_900.0
        row[at["seconds_to_full"]], row[at["seconds_to_drained"]] = None, 5_300.0
    at = {name: i for i, name in enumerate(fields["node"])}
    for row in worst["n"]:
        row[at["rate"]] = 99_900.0
        if trouble:
            row[at["workers"]], row[at["concurrency"]], row[at["version"]] = 12, 16, 12
            row[at["dead_letters"]], row[at["errors"]], row[at["skipped"]] = 12_345, 99_999, 123_456
        if trouble == "failed":
            row[at["status"]], row[at["error"]] = "failed", "W" * 300
    view.tick(worst)
    assert view.tab.js(COLLISIONS) == [True, []]


def test_what_users_wrote_is_text_and_nothing_else(shows: Shows) -> None:
    """Names, sentences, errors and values with markup in them are shown, and do nothing, in picture, table and lens."""
    graph = by_port([worker(name, f"in{i}", f"out{i}") for i, name in enumerate(HOSTILE) if "\ud800" not in name])
    evil = "<img src=x onerror=\"window.hit = 'x'\"><script>window.hit = 1</script>"
    view = shows(graph)
    elements = "() => document.querySelectorAll('.dgv script, .dgv img, .dgv iframe, .dgv a, .dgv [onload], .dgv [onerror]').length"
    view.tick(tick(graph, 1.0, sentence=f"`{evil}` is the bottleneck", error=evil))
    view.until_says(".dgv-sentence", "<script>window.hit = 1</script>")
    view.until_says(".dgv-error", "onerror=")
    view.press("Table")
    view.press("Table")
    view.tab.go(view.box.locator(".dgv-node").filter(has_text="<script>").first.click())
    view.tab.until("() => window.sent.some((message) => message.kind === 'lens')")
    asked = view.sent("lens")[0]
    assert asked["node"] == "<script>alert(1)</script>"
    rows = [{"position": 1, "value": evil, "error": "\u202egnp.exe\x00", "traceback": evil}]
    errors = [{"error": evil, "traceback": f"Traceback:\n  {evil}", "at": 1.0}]
    data = {
        "source": f"def f():\n    {evil}",
        "file": evil,
        "line": 1,
        "errors": errors,
        "letters": rows,
        "logs": [evil],
    }
    view.tell(kind="reply", id=asked["id"], ok=True, data={**data, "settings": {evil: evil}})
    view.until_says(".dgv-answer", "Traceback:")
    assert "\\u202egnp.exe" in view.text(".dgv-answer")
    assert view.tab.js(elements) == 0
    assert view.tab.js("() => window.hit ?? null") is None


def test_a_hundred_kilobytes_are_cut(shows: Shows) -> None:
    """A long sentence, error or value is shown as far as anybody would read."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0, sentence="s" * 100_000, error="e" * 300))
    view.click("text, from text to words")
    view.tab.until("() => window.sent.some((message) => message.kind === 'lens')")
    data = {"columns": ["c" * 10_000], "rows": [["v" * 100_000]] * 5_000, "positions": [], "written": 5_000}
    view.tell(kind="reply", id=view.sent("lens")[0]["id"], ok=True, data=data)
    assert len(view.rows()) == 50
    assert view.tab.js("() => document.querySelector('.dgv').textContent.length") < 40_000


def test_the_keyboard_reaches_everything(shows: Shows) -> None:
    """Arrows walk from node to edge to node, Enter opens the lens, Escape closes it and the focus is where it was."""
    view = shows(CHAIN)
    view.tick(tick(CHAIN, 1.0))
    view.tab.go(view.part("step_0").focus())
    assert view.key("ArrowRight").startswith("s1, from step_0 to step_1")
    assert view.key("ArrowRight").startswith("step_1")
    assert view.key("ArrowLeft", "ArrowLeft").startswith("step_0")
    view.key("Enter")
    view.tab.see(view.lens())
    assert view.tab.go(view.part("step_0").get_attribute("aria-pressed")) == "true"
    assert view.key("Escape").startswith("step_0")
    assert not view.tab.go(view.lens().is_visible())
    stops = view.tab.js("() => document.querySelectorAll('.dgv-svg [tabindex=\"0\"]').length")
    assert stops == 1, "Tab comes to the picture once, and from there on to the next thing"


def test_arrows_walk_across_a_branch(shows: Shows) -> None:
    """Up and down go between what stands side by side."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    view.tab.go(view.part("words (").focus())
    labels = {view.key("ArrowDown"), view.key("ArrowUp"), view.key("ArrowUp")}
    assert any(label.startswith("langs") for label in labels)


def test_the_past_is_shown_while_the_present_goes_on(shows: Shows) -> None:
    """While somebody looks back, ticks are recorded and not shown; "Live" shows the last of them."""
    view = shows(BRANCHED, [tick(BRANCHED, float(i)) for i in range(1, 11)])
    view.tell(kind="scene", scene=scene(BRANCHED))
    assert view.written("path") == 1_000
    view.scrub("Home")
    view.until_says(".dgv-badge", "replay")
    assert view.written("path") == 100
    view.tick(tick(BRANCHED, 20.0), shown=False)
    view.until_says(".dgv-clock", "of 20 s")
    assert view.written("path") == 100
    view.press("Live")
    view.until_written("path", 2_000)


def test_a_page_without_a_kernel_has_no_buttons_for_one(shows: Shows) -> None:
    """A saved recording is looked at: it can be scrubbed and opened, not paused, and it says why it has no values."""
    view = shows(BRANCHED, {"name": "evening", "ticks": [tick(BRANCHED, float(i)) for i in range(1, 5)]}, kernel=False)
    assert view.text(".dgv-title") == "evening"
    assert view.tab.go(view.box.get_by_role("button", name="Pause").count()) == 0
    view.click("text, from text to words")
    view.until_says(".dgv-answer", "not in the recording")
    view.until_says(".dgv-lens", "Values a second")


def test_a_kernel_that_does_not_hear_is_called_busy_until_it_does(shows: Shows) -> None:
    """After a second and a half without an answer the view says so; the answer takes the words away, an error replaces them."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    view.press("Pause")
    view.until_says(".dgv-notice", "kernel is busy")
    (asked,) = view.sent("do")
    assert (asked["action"], asked["node"]) == ("pause", "")
    view.tell(kind="reply", id=asked["id"], ok=True, data={})
    assert not view.tab.go(view.box.locator(".dgv-notice").is_visible())
    view.press("Stop")
    view.tell(kind="reply", id=view.sent("do")[-1]["id"], ok=False, error="the run has ended")
    view.until_says(".dgv-notice", "the run has ended")


def test_silence_is_called_stale(shows: Shows) -> None:
    """Three seconds without a tick of a running run are shown as such, and forgotten with the next one."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    view.until_says(".dgv-badge", "stale for")
    view.tick(tick(BRANCHED, 5.0))
    assert view.tab.js("() => document.querySelector('.dgv-badge').textContent") == ""


def test_the_table_says_what_the_picture_says(shows: Shows) -> None:
    """Two real tables, with a head and a row for every node and edge; a row's button opens the lens."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 3.0))
    view.press("Table")
    rows = view.tab.js(
        "() => [...document.querySelectorAll('.dgv-tables tbody tr')].map((tr) => [...tr.cells].map((c) => c.textContent))"
    )
    assert len(rows) == len(BRANCHED.nodes) + len(BRANCHED.edges)
    words = next(row for row in rows if row[0] == "words")
    assert words[1:5] == ["running", "7 %", "3 %", "90 %"]
    assert next(row for row in rows if row[:3] == ["text", "text", "langs"])[3:6] == ["300", "290", "10"]
    view.tab.go(view.box.locator(".dgv-tables").get_by_role("button", name="langs").click())
    view.tab.see(view.lens())


def test_dashes_move_and_rest_where_motion_is_unwelcome(shows: Shows) -> None:
    """Edges that carry values have moving dashes; none where reduced motion is asked, none while paused."""
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    assert view.tab.js(moving) == len(BRANCHED.edges)
    view.tick(tick(BRANCHED, 2.0, paused=True))
    assert view.tab.js(moving) == 0
    calm = shows(BRANCHED, reduced_motion="reduce")
    calm.tick(tick(BRANCHED, 1.0))
    assert calm.tab.js(moving) == 0


@pytest.mark.parametrize("light", [True, False], ids=["light", "dark"])
def test_colours_follow_the_theme_of_jupyterlab(shows: Shows, pictures: Path, *, light: bool) -> None:
    """The theme that JupyterLab says it has decides, whatever the system prefers."""
    view = shows(BRANCHED, light=light, color_scheme="dark" if light else "light")
    view.tick(tick(BRANCHED, 1.0))
    page = (style.LIGHT if light else style.DARK)["page"]
    red, green, blue = (int(page[i : i + 2], 16) for i in (1, 3, 5))
    background = view.tab.js("() => getComputedStyle(document.querySelector('.dgv')).backgroundColor")
    assert background == f"rgb({red}, {green}, {blue})"
    view.tab.picture(pictures / f"view-{'light' if light else 'dark'}.png")


def test_pan_zoom_and_fit(shows: Shows) -> None:
    """Dragging the ground moves the picture and chooses nothing, Ctrl and the wheel zoom, the wheel alone scrolls the page."""
    place = "() => document.querySelector('.dgv-world').getAttribute('transform')"
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    home = view.tab.js(place)
    box = view.tab.go(view.box.locator(".dgv-stage").bounding_box())
    assert box is not None
    mouse, x, y = view.tab.page.mouse, box["x"] + 12, box["y"] + 12
    view.tab.go(mouse.move(x, y))
    view.tab.go(mouse.wheel(0, 200))
    assert view.tab.js(place) == home
    view.tab.go(mouse.down())
    view.tab.go(mouse.move(x + 60, y + 40, steps=4))
    view.tab.go(mouse.up())
    dragged = view.tab.js(place)
    assert dragged != home
    assert not view.tab.go(view.lens().is_visible())
    view.tab.go(view.tab.page.keyboard.down("Control"))
    view.tab.go(mouse.wheel(0, -200))
    view.tab.go(view.tab.page.keyboard.up("Control"))
    view.tab.until(f"(before) => ({place})() !== before", dragged)
    view.press("Fit")
    assert view.tab.js(place) == home


def test_a_large_flow_fits_and_says_less(shows: Shows) -> None:
    """Two hundred nodes are in sight at once, as colours; zoomed in, names and then numbers appear."""
    graph = by_port([worker(f"n{i}", f"s{max(0, i - 1 - i % 4)}", f"s{i + 1}") for i in range(200)])
    view = shows(graph)
    view.tick(tick(graph, 1.0))
    shown = "() => [...document.querySelectorAll('.dgv-card .dgv-name')].filter((t) => t.getBoundingClientRect().width > 0).length"
    everything = """() => {
        const stage = document.querySelector(".dgv-stage").getBoundingClientRect();
        return [...document.querySelectorAll(".dgv-node")].every((node) => {
            const { left, right, top, bottom } = node.getBoundingClientRect();
            return left >= stage.left - 1 && right <= stage.right + 1 && top >= stage.top - 1 && bottom <= stage.bottom + 1;
        });
    }"""
    assert view.tab.js(everything)
    assert view.tab.js(shown) == 0
    for _ in range(12):
        view.press("Zoom in")
    assert view.tab.js("() => document.querySelector('.dgv-svg').classList.contains('dgv-detail-0')")


def test_a_view_that_is_closed_leaves_nothing(shows: Shows) -> None:
    """Neither elements nor a listener nor a timer that still speaks."""
    view = shows(BRANCHED)
    view.tick(tick(BRANCHED, 1.0))
    view.tab.js("() => window.unmount()")
    assert view.tab.js("() => [document.querySelectorAll('.dgv').length, window.listeners()]") == [0, 0]
    view.tab.js("() => { window.sent.length = 0; }")
    view.tab.js("() => new Promise((done) => setTimeout(done, 2500))")  # "alive" would be said every two seconds
    assert view.tab.js("() => window.sent.length") == 0
