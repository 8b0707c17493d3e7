"""Arrow columns as arrays of numbers, and arrays with gaps as Arrow columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.fundamentals.amounts import Codes, Doubles, Longs, Mask

INSTANT, DAY = pa.timestamp("us", "UTC"), pa.date32()
NO_DAY = -(1 << 40)
NEVER = 1 << 62


def doubles(column: pa.ChunkedArray) -> Doubles:
    """Numbers, NaN for NULL."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)


def day_numbers(column: pa.ChunkedArray) -> Longs:
    """Dates as days since 1970, NO_DAY for NULL."""
    return _longs(column.cast(DAY).cast(pa.int32()).cast(pa.int64()), NO_DAY)


def microseconds(column: pa.ChunkedArray) -> Longs:
    """Instants as microseconds since 1970, NEVER for NULL."""
    return _longs(column.cast(INSTANT).cast(pa.int64()), NEVER)


def coded(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Texts as places in a list of the different ones, -1 for NULL."""
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    codes = pc.fill_null(encoded.indices, -1).to_numpy()
    return np.asarray(codes, np.int32), encoded.dictionary.to_pylist()


def _longs(column: pa.ChunkedArray, missing: int) -> Longs:
    return np.asarray(pc.fill_null(column, missing).to_numpy(), np.int64)


def nullable(values: Doubles, has_value: Mask) -> pa.Array:
    """Numbers with NULL where there is none."""
    return pa.array(values, pa.float64(), mask=~has_value)


def nullable_instants(micros: Longs, has_value: Mask) -> pa.Array:
    """Instants with NULL where there is none."""
    return pa.array(np.where(has_value, micros, 0), pa.int64(), mask=~has_value).cast(INSTANT)


def nullable_days(days: Longs, has_value: Mask) -> pa.Array:
    """Dates with NULL where there is none."""
    return pa.array(np.where(has_value, days, 0).astype(np.int32), pa.int32(), mask=~has_value).cast(DAY)
