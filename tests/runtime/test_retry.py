"""When a failed attempt is made again."""

from __future__ import annotations

import pytest

from datagraph.runtime.retry import Retry


def test_delays_grow_by_the_factor_up_to_the_longest() -> None:
    """Each delay is `factor` times the last one, and none is above `max_delay`."""
    retry = Retry(9, backoff=0.5, factor=3.0, max_delay=10.0, jitter=0.0)
    assert [retry.delay(n) for n in range(1, 6)] == [0.5, 1.5, 4.5, 10.0, 10.0]


def test_a_late_attempt_waits_the_longest_delay_and_does_not_overflow() -> None:
    """Powers too large for a float end at `max_delay` too."""
    assert Retry(1, jitter=0.0, max_delay=7.0).delay(100_000) == 7.0


def test_jitter_stays_within_its_share_and_below_the_longest_delay() -> None:
    """A delay varies by at most `jitter` of itself, and really varies."""
    delays = {Retry(1, backoff=1.0, jitter=0.5).delay(1) for _ in range(200)}
    assert len(delays) > 100
    assert all(0.5 <= delay <= 1.5 for delay in delays)
    assert max(Retry(1, backoff=1.0, max_delay=1.0, jitter=1.0).delay(1) for _ in range(50)) <= 1.0


def test_only_the_errors_asked_for_are_tried_again() -> None:
    """`on` takes classes, or one class alone, and their subclasses match."""
    assert Retry(1, on=(OSError,)).matches(ConnectionResetError())
    assert not Retry(1, on=(OSError,)).matches(ValueError())
    assert Retry(1, on=KeyError).on == (KeyError,)  # type: ignore[arg-type]
    assert not Retry(1).matches(KeyboardInterrupt())


@pytest.mark.parametrize(
    "bad",
    [
        {"attempts": -1},
        {"attempts": True},
        {"attempts": 1.5},
        {"backoff": -1},
        {"factor": 0.5},
        {"jitter": 2},
        {"max_delay": -1},
    ],
)
def test_numbers_out_of_range_are_refused_by_name(bad: dict[str, float]) -> None:
    """The message names the number and shows what was given."""
    (name, value), *_ = bad.items()
    with pytest.raises(ValueError, match=f"{name} is .*got {value!r}"):
        Retry(**{"attempts": 1, **bad})


def test_cancellation_can_not_be_retried() -> None:
    """Classes outside Exception are what loops and Ctrl-C use to end things."""
    with pytest.raises(TypeError, match="exception classes"):
        Retry(1, on=(BaseException,))  # type: ignore[arg-type]
