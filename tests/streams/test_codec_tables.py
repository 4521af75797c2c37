"""numpy, pandas and Arrow values come out as they went in."""

from __future__ import annotations

import sys

import numpy as np
import ormsgpack
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from datagraph.exceptions import CodecError
from datagraph.streams import arrays, tables, tagged
from datagraph.streams.codec import MsgpackCodec
from tests.streams.samples import forged

CODEC = MsgpackCodec()


def through(value):
    (back,) = CODEC.decode(CODEC.encode([value]))
    assert type(back) is type(value)
    return back


ARRAYS = [
    np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3).T, np.arange(24).reshape(2, 3, 4)[:, ::2], np.array([]),
    np.array(1.5), np.zeros((0, 3)), np.array(["a", "bcd"]), np.array([b"a", b"bcd"]), np.array(["2020"], "M8[D]"),
    np.array([1, 2], "m8[ns]"), np.array([(1, 2.5)], [("a", "i4"), ("b", "f8", (2,))]), np.array([True]),
    np.array([1, 2], ">i4"), np.array([1 + 2j]), np.array([1, 2], np.float16), np.array([np.nan, np.inf, -0.0]),
    np.array([""]), np.broadcast_to(np.array([1, 2]), (3, 2)), np.arange(10)[::-2],
    np.array([1, "a", None, [1, (2,)], {3: 4}], dtype=object), np.array([[1, None]], dtype=object),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_an_array_comes_out_as_it_went_in(array):
    """Of the same dtype, shape, order and values, and writable."""
    back = through(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes() or back.dtype.kind == "O"
    assert repr(back.tolist()) == repr(array.tolist())
    assert back.flags.writeable
    assert back.flags.fnc == array.flags.fnc


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(hnp.array_dtypes() | hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0)))
def test_any_array_comes_out_as_it_went_in(array):
    """Hypothesis builds the dtypes, also structured ones."""
    back = through(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "scalar",
    [np.float64(1.5), np.float32(1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.str_("é"), np.str_(""),
     np.bytes_(b"x"), np.datetime64("2020-01-01"), np.timedelta64(5, "ms"), np.complex64(1j), np.array([(1, 2.0)], "i4,f8")[0]],
    ids=lambda scalar: type(scalar).__name__,
)  # fmt: skip
def test_a_scalar_comes_out_as_it_went_in(scalar):
    """A float64 is a float to Python, and must not become one; also as a key."""
    back = through(scalar)
    assert back == scalar
    assert back.dtype == scalar.dtype
    if not isinstance(scalar, np.void):
        ((key, _),) = through({scalar: 1}).items()
        assert type(key) is type(scalar)


def test_nan_and_nat_scalars_stay_what_they_are():
    """They are not equal to themselves, so this is a test of its own."""
    assert np.isnan(through(np.float64("nan")))
    assert np.isnat(through(np.datetime64("NaT")))


SERIES = [
    pd.Series([1, 2], name="n"), pd.Series([1.5, None]), pd.Series(["a", None]), pd.Series(["a", None], dtype=object),
    pd.Series(["a", None], dtype="string"), pd.Series(["a", None], dtype="string[python]"),
    pd.Series(["a", None, "a"], dtype="category"), pd.Series(pd.Categorical([1, 2], [2, 1, 3], ordered=True)),
    pd.Series([1, None], dtype="Int64"), pd.Series([True, None], dtype="boolean"),
    pd.Series([1.5, None], dtype="Float32"), pd.Series(pd.date_range("2020", periods=2, tz="Europe/Paris")),
    pd.Series(pd.date_range("2020", periods=2, tz="UTC", unit="s")), pd.Series(pd.date_range("2020", periods=2)),
    pd.Series([pd.Timedelta(1)]), pd.Series(pd.period_range("2020", periods=2, freq="M")),
    pd.Series([1, None], dtype="int64[pyarrow]"), pd.Series(pd.arrays.IntervalArray.from_breaks([1, 2, 3], closed="left")),
    pd.Series([{1: 2}, (1,), "x", None, [1]]), pd.Series([], dtype=float), pd.Series([1, 2], index=["x", "x"]),
]  # fmt: skip


@pytest.mark.parametrize("series", SERIES, ids=lambda s: str(s.dtype))
def test_a_series_comes_out_as_it_went_in_alone_in_a_frame_and_as_an_index(series):
    """Of the same dtype down to its storage and unit."""
    back = through(series)
    pd.testing.assert_series_equal(back, series)
    assert repr(back.dtype) == repr(series.dtype)
    frame = pd.DataFrame({"a": series, 5: 1})
    pd.testing.assert_frame_equal(through(frame), frame)
    if series.dtype != object or series.map(lambda item: item.__hash__ is not None).all():
        index = pd.Index(series)
        pd.testing.assert_index_equal(through(index), index)


FRAMES = {
    "empty": pd.DataFrame(),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="int8"), "b": pd.Series([], dtype=object)}),
    "no columns": pd.DataFrame(index=["x", "y"]),
    "two columns of one name": pd.DataFrame([[1, "a"], [2, "b"]], columns=["a", "a"]),
    "odd names": pd.DataFrame({1: [1], ("a", 2): [2], None: [3], "1": [4]}),
    "levels in both": pd.DataFrame(
        [[1, 2], [3, 4]],
        index=pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["p", None]),
        columns=pd.MultiIndex.from_product([["a"], ["b", "c"]]),
    ),
    "a frequency": pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2020", periods=2, freq="2h", tz="UTC", name="t")),
    "a range with a step": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(5, 9, 2, name="r")),
    "text that is of dtype object": pd.DataFrame({"a": pd.Series(["x", "y"], dtype=object)}),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_frame_comes_out_as_it_went_in(frame):
    """With its index, names of columns, dtypes and frequency."""
    back = through(frame)
    pd.testing.assert_frame_equal(back, frame, check_column_type="exact", check_index_type="exact")
    assert list(map(repr, back.dtypes)) == list(map(repr, frame.dtypes))
    assert type(back.index) is type(frame.index)


