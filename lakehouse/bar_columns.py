"""Bars as the kernels leave them, whole numbers in rows of an array, to Arrow columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.bars import INSTANT, PARTIAL, PRICE, SESSION_CODES, SUM
from lakehouse.kernels import bars as kernel

Longs = NDArray[np.int64]

# What is left unsaid of a clean bar follows from these columns, one whole number each (`staged_bars.spelled_out`).
CLEAN_NUMBERS = {
    "open": kernel.OPEN, "high": kernel.HIGH, "low": kernel.LOW, "close": kernel.CLOSE, "open_ord": kernel.OPEN_ORD,
    "close_ord": kernel.CLOSE_ORD, "volume": kernel.VOLUME_LO, "notional": kernel.NOTIONAL_LO,
    "vwap_volume": kernel.VWAP_VOLUME_LO, "trades": kernel.TRADES, "min_batch": kernel.MIN_BATCH,
}  # fmt: skip
HIGH_LIMBS = [kernel.VOLUME_HI, kernel.NOTIONAL_HI, kernel.VWAP_VOLUME_HI]


@dataclass(frozen=True)
class Bars:
    """Bars of one fold, each once: the clean ones as arrays of CLEAN_WIDTH rows, the others as one of WIDTH rows.

    Codes of groups and symbols are places in `instruments` and `symbols`, those of intervals in `intervals`.
    """

    clean: Sequence[Longs]
    other: Longs
    intervals: Sequence[str]
    instruments: Sequence[str]
    symbols: Sequence[str]

    def partial(self, rows: Longs) -> pa.RecordBatch:
        """Rows of an array of WIDTH rows with the columns of PARTIAL, names as dictionaries."""
        columns: dict[str, Any] = {
            **self._names(rows),
            "volume": _decimal(rows[kernel.VOLUME_HI], rows[kernel.VOLUME_LO]),
            "notional": _decimal(rows[kernel.NOTIONAL_HI], rows[kernel.NOTIONAL_LO]),
            "vwap_volume": _decimal(rows[kernel.VWAP_VOLUME_HI], rows[kernel.VWAP_VOLUME_LO]),
            "first_volume": _decimal(rows[kernel.FIRST_VOLUME_HI], rows[kernel.FIRST_VOLUME_LO]),
            "trades": rows[kernel.TRADES],
            "first_trades": rows[kernel.FIRST_TRADES],
            "late_prints": rows[kernel.LATE],
            "cancelled_prints": rows[kernel.CANCELLED],
            "corrected_prints": rows[kernel.CORRECTED],
            "touched": rows[kernel.TOUCHED],
            "min_batch": rows[kernel.MIN_BATCH],
            **_prices(rows, "", kernel.PRICES),
            **_prices(rows, "first_", kernel.FIRST_PRICES),
        }
        return pa.record_batch({name: columns[name] for name in PARTIAL.names})

    def clean_numbers(self, rows: Longs) -> pa.RecordBatch:
        """Clean bars whose sums take one limb as whole numbers: millionths, -1 for a price that is not there."""
        numbers = {name: pa.array(rows[at]) for name, at in CLEAN_NUMBERS.items()}
        return pa.record_batch({**self._names(rows), **numbers})

    def whole(self) -> pa.RecordBatch:
        """All bars as one batch with the columns of PARTIAL."""
        return self.partial(np.concatenate([*map(widened, self.clean), self.other], axis=1))

    def _names(self, rows: Longs) -> dict[str, pa.Array]:
        return {
            "instrument_id": _named(rows[kernel.GROUP] // 3, self.instruments),
            "interval": _named(rows[kernel.INTERVAL], self.intervals),
            "bar_start": pa.array(rows[kernel.START] * 1000).cast(INSTANT),
            "bar_end": pa.array(rows[kernel.END] * 1000).cast(INSTANT),
            "session_date": pa.array((rows[kernel.DAY_KEY] // 3).astype(np.int32)).cast(pa.date32()),
            "session": _named(rows[kernel.GROUP] % 3, list(SESSION_CODES)),
            "symbol": _named(rows[kernel.SYMBOL], self.symbols),
        }


def widened(clean: Longs) -> Longs:
    """Clean bars in WIDTH rows: as first published they were what they are, and nothing happened to them."""
    rows = np.zeros((kernel.WIDTH, clean.shape[1]), np.int64)
    rows[: kernel.CLEAN_WIDTH] = clean
    first = slice(kernel.FIRST_PRICES, kernel.FIRST_PRICES + 6)
    rows[first] = clean[kernel.PRICES : kernel.PRICES + 6]
    rows[kernel.FIRST_VOLUME_HI], rows[kernel.FIRST_VOLUME_LO] = clean[kernel.VOLUME_HI], clean[kernel.VOLUME_LO]
    rows[kernel.FIRST_TRADES] = clean[kernel.TRADES]
    return rows


def takes_one_limb(clean: Longs) -> NDArray[np.bool_]:
    """Whether the sums of clean bars fit into 62 bits, as all but absurd ones do."""
    found: NDArray[np.bool_] = (clean[HIGH_LIMBS] == 0).all(axis=0)
    return found


def _named(codes: Longs, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(names, pa.string()))


def _decimal(high: Longs, low: Longs) -> pa.Array:
    """hi * 2**62 + lo as 128-bit decimals."""
    words = np.empty((len(low), 2), np.int64)
    words[:, 0] = ((high & 3) << 62) | low
    words[:, 1] = high >> 2
    return pa.Array.from_buffers(SUM, len(low), [None, pa.py_buffer(words)])


def _prices(rows: Longs, prefix: str, at: int) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for offset, name in enumerate(("open", "high", "low", "close", "open_ord", "close_ord")):
        values = rows[at + offset]
        unknown = values == kernel.ABSENT
        has_gaps = bool(unknown.any())
        if offset < 4:
            valid = pa.array(~unknown).buffers()[1] if has_gaps else None
            words = np.zeros((len(values), 2), np.int64)
            words[:, 0] = np.where(unknown, 0, values) if has_gaps else values
            found[prefix + name] = pa.Array.from_buffers(PRICE, len(values), [valid, pa.py_buffer(words)])
        else:
            found[prefix + name] = pa.array(values, mask=unknown if has_gaps else None)
    return found
