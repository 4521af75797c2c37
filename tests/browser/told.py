"""A view in a page of its own, before a kernel that only notes what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datagraph.drawing.scene import scene
from datagraph.events.journal import pack
from datagraph.events.snapshot import BreakpointState, EdgeState, NodeState, Snapshot
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port
from datagraph.notebook.assets import css, esm
from tests.browser.chromium import Tab
from tests.browser.seen import View

CALLS = ["plan", "change", "undo", "step", "resend", "known", "seek", "breakpoint", "decide", "held"]
STOPPED = "words->count.words"
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
  step: () => ({{ status: "paused" }}), resend: () => ({{ count: 3 }}), known: () => ({{ known: data.known }}), seek: () => ({{}}), decide: () => ({{ code: "" }}),
  breakpoint: ({{ where }}) => (where?.includes("price") ? `the condition '${{where}}', character 1: 'price' is not known; a condition may have value` : {{ code: "run.breakpoint()" }}),
  held: () => ({{ position: 312, text: "{{'name': 'x'}}", json: '{{"name": "x"}}' }}), do: () => ({{}}), lens: () => ({{}}),
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


def moment(
    graph: Graph, elapsed: float = 12.0, *, edits: int = 0, stop: BreakpointState | None = None, **nodes: dict[str, Any]
) -> str:
    """A tick of a run in which `count` is slow, or `stop` holds it."""
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
    if stop is not None:
        edges[STOPPED] = replace(edges[STOPPED], breakpoint=stop)
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
