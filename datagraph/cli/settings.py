"""``NAME=VALUE`` on a command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .errors import misuse


def read_settings(given: Sequence[str]) -> dict[str, Any]:
    """Settings by name, their values as JSON has them, else as text; a misuse where one has no name.

    >>> read_settings(["concurrency=2", "rate=none", "on_error=skip"])
    {'concurrency': 2, 'rate': None, 'on_error': 'skip'}
    """
    found: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not name or not equals:
            raise misuse(f"a setting is given as NAME=VALUE, such as concurrency=2; got {each!r}")
        try:
            found[name] = None if text.lower() == "none" else json.loads(text)
        except json.JSONDecodeError:
            found[name] = text
    return found
