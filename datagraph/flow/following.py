"""Who wants to know that a run of a flow has started; it keeps neither the flow nor whoever wants to know alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from .local import LocalRun
from .subject import RunSubject

if TYPE_CHECKING:
    from .flow import Flow

Follower = Callable[[RunSubject], None]

_newest: weakref.WeakKeyDictionary[Flow, weakref.ref[LocalRun]] = weakref.WeakKeyDictionary()
_followers: weakref.WeakKeyDictionary[Flow, list[weakref.WeakMethod[Follower]]] = weakref.WeakKeyDictionary()


def follow(flow: Flow, follower: Follower) -> None:
    """Have a bound method called with the newest run of the flow, if there is one, and with each that starts later."""
    _followers.setdefault(flow, []).append(weakref.WeakMethod(follower))
    newest = _newest.get(flow)
    local = newest() if newest is not None else None
    if local is not None:
        follower(RunSubject(local))


def began(flow: Flow, local: LocalRun) -> None:
    """Tell the followers of a flow that a run of it has started."""
    _newest[flow] = weakref.ref(local)
    living = [follower for follower in _followers.get(flow, ()) if follower() is not None]
    if living:
        _followers[flow] = living
    for weak in living:
        follower = weak()
        if follower is not None:
            follower(RunSubject(local))
