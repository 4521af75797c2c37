"""What is left of a run: a page that needs nothing, and a file that is read again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.events.journal import Journal
from datagraph.notebook.page import save_page
from datagraph.observe.recording import Recording
from tests.events.test_journal import GRAPH, seen
from tests.notebook.conftest import Wire

EVIL = "</script><!--<script>alert('1')</script>\u2028\x00&lt;"


@dg.processor
def double(n: int) -> int:
    return 2 * n


@pytest.fixture(scope="module")
def run() -> Iterator[dg.Run]:
    """A run that has ended."""
    Supervisor.attach("memory://")
    yield dg.Flow(double, name="shown").start({"n": range(100)}).join(progress=False)
    Supervisor.detach()


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: dict[str, str] = {}
        self.tags: list[str] = []
        self.asked: list[str] = []
        self.title = ""
        self._in = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.asked += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data"}]
        assert not [name for name in found if name.startswith("on")]
        if tag in {"script", "title"}:
            self._in = found.get("id") or found.get("type") or tag

    def handle_data(self, data: str) -> None:
        if self._in == "title":
            self.title = self.title or data
        elif self._in:
            self.scripts[self._in] = self.scripts.get(self._in, "") + data

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "title"}:
            self._in = ""


def recording_of(sentence: str = "", name: str = "shown") -> Recording:
    journal = Journal(GRAPH, run="r1", name=name)
    for at in range(3):
        journal.record(seen(float(at), at, sentence=sentence))
    return Recording(journal)


def test_a_page_holds_all_that_it_needs(run: dg.Run, tmp_path: Path) -> None:
    """Scene, recording, code and style are in it, and it asks nobody for anything."""
    path = run.save(tmp_path / "run.html")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert set(page.scripts) == {"recording", "scene", "code", "module"}
    assert page.asked == []
    assert page.title == "shown"
    assert json.loads(page.scripts["recording"])["run"] == run.id
    assert [node["name"] for node in json.loads(page.scripts["scene"])["nodes"]] == ["in:n", "double", "out:double"]
    assert "export default" in json.loads(page.scripts["code"])
    assert "default-src 'none'" in text
    urls = set(re.findall(r"https?://[^\s\"'\\<)]+", text))
    assert urls <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}


def test_a_page_shows_a_picture_where_no_script_runs(run: dg.Run, tmp_path: Path) -> None:
    """The last moment is drawn in the page itself."""
    text = run.save(tmp_path / "run.html").read_text(encoding="utf-8")
    body = text[text.index('<div id="view">') : text.index("<script")]
    assert "<svg" in body
    assert "100 values" in body


@pytest.mark.parametrize("evil", [EVIL, "<!--", "--><script>", "${alert(1)}`", "{name}", "\u202egnp"])
def test_no_value_gets_out_of_a_page(tmp_path: Path, evil: str) -> None:
    """A sentence or a name that looks like markup is text, and comes back as it was."""
    path = tmp_path / "page.html"
    save_page(recording_of(evil, evil), path)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.tags.count("script") == 4
    assert json.loads(page.scripts["recording"])["ticks"][0]["sentence"] == evil
    assert Recording.load(path).name == evil


@pytest.mark.parametrize("ending", [".json", ".html", ".HTM"])
def test_what_was_saved_is_loaded(run: dg.Run, tmp_path: Path, ending: str) -> None:
    """From a page or from data: the same run, graph, moments and table."""
    loaded = dg.load(run.save(tmp_path / f"run{ending}"))
    assert (loaded.id, loaded.name, loaded.graph) == (run.id, "shown", run.graph)
    assert loaded.history().equals(run.history())
    assert loaded.snapshot().nodes["double"].read == 100
    assert "completed" in loaded._repr_mimebundle_()["image/svg+xml"]
    assert repr(loaded).startswith("Recording('shown', ")


def test_a_loaded_recording_has_a_view(run: dg.Run, tmp_path: Path, wire: Wire) -> None:
    """With everything in its state, and an answer to whoever asks it for more."""
    view = dg.load(run.save(tmp_path / "run.json")).view()
    browser = wire.browser(view)
    assert repr(view) == "RecordingView(shown, 1 processor, 2 edges)"
    assert json.loads(view.tick)["status"] == "completed"
    assert json.loads(view.recording)["run"] == run.id
    browser.say(kind="hello")
    assert [message["kind"] for message in browser.messages] == ["scene", "recording", "tick", "ended"]
    assert not browser.ask(kind="do", action="stop")["ok"]


def test_a_recording_is_looked_at_in_its_past() -> None:
    """`snapshot(at)` is the last moment before; the first where there is none."""
    recording = recording_of()
    assert [recording.snapshot(at).elapsed for at in (None, 1.5, 1.0, -1, 99)] == [2.0, 1.0, 1.0, 0.0, 2.0]


def test_an_empty_recording_is_told(tmp_path: Path) -> None:
    """Nothing recorded is no error until somebody asks for a moment."""
    recording = Recording(Journal(GRAPH, name="empty"))
    assert len(recording.history()) == 0
    assert "nothing was recorded" in recording.plot().svg
    recording.save(tmp_path / "x.html")
    with pytest.raises(IndexError, match="nothing was recorded"):
        recording.snapshot()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"version": 1, "ticks": []}', "<html></html>", "\udcff"]
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    """CodecError, with the name of the file or what is wrong with it."""
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(dg.CodecError, match="recording"):
        dg.load(path)


def test_another_ending_is_refused(run: dg.Run, tmp_path: Path) -> None:
    """What kind of file it is to be is never guessed."""
    with pytest.raises(ValueError, match=r"\.html or \.json"):
        run.save(tmp_path / "run.png")
    with pytest.raises(FileNotFoundError):
        dg.load(tmp_path / "none.json")
