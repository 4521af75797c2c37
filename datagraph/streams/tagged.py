"""What msgpack has no word for, tagged so that exactly what went in comes out.

Each such value becomes an extension: a number that says what it is, and its content, which is plain or tagged again.
There are two ways to the same bytes. `fast` lets the C encoder walk and call back only where it meets such a value.
`exact` walks in Python: it is taken where the first one gave up (a dict whose keys are not text), and says what is
wrong and where. Reading runs no code of the user's and imports nothing but numpy, pandas and pyarrow.
"""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import ormsgpack

from ..exceptions import CodecError
from . import arrays, classes, tables
from .text import short
from .unfit import Unfit

Hook = Callable[[Any], ormsgpack.Ext]

_FAST = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_EXACT = _FAST | ormsgpack.OPT_NON_STR_KEYS
_DEPTH = 254  # as deep as the C encoder goes
_TAGS = 5  # tagged values within each other that `fast` follows: it cannot count how deep all of it is, `exact` does
_ATOMS = frozenset({bool, float, bytes, type(None)})
_KEYS = frozenset({str, int})
_SORTABLE = ({int}, {str}, {bytes})

# The numbers are the format: never changed nor given away again, only added to. Those from 32 are in classes.py, from
# 48 in arrays.py, from 56 in tables.py.
TUPLE, MAP, BIG_INT, DATETIME, DATETIME_ZONE, DATE, TIME, TIMEDELTA, TIMEZONE, ZONE = range(1, 11)
DECIMAL, UUID, SET, FROZENSET, COMPLEX, PATH, FRACTION, RANGE, BYTEARRAY = range(11, 20)
ORDERED, COUNTER, DEFAULT, DEQUE = range(20, 24)

_PATHS = {kind.__name__: kind for kind in (PosixPath, PurePosixPath, PureWindowsPath, WindowsPath)}
_FACTORIES = {kind.__name__: kind for kind in (bool, bytes, dict, float, int, list, set, str, tuple)}


def fast(value: Any) -> bytes:
    """The bytes of a value; a TypeError, whatever it says, means: ask `exact`."""
    return ormsgpack.packb(value, _HOOK, _FAST)


def exact(value: Any, *, keep_bytearray: bool = False) -> bytes:
    """The same bytes, or an `Unfit` that says what cannot be encoded and where.

    `fast` does not see a bytearray, and writes it as bytes; so does this, unless `keep_bytearray`.
    """
    try:
        return _pack(_lower(value, 0, keep_bytearray))
    except RecursionError:
        raise _too_deep() from None


def array_header(count: int) -> bytes:
    """What msgpack writes before the items of an array."""
    if count < 16:
        return bytes((0x90 | count,))
    return struct.pack(">BH", 0xDC, count) if count < 2**16 else struct.pack(">BI", 0xDD, count)


def decoder(kind: Any = Any) -> msgspec.msgpack.Decoder[Any]:
    """A decoder of such bytes. It may raise anything, as damaged bytes may say anything."""
    return msgspec.msgpack.Decoder(kind, ext_hook=_build)


# ── writing ──


def _hook_above(inner: Hook | None) -> Hook:
    """What the C encoder calls for a value it has no word for; `inner` is called for those in that value."""

    def pack(value: Any) -> bytes:
        return ormsgpack.packb(value, inner, _FAST)

    def hook(value: Any) -> ormsgpack.Ext:
        kind = type(value)
        if kind is tuple:
            return ormsgpack.Ext(TUPLE, pack(list(value)))
        if kind is set or kind is frozenset:
            return _set(value, pack)
        code, content = _describe(value)
        return ormsgpack.Ext(code, pack(content))

    return hook


def _describe(value: Any) -> tuple[int, Any]:
    """The tag of a value that msgpack has no word for, and the content to write under it."""
    tagger = _TAGGERS.get(type(value))
    if tagger is not None:
        return tagger(value)
    root = type(value).__module__.partition(".")[0]
    return _PACKAGES.get(root, classes.describe)(value)


def _set(value: Collection[Any], pack: Callable[[Any], bytes]) -> ormsgpack.Ext:
    """Sorted, so that equal sets have equal bytes: by value where that is an order, else by the items' bytes."""
    code = SET if type(value) is set else FROZENSET
    if set(map(type, value)) in _SORTABLE:
        return ormsgpack.Ext(code, pack(sorted(value)))
    return ormsgpack.Ext(code, array_header(len(value)) + b"".join(sorted(map(pack, value))))


