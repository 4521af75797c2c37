"""The settings of a node that can be changed while it runs: which there are, and what they may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .check import suggest
from .edit import plain
from .model import Node
from .text import clean

TUNED = ("capacity", "concurrency", "workers", "rate", "retries", "timeout", "on_error")
"""Attributes that can be tuned; the attribute "given" holds what was, these and the processor's own settings."""

_ON_ERROR = ("fail", "dead_letter", "skip", "pause")


def tuned(node: Node, changes: Mapping[str, Any]) -> tuple[Node, list[str]]:
    """The node with these settings, and what is wrong with them."""
    attrs = dict(node.attrs)
    given = dict(attrs.get("given", {}))
    own = attrs.get("settings", ())
    wrong = []
    for name, value in changes.items():
        if name in TUNED:
            attrs[name] = given[name] = plain(name, value)
            wrong += _unfit(node, name, attrs[name])
        elif name in own:
            given[name] = plain(name, value)
        else:
            has = f"its own settings are {', '.join(map(clean, own))}" if own else "it has none of its own"
            wrong.append(f"no setting is called {clean(name)!r}{suggest(name, (*TUNED, *own))}; {has}")
    return replace(node, attrs={**attrs, "given": given}), [f"`{clean(node.name)}`: {reason}" for reason in wrong]


def as_tuned(node: Node, before: Node) -> tuple[Node, list[str]]:
    """The node with what the one before was tuned to, where it has such a setting, and what is wrong with that."""
    known = (*TUNED, *node.attrs.get("settings", ()))
    given = {name: value for name, value in before.attrs.get("given", {}).items() if name in known}
    return tuned(node, given) if given else (node, [])


def taken_over(node: Node, by: Node) -> tuple[Node, list[str]]:
    """The node with the function of `by`, and what is wrong with that; its streams and what it was tuned to stay."""
    reads, writes = ({port.name: port.stream for port in ports} for ports in (node.inputs, node.outputs))
    inputs = tuple(replace(port, stream=reads.get(port.name, port.stream)) for port in by.inputs)
    outputs = tuple(replace(port, stream=writes.get(port.name, port.stream)) for port in by.outputs)
    return as_tuned(replace(node, inputs=inputs, outputs=outputs, attrs=by.attrs), node)


def _unfit(node: Node, name: str, value: Any) -> list[str]:
    """What is wrong with a setting's value."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in ("concurrency", "workers"):
        if not (whole and value >= 1):
            return [f"{name} is a whole number, 1 or more; got {value!r}"]
        why = _alone(node) if value > 1 else ""
        return [f"{name} {value} is for functions that take value by value and keep nothing; it {why}"] if why else []
    if name == "retries" and not (whole and value >= 0):
        return [f"{name} is a whole number, 0 or more; got {value!r}"]
    if name in ("rate", "timeout") and value is not None and not (number and 0 < value < math.inf):
        return [f"{name} is a number above 0, or None for no limit; got {value!r}"]
    if name == "on_error" and value not in _ON_ERROR:
        return [f"{name} is one of {', '.join(_ON_ERROR)}; got {value!r}{suggest(str(value), _ON_ERROR)}"]
    if name == "capacity":
        if value is not None and not (whole and value >= 1):
            return [f"{name} is a whole number, 1 or more, or None for the default; got {value!r}"]
        if not node.inputs or node.attrs.get("wait"):
            return [f"it {'waits for its whole input' if node.inputs else 'reads nothing'}, so no capacity bounds it"]
    return []


def _alone(node: Node) -> str:
    """Why one call of the node's function goes on at a time; "" where several may, or nobody knows."""
    shape, state = node.attrs.get("shape"), node.attrs.get("state")
    if not node.inputs:
        return "has no input"
    if shape == "stream":
        return "reads its streams itself (IO)"
    if shape == "batch":
        return "takes batches"
    if len(node.inputs) > 1:
        return f"takes its {len(node.inputs)} inputs in step"
    return "keeps state" if state == "context" else ""
