"""Which bars new prints touch, and which of them are over: plain arrays and sets, no tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakehouse.bars import INTERVALS, SESSION_CODES
from lakehouse.reference.calendar import EPOCH, SessionArrays

Longs = NDArray[np.int64]
REGULAR = SESSION_CODES["regular"]


class TouchedBar(NamedTuple):
    """A bar whose row of gold.bars has changed; `day` counts exchange dates from 1970."""

    interval: str
    instrument_id: str
    day: int
    start_ms: int
    end_ms: int


def touched_bars(prints: pa.Table, sessions: SessionArrays) -> set[TouchedBar]:
    """The bars that rows of silver build, and those that cancels and corrections take something away from."""
    builds = prints.filter(
        pc.and_(pc.not_equal(prints["kind"], "cancel"), pc.not_equal(prints["session"], "none"))
    )  # fmt: skip
    events = prints.filter(pc.is_in(prints["kind"], value_set=pa.array(["cancel", "correct"])))
    return {*_built(builds, sessions), *_taken_from(events, sessions)}


def over(touched: Iterable[TouchedBar], closed_ms: int) -> set[TouchedBar]:
    """Bars that end at an instant or before."""
    return {bar for bar in touched if bar.end_ms <= closed_ms}


def day_of(number: int) -> date:
    """The exchange date of a count of days."""
    return EPOCH + timedelta(days=number)


def _built(prints: pa.Table, sessions: SessionArrays) -> Iterator[TouchedBar]:
    names = pc.dictionary_encode(prints["instrument_id"].combine_chunks())
    instruments = names.indices.to_numpy().astype(np.int64)
    days = _days(prints["session_date"])
    codes = pc.index_in(prints["session"], value_set=pa.array(list(SESSION_CODES))).to_numpy().astype(np.int64)
    opens, closes = sessions.bounds(days, codes)
    traded = prints["traded_ms"].to_numpy()
    for interval, length in INTERVALS.items():
        rows = (opens >= 0) & ((codes == REGULAR) | (length > 0))
        start, end = _bounds(traded[rows], opens[rows], closes[rows], length)
        for one in np.unique(np.stack([instruments[rows], days[rows], start, end], axis=1), axis=0).tolist():
            yield TouchedBar(interval, names.dictionary[one[0]].as_py(), *one[1:])


def _bounds(traded: Longs, opens: Longs, closes: Longs, length: int) -> tuple[Longs, Longs]:
    """First ms and first ms after of the bar of each print, as the fold has them (`kernels.bars.bar_bounds`)."""
    if length == 0:
        return opens, closes
    start = opens + (np.minimum(np.maximum(traded, opens), closes - 1) - opens) // length * length
    return start, np.minimum(start + length, closes)


def _taken_from(events: pa.Table, sessions: SessionArrays) -> Iterator[TouchedBar]:
    """Which bar has lost a print is not known: it may be any of its date, so all from the first on are meant."""
    pairs = set(zip(events["instrument_id"].to_pylist(), _days(events["ref_session_date"]).tolist(), strict=True))
    for instrument_id, day in pairs:
        opens = sessions.opens_ms[sessions.session_day == day]
        if len(opens):
            for interval in INTERVALS:
                yield TouchedBar(interval, instrument_id, day, int(opens.min()), int(opens.min()) + 1)


def _days(column: pa.ChunkedArray) -> Longs:
    found: Longs = column.cast(pa.int32()).to_numpy().astype(np.int64)
    return found