def _pack(lowered: Any) -> bytes:
    try:
        return ormsgpack.packb(lowered, None, _EXACT)
    except TypeError as error:
        if "Recursion" in str(error):
            raise _too_deep() from None
        raise Unfit(f"a value that msgpack refuses ({error})") from error


def _too_deep() -> Unfit:
    return Unfit(f"data that contains itself, or is nested more than {_DEPTH} levels deep", "send it flatter")


def _lower(value: Any, depth: int, keep: bool) -> Any:
    """The value with everything that needs a tag made an extension."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is str:
        return value if value.isascii() else _text(value)
    if kind is int and -(2**63) <= value < 2**64:
        return value
    if depth > _DEPTH:
        raise _too_deep()
    if kind is list:
        return _lower_list(value, depth, keep)
    if kind is dict:
        return _lower_dict(value, depth, keep)
    if kind is bytearray and not keep:
        return bytes(value)
    if kind is set or kind is frozenset:
        return _set(value, lambda part: _pack(_lower(part, depth + 1, keep)))
    code, content = _describe(value)
    if code in classes.WITH_FIELDS:
        content = [content[0], _lower_values(content[1], ".{}", depth, keep)]
    else:
        content = _lower(content, depth + 1, keep)
    return ormsgpack.Ext(code, _pack(content))


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        what = f"the text {short(value)} with the lone surrogate {short(value[error.start])}"
        raise Unfit(what, "it is no Unicode text; send value.encode(errors='surrogatepass') or replace it") from None
    return value


def _lower_list(items: list[Any], depth: int, keep: bool) -> list[Any]:
    lowered: list[Any] = []
    try:
        for item in items:
            lowered.append(_lower(item, depth + 1, keep))  # noqa: PERF401  (its length is where the error was)
    except Unfit as error:
        error.steps.append(f"[{len(lowered)}]")
        raise
    return lowered


def _lower_dict(value: dict[Any, Any], depth: int, keep: bool) -> Any:
    values = _lower_values(value, "[{!r}]", depth, keep)
    if set(map(type, value)) <= _KEYS and all(map(_is_native, value)):
        return values
    pairs = [part for key, item in values.items() for part in (_lower(key, depth + 1, keep), item)]
    return ormsgpack.Ext(MAP, _pack(pairs))


def _is_native(key: str | int) -> bool:
    if type(key) is str:
        return key.isascii() or bool(_text(key))
    return -(2**63) <= key < 2**64  # type: ignore[operator]


def _lower_values(value: dict[Any, Any], step: str, depth: int, keep: bool) -> dict[Any, Any]:
    lowered: dict[Any, Any] = {}
    key: Any = None
    try:
        for key, item in value.items():
            lowered[key] = _lower(item, depth + 1, keep)
    except Unfit as error:
        error.steps.append(step.format(key))
        raise
    return lowered


def _datetime(value: dt.datetime) -> tuple[int, Any]:
    zone = value.tzinfo
    if value.fold == 0 and (zone is None or zone is dt.UTC):
        return DATETIME, value.isoformat()
    return DATETIME_ZONE, [value.replace(tzinfo=None).isoformat(), value.fold, zone]


def _zone(value: ZoneInfo) -> tuple[int, Any]:
    if value.key is None:
        raise Unfit(f"the time zone {short(value)}, which was read from a file and has no key", "use ZoneInfo(key)")
    return ZONE, value.key


def _defaultdict(value: defaultdict[Any, Any]) -> tuple[int, Any]:
    factory = value.default_factory
    name = None if factory is None else getattr(factory, "__name__", "")
    if name is not None and _FACTORIES.get(name) is not factory:
        raise Unfit(f"a defaultdict of {short(factory)}", f"use one of {', '.join(_FACTORIES)}, or send dict(value)")
    return DEFAULT, [name, dict(value)]


def _big(value: int) -> tuple[int, Any]:
    return BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


_TAGGERS: dict[type, Callable[[Any], tuple[int, Any]]] = {
    tuple: lambda value: (TUPLE, list(value)),
    int: _big,
    dt.datetime: _datetime,
    dt.date: lambda value: (DATE, value.toordinal()),
    dt.time: lambda value: (TIME, [value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo]),
    dt.timedelta: lambda value: (TIMEDELTA, [value.days, value.seconds, value.microseconds]),
    dt.timezone: lambda value: (TIMEZONE, list(value.__getinitargs__())),
    ZoneInfo: _zone,
    Decimal: lambda value: (DECIMAL, str(value)),
    uuid.UUID: lambda value: (UUID, value.bytes),
    complex: lambda value: (COMPLEX, [value.real, value.imag]),
    Fraction: lambda value: (FRACTION, [value.numerator, value.denominator]),
    range: lambda value: (RANGE, [value.start, value.stop, value.step]),
    bytearray: lambda value: (BYTEARRAY, bytes(value)),
    OrderedDict: lambda value: (ORDERED, dict(value)),
    Counter: lambda value: (COUNTER, dict(value)),
    defaultdict: _defaultdict,
    deque: lambda value: (DEQUE, [value.maxlen, list(value)]),
    **{kind: lambda value: (PATH, [type(value).__name__, str(value)]) for kind in _PATHS.values()},
}
_HOOK: Hook | None = None
for _ in range(_TAGS):
    _HOOK = _hook_above(_HOOK)

_PACKAGES = {"numpy": arrays.describe, "pandas": tables.describe, "pyarrow": tables.describe}


# ── reading ──


def _build(code: int, data: memoryview) -> Any:
    reader = _READERS.get(code)
    if reader is None:
        raise CodecError(f"a value of kind {code} cannot be decoded: a newer datagraph wrote it; update this one")
    decode, builder = reader
    return builder(decode(data))


def _map(content: list[Any]) -> dict[Any, Any]:
    parts: Iterable[Any] = iter(content)
    return dict(zip(parts, parts, strict=True))


def _dict(content: Any) -> dict[Any, Any]:
    if type(content) is not dict:
        raise CodecError(f"a dict cannot be decoded from {short(content)}: the payload is damaged or forged")
    return content


def _default(content: tuple[str | None, Any]) -> defaultdict[Any, Any]:
    name, items = content
    return defaultdict(None if name is None else _FACTORIES[name], _dict(items))


# What each content is, checked before anything is made of it: else a few forged bytes, such as a range for the items of
# a tuple, could ask for any amount of memory.
_BUILDERS: dict[int, tuple[Any, Callable[[Any], Any]]] = {
    TUPLE: (list, tuple),
    MAP: (list, _map),
    BIG_INT: (bytes, lambda content: int.from_bytes(content, "little", signed=True)),
    DATETIME: (str, dt.datetime.fromisoformat),
    DATETIME_ZONE: (
        tuple[str, int, Any],
        lambda content: dt.datetime.fromisoformat(content[0]).replace(fold=content[1], tzinfo=content[2]),
    ),
    DATE: (int, dt.date.fromordinal),
    TIME: (
        tuple[str, int, Any],
        lambda content: dt.time.fromisoformat(content[0]).replace(fold=content[1], tzinfo=content[2]),
    ),
    TIMEDELTA: (tuple[int, int, int], lambda content: dt.timedelta(*content)),
    TIMEZONE: (list, lambda content: dt.timezone(*content)),
    ZONE: (str, ZoneInfo),
    DECIMAL: (str, Decimal),
    UUID: (bytes, lambda content: uuid.UUID(bytes=content)),
    SET: (list, set),
    FROZENSET: (list, frozenset),
    COMPLEX: (tuple[float, float], lambda content: complex(*content)),
    PATH: (tuple[str, str], lambda content: _PATHS[content[0]](content[1])),
    FRACTION: (tuple[Any, Any], lambda content: Fraction(*content)),
    RANGE: (tuple[Any, Any, Any], lambda content: range(*content)),
    BYTEARRAY: (bytes, bytearray),
    ORDERED: (Any, lambda content: OrderedDict(_dict(content))),
    COUNTER: (Any, lambda content: Counter(_dict(content))),
    DEFAULT: (tuple[str | None, Any], _default),
    DEQUE: (tuple[int | None, list[Any]], lambda content: deque(content[1], content[0])),
    **classes.BUILDERS,
    **arrays.BUILDERS,
    **tables.BUILDERS,
}
_READERS = {code: (decoder(kind).decode, builder) for code, (kind, builder) in _BUILDERS.items()}
