"""The default codec: what goes in comes out, and what cannot says so."""

from __future__ import annotations

import datetime as dt
import math
import pathlib
import sys
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagraph.exceptions import CodecError
from datagraph.streams import classes, tagged
from datagraph.streams.codec import MsgpackCodec
from datagraph.streams.signed import SignedPickle
from datagraph.streams.text import short
from tests.streams import samples
from tests.streams.samples import forged, run

CODEC = MsgpackCodec()
KEY = bytes(range(32))
PARIS = ZoneInfo("Europe/Paris")


def same(a, b):
    """Equal, of the same types all the way down, dicts in the same order."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    if isinstance(a, (set, frozenset)):
        return same(sorted(a, key=repr), sorted(b, key=repr))
    if isinstance(a, (dt.datetime, dt.time)):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.fold == b.fold and same_zone(a.tzinfo, b.tzinfo)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    return a == b


def same_zone(a, b):
    return type(a) is type(b) and str(a) == str(b)


def through(value, codec=CODEC):
    """The value after its journey, next to a plain one and next to one that takes the slow way."""
    (alone,) = codec.decode(codec.encode([value]))
    slow, again = codec.decode(codec.encode([{None: 1}, value]))
    assert same(slow, {None: 1})
    assert same(again, alone)
    assert same(codec.decode_value(codec.encode_value(value)), alone)
    return alone


VALUES = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 2**70, -(2**70), 10**5000,
    0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 5e-324, "", "text", "é😀\0", b"", b"\xff", [], {}, (), set(),
    frozenset(), [1, [2, (3,)]], (1, (2, [3])), {"a": (1,)}, {(1, 2): 3}, {1: 2}, {1: "int", "1": "str"}, {None: 1},
    {True: 1, 2: 3}, {1.5: 2, b"x": 3}, {2**70: 1}, {((1,), frozenset({2})): 1}, {dt.date(2020, 1, 1): 1},
    {uuid.UUID(int=5): 1}, {samples.Colour.RED: 1}, {"é": {1: {2: {"x": (3, {4: 5})}}}}, {"b": 1, "a": 2},
    {3, 1, 2}, {1, "a", None, (2,)}, {2**70, 1}, frozenset({frozenset({1}), frozenset({2})}), {1.5, 2}, {True, 2},
    1j, complex(-0.0, math.inf), complex(math.nan, 1),
    dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime(1, 1, 1), dt.datetime.max, dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2020, 10, 25, 2, 30, tzinfo=PARIS), dt.datetime(2020, 10, 25, 2, 30, tzinfo=PARIS, fold=1),
    dt.datetime(2020, 10, 25, 2, 30, fold=1), dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3), "X")),
    dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=1, microseconds=1))),
    dt.date(2020, 2, 29), dt.date.min, dt.time(1, 2, 3, 4), dt.time(1, tzinfo=dt.UTC), dt.time(1, fold=1),
    dt.timedelta(-1, 2, 3), dt.timedelta.max, dt.timedelta.min, dt.UTC, PARIS,
    Decimal("1.10"), Decimal("-0"), Decimal("1E+999999"), Decimal("NaN"), Decimal("sNaN12"), Decimal("-Infinity"),
    uuid.UUID(int=7), Fraction(2**70, 3), range(1, 10, 3), range(0, -(2**70), -1), pathlib.PurePosixPath("a/b"),
    pathlib.PureWindowsPath("c:\\x"), pathlib.Path("/tmp/x"),
    OrderedDict(b=1, a=2), Counter("aab"), Counter({1: 2}), defaultdict(list, {"a": [1]}), defaultdict(None, {1: 2}),
    deque([1, (2,)], 5), deque(),
    samples.Point(1, (2,)), samples.Slotted(1), samples.Mixed(1, 2, 3), samples.Pair(1, {2: 3}),
    samples.Pair.Inner((1,)), samples.Old(1, samples.Old(2, 3)), samples.Colour.GREEN, samples.Level.LOW,
    samples.Name.A, samples.Mode.R, samples.Mode.R | samples.Mode.W, samples.Mode(0), samples.Record(1, (2,)),
    [samples.Level.LOW, 1], {"x": samples.Name.A, "y": "a"},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: short(value, 40))
def test_what_goes_in_comes_out(value):
    """Equal and of the same types, on the fast way, on the slow way, and by itself."""
    assert same(through(value), value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: short(value, 40))
def test_both_ways_to_encode_give_the_same_bytes(value):
    """A checksum must not depend on which values share a frame."""
    alone = CODEC.encode([value])
    assert CODEC.encode([{None: 1}, value]).endswith(alone[2:])


ATOMS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
    | st.datetimes() | st.datetimes(timezones=st.timezones()) | st.dates() | st.times() | st.timedeltas()
    | st.decimals() | st.fractions() | st.uuids() | st.sampled_from(samples.Colour)
)  # fmt: skip
HASHABLE = st.recursive(
    ATOMS.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.sets(HASHABLE, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4) | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.builds(samples.Point, inner, inner) | st.builds(samples.Pair, inner, inner)
    ),
    max_leaves=20,
)  # fmt: skip


def in_order(value):
    """Sets as sorted bytes, so that what holds NaN can be compared."""
    return tagged.exact(value, keep_bytearray=True)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANYTHING, max_size=4))
def test_any_nesting_of_values_comes_out_as_it_went_in(values):
    """Hypothesis builds the values; equal means of equal exact bytes, whose tags name every type."""
    decoded = CODEC.decode(CODEC.encode(values))
    assert [in_order(value) for value in decoded] == [in_order(value) for value in values]


@settings(max_examples=100, deadline=None)
@given(st.lists(ANYTHING, max_size=6), st.data())
def test_the_checksum_does_not_depend_on_where_frames_are_cut(values, data):
    """checksum(ab) == checksum(b, checksum(a)), for both codecs."""
    cut = data.draw(st.integers(0, len(values)))
    for codec in (CODEC, SignedPickle(KEY)):
        whole = codec.checksum(codec.encode(values))
        first = codec.checksum(codec.encode(values[:cut]))
        assert codec.checksum(codec.encode(values[cut:]), first) == whole


def test_the_checksum_skips_array_headers_of_every_length():
    """Frames of 10, 1,000 and 70,000 values have headers of one, three and five bytes."""
    values = list(range(71_010))
    total = 0
    for start, stop in ((0, 10), (10, 1010), (1010, 71_010)):
        total = CODEC.checksum(CODEC.encode(values[start:stop]), total)
    assert total == CODEC.checksum(CODEC.encode(values))
    assert total >> 32
    assert total < 2**64


@pytest.mark.parametrize("other", [[1, 2, 4], [1, 3, 2], [1, 2], [1, 2, 3, 0], [1, 2, 3.0], [True, 2, 3], [(1,), 2, 3]])
def test_the_checksum_tells_values_apart(other):
    """Another value, order, length or type is another checksum."""
    assert CODEC.checksum(CODEC.encode(other)) != CODEC.checksum(CODEC.encode([1, 2, 3]))


def test_equal_sets_have_equal_bytes():
    """Whatever order they were filled in, and in processes whose text hashes differ."""
    code = "from datagraph.streams.codec import MsgpackCodec as C;print(C().encode([set('hello'),{'a',1,(2,),None}]).hex())"
    seen = {run(code, env={"PYTHONHASHSEED": seed}) for seed in ("1", "2", "3")}
    assert len(seen) == 1


def test_nested_sets_are_encoded_in_linear_time():
    """Forty sets within each other: each is encoded once, not twice a level."""
    value = frozenset({1, "a"})
    for _ in range(40):
        value = frozenset({value, 1, "a"})
    assert through(value) == value


def test_none_and_what_looks_like_an_end_are_values():
    """Nothing in the format has a meaning in a value's place."""
    values = [None, b"\x01", b"", "None", [None]]
    assert CODEC.decode(CODEC.encode(values)) == values


