"""Chromium with JupyterLab in it, driven from tests that wait for nothing but facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import nbformat
from playwright.async_api import ConsoleMessage, Locator, Page, Request, async_playwright

from tests.browser.jupyter import Jupyter

T = TypeVar("T")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SECONDS = 30.0
READY = """async ([path, kernel]) => {
    const app = window.jupyterapp;
    await app.restored;
    await app.serviceManager.kernelspecs.refreshSpecs();
    const widget = await app.commands.execute("docmanager:open", {path, factory: "Notebook", kernel: {name: kernel}});
    await widget.context.ready;
    await widget.sessionContext.ready;
    await widget.sessionContext.session.kernel.info;
    window.dgNotebook = widget;
    return widget.id;
}"""
SHOW = """(id) => {
    const { shell } = window.jupyterapp;
    shell.activateById(id);
    window.dgNotebook = [...shell.widgets("main")].find((widget) => widget.id === id);
}"""
RUN = """(index) => {
    const content = window.dgNotebook.content;
    content.deselectAll();
    content.activeCellIndex = index;
    window.dgRuns = window.dgRuns || {};
    window.dgRuns[index] = "running";
    const ended = (how) => () => { window.dgRuns[index] = how; };
    window.jupyterapp.commands.execute("notebook:run-cell").then(ended("ended"), ended("failed"));
}"""
ASK = """async (expression) => {
    const kernel = window.dgNotebook.sessionContext.session.kernel;
    const future = kernel.requestExecute(
        {code: "", silent: true, store_history: false, user_expressions: {asked: expression}}, false);
    const reply = (await future.done).content.user_expressions.asked;
    return reply.status === "ok" ? reply.data["text/plain"] : `${reply.ename}: ${reply.evalue}`;
}"""


class Chromium:
    """The browser. Playwright's loop runs only inside `wait_for`, so that the other tests have theirs."""

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._playwright = self.wait_for(async_playwright().start())
        self.browser = self.wait_for(
            self._playwright.chromium.launch(executable_path=self._executable, headless=True, args=FLAGS)
        )
        return self

    def __exit__(self, *unused: object) -> None:
        self.wait_for(self.browser.close())
        self.wait_for(self._playwright.stop())
        self._runner.__exit__(None, None, None)

    def wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Drive the browser until that is done; TimeoutError after twice what anything may take."""
        return self._runner.run(asyncio.wait_for(coroutine, 2 * SECONDS))


class Tab:
    """A page of the browser: what it asked for and complained about is kept."""

    def __init__(self, chromium: Chromium, **options: Any) -> None:
        self._chromium = chromium
        options = {"viewport": {"width": 1400, "height": 1000}, **options}
        self._context = self.go(chromium.browser.new_context(**options))
        self.page: Page = self.go(self._context.new_page())
        self.page.set_default_timeout(SECONDS * 1000)
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", self._on_request)
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append(f"{error}"))

    def go(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for something that Playwright does."""
        return self._chromium.wait_for(coroutine)

    def open(self, url: str) -> None:
        """Load a page."""
        self.go(self.page.goto(url, wait_until="domcontentloaded"))

    def clear(self) -> None:
        """Show nothing, and forget what was asked and complained about."""
        self.open("about:blank")
        self.go(self.page.mouse.move(0, 0))
        self.asked.clear()
        self.errors.clear()

    def close(self) -> None:
        """Close it, with everything that it remembers."""
        self.go(self._context.close())

    def js(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript expression or function."""
        return self.go(self.page.evaluate(script, argument))

    def until(self, script: str, argument: Any = None, seconds: float = SECONDS) -> Any:
        """Wait until a JavaScript expression is true; its value. Looked at every 50 ms."""
        handle = self.go(self.page.wait_for_function(script, arg=argument, timeout=seconds * 1000, polling=50))
        return self.go(handle.json_value())

    def see(self, locator: Locator, seconds: float = SECONDS) -> Locator:
        """Wait until the first of what a locator finds can be seen."""
        self.go(locator.first.wait_for(state="visible", timeout=seconds * 1000))
        return locator.first

    def text(self, locator: Locator) -> str:
        """The text in the first of what a locator finds."""
        return self.go(locator.first.inner_text())

    def picture(self, path: Path, locator: Locator | None = None) -> None:
        """Keep what it looks like."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.go((locator or self.page).screenshot(path=path))

    def strangers(self) -> list[str]:
        """What was asked of anybody but this machine."""
        home = {"127.0.0.1", "localhost"}
        return [
            url
            for url in self.asked
            if urlsplit(url).scheme in {"http", "https", "ws", "wss"} and urlsplit(url).hostname not in home
        ]

    def _on_request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")


class Notebook:
    """A notebook that is open in JupyterLab, with its kernel ready."""

    def __init__(self, jupyter: Jupyter, tab: Tab, cells: Iterable[str], *, name: str, kernel: str = "python3") -> None:
        self._jupyter, self.tab, self.path = jupyter, tab, f"{name}.ipynb"
        jupyter.write(self.path, cells, kernel)
        self._id = tab.js(READY, [self.path, kernel])

    @property
    def page(self) -> Page:
        return self.tab.page

    @property
    def panel(self) -> str:
        """The selector of all that is its own."""
        return f"[id='{self._id}']"

    def start(self, index: int) -> None:
        """Have a cell run; does not wait."""
        self.tab.js(RUN, index)

    def run(self, *indexes: int, seconds: float = SECONDS) -> None:
        """Run cells one after the other, each to its end."""
        for index in indexes:
            self.start(index)
            self.tab.until("(index) => window.dgRuns[index] !== 'running'", index, seconds)
            failed = [out for out in self.outputs(index) if out["output_type"] == "error"]
            assert not failed, f"cell {index}: {failed[0]['ename']}: {failed[0]['evalue']}"

    def running(self, index: int) -> bool:
        """Whether a cell still runs."""
        return bool(self.tab.js(f"window.dgRuns[{index}] === 'running'"))

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """What stands beneath a cell, as it would be saved."""
        return self.tab.js("(i) => window.dgNotebook.content.widgets[i].outputArea.model.toJSON()", index)

    def cell(self, index: int) -> Locator:
        """A cell, as the reader sees it."""
        return self.page.locator(f"{self.panel} .jp-Cell").nth(index)

    def ask(self, expression: str) -> str:
        """The repr of a Python expression, evaluated in the kernel between two cells."""
        return self.tab.js(ASK, expression)

    def ask_until(self, expression: str, seconds: float = SECONDS) -> None:
        """Wait until a Python expression is true."""
        end = time.monotonic() + seconds
        while (said := self.ask(expression)) != "True":
            assert time.monotonic() < end, f"{expression} is {said} after {seconds:.0f} s"

    def save(self) -> dict[str, Any]:
        """Save it as the reader would; the file's content."""
        self.tab.js("() => window.dgNotebook.context.save()")
        return nbformat.read(self._jupyter.work / self.path, nbformat.NO_CONVERT)

    def reopen(self) -> None:
        """Close it, end its kernel, and open it again with another one, in which nothing has run."""
        self.close()
        self._id = self.tab.js(READY, [self.path, "python3"])

    def show(self) -> None:
        """Bring it to the front; what is asked from now on is asked of it."""
        self.tab.js(SHOW, self._id)

    def close(self) -> None:
        """Close it, and end its kernel."""
        self.leave()
        self._jupyter.wait_for_ends()

    def leave(self) -> None:
        """Close it, and have its kernel end meanwhile."""
        self.show()
        self.tab.js("() => { window.dgNotebook.dispose(); }")
        self._jupyter.end_kernels(self.path)
