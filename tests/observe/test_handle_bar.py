"""What every run in this process shows: its line of progress, and who follows it."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from datagraph.events.snapshot import EdgeState, Snapshot
from datagraph.observe import bar as bars
from datagraph.observe.bar import Bar, can_show, share_done
from datagraph.observe.following import Following


def snapshot(*edges: EdgeState) -> Snapshot:
    return Snapshot("r", "told", 0.0, edges={edge.name: edge for edge in edges})


def given(name: str, written: int, read: int, *, ended: bool = True) -> EdgeState:
    return EdgeState(name, "s", "in:s", "p", written=written, read=read, lag=written - read, ended=ended)


def test_the_share_is_that_of_the_slowest_reader() -> None:
    """None where more is still to be given, or nothing is; an empty input is all done."""
    assert share_done(snapshot(given("a", 10, 5), given("b", 10, 2))) == 0.2
    assert share_done(snapshot(given("a", 10, 5, ended=False))) is None
    assert share_done(snapshot()) is None
    assert share_done(snapshot(given("a", 0, 0))) == 1.0


def test_a_terminal_shows_one_line_that_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter line covers the longer one before it."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Bar()
    assert not bar.used
    bar.show(0.5, "half of it")
    bar.show(None, "short")
    bar.close()
    first, second, blank, end = screen.getvalue().split("\r")[1:]
    assert first == f"[{'█' * 12}{'░' * 12}] half of it"
    assert second.rstrip() == "short"
    assert len(second) == len(first)
    assert (blank.strip(), end) == ("", "")
    assert not can_show()


def test_a_notebook_shows_a_bar_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """One output beneath the cell, updated in place; text is escaped, and there for those without a browser."""
    shown: list[Any] = []

    class Display:
        def update(self, data: Any, *, raw: bool) -> None:
            shown.append(("update", data))

    def display(data: Any, *, raw: bool, display_id: bool) -> Display:
        shown.append(("new", data))
        return Display()

    module = SimpleNamespace(display=SimpleNamespace(display=display), get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    assert can_show()
    bar = Bar()
    bar.show(0.25, "<b> a")
    bar.show(None, "b")
    bar.close()
    assert bar.used
    assert [kind for kind, _ in shown] == ["new", "update"]
    assert shown[0][1] == {
        "text/html": '<progress max=1 value="0.2500"></progress> &lt;b&gt; a',
        "text/plain": "<b> a",
    }
    assert shown[1][1]["text/html"] == "<progress max=1></progress> b"
    assert bars.WIDTH == 24


def test_followers_are_told_and_not_kept() -> None:
    """Each hears the newest when it comes, and all later ones; one that is gone is not called."""

    class Viewer:
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def show(self, subject: Any) -> None:
            self.seen.append(subject)

    class Thing:
        pass

    following, first, second = Following(), Thing(), Thing()
    viewer = Viewer()
    following.follow(viewer.show)
    following.began(first)  # type: ignore[arg-type]
    late = Viewer()
    following.follow(late.show)
    assert (viewer.seen, late.seen) == ([first], [first])
    gone = late.seen
    del late
    following.began(second)  # type: ignore[arg-type]
    assert (viewer.seen, gone) == ([first, second], [first])
    del second
    viewer.seen.clear()
    newcomer = Viewer()
    following.follow(newcomer.show)
    assert newcomer.seen == []
