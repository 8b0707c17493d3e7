"""Arrow columns of texts, written from codes and spans without a Python string per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.errors import SourceError
from lakehouse.kernels import prints as column
from lakehouse.kernels import texts as kernel
from lakehouse.kernels.wide import SLACK
from streaming.print_table import Bytes, Longs, PrintTable

Ints = NDArray[np.int32]
LONGEST = (1 << 31) - 1  # Arrow counts the bytes of a string column in 32 bits


@dataclass(frozen=True)
class Pool:
    """Texts in a row: text i lies from begins[i] to begins[i + 1]. The bytes reach SLACK beyond the last text."""

    begins: Ints
    texts: Bytes

    @classmethod
    def of(cls, texts: pa.StringArray) -> Self:
        """The texts of an Arrow column without NULLs."""
        _, offsets, data = texts.buffers()
        if not len(texts) or data is None:
            return cls(np.zeros(len(texts) + 1, np.int32), np.zeros(SLACK, np.uint8))
        begins = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
        copied = np.empty(begins[-1] - begins[0] + SLACK, np.uint8)
        copied[:-SLACK] = np.frombuffer(data, np.uint8)[begins[0] : begins[-1]]
        return cls(begins - begins[0], copied)

    @classmethod
    def room(cls, begins: Ints, length: int) -> Self:
        """Room for texts that begin at these places."""
        if length > LONGEST:
            raise SourceError(
                f"judge: expected a batch whose texts fit the {LONGEST} bytes of an Arrow column, found {length}. "
                f"Nothing of this batch was written. Lower spark.sql.execution.arrow.maxRecordsPerBatch."
            )
        return cls(begins, np.empty(length + SLACK, np.uint8))

    def __len__(self) -> int:
        return len(self.begins) - 1

    def array(self, missing: NDArray[np.bool_] | None = None) -> pa.StringArray:
        """The texts as an Arrow column, NULL where they are missing."""
        valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
        data = pa.py_buffer(self.texts).slice(0, int(self.begins[-1]))
        return pa.StringArray.from_buffers(len(self), pa.py_buffer(self.begins), data, valid)


def coded_texts(codes: Longs, texts: Sequence[str]) -> pa.StringArray:
    """The texts at these places of a list, NULL at -1."""
    return taken(codes, Pool.of(pa.array(texts, pa.string())))


def taken(codes: Longs, pool: Pool) -> pa.StringArray:
    """The texts at these places of a pool, NULL at -1."""
    begins = np.empty(len(codes) + 1, np.int32)
    found = Pool.room(begins, kernel.taken_offsets(codes, pool.begins, begins))
    kernel.take_texts(codes, pool.begins, pool.texts, found.texts)
    missing = codes < 0
    return found.array(missing if missing.any() else None)


def trade_ids(prints: PrintTable, refs: Pool) -> Pool:
    """The ids of prints: the stamped one, else where in bronze the print stands."""
    return _ids(prints.columns[column.IDENTITY], prints, refs)


def ref_ids(prints: PrintTable) -> pa.StringArray:
    """The ids that cancels and corrections refer to, NULL for trades."""
    spans = prints.columns[column.REF]
    refers = spans != column.ABSENT
    named = _ids(spans[refers], prints, Pool.of(pa.array([], pa.string())))
    return taken(np.where(refers, np.cumsum(refers) - 1, -1), named)


def _ids(spans: Longs, prints: PrintTable, refs: Pool) -> Pool:
    record, position = prints.columns[column.RECORD], prints.columns[column.POSITION]
    begins = np.empty(len(spans) + 1, np.int32)
    found = Pool.room(begins, kernel.id_offsets(spans, record, position, refs.begins, begins))
    kernel.write_ids(spans, record, position, prints.data, prints.extra, refs.begins, refs.texts, found.texts)
    return found
