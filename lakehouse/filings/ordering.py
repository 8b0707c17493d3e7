"""The order of Arrow rows by any columns, and the last row of each key; ties that matter are named by the caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

LOWEST = -(1 << 63)
SortKey = NDArray[Any]


def last_of_each(rows: pa.Table, key: Sequence[str], by: Sequence[str]) -> pa.Table:
    """Of each key the row that is last by some columns, in order of the keys. NULL comes before everything."""
    codes = [sort_key(rows[name]) for name in (*key, *by)]
    order = np.lexsort(codes[::-1])
    return rows.combine_chunks().take(pa.array(order[~continues([code[order] for code in codes[: len(key)]])]))


def in_order(rows: pa.Table, by: Sequence[str]) -> pa.Table:
    """The rows in order of some columns. NULL comes before everything."""
    return rows.combine_chunks().take(pa.array(np.lexsort([sort_key(rows[name]) for name in reversed(by)])))


def continues(ordered_keys: Sequence[SortKey]) -> NDArray[np.bool_]:
    """Of rows in order, whether the next one has the same key."""
    same = np.zeros(len(ordered_keys[0]), bool)
    same[:-1] = np.logical_and.reduce([key[1:] == key[:-1] for key in ordered_keys])
    return same


def sort_key(column: pa.ChunkedArray) -> SortKey:
    """Numbers that are in the order of a column's values."""
    whole = column.combine_chunks()
    if pa.types.is_string(whole.type):
        return _ranks(whole)
    if pa.types.is_floating(whole.type):
        return np.asarray(pc.fill_null(whole, -np.inf))
    if pa.types.is_date32(whole.type):
        whole = whole.cast(pa.int32())
    return np.asarray(pc.fill_null(whole.cast(pa.int64()), LOWEST))


def _ranks(column: pa.Array) -> SortKey:
    encoded = column.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.arange(len(order), dtype=np.int32)
    codes = pc.fill_null(encoded.indices, -1).to_numpy()
    return np.where(codes < 0, np.int32(-1), ranks[codes]) if len(order) else np.full(len(codes), -1, np.int32)
