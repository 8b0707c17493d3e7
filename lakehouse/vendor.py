"""Bars somebody else built: Lean's daily and minute files as rows of gold.bars with source `vendor`; built rows win."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.arrow_frames import arrow_schema, frame_of
from lakehouse.errors import SettingsError
from lakehouse.gold_bars import SAME_BAR, bounds_of
from lakehouse.lake import Lake
from lakehouse.reference.calendar import (
    NO_SESSION_MS,
    SESSION_CODES,
    Longs,
    Row,
    SessionArrays,
    day_number,
    midnight_ms,
)
from lakehouse.tables.gold import BARS

Mask = NDArray[np.bool_]

STAMP = r"^(\d{8} \d\d:\d\d|\d{1,8})$"
PRICES = ("open", "high", "low", "close")
LINE = ("stamp", *PRICES, "volume")
MICROS_PER_TICK = 100  # Lean's prices are ten-thousandths of a dollar, ours millionths
MICROS = 1_000_000
MINUTE_MS = 60_000
FOREVER = 1 << 30
DIFFERS = " OR ".join(
    f"NOT (old.{name} <=> new.{name})" for name in BARS.column_names if name not in (*BARS.key, "updated_at")
)
Effects = dict[str, Counter[str]]  # by interval, how many bars were added, changed, unchanged, or are built
BARS_SCHEMA = arrow_schema(BARS)


@dataclass(frozen=True)
class Known:
    """What vendor bars are placed by: rows of silver.instruments, the calendar, its zone, and the time of writing."""

    instruments: Sequence[Row]
    sessions: SessionArrays
    zone: str
    updated_at: datetime

    def carriers(self, ticker: str) -> list[tuple[int, int, str]]:
        """First day, last day and instrument of every interval in which somebody carried a ticker."""
        return [
            (
                day_number(row["valid_from"]),
                FOREVER if row["valid_to"] is None else day_number(row["valid_to"]),
                row["instrument_id"],
            )
            for row in self.instruments
            if row["ticker"] == ticker
        ]


@dataclass(frozen=True)
class VendorBars:
    """Bars in the shape of gold.bars, and how many lines became none: every line is a bar or counted here."""

    bars: pa.Table
    strangers: int  # on that day no known instrument carried the ticker
    sessionless: int  # the calendar has no session then
    insane: int  # prices contradict each other, volume is negative, or the start is off the minute or comes again


def read_lean_lines(path: Path) -> pa.Table:
    """The lines of a Lean zip: stamp, four prices in ten-thousandths of a dollar, shares."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            text = archive.read(name)
        names = csv.ReadOptions(column_names=list(LINE))
        types = csv.ConvertOptions(column_types={"stamp": pa.string(), **{name: pa.int64() for name in LINE[1:]}})
        lines = csv.read_csv(io.BytesIO(text), read_options=names, convert_options=types)
        strange = lines["stamp"].filter(pc.invert(pc.match_substring_regex(lines["stamp"], STAMP)))
        if len(strange):
            raise ValueError(f"the stamp {strange[0]}")
        return lines
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SettingsError(
            f"{path}: expected a zip with one CSV file of stamp, open, high, low, close and volume, found: {error}. "
            f"Nothing was loaded. Restore the file from its source."
        ) from error


def daily_bars(ticker: str, lines: pa.Table, known: Known) -> VendorBars:
    """Lean's daily lines (`YYYYMMDD HH:MM`) as bars of the regular session of each date."""
    days = np.array([day_number(_date(stamp)) for stamp in lines["stamp"].to_pylist()], np.int64)
    session = np.full(len(days), SESSION_CODES["regular"], np.int64)
    opens, closes = known.sessions.bounds(days, session)
    return _placed(ticker, "1d", lines, _Times(days, session, opens, closes), known)


def minute_bars(ticker: str, day: date, lines: pa.Table, known: Known) -> VendorBars:
    """Lean's minute lines (ms since midnight of one exchange date) as bars of the session they lie in."""
    starts = midnight_ms(day, known.zone) + np.array([int(stamp) for stamp in lines["stamp"].to_pylist()], np.int64)
    days = np.full(len(starts), day_number(day), np.int64)
    session = np.full(len(starts), SESSION_CODES["regular"], np.int64)
    session_closes = np.full(len(starts), NO_SESSION_MS, np.int64)
    for code in SESSION_CODES.values():
        opens, closes = known.sessions.bounds(days, np.full(len(starts), code, np.int64))
        inside = (opens != NO_SESSION_MS) & (starts >= opens) & (starts < closes)
        session[inside], session_closes[inside] = code, closes[inside]
    placed = session_closes != NO_SESSION_MS
    ends = np.minimum(starts + MINUTE_MS, session_closes)
    return _placed(ticker, "1m", lines, _Times(days, session, np.where(placed, starts, NO_SESSION_MS), ends), known)


@dataclass(frozen=True)
class _Times:
    """Where each line lies: exchange day, session code, start and end in ms; start is -1 outside every session."""

    days: Longs
    session: Longs
    starts: Longs
    ends: Longs


def _date(stamp: str) -> date:
    return date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8]))


