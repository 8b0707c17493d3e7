"""The seeded market as files: bronze records and silver rows in Parquet, made once and kept by their parameters."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.market import BAD_PRINT, CUT, EXCHANGE, Longs, Market, Slice, slices
from lakehouse.arrow_frames import ARROW_TYPES
from lakehouse.tables import Table
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS, TRADES

CACHE = Path(".work/bench")
ADDS = "adds.json"
STREAM, SHARD, FEED = "bench", "0", "sim"
SEQUENCE_DIGITS = 21
CUT_AT = 120
LINES_PER_FILE = 20_000  # DuckDB 1.5 loses the line across the end of a buffer (32 MB) when it may ignore errors
MILLION = 1_000_000
TOP_CENTS = 50_000
PRICE_TEXTS = pa.array([f"{cents / 100:.2f}".rstrip("0").rstrip(".") for cents in range(TOP_CENTS)] + ["-1", "null"])
NEGATIVE, MISSING = TOP_CENTS, TOP_CENTS + 1

Build = Callable[[Market, Slice], pa.Table]


def bronze_files(market: Market) -> Path:
    """The folder of the market's bronze records, in order of arrival, one file a slice."""
    return _cached(market, "bronze", MARKET_EVENTS, records_of, _bronze_rows)


def silver_files(market: Market) -> Path:
    """The folder of the market's good prints, each once, in order of arrival, one file a slice."""
    return _cached(market, "silver", TRADES, prints_of, _silver_rows)


def line_files(market: Market) -> Path:
    """The bronze payloads as JSON Lines, for readers of files."""
    source, folder = bronze_files(market), CACHE / "data" / market.key / "lines"
    if not folder.exists():
        draft = _draft(folder)
        for file in sorted(source.glob("*.parquet")):
            lines = pq.read_table(file, columns=["payload"])["payload"].to_pylist()
            for at in range(0, len(lines), LINES_PER_FILE):
                part = b"\n".join(lines[at : at + LINES_PER_FILE]) + b"\n"
                (draft / f"{file.stem}-{at:06d}.jsonl").write_bytes(part)
        draft.rename(folder)
    return folder


def strict_schema(table: Table) -> pa.Schema:
    """The declared columns as Arrow fields, with what may not be NULL."""
    return pa.schema([pa.field(column.name, ARROW_TYPES[column.type], column.nullable) for column in table.columns])


def reference_rows(market: Market) -> list[tuple[Table, pa.Table]]:
    """What the market is judged against: its calendar and its listings."""
    sessions = {name: [row[name] for row in market.calendar] for name in SESSIONS.column_names}
    count = len(market.tickers)
    listed: dict[str, Any] = {name: [None] * count for name in INSTRUMENTS.column_names} | {
        "instrument_id": [f"I-{ticker}" for ticker in market.tickers], "ticker": market.tickers,
        "valid_from": [market.session_dates[0].replace(year=2000)] * count,
        "exchange": [EXCHANGE] * count, "currency": ["USD"] * count,
        "origin": ["benchmark"] * count, "sequence": [1] * count,
    }  # fmt: skip
    return [
        (SESSIONS, pa.table(sessions, strict_schema(SESSIONS))),
        (INSTRUMENTS, pa.table(listed, strict_schema(INSTRUMENTS))),
    ]


def _cached(market: Market, name: str, table: Table, build: Build, finish: Callable[[pa.Table, int], pa.Table]) -> Path:
    folder = CACHE / "data" / market.key / name
    if not folder.exists():
        draft, done, adds = _draft(folder), 0, []
        for number, rows in enumerate(_in_order_of_arrival(market, build)):
            finished, file = finish(rows, done).cast(strict_schema(table)), draft / f"part-{number:05d}.parquet"
            pq.write_table(finished, file, store_decimal_as_integer=True)
            adds.append({"path": file.name, "size": file.stat().st_size, "stats": statistics_of(table, finished)})
            done += finished.num_rows
        (draft / ADDS).write_text(json.dumps(adds), encoding="utf-8")
        draft.rename(folder)
    return folder


