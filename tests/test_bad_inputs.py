"""What people do wrong, and what they are told: the right error, that says what is wrong, what was given, what to do.

The numbers are those of the list that this follows (RELIABILITY.md 3e); stored data and addresses have files of their
own, `test_bad_data.py` and `test_bad_addresses.py`.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import datagraph as dg
from datagraph import IO, OPEN, Flow, IOVal, MsgpackCodec, Processor, Supervisor, processor


def number(seed: int) -> int:
    return seed


def bound(name: str, inputs: list[str], outputs: list[str]) -> Processor:
    """A processor that is fine by itself."""
    made = Processor(name, inputs=inputs, outputs=outputs)
    scope: dict[str, Any] = {}
    exec(f"def function({', '.join(inputs)}): return 1", scope)
    made.bind(scope["function"])
    return made


def resolve(*processors: Processor) -> Callable[[], Any]:
    return lambda: Flow(*processors).resolve()


def stream_of_values(annotation_in: Any, annotation_out: Any) -> Flow:
    def write(seed: int) -> Any:
        return seed

    def read(text: Any) -> Any:
        return text

    write.__annotations__["return"], read.__annotations__["text"] = annotation_out, annotation_in
    return Flow(processor(outputs=["text"])(write), processor(read))


Case = tuple[str, Callable[[], Any], type[Exception], tuple[str, ...]]

NAMES: list[Case] = [
    ("1 empty name", lambda: Processor(""), dg.InvalidNameError, ("processor name", "empty", "''")),
    ("2 blank name", lambda: Processor(" "), dg.InvalidNameError, ("processor name", "blank", "' '")),
    ("3 long name", lambda: Processor("x" * 300), dg.InvalidNameError, ("128", "300", "shorten")),
    ("4 newline", lambda: Processor("a\nb"), dg.InvalidNameError, ("control character", r"'\n'", "leave it out")),
    ("4 NUL", lambda: Processor("a\0b"), dg.InvalidNameError, ("control character", r"'\x00'")),
    ("4 escape", lambda: Processor("p", outputs=["\x1b[2J"]), dg.InvalidNameError, ("stream name", r"'\x1b'")),
    ("5 brace", lambda: Processor("p", outputs=["a{b"]), dg.InvalidNameError, ("stream name", "'{'", "use - or _")),
    ("5 colon", lambda: Processor("p", outputs=["a:b"]), dg.InvalidNameError, ("'a:b'", "':'")),
    ("5 slash in a run", lambda: Flow(bound("p", [], ["x"]), name="a/b"), dg.InvalidNameError, ("run name", "'/'")),
    ("6 half a surrogate", lambda: Processor("a\ud800"), dg.InvalidNameError, ("surrogate", r"'\ud800'")),
    ("not text", lambda: Processor(7), dg.InvalidNameError, ("is text", "7", "int")),  # type: ignore[arg-type]
    ("reserved", lambda: Processor("~p"), dg.InvalidNameError, ("'~'", "reserved")),
    ("input is no parameter", lambda: Processor("p", inputs=["a-b"]), dg.InvalidNameError, ("'a-b'", "parameter")),
]

GRAPHS: list[Case] = [
    ("11 text for a list", lambda: Processor("p", inputs="abc"), dg.GraphError, ("inputs=['abc']", "'abc'")),
    ("12 one name twice", resolve(bound("p", [], ["x"]), bound("p", [], ["y"])), dg.DuplicateProcessorError, ("'p'", "rename")),
    ("13 one stream twice", resolve(bound("p", [], ["x"]), bound("q", [], ["x"])), dg.DuplicateIOError, ("'x'", "'p'", "'q'", "rename")),
    ("14 ring", resolve(bound("p", ["x"], ["y"]), bound("q", ["y"], ["x"])), dg.CyclicFlowError, ("'p' -> 'q' -> 'p'", "rename")),
    ("15 own output", resolve(bound("p", ["x"], ["x"])), dg.CyclicFlowError, ("'p'", "'x'", "itself")),
    ("16 empty flow", lambda: Flow().resolve(), dg.UnresolvedFlowError, ("empty", "at least one processor")),
    ("17 list of processors", lambda: Flow([bound("p", [], ["x"])]), TypeError, ("Flow(*processors)", "Flow([...])")),  # type: ignore[arg-type]
    ("17 function", lambda: Flow(number), TypeError, ("'number' is a function", "@processor")),  # type: ignore[arg-type]
    ("18 no function", resolve(Processor("p", outputs=["x"])), dg.UnregisteredProcessorError, ("'p' has no function", "@p")),
    ("19 parameter that is no input", lambda: Processor("p", inputs=["text"])(lambda txet: txet), dg.SignatureError, ("'txet' is no input", "did you mean 'text'")),
    ("22 concurrency of a stream", lambda: Processor("p", inputs=["x"], concurrency=2)(_reads_itself), dg.SignatureError, ("concurrency=2", "itself", "leave concurrency at 1")),
    ("31 types that do not fit", lambda: stream_of_values(int, str).resolve(), dg.MismatchedIOError, ("'write' writes str to 'text'", "'read' reads int")),
    ("49 timeout", lambda: Processor("p", timeout=0), dg.GraphError, ("timeout", "above 0", "0")),
    ("49 negative timeout", lambda: Processor("p", timeout=-1.5), dg.GraphError, ("timeout", "-1.5")),
    ("49 rate", lambda: Processor("p", rate=math.nan), dg.GraphError, ("rate", "nan")),
    ("49 capacity", lambda: Processor("p", capacity=0), dg.GraphError, ("capacity", "1 or more", "0")),
    ("49 within", lambda: dg.Batch(10, within=0), ValueError, ("within", "seconds above 0")),
    ("49 give_up", lambda: Supervisor.attach("memory://", give_up=0), dg.StoreConfigError, ("give_up", "seconds above 0", "0")),
    ("49 lease", lambda: Supervisor.attach("memory://", lease=-1), dg.StoreConfigError, ("lease", "-1")),
    ("unknown setting", lambda: Supervisor.attach("memory://", leese=1), dg.StoreConfigError, ("'leese'", "give_up, lease")),
    ("unknown backend", lambda: Supervisor.attach("memory://", backend="curio"), dg.StoreConfigError, ("'curio'", "'trio'")),  # type: ignore[arg-type]
    ("47 empty secret", lambda: dg.SignedPickle(b""), dg.StoreConfigError, ("32 bytes", "0 bytes", "secrets.token_bytes(32)")),
    ("47 short secret", lambda: dg.SignedPickle(b"short"), dg.StoreConfigError, ("32 bytes", "5 bytes")),
    ("47 text secret", lambda: dg.SignedPickle("x" * 40), dg.StoreConfigError, ("32 bytes", "str")),  # type: ignore[arg-type]
]  # fmt: skip


async def _reads_itself(x: IO[int]) -> AsyncIterator[int]:
    async for value in x:
        yield value


def said(error: BaseException) -> str:
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


@pytest.mark.parametrize("what, act, kind, words", NAMES + GRAPHS, ids=[case[0] for case in NAMES + GRAPHS])
def test_what_cannot_be_is_refused_where_it_is_written(
    what: str, act: Callable[[], Any], kind: type[Exception], words: tuple[str, ...]
) -> None:
    """A bad name, graph or setting is refused before anything runs, by the error of its kind, which says what to do."""
    with pytest.raises(kind) as caught:
        act()
    assert [word for word in words if word not in said(caught.value)] == []


HOSTILE = [
    "<script>alert(1)</script>",
    '<<table href="javascript:alert(1)">>',
    'x"onmouseover="alert(1)',
    "\u202egnp.exe",
    "zero\u200bwidth",
    "a b:c d",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_is_text_wherever_it_is_shown(name: str, in_memory: Supervisor) -> None:
    """7-10: markup in a processor's name is never live in the SVG, the card or the DOT, and the flow runs."""
    hostile = Processor(name, inputs=["x"], outputs=["y"])
    hostile(lambda x: x)
    run = Flow(hostile, name="f").start({"x": [1, 2]})
    assert run.results() == {"y": [1, 2]}
    for bundle in (Flow(hostile)._repr_mimebundle_(), run._repr_mimebundle_()):
        root = ET.fromstring(bundle["image/svg+xml"])
        assert [e.tag for e in root.iter() if e.tag.endswith("script")] == []
        attributes = [name.rpartition("}")[2] for element in root.iter() for name in element.attrib]
        assert [name for name in attributes if name.startswith("on") or name == "href"] == []
    card = hostile._repr_mimebundle_()["text/html"]
    assert "<script" not in card
    assert "<table" not in card
    assert 'x"on' not in card