def test_a_frame_keeps_its_attrs_and_flags_and_can_be_changed():
    """What a user noted on it travels, and the copy is the reader's own."""
    frame = pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)
    frame.attrs["unit"] = ("m", 2)
    back = through(frame)
    assert back.attrs == {"unit": ("m", 2)}
    assert not back.flags.allows_duplicate_labels
    back.loc[0, "a"] = 5
    assert frame.loc[0, "a"] == 1


@pytest.mark.parametrize(
    "value",
    [pd.Timestamp("2020-01-01 12:00", tz="Europe/Paris"), pd.Timestamp("2020-10-25 02:30:00.123456789", tz="UTC"),
     pd.Timestamp("2020-10-25 02:30+01:00").tz_convert("Europe/Paris"), pd.Timestamp(5, unit="s"), pd.Timedelta("1h"),
     pd.Period("2020-01", "M"), pd.Interval(1, 2.5, "both"), pd.Interval(pd.Timestamp(0), pd.Timestamp(1))],
    ids=str,
)  # fmt: skip
def test_pandas_scalars_come_out_as_they_went_in(value):
    """A Timestamp is a datetime to Python, and must not become one."""
    back = through(value)
    assert back == value
    assert str(back) == str(value)
    assert getattr(back, "unit", None) == getattr(value, "unit", None)


def test_missing_values_are_the_very_objects():
    """``is pd.NaT`` goes on working."""
    assert through(pd.NaT) is pd.NaT
    assert through(pd.NA) is pd.NA


def test_arrow_tables_and_batches_come_out_as_they_went_in():
    """With their schema and its metadata."""
    table = pa.table({"a": [1, None], "b": [["x"], []]}).replace_schema_metadata({"k": "v"})
    assert through(table).equals(table, check_metadata=True)
    batch = pa.record_batch({"a": [1, 2]})
    assert through(batch).equals(batch)


