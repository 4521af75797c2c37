"""How often a failed attempt is made again, and after how long."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """``Processor(..., retries=Retry(5, on=(OSError,)))``: try again up to `attempts` times after the first failure.

    Only errors of the types in `on` are tried again. The first delay is `backoff` seconds, each next one `factor`
    times the last, never above `max_delay` seconds; every delay is varied by up to `jitter` (0 to 1) of itself, so
    that workers that failed together do not come back together. ``retries=5`` is ``retries=Retry(5)``.

    Raises ValueError for numbers out of range and TypeError where `on` holds something that is no exception class.

    >>> retry = Retry(3, on=(OSError,), backoff=1.0, jitter=0.0)
    >>> [retry.delay(attempt) for attempt in (1, 2, 3)]
    [1.0, 2.0, 4.0]
    >>> retry.matches(ConnectionError()), retry.matches(KeyError())
    (True, False)
    """

    attempts: int
    on: tuple[type[Exception], ...] = (Exception,)
    backoff: float = 0.1
    factor: float = 2.0
    max_delay: float = 30.0
    jitter: float = 0.1

    def __post_init__(self) -> None:
        on: object = self.on
        kinds = on if isinstance(on, tuple | list | set | frozenset) else (on,)
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                raise TypeError(f"on= takes exception classes such as (OSError, TimeoutError); got {kind!r}")
        object.__setattr__(self, "on", tuple(kinds))
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 0:
            raise ValueError(f"attempts is a whole number, 0 for no retry; got {self.attempts!r}")
        for name, least, most, unit in (
            ("backoff", 0.0, math.inf, "seconds, at least 0"),
            ("factor", 1.0, math.inf, "what each delay grows by, at least 1"),
            ("max_delay", 0.0, math.inf, "seconds, at least 0"),
            ("jitter", 0.0, 1.0, "a share of the delay, from 0 to 1"),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ValueError(f"{name} is {unit}; got {value!r}")

    def matches(self, error: BaseException) -> bool:
        """Whether an attempt that failed with this error is made again."""
        return isinstance(error, self.on)

    def delay(self, attempt: int) -> float:
        """Seconds to wait before retry number `attempt`, the first being 1."""
        try:
            delay = min(self.max_delay, self.backoff * self.factor ** (attempt - 1))
        except OverflowError:
            delay = self.max_delay
        return min(self.max_delay, delay * (1 + random.uniform(-self.jitter, self.jitter)))
