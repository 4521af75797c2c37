"""How smoothly a large picture moves in a browser: 200 processors, told something new ten times a second."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured
from datagraph.drawing.scene import scene
from datagraph.events.journal import pack
from datagraph.events.snapshot import EdgeState, NodeState, Snapshot
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port

PROCESSORS = 200
TICKS = 50
_PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>{css}</style>
<div id="view" style="width:1080px"></div>
<script type="application/json" id="scene">{scene}</script>
<script type="module">
{esm}
const heard = new Set();
window.tellView = (message) => heard.forEach((hear) => hear(message));
mount(document.getElementById("view"), {{
  scene: JSON.parse(document.getElementById("scene").textContent), tick: null, recording: null, send: () => {{}},
  on: (hear) => {{ heard.add(hear); return () => heard.delete(hear); }},
}});
</script>"""
_MEASURE = """async (ticks) => {
  const gaps = [];
  let last = performance.now(), over = false, spent = 0;
  const frame = (now) => { gaps.push(now - last); last = now; if (!over) requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
  const began = performance.now();
  for (const tick of ticks) {
    const start = performance.now();
    window.tellView({ kind: "tick", tick });
    spent += performance.now() - start;
    await new Promise((done) => setTimeout(done, 100));
  }
  over = true;
  const seconds = (performance.now() - began) / 1000;
  gaps.sort((a, b) => a - b);
  return [gaps.length / seconds, spent / ticks.length, gaps[Math.floor(gaps.length * 0.95)]];
}"""


def _graph() -> Graph:
    """Small trees behind each other, joined here and there."""
    nodes = []
    for i in range(PROCESSORS):
        reads = [f"s{max(0, i - 1 - i % 4)}", *([f"s{i - 6}"] if i % 4 == 0 and i > 8 else [])]
        nodes.append(Node(f"n{i}", inputs=tuple(map(Port, dict.fromkeys(reads))), outputs=(Port(f"s{i + 1}"),)))
    return by_port(nodes)


def _tick(graph: Graph, at: float) -> str:
    count = int(1000 * at)
    nodes = {n.name: NodeState(n.name, "running", busy=0.6, starved=0.4, read=count, rate=1000.0) for n in graph}
    edges = {
        e.name: EdgeState(
            e.name, e.stream, e.source, e.target, count, count - 10, 10, 800, e.capacity, 0.5, 900.0, 900.0
        )
        for e in graph.edges
    }
    return json.dumps(pack(Snapshot("r", "r", at, elapsed=at, nodes=nodes, edges=edges), graph))


def frames(count: int) -> Measured:
    """Frames a second while `count` ticks come, and what one costs the page."""
    from playwright.sync_api import sync_playwright

    from datagraph.notebook.assets import css, esm

    graph = _graph()
    shown = json.dumps(scene(graph)).replace("<", "\\u003c")
    with tempfile.TemporaryDirectory(prefix="dg-bench-") as folder, sync_playwright() as play:
        page_file = Path(folder) / "view.html"
        page_file.write_text(_PAGE.format(css=css(), esm=esm(), scene=shown), encoding="utf-8")
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.goto(page_file.as_uri())
        page.wait_for_function("window.tellView !== undefined")
        ticks = [_tick(graph, 1.0 + k / 10) for k in range(count)]
        rate, spent, slow = _numbers(page.evaluate(_MEASURE, ticks))
        browser.close()
    return {"frames_per_second": rate, "tick_ms": spent, "gap_p95_ms": slow, "edges": float(len(graph.edges))}


def _numbers(found: Any) -> list[float]:
    return [float(each) for each in found]
