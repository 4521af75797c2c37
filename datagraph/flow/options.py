"""The settings of a processor, each checked by itself and then against its function."""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypedDict, get_args

from ..exceptions import GraphError, InvalidNameError, SignatureError
from ..graph.check import check_name, suggest
from ..runtime.inject import Binding
from ..runtime.retry import Retry
from ..runtime.work import OnError, StateMode


class Options(TypedDict, total=False):
    """What a processor may be told by keyword, as `Processor` explains it."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    wait: bool
    concurrency: int
    workers: int
    ordered: bool
    executor: Any
    capacity: int | None
    retries: int | Retry
    timeout: float | None
    rate: float | None
    on_error: OnError
    state: StateMode


def stream_names(where: str, kind: str, given: Any) -> tuple[str, ...]:
    """The names in ``inputs=`` or ``outputs=``, checked."""
    if isinstance(given, str | bytes):
        raise GraphError(f"{where}: {kind} is one text, {given!r}; pass a list: {kind}=[{given!r}]")
    if isinstance(given, dict) or not isinstance(given, Iterable):
        raise GraphError(f"{where}: {kind} is a list of names; got {given!r}")
    names = tuple(given)
    for index, name in enumerate(names):
        check_name("stream", name)
        if name in names[:index]:
            raise GraphError(f"{where}: {kind} has {name!r} twice: give each stream once")
        if kind == "inputs" and (not name.isidentifier() or keyword.iskeyword(name)):
            raise InvalidNameError(
                f"{where}: an input is also a parameter of the function, which {name!r} cannot be: "
                "use letters, digits and _"
            )
    return names


def whole(where: str, name: str, value: Any, *, least: int = 1) -> int:
    """A whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise GraphError(f"{where}: {name} is a whole number, {least} or more; got {value!r}")
    return value


def above_zero(where: str, name: str, value: Any, unit: str) -> float | None:
    """A number above 0, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise GraphError(f"{where}: {name} is {unit} above 0, or None for no limit; got {value!r}")
    return float(value)


def flag(where: str, name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise GraphError(f"{where}: {name} is True or False; got {value!r}")
    return value


def choice(where: str, name: str, value: Any, choices: Any) -> Any:
    """One of a Literal's values."""
    known = get_args(choices)
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise GraphError(f"{where}: {name} is one of {listed}; got {value!r}{suggest(str(value), known)}")
    return value


def retry(where: str, value: Any) -> Retry:
    """``retries=`` as a `Retry`."""
    if isinstance(value, Retry):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise GraphError(f"{where}: retries is a whole number, 0 or more, or Retry(...); got {value!r}")
    return Retry(value)


def executor(where: str, value: Any) -> Any:
    """An executor, or None for that of the supervisor."""
    if isinstance(value, str | int | float | type):
        raise GraphError(f"{where}: executor is an object such as ProcessExecutor(), or None; got {value!r}")
    return value


def effective_state(state: StateMode, binding: Binding | None) -> StateMode:
    """What is kept from value to value: a function that is called anew for each has no locals to keep."""
    called_anew = binding is not None and binding.shape != "stream"
    return "none" if called_anew and state == "locals" else state


def check_fit(where: str, binding: Binding, *, concurrency: int, workers: int, on_error: OnError, state: Any) -> None:
    """Raise `SignatureError` where the options ask for what this function cannot have."""
    state = effective_state(state, binding)
    for name, number in (("concurrency", concurrency), ("workers", workers)):
        reason = _alone(binding, state)
        if number > 1 and reason:
            raise SignatureError(
                f"{where}: {name}={number} is for functions of one input that are called value by value and keep "
                f"nothing; this one {reason}: leave {name} at 1, or rewrite the function"
            )
    if on_error in {"dead_letter", "skip"} and binding.shape == "stream" and state == "locals":
        raise SignatureError(
            f"{where}: on_error={on_error!r} goes on after a failure, but this function reads its streams itself and "
            "what it kept in its locals is lost when it fails: take values one by one (no IO[...]), or say "
            'state="none" if it keeps nothing, or state="context" if it keeps everything in ctx.state'
        )


def _alone(binding: Binding, state: str) -> str:
    """Why only one call of this function can go on at a time; '' where several can."""
    ports = binding.ports
    if not ports:
        return "has no input"
    if binding.shape == "stream":
        return f"reads the {'stream' if len(ports) == 1 else 'streams'} {', '.join(ports)} itself (IO)"
    if binding.shape == "batch":
        return "takes batches"
    if len(ports) > 1:
        return f"zips {len(ports)} inputs ({', '.join(ports)})"
    return "keeps state in its context" if state == "context" else ""


def function_name(function: Callable[..., Any]) -> str:
    """What ``@processor`` calls a function."""
    name = getattr(function, "__name__", "")
    if not name or name == "<lambda>":
        raise SignatureError(f"{function!r} has no name: give one, as in Processor(name='clean', inputs=['raw'])")
    return str(name)


IfRunning = Literal["new", "attach", "replace", "error"]