@pytest.mark.parametrize(
    "value, message",
    [
        (np.ma.array([1]), "a numpy.ma.MaskedArray"),
        (np.array(["a"], dtype=np.dtypes.StringDType()), "an array of dtype StringDType.*astype"),
        (np.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]), "an array of dtype .*astype"),
        (pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), r"a column of dtype Sparse.* at \['s'\] .*astype"),
        (pd.DataFrame({"o": [1, print]}), "builtin_function_or_method"),
        (pd.DataFrame({"a": [1]}).groupby("a"), "GroupBy"),
        (np.dtype("i4"), "dtype"),
        (np.sum, "cannot be encoded"),
    ],
)
def test_what_cannot_be_encoded_is_named(value, message):
    """With the column and what would do."""
    with pytest.raises(CodecError, match=message):
        CODEC.encode([value])


@pytest.mark.parametrize(
    "content",
    [
        ["|O", [1], "C", bytes(8)],
        [[["a", "|O"]], [1], "C", bytes(8)],
        ["<i8", [10**12], "C", b""],
        ["<i8", [2**62, 4], "C", b""],
        ["<i8", [-1], "C", b""],
        ["<i8", [2], "C", bytes(15)],
        ["<i8", [2], "C", bytes(17)],
        ["nonsense", [1], "C", bytes(8)],
        ["<i8", "ab", "C", bytes(8)],
        ["|V0", [-1, -1], "C", b""],
    ],
)
def test_a_forged_array_is_refused(content):
    """Its bytes are never taken for addresses, nor its shape for an allocation."""
    with pytest.raises(CodecError):
        CODEC.decode(forged(arrays.NDARRAY, content))


def tagged_as(code, content):
    return ormsgpack.Ext(code, ormsgpack.packb(content))


LONG = tagged_as(tables.RANGE_INDEX, [0, 10**12, 1, None])
ONE = ["numpy", tagged_as(arrays.NDARRAY, ["<i8", [], "C", bytes(8)])]


@pytest.mark.parametrize(
    "code, content",
    [
        (tables.SERIES, [LONG, None, ONE, {}, True]),
        (tables.FRAME, [LONG, LONG, [ONE], {}, True]),
        (tables.MULTI_INDEX, [[LONG], [ONE[1]], [None]]),
        (tables.MULTI_INDEX, [[[LONG, None]], [ONE[1]], [None]]),
        (tables.INDEX, [["IntervalDtype", LONG, LONG, "left"], None, None]),
        (arrays.OBJECTS, [[1], LONG]),
    ],
)
def test_a_few_forged_bytes_cannot_ask_for_much_memory(code, content):
    """Such as one value for as many rows as an index of the length 10**12 has."""
    with pytest.raises(CodecError) as caught:
        CODEC.decode(b"\x01" + ormsgpack.packb([tagged_as(code, content)]))
    assert not isinstance(caught.value.__cause__, MemoryError)


def test_a_reader_without_the_package_is_told_to_install_it(monkeypatch):
    """As a codec error, which names the package."""
    payload = CODEC.encode([np.arange(3)])
    for name in ("numpy", "numpy.lib.format"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CodecError, match="pip install numpy"):
        CODEC.decode(payload)


def test_a_frame_without_arrow_needs_no_arrow(monkeypatch):
    """pyarrow is used for Arrow's own dtypes and tables only."""
    frame = pd.DataFrame({"a": [1, 2], "b": pd.Series(["x", None], dtype="string[python]")})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    pd.testing.assert_frame_equal(through(frame), frame)


def test_equal_arrays_have_equal_bytes_whatever_their_memory_layout():
    """A view and its copy are the same value to a checksum."""
    array = np.arange(10)[::2]
    assert tagged.fast(array) == tagged.fast(array.copy())
