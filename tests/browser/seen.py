"""What a reader sees of a live view, read from the page."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import Locator

from tests.browser.chromium import SECONDS, Notebook, Tab

PROCESSORS = """
import asyncio, itertools, time
import datagraph as dg

@dg.processor
def double(n: int) -> int:
    "Twice as much."
    return 2 * n

@dg.processor
def slow(double: int, pause: float = 0.01) -> int:
    time.sleep(pause)
    return double

flow = dg.Flow(double, slow, name="numbers", capacity=50)
"""
START = "run = flow.start({'n': itertools.count()})\nrun.view()"
THEME = """async (theme) => {
    await window.jupyterapp.commands.execute("apputils:change-theme", {theme});
}"""
THEMED = """(light) => document.body.getAttribute("data-jp-theme-light") === light
    && !document.getElementById("jupyterlab-splash")"""
PLACES = """() => [...document.querySelectorAll(".dgv-node, .dgv-plate, .dgv-stage, .dgv-time, .dgv-legend")].map((part) => {
    const { x, y, width, height } = part.getBoundingClientRect();
    return [x, y, width, height].map((side) => Math.round(side * 10) / 10);
})"""
COLLISIONS = """() => {
    const found = [];
    const box = (text) => text.getBoundingClientRect();
    const over = (a, b) => a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top + 3 < b.bottom - 3 && b.top + 3 < a.bottom - 3;
    for (const part of document.querySelectorAll(".dgv-node, .dgv-plate")) {
        const card = box(part.querySelector(".card, .plate"));
        const texts = [...part.querySelectorAll("text")].filter((text) => box(text).width > 0);
        for (const text of texts) {
            const at = box(text);
            if (at.left < card.left || at.right > card.right || at.bottom > card.bottom) found.push(`${text.textContent} leaves its card`);
            for (const other of texts) if (other !== text && over(at, box(other))) found.push(`${text.textContent} | ${other.textContent}`);
        }
    }
    return [document.querySelectorAll(".dgv-node text").length > 4, found];
}"""
WRITTEN = """([scope, root, stream]) => {
    const view = document.querySelectorAll(`${scope} .dgv`)[root];
    for (const plate of view?.querySelectorAll(".dgv-plate") ?? []) {
        const texts = [...plate.querySelectorAll("text")].map((text) => text.textContent);
        const found = texts[0] === stream && texts.map((text) => /^([0-9,]+) written$/.exec(text)).find(Boolean);
        if (found) return Number(found[1].replaceAll(",", ""));
    }
    return -1;
}"""

STILL = """async (part) => {
  let [x, y, frames] = [0, 0, 0];
  for (let tries = 0; frames < 5 && tries < 600; tries += 1) {
    await new Promise((next) => requestAnimationFrame(next));
    const box = part.getBoundingClientRect();
    const [nowX, nowY] = [box.x + box.width / 2, box.y + box.height / 2];
    frames = Math.hypot(nowX - x, nowY - y) < 2 ? frames + 1 : 0;
    [x, y] = [nowX, nowY];
  }
  return [x, y];
}"""
"""Where the middle of a part is when it has not moved for some frames."""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""What is asked for is drawn in the next frame."""


