"""``python docs/make_recording.py``: the README's animated picture, of a run that really went on.

The run is watched ten times a second, as a notebook would. What was heard is then told to the view in Chromium, tick by
tick, and every frame is a screenshot: the picture is drawn by the code that draws it in a notebook.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import re
import shutil
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.async_api import Page, async_playwright

from datagraph import Flow, Run, processor
from datagraph.drawing.scene import scene
from datagraph.notebook import lens
from datagraph.notebook.assets import css, esm

FOLDER = Path(__file__).parent
SECONDS = 11.0
"""That the run is watched for."""
CLICKED, CLOSED, BACK = 4.5, 7.5, 8.5
"""When an edge is clicked, its lens closed, and the scrubber taken, in seconds."""
WIDTH, HEIGHT = 960, 586
LOOKED_AT = "text, from text to words"
PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>{css}
body {{ margin: 0; }}
#pointer {{ position: fixed; z-index: 9; left: 0; top: 0; pointer-events: none; }}
</style>
<body data-jp-theme-light="true"><div id="view" style="width:{width}px"></div>
<svg id="pointer" width="20" height="24">
<path d="M2,2v17l4.5-4.2 3 6.7 3-1.4-3-6.5h6z" fill="#111" stroke="#fff"/></svg>
<script type="application/json" id="scene">{scene}</script>
<script type="module">
{esm}
const heard = new Set();
window.sent = [];
window.tellView = (message) => heard.forEach((hear) => hear(message));
mount(document.getElementById("view"), {{
  scene: JSON.parse(document.getElementById("scene").textContent), tick: null, recording: null,
  send: (message) => window.sent.push(message), on: (hear) => {{ heard.add(hear); return () => heard.delete(hear); }},
}});
</script>"""
SHOWN = """async (seconds) => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (const dashes of document.getAnimations()) {
        dashes.pause();
        dashes.currentTime = 1000 * seconds;
    }
}"""


@processor
def text(path: str) -> str:
    return Path(path).read_text(errors="ignore")


@processor
def words(text: str) -> int:
    time.sleep(0.005)
    return len(text.split())


@processor
def imports(text: str) -> list[str]:
    return re.findall(r"^import (\w+)", text, re.MULTILINE)


@processor
def summary(words: int, imports: list[str]) -> dict[str, Any]:
    return {"words": words, "imports": imports}


