"""Signals: events by name that are made anew, so that no wake-up is lost and none is kept too long."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from datagraph.streams.signals import Signals

pytestmark = pytest.mark.anyio


async def test_a_set_between_the_look_and_the_wait_is_not_lost() -> None:
    """Who took the event before looking is woken, even if the signal came before the waiting began."""
    signals = Signals()
    event = signals.event("values:x")
    signals.set("values:x")
    with anyio.fail_after(1):
        await event.wait()


async def test_a_set_is_not_kept_for_later_waiters() -> None:
    """An event that is taken after a set waits for the next one."""
    signals = Signals()
    signals.set("values:x")
    first = signals.event("values:x")
    assert not first.is_set()
    signals.set("values:x")
    assert first.is_set()
    assert not signals.event("values:x").is_set()


async def test_a_signal_wakes_all_who_wait_for_its_name_and_nobody_else() -> None:
    """Two tasks that wait for one name are woken together; another name stays quiet."""
    signals = Signals()
    woken: list[str] = []

    async def wait(task: str, name: str) -> None:
        await signals.event(name).wait()
        woken.append(task)

    async with anyio.create_task_group() as group:
        for task, name in (("a", "room:x"), ("b", "room:x"), ("c", "room:y")):
            group.start_soon(wait, task, name)
        await anyio.wait_all_tasks_blocked()
        signals.set("room:x")
        await anyio.wait_all_tasks_blocked()
        assert sorted(woken) == ["a", "b"]
        signals.set_all()
    assert sorted(woken) == ["a", "b", "c"]


async def test_setting_everything_makes_every_event_anew() -> None:
    """After a reconnect all look again, and then wait for new signals."""
    signals = Signals()
    events = [signals.event(name) for name in ("run", "turn:a")]
    signals.set_all()
    assert all(event.is_set() for event in events)
    assert not signals.event("run").is_set()
    await checkpoint()