def test_an_empty_frame_comes_back_empty():
    """No values are a frame too, and have no checksum of their own."""
    assert CODEC.decode(CODEC.encode([])) == []
    assert CODEC.checksum(CODEC.encode([]), 5 << 32 | 7) == 5 << 32 | 7


def test_a_bytearray_arrives_as_bytes_from_a_stream_but_stays_one_in_a_state():
    """As the documentation of the codec says, on the fast way and on the slow one."""
    assert same(CODEC.decode(CODEC.encode([bytearray(b"x"), [bytearray(b"y")]])), [b"x", [b"y"]])
    assert same(CODEC.decode(CODEC.encode([{1: bytearray(b"x")}])), [{1: b"x"}])
    state = {"a": [bytearray(b"x")], "b": bytearray(300), "c": bytearray(70_000), "d": b"x"}
    assert same(CODEC.decode_value(CODEC.encode_value(state)), state)


def test_attributes_that_are_no_fields_come_along():
    """A cached property that was computed is computed there too."""
    value = samples.Mixed(1, 2, 3)
    assert value.twice == 6
    assert vars(through(value)) == {"c": 3, "twice": 6}


def test_pydantic_and_attrs_classes_come_out_as_they_went_in():
    """With extras and the fields that were set, and without their validators being run."""
    attrs = pytest.importorskip("attrs")
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        a: int
        b: tuple[int, ...] = ()
        _private: int = 5

    @attrs.define
    class Attrs:
        a: int

    for kind in (Model, Attrs):
        kind.__qualname__ = kind.__name__
        kind.__module__ = samples.__name__
        setattr(samples, kind.__name__, kind)
    model = Model(a=1, c="more")
    back = through(model)
    assert back == model
    assert back.model_fields_set == model.model_fields_set == {"a", "c"}
    assert back._private == 5
    assert through(Attrs(3)) == Attrs(3)