class Heard:
    """A run, watched as an open notebook watches it: its ticks as they came, and what a click would have answered."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ticks: list[dict[str, Any]] = []
        self.answers: list[tuple[float, dict[str, Any]]] = []

    def __call__(self, message: dict[str, Any]) -> None:
        if message["kind"] == "tick":
            self.ticks.append(json.loads(message["tick"]))

    async def begin(self) -> None:
        self.run.subject.watcher.subscribe(self, 10)

    async def look(self, edge: str) -> None:
        values = await self.run.subject.edge_lens(edge, lens.MOST_ROWS)
        self.answers.append((self.ticks[-1]["elapsed"], lens.edge_data(values)))


def record() -> tuple[dict[str, Any], Heard]:
    """Run the flow, and listen."""
    flow = Flow(text, words, imports, summary, capacity=200, name="stdlib")
    files = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
    paths = [str(path) for path in files if "site-packages" not in path.parts]
    run = flow.start({"path": paths})
    heard = Heard(run)
    run.subject.spawn(heard.begin).result()
    edge = next(edge.name for edge in flow.graph.edges if (edge.source, edge.target) == ("text", "words"))
    began = time.monotonic()
    while time.monotonic() - began < SECONDS and run.status == "running":
        time.sleep(0.5)
        run.subject.spawn(heard.look, edge).result()
    run.cancel()
    return scene(flow.graph), heard


class Film:
    """The view in a page: `play` tells it what was heard, moves the pointer, and keeps a frame a tick."""

    def __init__(self, page: Page, heard: Heard) -> None:
        self.page = page
        self.heard = heard
        self.frames: list[tuple[float, Image.Image]] = []
        self.pointer = (WIDTH * 0.55, HEIGHT * 0.9)

    async def play(self) -> None:
        """From the first tick on; a click opens the lens of an edge, Escape closes it, and then it is looked back."""
        first = self.heard.ticks[0]["elapsed"]
        asked = closed = False
        for tick in self.heard.ticks:
            now = tick["elapsed"] - first
            await self.tell(kind="tick", tick=json.dumps(tick))
            if CLICKED - 1 < now <= CLICKED:
                await self.move(await self.place(LOOKED_AT), 0.3)
            if now > CLICKED and not asked:
                asked = True
                await self.page.get_by_role("button", name=LOOKED_AT).click()
            if asked and not closed:
                await self.answer(tick["elapsed"])
                await self.page.mouse.wheel(0, 40)
            if now > CLOSED and not closed:
                closed = True
                await self.page.keyboard.press("Escape")
            if now > BACK:
                break
            await self.shoot(now)
        await self.look_back()

    async def look_back(self) -> None:
        """Drag the scrubber from now to the beginning."""
        box = await self.page.get_by_role("slider").bounding_box()
        assert box is not None
        y = box["y"] + box["height"] / 2
        left, right = box["x"] + 8, box["x"] + box["width"] - 8
        for share in (0.4, 0.6, 1.0):
            await self.move((right, y), share)
            await self.shoot(self.frames[-1][0] + 0.1)
        await self.page.mouse.move(*self.pointer)
        await self.page.mouse.down()
        for i in range(1, 22):
            await self.move((right - 0.045 * i * (right - left), y), 1.0)
            await self.page.mouse.move(*self.pointer)
            await self.shoot(self.frames[-1][0] + 0.1)
        await self.page.mouse.up()

    async def tell(self, **message: Any) -> None:
        await self.page.evaluate("(message) => window.tellView(message)", message)

    async def answer(self, elapsed: float) -> None:
        """What the kernel said at the latest when it was asked."""
        data = [data for at, data in self.heard.answers if at <= elapsed][-1]
        for asked in await self.page.evaluate(
            "() => window.sent.splice(0).filter((message) => message.kind === 'lens')"
        ):
            await self.tell(kind="reply", id=asked["id"], ok=True, data=data)

    async def place(self, label: str) -> tuple[float, float]:
        box = await self.page.get_by_role("button", name=label).bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    async def move(self, to: tuple[float, float], share: float) -> None:
        """Part of the way to there."""
        x, y = ((1 - share) * here + share * there for here, there in zip(self.pointer, to, strict=True))
        self.pointer = (x, y)
        move = "([x, y]) => { document.getElementById('pointer').style.transform = `translate(${x}px, ${y}px)`; }"
        await self.page.evaluate(move, [x, y])

    async def shoot(self, at: float) -> None:
        await self.page.evaluate(SHOWN, at)
        picture = await self.page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})
        self.frames.append((at, Image.open(io.BytesIO(picture)).convert("RGB")))


async def film(picture: dict[str, Any], heard: Heard) -> list[tuple[float, Image.Image]]:
    """The frames, each with its second."""
    text = json.dumps(picture).replace("<", "\\u003c")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "page.html"
            file.write_text(PAGE.format(css=css(), esm=esm(), scene=text, width=WIDTH), encoding="utf-8")
            await page.goto(file.as_uri())
            shown = Film(page, heard)
            await shown.move(shown.pointer, 1.0)
            await shown.play()
        await browser.close()
    return shown.frames


def main() -> None:
    frames = asyncio.run(film(*record()))
    times = [at for at, _ in frames]
    pauses = [round(1000 * (after - at)) for at, after in itertools.pairwise(times)] + [1500]
    first, *others = (picture for _, picture in frames)
    first.save(
        FOLDER / "live.webp", save_all=True, append_images=others, duration=pauses, loop=0, lossless=True, method=4
    )


if __name__ == "__main__":
    main()
