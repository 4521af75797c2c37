"""Who wants to know that something has begun to run; neither is kept alive by it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ..graph.model import Graph
from . import upstairs

if TYPE_CHECKING:
    import graphviz

    from .watch import Subject

Follower: TypeAlias = "Callable[[Subject], None]"


class Following:
    """The followers of one thing that can run, and the newest of its runs."""

    def __init__(self) -> None:
        self._newest: weakref.ref[Subject] | None = None
        self._followers: list[weakref.WeakMethod[Follower]] = []

    def follow(self, follower: Follower) -> None:
        """Have a bound method called with the newest run, if there is one, and with each that begins later."""
        self._followers.append(weakref.WeakMethod(follower))
        newest = self._newest() if self._newest is not None else None
        if newest is not None:
            follower(newest)

    def began(self, subject: Subject) -> None:
        """Tell the followers that a run has begun."""
        self._newest = weakref.ref(subject)
        living = [(weak, weak()) for weak in self._followers]
        self._followers = [weak for weak, follower in living if follower is not None]
        for _, follower in living:
            if follower is not None:
                follower(subject)


class Runnable:
    """What can be run, again and again, as a notebook sees it: its picture, and its newest run, live."""

    def __init__(self) -> None:
        self._following = Following()

    @property
    def graph(self) -> Graph:
        """What is connected to what."""
        raise NotImplementedError

    def draw(self) -> graphviz.Digraph:
        """Its graph as a `graphviz.Digraph`."""
        from ..drawing.dot import digraph

        return digraph(self.graph)

    def view(self) -> Any:
        """What it will be, live in a notebook as soon as a run of it starts; of several runs the newest.

        Raises MissingExtraError where anywidget is not installed.
        """
        return upstairs.view(self)

    def follow(self, follower: Follower) -> None:
        """Have a bound method called with the newest run, if there is one, and with each that starts later."""
        self._following.follow(follower)
