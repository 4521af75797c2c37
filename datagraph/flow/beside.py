"""The copy of a processor that runs beside a node on the same input: what goes wrong in it goes wrong nowhere else."""

from __future__ import annotations

import contextlib
import copy
import functools
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import CodecError, GraphError, StoreError
from ..graph.edit import node_of
from ..graph.model import Node
from ..runtime.halting import HaltedInThread
from ..runtime.inject import Binding
from ..runtime.values import IOVal, Many

if TYPE_CHECKING:
    from .processor import Processor

CAPACITY = 100_000
"""Values that may wait for the copy before it holds the flow back."""


def beside(
    candidate: Processor, node: Node, suffix: str, *, encode: Callable[[list[Any]], Any], tell: Callable[[str], None]
) -> Processor:
    """A copy of the candidate with the suffix behind its name and those of the streams that it writes.

    Where it is called value by value its errors are dead letters of its own; one that reads its streams itself is over
    at its first error, which `tell` is called with.

    Raises GraphError for what is no processor, and where its inputs or outputs are not those of the node.
    """
    node_of(candidate)
    for way, own, wanted in (
        ("reads", candidate.inputs, [port.name for port in node.inputs]),
        ("writes", candidate.outputs, [port.name for port in node.outputs]),
    ):
        if sorted(own) != sorted(wanted):
            raise GraphError(
                f"{candidate.name!r} {way} {', '.join(own) or 'nothing'}, and {node.name!r} {', '.join(wanted)}: a "
                f"candidate has the same inputs and outputs (inputs=, outputs=)"
            )
    made, binding = copy.copy(candidate), candidate.binding
    names = {name: name + suffix for name in candidate.outputs}
    made.name = node.name + suffix
    made.outputs = tuple(names.values())
    made.capacity = CAPACITY
    made.on_error = "fail" if binding.shape == "stream" else "dead_letter"
    made._binding = replace(
        binding,
        function=_Guard(names, encode, tell).around(binding),
        output_types={names[name]: kind for name, kind in binding.output_types.items()},
    )
    return made


class _Guard:
    """Renames what a function puts out, and has it raise by itself what the runtime would raise for it."""

    def __init__(
        self, names: Mapping[str, str], encode: Callable[[list[Any]], Any], tell: Callable[[str], None]
    ) -> None:
        self._names = names
        self._encode = encode
        self._tell = tell

    def _checked(self, item: Any) -> Any:
        """The item for the streams of the copy; ValueError, TypeError for what cannot be put out."""
        if item is None:
            return None
        kind = item.__class__
        name = item.name if kind is IOVal or kind is Many else None
        if name is None and len(self._names) != 1:
            raise ValueError(f"it put out a bare value and has the outputs {', '.join(self._names) or 'none'}")
        if name is not None and name not in self._names:
            raise ValueError(f"it put out a value for {name!r} and has the outputs {', '.join(self._names) or 'none'}")
        try:
            self._encode(item.values if kind is Many else [item.value if kind is IOVal else item])
        except CodecError as error:
            raise TypeError(str(error)) from error
        if name is None:
            return item
        return IOVal(self._names[name], item.value) if kind is IOVal else Many(item.values, self._names[name])

    def around(self, binding: Binding) -> Callable[..., Any]:
        """The function, guarded, in the same flavour; one that reads its streams itself ends where it fails."""
        function: Any = binding.function
        kept = self._kept if binding.shape == "stream" else contextlib.nullcontext

        async def coroutine(*args: Any, **kwargs: Any) -> Any:
            with kept():
                return self._checked(await function(*args, **kwargs))

        async def asyncgen(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            with kept():
                async with contextlib.aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        yield self._checked(item)

        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with kept(), contextlib.closing(function(*args, **kwargs)) as items:
                for item in items:
                    yield self._checked(item)

        def plain(*args: Any, **kwargs: Any) -> Any:
            with kept():
                return self._checked(function(*args, **kwargs))

        flavours: Mapping[str, Callable[..., Any]] = {
            "coroutine": coroutine,
            "asyncgen": asyncgen,
            "generator": generator,
            "function": plain,
        }
        return functools.wraps(function)(flavours[binding.flavour])

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """An error ends the function as if it had returned; it is told, and the node's log has it."""
        try:
            yield
        except (HaltedInThread, StoreError):  # of the runtime's own
            raise
        except Exception as error:
            self._tell(f"{type(error).__name__}: {error}")
            print(traceback.format_exc().rstrip())  # noqa: T201 - what a processor prints is its log