def test_decoding_calls_nothing_of_the_class():
    """No constructor and no __post_init__ runs when bytes are read."""
    payload = CODEC.encode([samples.Point(1)])
    samples.CALLS.clear()
    assert CODEC.decode(payload) == [samples.Point(1)]
    assert samples.CALLS == ["Point"]  # that of the comparison's own


def test_a_class_whose_module_is_not_imported_is_named_not_imported():
    """The reader is told what to import, and nothing is imported by reading."""
    payload = forged(classes.RECORD, ["this:Zen", {}])
    sys.modules.pop("this", None)
    with pytest.raises(CodecError, match="import this before reading"):
        CODEC.decode(payload)
    assert "this" not in sys.modules


def test_a_module_that_makes_its_names_when_asked_is_not_asked():
    """A module's __getattr__ is code, so reading does not trigger it."""
    module = types.ModuleType("asked_never")
    module.__getattr__ = pytest.fail
    sys.modules["asked_never"] = module
    try:
        with pytest.raises(CodecError, match="asked_never has no such class"):
            CODEC.decode(forged(classes.RECORD, ["asked_never:Zen", {}]))
    finally:
        del sys.modules["asked_never"]


@pytest.mark.parametrize(
    "code, content",
    [
        (classes.RECORD, ["subprocess:Popen", {"args": "ls"}]),
        (classes.RECORD, ["builtins:object", {}]),
        (classes.RECORD, ["os:system", {}]),
        (classes.NAMED, ["builtins:tuple", [1]]),
        (classes.NAMED, [f"{samples.__name__}:Pair", [1, 2, 3]]),
        (classes.ENUM, ["builtins:int", "1"]),
        (classes.ENUM, [f"{samples.__name__}:Colour", "__class__"]),
        (classes.FLAG, [f"{samples.__name__}:Point", 1]),
        (classes.STRUCT, ["subprocess:Popen", {"args": "ls"}]),
        (classes.STRUCT, [f"{samples.__name__}:Hooked", {"a": 1}]),
    ],
)
def test_a_forged_class_is_refused(code, content):
    """Only classes of the kind that is written are made, so bytes cannot call what they like."""
    samples.CALLS.clear()
    with pytest.raises(CodecError):
        CODEC.decode(forged(code, content))
    assert samples.CALLS == []


def test_a_remembered_class_is_found_without_its_module():
    """What a worker process does for the classes of a notebook."""
    payload = forged(classes.RECORD, ["some_notebook:Sent", {"x": 1}])
    sent = type("Sent", (samples.Point,), {"__module__": "some_notebook", "__qualname__": "Sent"})
    classes.remember(sent)
    try:
        (value,) = CODEC.decode(payload)
    finally:
        classes._remembered.clear()
    assert type(value) is sent
    assert value.x == 1


def test_codecs_with_equal_settings_are_equal():
    """Attaching twice with the same settings must be seen as the same."""
    assert MsgpackCodec() == MsgpackCodec() != MsgpackCodec(max_value=5)
    assert len({MsgpackCodec(), MsgpackCodec()}) == 1
    assert MsgpackCodec().bind(b"place") == MsgpackCodec()


def test_importing_the_codec_loads_nothing_heavy():
    """Nor does encoding and decoding what needs none of it."""
    code = (
        "import sys; from datagraph.streams.codec import MsgpackCodec as C; c = C(); "
        "c.decode(c.encode([1, (2,), {3: 4}, {5}])); "
        "print([m for m in ('numpy', 'pandas', 'pyarrow', 'cloudpickle') if m in sys.modules])"
    )
    assert run(code) == "[]"


def test_frames_are_plain_msgpack_for_other_languages():
    """What msgpack has a word for is written in that word, after the codec byte."""
    values = [1, "a", None, [1.5, {"k": b"x"}], {7: True}]
    assert msgspec.msgpack.decode(CODEC.encode(values)[1:]) == values
