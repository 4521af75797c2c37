"""Pickle only with a key of the user's, and only what was signed with it."""

from __future__ import annotations

import pickle
import threading

import pytest

from datagraph.exceptions import CodecError, CodecRefusedError, PayloadTooLargeError, StoreConfigError
from datagraph.streams.codec import MsgpackCodec
from datagraph.streams.signed import SignedPickle
from tests.streams import samples
from tests.streams.samples import run

KEY = bytes(range(32))
CODEC = SignedPickle(KEY)


class Bomb:
    """Leaves a trace wherever it is loaded."""

    def __reduce__(self):
        return samples.boom, ()


@pytest.mark.parametrize("values", [[], [1, "two", None], [samples.Hooked(1), {print: len}, samples.Word("x")]])
def test_what_pickle_can_carry_comes_out(values):
    """Also what the default codec refuses."""
    assert CODEC.decode(CODEC.encode(values)) == values
    assert CODEC.decode_value(CODEC.encode_value(values)) == values


def test_functions_travel_where_cloudpickle_is_installed():
    """A lambda, which pickle alone cannot carry."""
    pytest.importorskip("cloudpickle")
    (function,) = CODEC.decode(CODEC.encode([lambda x: x + 1]))
    assert function(1) == 2


@pytest.mark.parametrize("key", [b"", b"x" * 31, "x" * 40, None, 5])
def test_a_weak_key_is_refused(key):
    """At once, and without being shown."""
    with pytest.raises(StoreConfigError, match="at least 32 bytes") as caught:
        SignedPickle(key)
    assert "xxx" not in str(caught.value)


def test_long_keys_count_whole():
    """Two keys that differ only at their ends are two keys."""
    one, two = SignedPickle(b"x" * 100 + b"1"), SignedPickle(b"x" * 100 + b"2")
    with pytest.raises(CodecRefusedError):
        two.decode(one.encode([1]))


FORGED = {
    "another key": SignedPickle(b"y" * 32).encode([Bomb()]),
    "no signature": b"\x02" + pickle.dumps([Bomb()]),
    "only the codec byte": b"\x02",
    "a signature of zeros": b"\x02" + bytes(32) + CODEC.encode([Bomb()])[33:],
    "another run": CODEC.bind(b"run-1/foo").encode([Bomb()]),
    "a value for a frame": CODEC.encode_value([Bomb()]),
    "a changed byte": CODEC.encode([Bomb()])[:-1] + b"!",
    "truncated": CODEC.encode([Bomb()])[:-1],
    "trailing": CODEC.encode([Bomb()]) + b"\x00",
    "swapped frames": CODEC.encode([Bomb()])[:33] + CODEC.encode([Bomb(), Bomb()])[33:],
}


@pytest.mark.parametrize("payload", FORGED.values(), ids=FORGED)
def test_what_is_not_signed_here_is_refused_before_it_is_loaded(payload):
    """No byte of it reaches pickle."""
    samples.CALLS.clear()
    with pytest.raises(CodecRefusedError, match="signature does not hold"):
        CODEC.decode(payload)
    assert samples.CALLS == []


def test_the_bomb_goes_off_when_it_is_signed():
    """So that the test above shows something."""
    samples.CALLS.clear()
    assert CODEC.decode(CODEC.encode([Bomb()])) == ["boom"]
    assert samples.CALLS == ["boom"]


@pytest.mark.parametrize("flags", [(), ("-O",), ("-OO",)])
def test_the_signature_is_checked_under_every_optimisation(flags):
    """An assert would be gone with ``python -O``, and strangers' code would run."""
    code = (
        "import os; from datagraph.streams.signed import SignedPickle as S; from datagraph.exceptions import *\n"
        "class Bomb:\n    def __reduce__(self): return os.putenv, ('BOOM', '1')\n"
        "try: S(bytes(32)).decode(S(b'x' * 32).encode([Bomb()])); print('loaded')\n"
        "except CodecRefusedError: print('refused', __debug__)"
    )
    assert run(code, flags=flags) == f"refused {not flags}"


def test_a_bound_codec_reads_its_own_place_only():
    """An entry that is copied from one run or stream to another is refused there."""
    foo, bar = CODEC.bind(b"run/foo"), CODEC.bind(b"run/bar")
    assert foo.decode(foo.encode([1])) == [1]
    for other in (bar, CODEC):
        with pytest.raises(CodecRefusedError):
            other.decode(foo.encode([1]))
        with pytest.raises(CodecRefusedError):
            other.decode_value(foo.encode_value(1))
    assert foo == CODEC.bind(b"run/foo") != bar


def test_frames_of_other_codecs_are_refused():
    """With the codec that wrote them named."""
    with pytest.raises(CodecRefusedError, match="the default codec; attach with"):
        CODEC.decode(MsgpackCodec().encode([1]))
    with pytest.raises(CodecRefusedError, match="codec 128"):
        CODEC.decode(pickle.dumps([1]))


def test_neither_its_text_nor_its_errors_show_the_key():
    """A notebook shows both, and keeps them."""
    secret = SignedPickle(b"secret" * 6)
    assert "secret" not in repr(secret)
    assert SignedPickle(KEY) == CODEC != secret
    assert hash(SignedPickle(KEY)) == hash(CODEC)


def test_what_pickle_cannot_carry_is_named():
    """With its place in the frame."""
    with pytest.raises(
        CodecError, match=r"value 1 of the frame: _?thread\.lock .* cannot be encoded; pickle says"
    ) as caught:
        CODEC.encode([1, threading.Lock()])
    assert caught.value.index == 1


def test_a_value_over_the_cap_is_named():
    """As with the default codec."""
    codec = SignedPickle(KEY, max_value=100)
    with pytest.raises(PayloadTooLargeError, match="value 1 of the frame: it has") as caught:
        codec.encode([1, "x" * 200])
    assert caught.value.index == 1
    with pytest.raises(PayloadTooLargeError):
        codec.encode_value("x" * 200)


def test_a_signed_payload_whose_class_is_gone_is_a_codec_error():
    """Not the AttributeError of pickle's."""
    payload = CODEC.encode([samples.Plain()])
    plain = samples.Plain
    del samples.Plain
    try:
        with pytest.raises(CodecError, match=r"damaged: .*Plain"):
            CODEC.decode(payload)
    finally:
        samples.Plain = plain


def test_the_codec_itself_travels_to_worker_processes():
    """With its key, by pickle, which is how executors send it."""
    assert pickle.loads(pickle.dumps(CODEC)) == CODEC