@processor(outputs=["out"])
def typo(seed: int) -> Any:
    return IOVal("uot", seed)


@processor(outputs=["left", "right"])
def bare(seed: int) -> Any:
    return seed


@processor(outputs=())
def sink(seed: int) -> Any:
    return seed


@processor
def same(seed: int) -> Any:
    return seed


def values(*them: Any) -> Callable[[], Any]:
    return lambda: Flow(same).run({"seed": list(them)})


RUNS: list[Case] = [
    ("20 output that is not declared", lambda: Flow(typo).run({"seed": [1]}), dg.UnknownIOError, ("'typo'", "'uot'", "declares 'out'")),
    ("21 bare value for two outputs", lambda: Flow(bare).run({"seed": [1]}), dg.MismatchedIOError, ("'bare'", "'left', 'right'", "IOVal(name=")),
    ("a value from a sink", lambda: Flow(sink).run({"seed": [1]}), dg.MismatchedIOError, ("'sink'", "no outputs", "return None")),
    ("23 missing input", lambda: Flow(same).run(), dg.FloatingIOError, ("'seed'", "read by same", "inputs={'seed': ...}", "OPEN")),
    ("23 misspelt input", lambda: Flow(same).run({"sede": [1]}), dg.UnknownIOError, ("'sede'", "did you mean 'seed'")),
    ("24 input that is written", lambda: Flow(same).run({"seed": [1], "same": [2]}), dg.UnknownIOError, ("'same'", "a processor of the flow writes it")),
    ("inputs of no name", lambda: Flow(same).run([1, 2]), dg.UnknownIOError, ("IOVal", "int", "inputs={")),
    ("inputs of another kind", lambda: Flow(same).run(7), TypeError, ("mapping", "int")),  # type: ignore[arg-type]
    ("unknown stream", lambda: Flow(same).start({"seed": [1]})["smae"], dg.UnknownIOError, ("'smae'", "did you mean 'same'")),
    ("unknown node", lambda: Flow(same).start({"seed": OPEN}).pause("smae"), dg.UnknownIOError, ("'smae'", "did you mean 'same'")),
    ("unknown run", lambda: dg.attach_run("no-such-run"), dg.RunNotFoundError, ("'no-such-run'",)),
    ("write to a processor's stream", lambda: Flow(same).start({"seed": [1]})["same"].send(1), dg.ReadOnlyIOError, ("'same'", "OPEN")),
    ("unknown option", lambda: Flow(same).run({"seed": [1]}, naem="x"), TypeError, ("'naem'",)),
    ("unknown if_running", lambda: Flow(same).run({"seed": [1]}, if_running="maybe"), ValueError, ("'maybe'", "'replace'")),
    ("pace of zero", lambda: Flow(same).run({"seed": [1]}, pace=0), ValueError, ("pace", "above 0")),
    ("setting that is none", lambda: Flow(same).run({"seed": [1]}, settings={"same": {"x": 1}}), ValueError, ("'same'", "'x'")),
]  # fmt: skip


