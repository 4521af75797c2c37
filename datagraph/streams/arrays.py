"""numpy arrays and scalars as raw buffers.

numpy is not imported before a value of it is met: then its own type shows that it is loaded, or bytes that name it are
to be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..exceptions import CodecError
from .unfit import Unfit, unfit

NDARRAY, OBJECTS, SCALAR = range(48, 51)

_RAW = frozenset("biufcmMSUV")
ASTYPE = "convert it with astype() to numbers, text, times or objects"


def package(name: str) -> Any:
    """A module of an optional package, which a value that is to be decoded needs."""
    try:
        return import_module(name)
    except ImportError as error:
        root = name.partition(".")[0]
        raise CodecError(f"a value of {root} cannot be decoded here without it: pip install {root}") from error


def describe(value: Any) -> tuple[int, Any]:
    """The tag and content of a numpy array or scalar; `Unfit` for anything else of numpy."""
    np = package("numpy")
    if type(value) is np.ndarray:
        if value.dtype.kind == "O":
            return OBJECTS, [list(value.shape), value.ravel().tolist()]
        order = "F" if value.flags.fnc else "C"
        return NDARRAY, [_dtype_name(value.dtype), list(value.shape), order, value.tobytes(order)]
    if isinstance(value, np.generic):
        return SCALAR, [_dtype_name(value.dtype), value.tobytes()[: value.dtype.itemsize]]
    raise unfit(value)


def _dtype_name(dtype: Any) -> Any:
    if dtype.hasobject or dtype.kind not in _RAW:
        raise Unfit(f"an array of dtype {dtype}", ASTYPE)
    return package("numpy.lib.format").dtype_to_descr(dtype)


def _dtype(name: Any) -> Any:
    dtype = package("numpy.lib.format").descr_to_dtype(name)
    if dtype.hasobject or dtype.kind not in _RAW:  # its bytes would be taken for addresses
        raise CodecError(f"an array of dtype {dtype} cannot be decoded from raw bytes: they are damaged or forged")
    return dtype


def _ndarray(content: Any) -> Any:
    name, shape, order, data = content
    dtype = _dtype(name)
    size = math.prod(shape) * dtype.itemsize
    if size != len(data) or any(length < 0 for length in shape):
        raise CodecError(f"an array of {size} bytes cannot be decoded from {len(data)}: they are damaged or forged")
    return package("numpy").ndarray(tuple(shape), dtype, bytearray(data) or None, order=order)


def _objects(content: Any) -> Any:
    shape, items = content
    value = package("numpy").empty(len(items), dtype=object)
    for place, item in enumerate(items):  # assigning them at once would look into items that are sequences
        value[place] = item
    return value.reshape(shape)


def _scalar(content: Any) -> Any:
    name, data = content
    return _ndarray((name, (), "C", data))[()]


BUILDERS: dict[int, tuple[Any, Callable[[Any], Any]]] = {
    NDARRAY: (tuple[Any, list[int], str, bytes], _ndarray),
    OBJECTS: (tuple[list[int], list[Any]], _objects),
    SCALAR: (tuple[Any, bytes], _scalar),
}
