"""Tasks that run a script of the shell."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import string
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..exceptions import ScriptError, UnknownIOError
from ..graph.check import suggest
from ..streams.text import short
from .converters import InputForm, converter_registry
from .datum import AbstractDatum
from .filedatum import FileDatum
from .task import AbstractTask, _named

_KEPT = 4000
"""Characters of its standard error, from the end, that an error tells."""


class ScriptTask(AbstractTask):
    """Runs a script by ``/bin/sh``; ``{name}`` in it stands for an input or output: a path, or a plain value.

    What is put in is quoted, so that blanks and everything else in a path stay what they are; a list is put in as
    several words. ``{{`` and ``}}`` are literal braces. Its outputs come to their places only where it ends well:
    until then ``{name}`` is a place beside it.

    Args:
        identifier: its name.
        script: the script. ValueError where it is malformed, or has a placeholder within quotes of its own;
            UnknownIOError for a name that is no input and no output.
        inputs: files, or plain values.
        outputs: by name, a path each; ValueError for anything else.
        dependencies, resources, options: as for every task, see `AbstractTask`.
    """

    input_form = InputForm.FILEPATH

    def __init__(
        self,
        identifier: str,
        script: str,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        dependencies: Iterable[AbstractTask] | None = None,
        resources: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(script, str) or not script.strip():
            raise ValueError(f"the script of {identifier!r} is text; got {short(script)}")
        self.script = script
        self._pid: int | None = None
        super().__init__(identifier, inputs, outputs, dependencies, resources, **options)
        both = sorted(set(self.inputs) & set(self.outputs))
        if both:
            raise ValueError(f"{both[0]!r} is an input and an output of {identifier!r}: give one another name")
        for name in _placeholders(identifier, script):
            known = [*self.inputs, *self.outputs]
            if name not in known:
                raise UnknownIOError(
                    f"the script of {identifier!r} has {{{name}}}, which is no input and no output"
                    f"{suggest(name, known)}; there are: {', '.join(known) or 'none'}; a literal brace is {{{{ or }}}}"
                )

    def _initialize_outputs(self, outputs: Any) -> dict[str, AbstractDatum]:
        found: dict[str, AbstractDatum] = {}
        for name, given in _named(outputs):
            if isinstance(given, AbstractDatum) and given._path() is not None:
                found[name] = given
            elif isinstance(given, str | os.PathLike):
                found[name] = FileDatum(pointer=given)
            else:
                raise ValueError(f"the output {name!r} of a ScriptTask is a path; got {given!r}")
        return found

    def _collect_inputs(self) -> dict[str, Any]:
        return {name: _text(datum) for name, datum in self.inputs.items()}

    def _run_logic(self, inputs: Mapping[str, Any]) -> None:
        words = {name: _quoted(value) for name, value in inputs.items()}
        words |= {name: _quoted(datum._path()) for name, datum in self.outputs.items()}
        process = subprocess.Popen(
            ["/bin/sh", "-c", self.script.format_map(words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # so that it can be ended with all that it starts
        )
        with process:
            self._pid = process.pid
            _running.add(process.pid)
            try:
                out, said = process.communicate()
            except BaseException:
                _kill(process.pid)
                raise
            finally:
                self._pid = None
                _running.discard(process.pid)
        print(out, end="")  # noqa: T201 - it goes to the log of the task
        if process.returncode:
            tail = said.strip() if len(said) <= _KEPT else f"…{said.strip()[-_KEPT:]}"
            how = f"exit code {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
            raise ScriptError(
                f"its script ended with {how}" + (f":\n{tail}" if tail else ", and said nothing on standard error"),
                process.returncode,
                tail,
            )
        print(said, end="")  # noqa: T201

    def _end(self) -> bool:
        pid = self._pid
        if pid is not None:
            _kill(pid)
        return pid is not None

    def _quickhash(self) -> Mapping[str, Any]:
        return {"script": self.script}


_running: set[int] = set()


def kill_all() -> None:
    """End the scripts that this process has begun, with all that they have."""
    for pid in list(_running):
        _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _text(datum: AbstractDatum) -> Any:
    if converter_registry.has_converter(type(datum), InputForm.FILEPATH):
        return converter_registry.convert(datum, InputForm.FILEPATH)
    leaves = list(datum.leaves())
    if leaves != [datum]:
        return [_text(leaf) for leaf in leaves]
    return converter_registry.convert(datum, InputForm.OBJECT)


def _quoted(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_quoted, value))
    return shlex.quote(str(value))


def _placeholders(identifier: str, script: str) -> Iterator[str]:
    """The names in braces; ValueError where what stands there is no plain name, or stands within quotes."""
    quote = ""
    try:
        parts = list(string.Formatter().parse(script))
    except ValueError as error:
        raise ValueError(
            f"the script of {identifier!r} has braces that do not match ({error}); a literal brace is {{{{ or }}}}"
        ) from None
    for literal, name, spec, conversion in parts:
        quote = _quote_after(literal, quote)
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(
                f"the script of {identifier!r} has {{{shown}}}: only names of inputs and outputs stand in braces; "
                f"a literal brace is {{{{ or }}}}"
            )
        if quote:
            raise ValueError(
                f"the script of {identifier!r} has {{{name}}} within quotes or a comment: it is quoted when it is put "
                f"in, so leave the quotes out"
            )
        yield name


def _quote_after(text: str, quote: str) -> str:
    """Which quote is open behind a text of the shell, at whose beginning `quote` was."""
    skip = False
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif quote == "#":
            quote = "" if char == "\n" else "#"
        elif char == "\\" and quote != "'":
            skip = True
        elif char == "#" and not quote and (at == 0 or text[at - 1] in " \t\n;"):
            quote = "#"
        elif char in "'\"":
            quote = "" if quote == char else quote or char
    return quote