@pytest.mark.parametrize("what, act, kind, words", RUNS, ids=[case[0] for case in RUNS])
def test_bad_use_of_a_run_ends_in_a_clear_error(
    what: str, act: Callable[[], Any], kind: type[Exception], words: tuple[str, ...], in_memory: Supervisor
) -> None:
    """What is wrong with a start, or comes out of a function wrongly, reaches the caller by name; nothing hangs."""
    with pytest.raises(kind) as caught:
        act()
    assert [word for word in words if word not in said(caught.value)] == []


@pytest.fixture
def over_valkey(valkey_url: str, anyio_backend: str) -> Any:
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend, codec=MsgpackCodec(max_value=100_000))
    yield supervisor
    supervisor.detach()


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def in_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@processor(outputs=["made"])
def make(seed: int, what: Callable[[], Any] = lambda: None) -> Any:
    yield seed
    yield what()


def opened() -> Any:
    file = Path(__file__).open()
    file.close()
    return file


UNFIT: list[tuple[str, Callable[[], Any], type[Exception], tuple[str, ...]]] = [
    ("25 lambda", lambda: lambda: None, dg.CodecError, ("lambda", "SignedPickle(key)")),
    ("25 open file", opened, dg.CodecError, ("TextIOWrapper",)),
    ("25 generator", lambda: (i for i in range(3)), dg.CodecError, ("generator",)),
    ("28 list in itself", in_itself, dg.CodecError, ("itself",)),
    ("29 nested too deep", lambda: nested(100_000), dg.CodecError, ("deep",)),
    ("30 too large", lambda: b"x" * 200_000, dg.PayloadTooLargeError, ("200,0", "100,000", "max_value")),
]


