"""NumPy arrays and texts become Arrow arrays and back, without a copy where there need be none.

Arrow's own conversions import pandas wherever it is installed: a second of a start, 60 MB of a process.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def numbers(array: Any, dtype: type[Scalar]) -> NDArray[Scalar]:
    """View the values of an Arrow array of numbers; those of nulls are arbitrary.

    Examples
    --------
    >>> numbers(of_numbers(np.arange(4))[1:3], np.int64)
    array([1, 2])
    """
    if len(array) == 0:
        return np.empty(0, dtype)
    return np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]


def booleans(array: Any) -> NDArray[np.bool_]:
    """Unpack the values of an Arrow array of booleans; those of nulls are arbitrary."""
    return _bits(array.buffers()[1], array)


def given(array: Any) -> NDArray[np.bool_]:
    """Tell which values of an Arrow array are not null."""
    return np.ones(len(array), bool) if array.null_count == 0 else _bits(array.buffers()[0], array)


def of_numbers(values: NDArray[Any]) -> Any:
    """Make an Arrow array of a NumPy array of numbers."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def of_texts(texts: Sequence[str]) -> Any:
    """Make an Arrow array of texts."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))])


def _bits(buffer: Any, array: Any) -> NDArray[np.bool_]:
    if len(array) == 0:
        return np.empty(0, np.bool_)
    bits = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return bits[array.offset : array.offset + len(array)].astype(np.bool_)
