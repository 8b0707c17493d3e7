"""Rows that several documents tell of: the one fetched later counts, then the one of the higher hash.

Which rows come out depends on the set of documents alone, not on their order, their number at a time, or repetition.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

FIRST_HAD, REVISED, HASH = "fetched_at", "revised_at", "document_hash"


def latest(rows: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """One row for each key: the latest, with the time at which any of them was first had."""
    if not rows.num_rows:
        return rows
    first_had = rows.group_by(list(key)).aggregate([(FIRST_HAD, "min")])
    order = [(name, "ascending") for name in key] + [(REVISED, "descending"), (HASH, "descending")]
    ordered = rows.take(pc.sort_indices(rows, sort_keys=order)).combine_chunks()
    one_each = ordered.filter(_begins(ordered, key))
    joined = one_each.drop_columns([FIRST_HAD]).join(first_had, keys=list(key), join_type="inner")
    renamed = joined.rename_columns([FIRST_HAD if name == f"{FIRST_HAD}_min" else name for name in joined.column_names])
    whole = renamed.select(rows.column_names).cast(rows.schema)
    return whole.take(pc.sort_indices(whole, sort_keys=[(name, "ascending") for name in key])).combine_chunks()


def _begins(ordered: pa.Table, key: tuple[str, ...]) -> pa.Array:
    """Which rows differ from the one before in a key that is never NULL."""
    differs = [True] + [False] * (ordered.num_rows - 1)
    mask = pa.array(differs)
    for name in key:
        column = ordered[name].combine_chunks()
        changed = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))
        mask = pc.or_(mask, pa.concat_arrays([pa.array([True]), changed]))
    return mask
