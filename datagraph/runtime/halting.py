"""Leaving a function at a safe point, so that another one, or the same with other options, takes its place."""

from __future__ import annotations


class Halted(BaseException):
    """Raised in a function that reads streams, where it asks for the next value: it is left there."""


class HaltedInThread(Exception):
    """The same in a plain function, which runs in a thread."""