def statistics_of(table: Table, rows: pa.Table) -> dict[str, Any]:
    """What Delta would note of a file: rows, and the range of the columns the declaration wants ranges of."""
    ranges = {
        name: pc.min_max(rows[name]).as_py() for name in table.properties["delta.dataSkippingStatsColumns"].split(",")
    }
    return {
        "numRecords": rows.num_rows,
        "minValues": {name: _plain(found["min"]) for name, found in ranges.items()},
        "maxValues": {name: _plain(found["max"]) for name, found in ranges.items()},
        "nullCount": dict.fromkeys(ranges, 0),
    }


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return value.isoformat() if isinstance(value, date) else value


def _draft(folder: Path) -> Path:
    draft = folder.with_name(f"{folder.name}.draft-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    return draft


def _in_order_of_arrival(market: Market, build: Build) -> Iterator[pa.Table]:
    """Rows slice by slice; what arrives after the end of its slice is carried into the next."""
    carried: pa.Table | None = None
    for one in slices(market):
        rows = build(market, one)
        rows = pa.concat_tables([carried, rows]) if carried is not None else rows
        rows = rows.sort_by([("arrived", "ascending"), ("record", "ascending"), ("position", "ascending")])
        now = pc.less(rows["arrived"], one.end_ms)
        carried = rows.filter(pc.invert(now))
        yield rows.filter(now)
    if carried is not None and carried.num_rows:
        yield carried


def records_of(market: Market, one: Slice) -> pa.Table:
    """The records of a slice, second copies included; `position` tells the copies apart."""
    payload = payloads(market, one)
    base, twice = one.number * market.per_slice, np.flatnonzero(one.resent_after >= 0)
    every = np.concatenate([np.arange(len(one.symbol)), twice])
    copies = np.concatenate([np.zeros(len(one.symbol), np.int64), np.ones(len(twice), np.int64)])
    arrived = one.arrived[every] + np.where(copies == 1, one.resent_after[every], 0)
    symbols = pa.array(market.tickers).take(pa.array(one.symbol[every]))
    return pa.table(
        {
            "arrived": arrived, "record": base + every, "position": copies, "partition_key": symbols,
            "payload": payload.take(pa.array(every)).cast(pa.binary()),
        }
    )  # fmt: skip


def payloads(market: Market, one: Slice) -> pa.Array:
    """Each record of a slice in the wire format of streaming/wire.py."""
    price, shares, traded = _spoiled(one)
    heads = pa.array([f'{{"s":"{ticker}","p":' for ticker in market.tickers])
    texts = pc.binary_join_element_wise(
        heads.take(pa.array(one.symbol[one.record_of])), PRICE_TEXTS.take(pa.array(price)),
        ',"t":', _text(traded), ',"v":', _text(shares), ',"c":["@"],"x":"Q","id":"', _trade_ids(market, one),
        '","seq":', _text(one.seq), ',"received_at":', _text(one.received), "}", "",
    )  # fmt: skip
    bodies = pc.binary_join(pa.ListArray.from_arrays(pa.array(one.first, pa.int32()), texts), ",")
    whole = pc.binary_join_element_wise(f'{{"type":"trade","feed":"{FEED}","data":[', bodies, "]}", "")
    return pc.if_else(pa.array(one.fault == CUT), pc.utf8_slice_codeunits(whole, 0, CUT_AT), whole)


def _spoiled(one: Slice) -> tuple[Longs, Longs, Longs]:
    """Prices, sizes and times as sent: the first print of a spoiled record has one wrong field, four kinds in turn."""
    price, shares, traded = one.cents.copy(), one.shares.copy(), one.traded.copy()
    spoiled = np.flatnonzero(one.fault == BAD_PRINT)
    for kind, (values, wrong) in enumerate(((price, NEGATIVE), (shares, 0), (traded, None), (price, MISSING))):
        at = one.first[spoiled[kind::4]]
        values[at] = values[at] // 1000 if wrong is None else wrong
    return price, shares, traded


def prints_of(market: Market, one: Slice) -> pa.Table:
    """The good prints of a slice, each once, as rows of silver.trades but for the reference to their record."""
    record = one.record_of
    place = np.arange(len(record))
    bad = (one.fault[record] == BAD_PRINT) & (place == one.first[record])
    kept = np.flatnonzero((one.fault[record] != CUT) & ~bad)
    record = record[kept]
    symbols = pa.array(one.symbol[record])
    session_date = market.session_dates[one.number * market.days // max(_slice_count(market), 1)]
    return pa.table(
        {
            "arrived": one.arrived[record], "record": one.number * market.per_slice + record,
            "position": place[kept] - one.first[record], "session_date": pa.repeat(pa.scalar(session_date), len(kept)),
            "trade_id": _trade_ids(market, one).take(pa.array(kept)),
            "symbol": pa.array(market.tickers).take(symbols),
            "instrument_id": pa.array([f"I-{ticker}" for ticker in market.tickers]).take(symbols),
            "traded": one.traded[kept], "received": one.received[kept], "cents": one.cents[kept],
            "shares": one.shares[kept], "seq": one.seq[kept],
        }
    )  # fmt: skip


def _slice_count(market: Market) -> int:
    return market.days * max(1, -(-market.trades // market.days // market.per_slice))


def _trade_ids(market: Market, one: Slice) -> pa.Array:
    return pc.binary_join_element_wise("b", _text(one.number * market.per_slice + np.arange(len(one.cents))), "")


def _text(numbers: Longs) -> pa.Array:
    return pa.array(numbers).cast(pa.string())


def _bronze_rows(records: pa.Table, done: int) -> pa.Table:
    count = records.num_rows
    columns = {
        "stream": pa.repeat(STREAM, count), "shard": pa.repeat(SHARD, count),
        "sequence": pc.utf8_lpad(_text(done + np.arange(count)), SEQUENCE_DIGITS, "0"),
        "arrived_at": _instants(records["arrived"]), "partition_key": records["partition_key"],
        "payload": records["payload"],
    }  # fmt: skip
    return pa.table(columns)


def _silver_rows(prints: pa.Table, done: int) -> pa.Table:
    """The remaining columns. `bronze_ref` names a record by its number in the market; bronze order is unknown here."""
    count = prints.num_rows
    nothing = pa.nulls(count, pa.string())
    columns = {
        **{name: prints[name] for name in ("session_date", "trade_id", "symbol", "instrument_id", "position")},
        "kind": pa.repeat("trade", count), "ref_session_date": pa.nulls(count, pa.date32()), "ref_trade_id": nothing,
        "feed": pa.repeat(FEED, count), "venue": pa.repeat("Q", count), "traded_at": _instants(prints["traded"]),
        "received_at": _instants(prints["received"]), "session": pa.repeat("regular", count),
        "price": _decimals(prints["cents"], MILLION // 100), "size": _decimals(prints["shares"], MILLION),
        "conditions": pa.repeat("@", count), "eligibility": pa.repeat(pa.scalar(15, pa.int32()), count),
        "ord": pc.add(pc.shift_left(prints["traded"], 20), prints["seq"]),
        "batch": pa.repeat(pa.scalar(done // MILLION, pa.int64()), count),
        "bronze_ref": pc.binary_join_element_wise(f"{STREAM}/{SHARD}/r", prints["record"].cast(pa.string()), ""),
    }  # fmt: skip
    return pa.table({name: columns[name] for name in TRADES.column_names})


def _instants(milliseconds: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.multiply(milliseconds, 1000).cast(pa.timestamp("us", "UTC"))


def _decimals(numbers: pa.ChunkedArray, factor: int) -> pa.Array:
    """Whole numbers x factor millionths as DECIMAL(18,6)."""
    words = np.zeros((len(numbers), 2), np.int64)
    words[:, 0] = numbers.to_numpy() * factor
    return pa.Array.from_buffers(pa.decimal128(18, 6), len(words), [None, pa.py_buffer(words.tobytes())])
