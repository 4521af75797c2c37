"""Events: written as JSON, read back, told to observers that cannot hurt the run."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest

from datagraph.events.bus import MOST_FAILURES, Bus
from datagraph.events.model import (
    DeadlockRelieved,
    Event,
    NodeEnded,
    NodeFailed,
    NodeStarted,
    RunEnded,
    RunPaused,
    RunRecovered,
    RunResumed,
    RunStarted,
    Unknown,
    ValueDeadLettered,
    ValueDropped,
    decode,
    encode,
)
from datagraph.exceptions import CodecError

EVENTS = [
    RunStarted(run="r", at=1.5, name="wc"),
    RunPaused(run="r", at=1.0, node="words"),
    RunResumed(run="r", at=1.0),
    RunRecovered(run="r", at=1.0, nodes=("a", "b")),
    RunEnded(run="r", at=2.0, status="failed", error="ValueError: no"),
    NodeStarted(run="r", at=1.0, node="words", worker="host-1", epoch=3),
    NodeEnded(run="r", at=1.0, node="words", read=2**53, written=0),
    NodeFailed(run="r", at=1.0, node="words", error="naïve \u2028 \x00", position=None, attempts=3),
    ValueDeadLettered(run="r", at=1.0, node="words", stream="text", position=7, error="bad", attempts=2),
    ValueDropped(run="r", at=1.0, node="words", reason="no way", count=3),
    DeadlockRelieved(run="r", at=1.0, node="b", stream="s", capacity_before=10, capacity_after=20, nodes=("a", "b")),
]
START = EVENTS[0]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event: Event) -> None:
    """Encoding is JSON with the kind's name in it, and decoding its inverse."""
    assert json.loads(encode(event))["type"] == type(event).__name__
    assert decode(encode(event)) == event


def test_every_kind_of_event_can_be_read_back() -> None:
    """A kind that is added to the model and not to the decoder would fail here."""
    assert {type(event) for event in EVENTS} == set(Event.__subclasses__()) - {Unknown}


def test_an_event_of_a_newer_datagraph_is_kept_as_it_is() -> None:
    """It is no error to see one, and writing it again loses nothing."""
    data = b'{"type":"RunTeleported","run":"r","at":3.0,"to":"mars"}'
    event = decode(data)
    assert isinstance(event, Unknown)
    assert (event.run, event.at, event.kind, event.data["to"]) == ("r", 3.0, "RunTeleported", "mars")
    assert json.loads(encode(event)) == json.loads(data)
    assert decode(encode(event)) == event


def test_a_field_of_a_newer_datagraph_is_passed_over() -> None:
    """A known event may grow without breaking its older readers."""
    assert decode(b'{"type":"RunPaused","run":"r","at":1,"why":"lunch"}') == RunPaused(run="r", at=1.0)


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"{}", b"\xff\xfe", b'{"type":5}', b'{"type":"RunPaused"}', b'{"type":"New","at":"x"}'],
)
def test_bytes_that_are_no_event_are_refused(data: bytes) -> None:
    """With one error, whatever is wrong with them."""
    with pytest.raises(CodecError, match=f"these {len(data)} bytes are no event"):
        decode(data)


def test_an_event_cannot_be_changed() -> None:
    """What happened has happened."""
    with pytest.raises(AttributeError):
        START.run = "other"  # type: ignore[misc]
    assert msgspec.structs.replace(START, run="other").run == "other"


def test_every_observer_hears_every_event_in_order_until_it_leaves() -> None:
    """Leaving twice does no harm."""
    bus = Bus()
    first: list[Event] = []
    second: list[Event] = []
    leave = bus.subscribe(first.append)
    bus.subscribe(second.append)
    bus.emit(EVENTS[0])
    leave()
    leave()
    bus.emit(EVENTS[1])
    assert first == EVENTS[:1]
    assert second == EVENTS[:2]


def test_a_broken_observer_is_logged_once_dropped_and_never_felt(caplog: pytest.LogCaptureFixture) -> None:
    """The others hear everything; the broken one is called no more than so many times."""
    bus = Bus()
    calls = 0
    heard: list[Event] = []

    def broken(event: Event) -> None:
        nonlocal calls
        calls += 1
        raise RuntimeError("observer bug")

    bus.subscribe(broken)
    bus.subscribe(heard.append)
    with caplog.at_level(logging.ERROR, logger="datagraph.events"):
        for _ in range(MOST_FAILURES * 2):
            bus.emit(START)
    assert calls == MOST_FAILURES
    assert len(heard) == MOST_FAILURES * 2
    assert [bool(record.exc_info) for record in caplog.records] == [True, False]


def test_an_observer_that_recovers_is_kept() -> None:
    """Only failures in a row count."""
    bus = Bus()
    calls = 0

    def shaky(event: Event) -> None:
        nonlocal calls
        calls += 1
        if calls % MOST_FAILURES:
            raise RuntimeError("not this time")

    bus.subscribe(shaky)
    for _ in range(MOST_FAILURES * 3):
        bus.emit(START)
    assert calls == MOST_FAILURES * 3


def test_an_observer_may_leave_while_it_is_told() -> None:
    """The event under way still reaches everybody who was there."""
    bus = Bus()
    heard: list[str] = []

    def once(event: Event) -> None:
        heard.append("once")
        leave()

    leave = bus.subscribe(once)
    bus.subscribe(lambda _: heard.append("always"))
    bus.emit(START)
    bus.emit(START)
    assert heard == ["once", "always", "always"]
