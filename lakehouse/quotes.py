"""Lean's tick quotes as rows of silver.quotes: one line of a file is one change of one side of a venue's quote."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyspark.sql import functions as F

from lakehouse.arrow_frames import arrow_schema, frame_of
from lakehouse.backfill import Wanted, day_of_file
from lakehouse.errors import SettingsError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SESSION_CODES, Longs, SessionArrays, day_number, midnight_ms
from lakehouse.tables.silver import QUOTES
from lakehouse.vendor import MICROS, MICROS_PER_TICK, decimals, instants

FEED = "lean"
SIDES = ("bid_price", "bid_size", "ask_price", "ask_size")
LINE = ("since_ms", *SIDES, "venue", "condition", "suspicious")
DAY_MS = 86_400_000
ORDER_BITS = 20
SCHEMA = arrow_schema(QUOTES)


@dataclass(frozen=True)
class QuoteFile:
    """One ticker's quotes of one exchange date."""

    path: Path
    ticker: str
    day: date


@dataclass(frozen=True)
class Quotes:
    """Rows of silver.quotes, and the lines that are none: neither or both sides, no size, a price that goes nowhere."""

    rows: pa.Table
    left_out: int


def quote_files(folder: Path, wanted: Wanted) -> list[QuoteFile]:
    """The files of an instrument's tickers and dates, each under the ticker it carried on that date."""
    found = []
    for path in sorted(path for one in wanted.tickers for path in (folder / "tick" / one.lower()).glob("*_quote.zip")):
        day, ticker = day_of_file(path, "quote"), path.parent.name.upper()
        if wanted.first <= day <= wanted.last and _carried(wanted, ticker, day):
            found.append(QuoteFile(path, ticker, day))
    if not found:
        places = " or ".join(f"tick/{one.lower()}/YYYYMMDD_quote.zip" for one in wanted.tickers)
        raise SettingsError(
            f"{folder}: expected {places} between {wanted.first} and {wanted.last}, found no such file. Nothing was "
            f"loaded. Choose another range, or fetch the files of these tickers."
        )
    return found


def _carried(wanted: Wanted, ticker: str, day: date) -> bool:
    return any(
        row["ticker"] == ticker and row["valid_from"] <= day <= (row["valid_to"] or date.max) for row in wanted.listings
    )


def read_quotes(file: QuoteFile, instrument_id: str, sessions: SessionArrays, zone: str) -> Quotes:
    """One file as rows. Every line is a row or counted."""
    lines = _read_lines(file.path)
    since = lines["since_ms"].to_numpy()
    sides = {name: lines[name].to_numpy() for name in SIDES}
    bid = (sides["bid_price"] > 0) & (sides["bid_size"] > 0)
    ask = (sides["ask_price"] > 0) & (sides["ask_size"] > 0)
    silent = {"bid": (sides["bid_price"] == 0) & (sides["bid_size"] == 0)}
    silent["ask"] = (sides["ask_price"] == 0) & (sides["ask_size"] == 0)
    keep = ((bid & silent["ask"]) | (ask & silent["bid"])) & (since >= 0) & (since < DAY_MS)
    columns = _columns(file, lines, bid, ask, midnight_ms(file.day, zone) + since, sessions)
    columns["instrument_id"] = pa.array([instrument_id] * len(since))
    rows = pa.table({field.name: columns[field.name].cast(field.type) for field in SCHEMA}, SCHEMA)
    return Quotes(rows.filter(pa.array(keep)), int((~keep).sum()))


