"""pandas frames, series, indexes and scalars, column by column as raw buffers, and Arrow tables.

Frames do not go through Arrow as a whole, as it does not give back what went in (objects, names of columns,
frequencies). Like numpy, neither package is imported before a value of it is met.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..exceptions import CodecError
from .arrays import ASTYPE, package
from .unfit import Unfit, unfit

FRAME, SERIES, INDEX, RANGE_INDEX, MULTI_INDEX, STAMP, DELTA, MISSING, PERIOD, INTERVAL = range(56, 66)
TABLE, BATCH = range(72, 74)

_MASKED = ("BooleanArray", "FloatingArray", "IntegerArray")


def describe(value: Any) -> tuple[int, Any]:
    """The tag and content of a value of pandas or pyarrow; `Unfit` for a type that has no tag."""
    tagger = _TAGGERS.get(type(value).__name__)
    if tagger is None:
        raise unfit(value)
    return tagger(value)


# ── columns: what kind of array it is, and what makes it again ──


def _column(value: Any) -> list[Any]:
    dtype = value.dtype
    if not hasattr(dtype, "construct_array_type"):  # numpy's own
        return ["numpy", value.to_numpy()]
    array = value.array
    kind = type(dtype).__name__
    tagger = _COLUMNS.get(kind)
    if tagger is not None:
        return [kind, *tagger(array)]
    if type(array).__name__ in _MASKED:
        values = array.to_numpy(dtype=dtype.numpy_dtype, na_value=0)
        return ["masked", type(array).__name__, values, array.isna()]
    raise Unfit(f"a column of dtype {dtype}", ASTYPE)


def _text(array: Any) -> list[Any]:
    dtype = array.dtype
    is_nan = dtype.na_value != dtype.na_value if isinstance(dtype.na_value, float) else False
    return [dtype.storage, is_nan, array.to_numpy(dtype=object, na_value=None).tolist()]


def _read_text(storage: str, is_nan: bool, items: list[Any]) -> Any:
    pd = package("pandas")
    dtype = pd.StringDtype(storage, na_value=float("nan")) if is_nan else pd.StringDtype(storage)
    return pd.array(items, dtype=dtype)


def _read_categories(codes: Any, categories: Any, ordered: bool) -> Any:
    return package("pandas").Categorical.from_codes(codes, categories=categories, ordered=ordered)


def _read_zoned(times: Any, zone: Any) -> Any:
    return package("pandas").DatetimeIndex(times).tz_localize("UTC").tz_convert(zone).array


def _read_masked(kind: str, values: Any, mask: Any) -> Any:
    return getattr(package("pandas").arrays, _MASKED[_MASKED.index(kind)])(values, mask)


def _read_periods(ordinals: Any, freq: str) -> Any:
    return package("pandas").PeriodIndex.from_ordinals(ordinals, freq=freq).array


def _read_intervals(left: list[Any], right: list[Any], closed: str) -> Any:
    sides = (_read_index((side, None, None)) for side in (left, right))
    return package("pandas").arrays.IntervalArray.from_arrays(*sides, closed)


def _arrow(array: Any) -> list[Any]:
    return [_ipc(package("pyarrow").table({"": array.__arrow_array__()}))]


def _read_arrow(data: bytes) -> Any:
    return package("pandas").arrays.ArrowExtensionArray(_read_table(data).column(0))


_COLUMNS: dict[str, Callable[[Any], list[Any]]] = {
    "StringDtype": _text,
    "CategoricalDtype": lambda array: [array.codes, array.categories, array.ordered],
    "DatetimeTZDtype": lambda array: [array.tz_convert(None).to_numpy(), array.dtype.tz],
    "PeriodDtype": lambda array: [array.asi8, str(array.dtype)[len("period[") : -1]],
    "IntervalDtype": lambda array: [_column(array.left), _column(array.right), array.closed],
    "ArrowDtype": _arrow,
}
_READ_COLUMNS: dict[str, Callable[..., Any]] = {
    "numpy": lambda array: array,
    "masked": _read_masked,
    "StringDtype": _read_text,
    "CategoricalDtype": _read_categories,
    "DatetimeTZDtype": _read_zoned,
    "PeriodDtype": _read_periods,
    "IntervalDtype": _read_intervals,
    "ArrowDtype": _read_arrow,
}


def _read_column(content: Any) -> Any:
    if type(content) is not list:
        raise CodecError(f"a column cannot be decoded from a {type(content).__name__}: it is damaged or forged")
    kind, *parts = content
    return _READ_COLUMNS[kind](*parts)


# ── indexes, series, frames ──


def _index(value: Any) -> tuple[int, Any]:
    return INDEX, [_column(value), value.name, _frequency(value)]


def _frequency(value: Any) -> str | None:
    freq = getattr(value, "freq", None)
    if freq is None or type(value).__name__ == "PeriodIndex":
        return None
    if package("pandas.tseries.frequencies").to_offset(freq.freqstr) != freq:
        raise Unfit(f"an index with the frequency {freq!r}, which has no name", "set index.freq = None")
    return str(freq.freqstr)


def _read_index(content: Any) -> Any:
    column, name, freq = content
    array = _read_column(column)
    index = package("pandas").Index(array, dtype=array.dtype, name=name, copy=False)
    if freq is not None:
        index.freq = freq
    return index


def _multi_index(value: Any) -> tuple[int, Any]:
    levels = [[_column(level), _frequency(level)] for level in value.levels]
    return MULTI_INDEX, [levels, list(value.codes), list(value.names)]


def _read_multi_index(content: Any) -> Any:
    levels, codes, names = content
    levels = [_read_index((column, None, freq)) for column, freq in levels]
    return package("pandas").MultiIndex(levels=levels, codes=codes, names=names)


def _series(value: Any) -> tuple[int, Any]:
    return SERIES, [value.index, value.name, _column(value), value.attrs, value.flags.allows_duplicate_labels]


def _read_series(content: Any) -> Any:
    index, name, column, attrs, duplicates = content
    return _noted(_read_rows(index, column, name), attrs, duplicates)


def _read_rows(index: Any, column: list[Any], name: Any = None) -> Any:
    """A series, if its length is that of the index: one value for any number of rows would be repeated."""
    array = _read_column(column)
    if array.shape != (len(index),):
        raise CodecError(f"{len(index)} rows cannot be decoded from {array.shape}: they are damaged or forged")
    return package("pandas").Series(array, index, array.dtype, name)


def _frame(value: Any) -> tuple[int, Any]:
    columns = []
    for name, column in value.items():
        try:
            columns.append(_column(column))
        except Unfit as error:
            error.steps.append(f"[{name!r}]")
            raise
    return FRAME, [value.index, value.columns, columns, value.attrs, value.flags.allows_duplicate_labels]


def _read_frame(content: Any) -> Any:
    index, names, columns, attrs, duplicates = content
    pd = package("pandas")
    # A series each, as a bare array of objects that are all text would be given another dtype.
    frame = pd.DataFrame({place: _read_rows(index, column) for place, column in enumerate(columns)}, index=index)
    frame.columns = names
    return _noted(frame, attrs, duplicates)


def _noted(value: Any, attrs: dict[Any, Any], duplicates: bool) -> Any:
    value.attrs.update(attrs)
    return value if duplicates else value.set_flags(allows_duplicate_labels=False)


# ── scalars ──


def _stamp(value: Any) -> tuple[int, Any]:
    return STAMP, [value.asm8, value.tzinfo, value.fold]


def _read_stamp(content: Any) -> Any:
    time, zone, fold = content
    stamp = package("pandas").Timestamp(time)
    return stamp.replace(fold=fold) if zone is None else stamp.tz_localize("UTC").tz_convert(zone)


def _read_missing(content: Any) -> Any:
    pd = package("pandas")
    return {"NaT": pd.NaT, "<NA>": pd.NA}[content]


def _read_period(content: Any) -> Any:
    ordinal, freq = content
    return package("pandas").Period(ordinal=ordinal, freq=freq)


# ── Arrow ──


def _ipc(table: Any) -> bytes:
    pa = package("pyarrow")
    sink = pa.BufferOutputStream()
    with package("pyarrow.ipc").new_stream(sink, table.schema) as writer:
        writer.write(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _read_table(content: Any) -> Any:
    table = package("pyarrow.ipc").open_stream(content).read_all()
    table.validate(full=True)  # else damaged offsets end the process when they are used
    return table


def _read_batch(content: Any) -> Any:
    batch = package("pyarrow.ipc").open_stream(content).read_next_batch()
    batch.validate(full=True)
    return batch


_TAGGERS: dict[str, Callable[[Any], tuple[int, Any]]] = {
    "DataFrame": _frame,
    "Series": _series,
    "RangeIndex": lambda value: (RANGE_INDEX, [value.start, value.stop, value.step, value.name]),
    "MultiIndex": _multi_index,
    **dict.fromkeys(
        ("Index", "CategoricalIndex", "DatetimeIndex", "IntervalIndex", "PeriodIndex", "TimedeltaIndex"), _index
    ),
    "Timestamp": _stamp,
    "Timedelta": lambda value: (DELTA, value.asm8),
    **dict.fromkeys(("NaTType", "NAType"), lambda value: (MISSING, str(value))),
    "Period": lambda value: (PERIOD, [value.ordinal, value.freqstr]),
    "Interval": lambda value: (INTERVAL, [value.left, value.right, value.closed]),
    "Table": lambda value: (TABLE, _ipc(value)),
    "RecordBatch": lambda value: (BATCH, _ipc(value)),
}
BUILDERS: dict[int, tuple[Any, Callable[[Any], Any]]] = {
    FRAME: (tuple[Any, Any, list[list[Any]], Any, bool], _read_frame),
    SERIES: (tuple[Any, Any, list[Any], Any, bool], _read_series),
    INDEX: (tuple[list[Any], Any, str | None], _read_index),
    RANGE_INDEX: (tuple[int, int, int, Any], lambda it: package("pandas").RangeIndex(*it[:3], name=it[3])),
    MULTI_INDEX: (tuple[list[list[Any]], list[Any], list[Any]], _read_multi_index),
    STAMP: (tuple[Any, Any, int], _read_stamp),
    DELTA: (Any, lambda content: package("pandas").Timedelta(content)),
    MISSING: (str, _read_missing),
    PERIOD: (tuple[int, str], _read_period),
    INTERVAL: (tuple[Any, Any, str], lambda content: package("pandas").Interval(*content)),
    TABLE: (bytes, _read_table),
    BATCH: (bytes, _read_batch),
}