class View:
    """One live view of a page, the first in a notebook or in the page as a whole."""

    def __init__(self, tab: Tab, place: Locator | None = None, root: int = 0, scope: str = "body") -> None:
        self.tab = tab
        self.box = (place or tab.page.locator("body")).locator(".dgv")
        self._which = [scope, root]
        tab.see(self.box)

    @classmethod
    def under(cls, notebook: Notebook, index: int) -> View:
        """The view that stands beneath a cell."""
        return cls(notebook.tab, notebook.cell(index), scope=notebook.panel)

    def part(self, words: str) -> Locator:
        """A node or an edge, by how its label begins: a node's name, or `stream, from a to b`."""
        return self.box.get_by_role("button", name=re.compile(f"^{re.escape(words)}"))

    def text(self, selector: str) -> str:
        """What is written there."""
        return self.tab.text(self.box.locator(selector))

    @property
    def sentence(self) -> str:
        """What holds the run up, in the view's words."""
        return self.text(".dgv-sentence")

    @property
    def facts(self) -> str:
        """How the run goes: its status, and for how long."""
        return self.text(".dgv-facts")

    def written(self, stream: str) -> int:
        """How many values the picture says were written to a stream; -1 where it does not say."""
        return int(self.tab.js(WRITTEN, [*self._which, stream]))

    def until_written(self, stream: str, least: int, seconds: float = SECONDS) -> None:
        """Wait until the picture says so many."""

        self.tab.until(f"([which, least]) => ({WRITTEN})(which) >= least", [[*self._which, stream], least], seconds)

    def until_says(self, selector: str, words: str, seconds: float = SECONDS) -> None:
        """Wait until a part of the view says something."""
        self.tab.see(self.box.locator(selector).filter(has_text=re.compile(words)), seconds)

    def press(self, name: str) -> None:
        """Press a button of the view; what it does is drawn when this returns."""
        self.tab.go(self.box.get_by_role("button", name=name, exact=True).first.click())
        self.tab.js(DRAWN)

    def click(self, words: str) -> None:
        """Click a node or an edge; what that does is drawn when this returns."""
        self.tab.go(self.part(words).first.click())
        self.tab.js(DRAWN)

    def lens(self) -> Locator:
        """The panel that a click opens."""
        return self.box.locator(".dgv-lens")

    def rows(self) -> list[list[str]]:
        """The first table in the lens, without its head."""
        self.tab.see(self.lens().locator("table"))
        script = (
            "(table) => [...table.querySelectorAll('tbody tr')].map((tr) => [...tr.cells].map((td) => td.textContent))"
        )
        found: Any = self.tab.go(self.lens().locator("table").first.evaluate(script))
        return [list(row) for row in found]

    # -- by hand --------------------------------------------------------------------------------------------------

    def right_click(self, words: str) -> None:
        """Open the menu of a node or an edge."""
        self.tab.go(self.part(words).first.click(button="right"))
        self.tab.see(self.box.get_by_role("menu"))

    def item(self, label: str) -> Locator:
        """An item of the open menu."""
        return self.box.get_by_role("menuitem").filter(has_text=label).first

    def menu(self, *path: str) -> None:
        """Choose an item of the open menu, and what opens then."""
        for label in path:
            self.tab.go(self.item(label).click())

    def says(self, words: str) -> Locator:
        """Wait until the panel of a change says something."""
        return self.tab.see(self.box.locator(".dgv-change").filter(has_text=words))

    def fill(self, label: str, value: str) -> None:
        """Write a number into a field of a form."""
        self.tab.go(self.box.get_by_role("spinbutton", name=label).fill(value))

    def keys(self, *keys: str) -> None:
        """Press keys, one after the other; what they do is drawn when this returns."""
        for key in keys:
            self.tab.go(self.tab.page.keyboard.press(key))
        self.tab.js(DRAWN)

    def middle(self, locator: Locator) -> tuple[float, float]:
        """The middle of something, in the window."""
        box = self.tab.go(locator.first.bounding_box())
        assert box is not None
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def still(self, locator: Locator) -> tuple[float, float]:
        """The same, once the page around it is laid out."""
        x, y = self.tab.go(locator.first.evaluate(STILL))
        return x, y

    def end(self, words: str, which: str) -> tuple[float, float]:
        """Where the handle at an end of an edge is, which comes when the pointer does."""
        self.tab.go(self.part(words).first.hover())
        return self.still(self.tab.see(self.box.locator(f".dgv-end-{which}")))

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, let_go: bool = True) -> None:
        """Take something with the mouse, and drop it somewhere else."""
        mouse = self.tab.page.mouse
        self.tab.go(mouse.move(*start))
        self.tab.go(mouse.down())
        self.tab.go(mouse.move(start[0] + 6, start[1] + 6))
        self.tab.go(mouse.move(*end, steps=4))
        if let_go:
            self.tab.go(mouse.up())

    def scrub(self, key: str) -> None:
        """Press a key on the scrubber."""
        slider = self.box.get_by_role("slider")
        self.tab.go(slider.focus())
        self.tab.go(self.tab.page.keyboard.press(key))
        self.tab.js(DRAWN)
