"""A dag as an async function, so that it can be a processor of a flow, or a node of another dag."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import GraphError, RunFailedError
from ..runtime.annotations import EMPTY, Unevaluated

if TYPE_CHECKING:
    from .manager import TaskManager
    from .node import TaskNode


def as_function(
    manager: TaskManager[Any], nodes: Sequence[TaskNode[Any, Any]], name: str, parameter: str
) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    """See `TaskManager.as_function`."""
    if not manager.sorted:
        raise GraphError(f"the dag {manager.name!r} is not sorted: call sort(), or leave its `with` block first")
    if not nodes:
        raise GraphError(f"the dag {manager.name!r} has no nodes, and so no value to give: add one")
    if not parameter.isidentifier() or keyword.iskeyword(parameter):
        raise GraphError(f"parameter is the name of a function's parameter; got {parameter!r}")
    found = [manager._own(node, "as_function") for node in nodes]
    (one,) = found if len(found) == 1 else (None,)

    async def call(*args: Any, **keywords: Any) -> Any:
        (value,) = signature.bind(*args, **keywords).args
        try:
            result = await manager.invoke(value)
        except RunFailedError as error:
            if len(error.exceptions) > 1:
                raise
            alone = error.exceptions[0]
        else:
            return result[one] if one is not None else tuple([result[node] for node in found])
        raise alone

    kind = manager._parameter_type
    signature = inspect.Signature(
        [inspect.Parameter(parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind)],
        return_annotation=tuple if one is None else EMPTY if isinstance(one._type, Unevaluated) else one._type,
    )
    annotated = {parameter: kind, "return": signature.return_annotation}
    call.__name__ = call.__qualname__ = name
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__annotations__ = {key: value for key, value in annotated.items() if value is not EMPTY}
    call.__doc__ = f"The dag {manager.name!r}: {', '.join(node.name for node in found)}."
    return call