def _placed(ticker: str, interval: str, lines: pa.Table, times: _Times, known: Known) -> VendorBars:
    """Keep the lines that have a session, a carrier and sane values, and count each other line once."""
    has_session = times.starts != NO_SESSION_MS
    sane = _sane(lines) & _first_on_the_minute(times.starts)
    instruments = np.full(len(sane), None, object)
    for first, last, instrument_id in known.carriers(ticker):
        instruments[(times.days >= first) & (times.days <= last)] = instrument_id
    carried: Mask = instruments != np.array(None)
    keep = carried & has_session & sane
    bars = _rows(ticker, interval, lines.filter(pa.array(keep)), times, instruments[keep], keep, known.updated_at)
    return VendorBars(
        bars, int((~carried).sum()), int((carried & ~has_session).sum()), int((carried & has_session & ~sane).sum())
    )


def _sane(lines: pa.Table) -> Mask:
    opens, high, low, close, volume = (lines[name].to_numpy() for name in LINE[1:])
    ordered = (low > 0) & (low <= opens) & (low <= close) & (opens <= high) & (close <= high)
    sane: Mask = ordered & (volume >= 0)
    return sane


def _first_on_the_minute(starts: Longs) -> Mask:
    first = np.zeros(len(starts), bool)
    first[np.unique(starts, return_index=True)[1]] = True
    on_the_minute: Mask = starts % MINUTE_MS == 0
    return first & on_the_minute


def _rows(
    ticker: str, interval: str, lines: pa.Table, times: _Times, instruments: Any, keep: Mask, updated_at: datetime
) -> pa.Table:
    """Columns of gold.bars: what a vendor cannot say is NULL, or 0 where NULL is not allowed."""
    count = lines.num_rows
    names = np.array(list(SESSION_CODES))
    zero = np.zeros(count, np.int64)
    columns: dict[str, Any] = {
        "instrument_id": pa.array(instruments, pa.string()),
        "interval": [interval] * count,
        "bar_start": instants(times.starts[keep]),
        "bar_end": instants(times.ends[keep]),
        "final_at": instants(times.ends[keep]),
        "session_date": pa.array(times.days[keep].astype(np.int32)).cast(pa.date32()),
        "session": names[times.session[keep]],
        "symbol": [ticker] * count,
        **{name: decimals(lines[name].to_numpy() * MICROS_PER_TICK, BARS_SCHEMA.field(name).type) for name in PRICES},
        "volume": decimals(lines["volume"].to_numpy() * MICROS, BARS_SCHEMA.field("volume").type),
        "source": ["vendor"] * count,
        "updated_at": [updated_at.astimezone(UTC)] * count,
        **{name: decimals(zero, BARS_SCHEMA.field(name).type) for name in ("notional", "vwap_volume", "first_volume")},
        **dict.fromkeys(("trades", "first_trades", "revision"), zero),
        **dict.fromkeys(("late_prints", "cancelled_prints", "corrected_prints"), zero),
    }
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in BARS_SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=BARS_SCHEMA)


def instants(milliseconds: Longs) -> pa.Array:
    """Milliseconds since 1970 as instants."""
    return pa.array(milliseconds * 1000).cast(pa.timestamp("us", "UTC"))


def decimals(micros: Longs, kind: pa.DataType) -> pa.Array:
    """Whole millionths, none negative, as decimals of six places: their low word is the number itself."""
    words = np.zeros((len(micros), 2), np.int64)
    words[:, 0] = micros
    return pa.Array.from_buffers(kind, len(micros), [None, pa.py_buffer(words.tobytes())])


def vendor_frame(spark: SparkSession, bars: Sequence[VendorBars]) -> DataFrame:
    """Vendor bars as one frame in the shape of gold.bars."""
    table = pa.concat_tables([BARS_SCHEMA.empty_table(), *(one.bars for one in bars)])
    return frame_of(spark, table, BARS.schema)


def merge_vendor_bars(lake: Lake, bars: DataFrame) -> Effects:
    """Write vendor bars where nothing is built. A built row stays; a vendor's row changes only if its values do."""
    bounds = bounds_of(bars)
    effects = _effects(lake, bars, bounds)
    if any(one["added"] or one["changed"] for one in effects.values()):
        (
            lake.delta(BARS)
            .alias("old")
            .merge(bars.alias("new"), f"({bounds}) AND {SAME_BAR}")
            .whenMatchedUpdateAll(condition=f"old.source = 'vendor' AND ({DIFFERS})")
            .whenNotMatchedInsertAll()
            .execute()
        )
    return effects


def vendor_effects(lake: Lake, bars: DataFrame) -> Effects:
    """What merging these bars would do; nothing is written."""
    return _effects(lake, bars, bounds_of(bars))


def _effects(lake: Lake, bars: DataFrame, bounds: str) -> Effects:
    effect = (
        "CASE WHEN old.source IS NULL THEN 'added' WHEN old.source <> 'vendor' THEN 'built' "
        f"WHEN {DIFFERS} THEN 'changed' ELSE 'unchanged' END"
    )
    old = lake.read(BARS).alias("old").where(bounds or "false")
    pairs = bars.alias("new").join(old, on=F.expr(SAME_BAR), how="left")
    effects: Effects = {}
    for interval, found, count in pairs.groupBy("new.interval", F.expr(effect)).count().collect():
        effects.setdefault(interval, Counter())[found] = count
    return effects