def _columns(
    file: QuoteFile, lines: pa.Table, bid: Any, ask: Any, at_ms: Longs, sessions: SessionArrays
) -> dict[str, pa.Array]:
    count = lines.num_rows
    numbers = pa.array(np.arange(1, count + 1)).cast(pa.string())
    prefix = f"{FEED}-{file.ticker.lower()}-{file.day:%Y%m%d}-"
    sides = {
        name: _where(bid if name.startswith("bid") else ask, lines[name].to_numpy() * (MICROS_PER_TICK if
                     name.endswith("price") else MICROS))
        for name in SIDES
    }  # fmt: skip
    return {
        "session_date": pa.array([file.day] * count, pa.date32()),
        "quote_id": pc.binary_join_element_wise(prefix, numbers, ""),
        "symbol": pa.array([file.ticker] * count),
        "feed": pa.array([FEED] * count),
        "venue": _texts(lines["venue"]),
        "quoted_at": instants(at_ms),
        "received_at": instants(at_ms),
        "session": _session_names(file.day, at_ms, sessions),
        **sides,
        "conditions": _conditions(lines),
        "ord": pa.array((at_ms << ORDER_BITS) + place_in_run(at_ms)),
    }


def _where(given: Any, micros: Longs) -> pa.Array:
    """Whole millionths as decimals, NULL where not given."""
    values = decimals(np.where(given, micros, 0), SCHEMA.field("bid_price").type)
    return pc.if_else(pa.array(given), values, pa.scalar(None, values.type))


def _texts(values: pa.ChunkedArray) -> pa.Array:
    texts = values.combine_chunks()
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _conditions(lines: pa.Table) -> pa.Array:
    said, suspicious = _texts(lines["condition"]), pc.not_equal(lines["suspicious"].combine_chunks(), 0)
    word = pc.if_else(suspicious, pa.scalar("suspicious"), pa.scalar(None, pa.string()))
    joined = pc.binary_join_element_wise(said, word, ",", null_handling="skip")
    return pc.if_else(pc.equal(joined, ""), pa.scalar(None, pa.string()), joined)


def _session_names(day: date, at_ms: Longs, sessions: SessionArrays) -> pa.Array:
    """pre, regular, post or none for each instant of one date."""
    found = np.full(len(at_ms), "none", object)
    mine = sessions.session_day == day_number(day)
    names = {code: name for name, code in SESSION_CODES.items()}
    for code, opens, closes in zip(
        sessions.session[mine], sessions.opens_ms[mine], sessions.closes_ms[mine], strict=True
    ):
        found[(at_ms >= opens) & (at_ms < closes)] = names[int(code)]
    return pa.array(found, pa.string())


def place_in_run(values: Longs) -> Longs:
    """The place of each value among equal neighbours, from 0: the order of lines within one millisecond."""
    if not len(values):
        return np.zeros(0, np.int64)
    begins = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    lengths = np.diff(np.r_[begins, len(values)])
    return np.arange(len(values)) - np.repeat(begins, lengths)


def _read_lines(path: Path) -> pa.Table:
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            text = archive.read(name)
        kinds = {one: pa.string() if one in ("venue", "condition") else pa.int64() for one in LINE}
        return csv.read_csv(
            io.BytesIO(text), read_options=csv.ReadOptions(column_names=list(LINE)),
            convert_options=csv.ConvertOptions(column_types=kinds, strings_can_be_null=False),
        )  # fmt: skip
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SettingsError(
            f"{path}: expected a zip with one CSV file of ms, bid, size, ask, size, exchange, condition, suspicious, "
            f"found: {error}. Nothing of this file was loaded. Restore it from its source."
        ) from error


def held_days(lake: Lake, instrument_id: str) -> set[date]:
    """The exchange dates of which silver.quotes holds this feed's quotes of an instrument."""
    mine = lake.read(QUOTES).where((F.col("instrument_id") == instrument_id) & (F.col("feed") == FEED))
    return {row[0] for row in mine.select("session_date").distinct().collect()}


def append_quotes(lake: Lake, file: QuoteFile, quotes: Quotes) -> None:
    """Append a file's rows, once: Delta leaves out a transaction whose name it has seen."""
    name = {"txnAppId": f"load_quotes:{FEED}:{file.ticker}:{file.day}", "txnVersion": "0"}
    lake.append(QUOTES, frame_of(lake.spark, quotes.rows, QUOTES.schema), **name)