@pytest.mark.parametrize("what, make_value, kind, words", UNFIT, ids=[case[0] for case in UNFIT])
def test_value_that_cannot_be_stored_fails_its_own_processor(
    what: str, make_value: Callable[[], Any], kind: type[Exception], words: tuple[str, ...], over_valkey: Supervisor
) -> None:
    """25-30: the error names the processor, the stream and the value, and what was written before it stays."""
    run = Flow(make).start({"seed": [1]}, settings={"make": {"what": make_value}})
    with pytest.raises(kind) as caught:
        run.join()
    assert isinstance(caught.value, dg.ProcessorError)
    assert caught.value.node == "make"
    text = said(caught.value) + said(caught.value.__cause__ or caught.value)
    assert [word for word in ("'make'", "'made'", *words) if word not in text] == []
    assert run.status == "failed"


FITS = [
    2**70,
    -(2**70),
    math.inf,
    -math.inf,
    None,
    b"",
    "",
    b"\x00",
    b"end",
    "__end__",
    [],
    {},
    False,
    0,
    (1, [2, {3}], {"k": b"v"}),
    "\u202e<script>",
    "\x00",
]


def test_odd_values_come_through_as_they_are(over_valkey: Supervisor) -> None:
    """26, 27, 32, 33: large numbers, infinity, None and what looks like an end of stream are values like any other."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = Flow(_yields).run({"seed": [[value] for value in (*FITS, math.nan)]})["_yields"]
    assert math.isnan(got.pop())
    assert got == FITS
    assert [type(value) for value in got] == [type(value) for value in FITS]


@processor
def _yields(seed: list[Any]) -> Any:
    yield from seed


def test_functions_need_no_annotations_and_no_async(in_memory: Supervisor) -> None:
    """19, 22: a parameter without annotation is a value; a plain function and a plain generator are processors."""

    @processor
    def plain(seed):
        return seed + 1

    @processor
    def twice(plain):
        yield plain
        yield plain

    assert Flow(plain, twice).run({"seed": [1, 2]}) == {"twice": [2, 2, 3, 3]}


def test_attaching_again_is_the_same_supervisor_or_another_one(valkey_url: str, anyio_backend: str) -> None:
    """48: equal settings give the same object; others replace it, and the run of the old one is still in its store."""
    first = Supervisor.attach(valkey_url, backend=anyio_backend)
    assert Supervisor.attach({"url": valkey_url}, backend=anyio_backend) is first
    run = Flow(same).start({"seed": OPEN})
    second = Supervisor.attach(valkey_url, backend=anyio_backend, lease=1)
    assert second is not first
    assert Supervisor.instance is second
    assert dg.attach_run(run.id).status == "running"
    assert dg.forget(run.id) > 0
    second.detach()


def test_every_message_is_a_sentence_without_a_traceback_in_it() -> None:
    """No error of a bad name or graph spills a library's internals, and each is short enough to read."""
    for what, act, _, _ in NAMES + GRAPHS:
        with pytest.raises(Exception, match=r".") as caught:
            act()
        text = str(caught.value)
        assert "Traceback" not in text, what
        assert not re.search(r" at 0x[0-9a-f]{6,}", text), what
        assert len(text) < 400, what
