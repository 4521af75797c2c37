"""What cannot be encoded or decoded says so, says what and where, and does no harm."""

from __future__ import annotations

import datetime as dt
import os
from collections import defaultdict
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagraph.exceptions import CodecError, CodecRefusedError, PayloadTooLargeError
from datagraph.streams import tagged
from datagraph.streams.codec import MsgpackCodec
from datagraph.streams.signed import SignedPickle
from tests.streams import samples
from tests.streams.samples import forged
from tests.streams.test_codec import VALUES

CODEC = MsgpackCodec()
KEY = bytes(range(32))


def cyclic():
    value = []
    value.append([value])
    return value


def nested(depth, kind=list):
    value = kind()
    for _ in range(depth):
        value = kind([value])
    return value


def nameless_zone():
    with next(Path(root, "Europe/Paris") for root in TZPATH if Path(root).is_dir()).open("rb") as file:
        return ZoneInfo.from_file(file)


def local():
    return type("Local", (samples.Point,), {"__qualname__": "local.<locals>.Local"})(1)


BAD = {
    "lambda": (lambda: lambda: 0, "a lambda <function .*> cannot be encoded; send plain data, or attach with a codec"),
    "generator": (lambda: (x for x in ()), "a generator <generator"),
    "open file": (lambda: Path(os.devnull).open(encoding="utf-8"), "TextIOWrapper"),
    "object": (samples.Plain, "whose repr raises RuntimeError"),
    "type": (lambda: int, "a type <class 'int'>"),
    "subclass of str": (lambda: samples.Word("x"), r"\(a subclass of str\) 'x' cannot be encoded; send str\(value\)"),
    "lone surrogate": (lambda: "a\ud800", r"lone surrogate '\\ud800' cannot be encoded"),
    "lone surrogate as a key": (lambda: {"\ud800": 1}, "lone surrogate"),
    "cyclic list": (cyclic, "contains itself, or is nested more than 254 levels"),
    "deep list": (lambda: nested(100_000), "contains itself, or is nested"),
    "deep tuple": (lambda: nested(100_000, tuple), "contains itself, or is nested"),
    "deep frozenset": (lambda: nested(2_000, frozenset), "contains itself, or is nested"),
    "local class": (local, "cannot be found under that name cannot be encoded; define it at the top level"),
    "struct with a hook": (lambda: samples.Hooked(1), "Hooked"),
    "defaultdict of a lambda": (lambda: defaultdict(lambda: 0), r"send dict\(value\)"),
    "exception": (lambda: ValueError("x"), r"a ValueError ValueError\('x'\)"),
    "zone without a key": (
        lambda: dt.datetime(2020, 1, 1, tzinfo=nameless_zone()),
        r"use ZoneInfo\(key\)",
    ),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("make, message", BAD.values(), ids=BAD)
def test_what_cannot_be_encoded_says_what_it_is_and_what_to_do(make, message):
    """In a frame with its place there, and by itself."""
    value = make()
    with pytest.raises(CodecError, match=message) as caught:
        CODEC.encode([1, "x", {"ok": (1,)}, value])
    assert caught.value.index == 3
    assert str(caught.value).startswith("value 3 of the frame: ")
    assert len(str(caught.value)) < 500
    with pytest.raises(CodecError, match=message) as caught:
        CODEC.encode_value(value)
    assert caught.value.index is None


@pytest.mark.parametrize(
    "wrap, place",
    [
        (lambda bad: {"f": bad}, "at ['f']"),
        (lambda bad: [0, [1, bad]], "at [1][1]"),
        (lambda bad: (0, {"a": {5: bad}}), "at [1]['a'][5]"),
        (lambda bad: samples.Point(1, {"deep": bad}), "at .y['deep']"),
        (samples.Pair, "at [1][0]"),
    ],
)
def test_an_error_says_where_in_the_value(wrap, place):
    """As Python would write the way there."""
    with pytest.raises(CodecError) as caught:
        CODEC.encode([1, wrap(print)])
    assert f" {place} cannot be encoded" in str(caught.value)
    assert caught.value.index == 1


def test_a_failed_value_deep_within_tuples_takes_no_exponential_time():
    """Each level is tried once the fast way and once the slow way, not twice the one within."""
    value = print
    for _ in range(40):
        value = (value, {1: 2})
    with pytest.raises(CodecError):
        CODEC.encode([value])


GOOD = CODEC.encode([1, "two", (3, {4: 5})])
DAMAGED = {
    "empty": b"",
    "only the codec byte": b"\x01",
    "truncated": GOOD[:-1],
    "trailing": GOOD + b"\x00",
    "a fake array of 4 G values": b"\x01\xdd\xff\xff\xff\xff\x01",
    "a fake map of 4 G pairs": b"\x01\x91\xdf\xff\xff\xff\xff\x01",
    "a fake text of 4 GB": b"\x01\x91\xdb\xff\xff\xff\xffx",
    "a reserved byte": b"\x01\x91\xc1",
    "broken text": b"\x01\x91\xa1\xff",
    "no array": b"\x01\x01",
    "an unhashable key": b"\x01\x91\x81\x80\x01",
    "100 k nesting": b"\x01" + b"\x91" * 100_000 + b"\x01",
    "an unknown tag": b"\x01\x91\xd4\x7f\x01",
    "a truncated tag": b"\x01\x91\xc7\x02\x01\x92\x01",
    "a tag with trailing bytes": b"\x01\x91\xd5\x01\x90\x00",
    "an unhashable set": forged(tagged.SET, [[1]]),
    "odd pairs": forged(tagged.MAP, [1, 2, 3]),
    "a date that is none": forged(tagged.DATE, -5),
    "a number that is none": forged(tagged.DECIMAL, "one"),
    "a zone outside the zones": forged(tagged.ZONE, "../../../etc/passwd"),
    "an unknown factory": forged(tagged.DEFAULT, ["eval", {}]),
    "an unknown path class": forged(tagged.PATH, ["system", "ls"]),
    "a range for the items of a tuple": forged(tagged.TUPLE, range(10**12)),
    "a range for the items of a set": forged(tagged.SET, range(10**12)),
    "a range for what is counted": forged(tagged.COUNTER, range(10**12)),
    "a range for a deque": forged(tagged.DEQUE, [None, range(10**12)]),
    "a length for a bytearray": forged(tagged.BYTEARRAY, 10**12),
    "nested tags": None,
}


def deep_tags():
    data = tagged.exact(1)
    for _ in range(3_000):
        data = ormsgpack.packb(ormsgpack.Ext(tagged.TUPLE, b"\x91" + data))
    return b"\x01\x91" + data


@pytest.mark.parametrize("payload", DAMAGED.values(), ids=DAMAGED)
def test_damaged_payloads_are_a_codec_error(payload):
    """Never another error, a wrong value, or gigabytes of memory."""
    with pytest.raises(CodecError, match=r"damaged|cannot be decoded|empty") as caught:
        CODEC.decode(deep_tags() if payload is None else payload)
    assert not isinstance(caught.value.__cause__, MemoryError)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_garbage_is_a_codec_error_or_values(data):
    """Whatever follows the codec byte, nothing but CodecError is raised."""
    for decode in (CODEC.decode, CODEC.decode_value):
        try:
            decode(b"\x01" + data)
        except CodecError:
            pass


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_byte_is_a_codec_error_or_values(data):
    """The same for payloads that once were right."""
    payload = bytearray(CODEC.encode(VALUES))
    payload[data.draw(st.integers(1, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        CODEC.decode(bytes(payload))
    except CodecError:
        pass


@pytest.mark.parametrize("payload", [None, "text", ["a", "list"], 5])
def test_a_payload_that_is_no_bytes_is_a_codec_error(payload):
    """Such as one of another kind of store."""
    with pytest.raises(CodecError, match="a payload is bytes; got"):
        CODEC.decode(payload)


def test_a_codec_that_is_not_known_is_refused():
    """A newer version's frames are not guessed at."""
    with pytest.raises(CodecRefusedError, match="codec 99"):
        CODEC.decode(b"\x63\x90")


def test_pickle_is_refused_by_the_default_codec():
    """And the reader is told how to ask for it."""
    pickled = SignedPickle(KEY)
    for decode, payload in ((CODEC.decode, pickled.encode([1])), (CODEC.decode_value, pickled.encode_value(1))):
        with pytest.raises(CodecRefusedError, match=r"codec=SignedPickle\(key\)"):
            decode(payload)


def test_a_value_over_the_cap_is_named_with_its_size():
    """One too large among small ones, while a frame of many small ones may be larger than the cap."""
    codec = MsgpackCodec(max_value=1000)
    assert len(codec.decode(codec.encode(["x" * 900] * 10))) == 10
    with pytest.raises(
        PayloadTooLargeError, match=r"value 2 of the frame: it has 1,003 bytes and may have 1,000"
    ) as caught:
        codec.encode([1, "x" * 990, "x" * 1000])
    assert caught.value.index == 2
    with pytest.raises(PayloadTooLargeError, match="1,003 bytes"):
        codec.encode_value("x" * 1000)


def test_the_default_cap_is_16_mib():
    """Just below passes, above does not."""
    assert CODEC.size(CODEC.encode([bytes(16 * 2**20 - 5)])) > 16 * 2**20 - 5
    with pytest.raises(PayloadTooLargeError):
        CODEC.encode([bytes(16 * 2**20)])


@pytest.mark.parametrize("cap", [0, -1, 1.5, "16", None, True])
def test_a_cap_is_a_number_of_bytes(cap):
    """Checked where it is given, not at the first value."""
    with pytest.raises(ValueError, match="max_value is a number of bytes above 0"):
        MsgpackCodec(max_value=cap)
