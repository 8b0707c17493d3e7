"""Reference data of the harness: instruments, calendar and sale conditions, as the oracle's tables and as rows of
the lake.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import pyarrow as pa

from lakehouse.lake import Lake
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS
from tests.faults.oracle import Reference

NEW_YORK = ZoneInfo("America/New_York")
FIRST_DAY, LAST_DAY = date(2024, 10, 28), date(2024, 12, 6)
DST_FRIDAY, DST_MONDAY = date(2024, 11, 1), date(2024, 11, 4)  # clocks go back in between
HALF_DAY = date(2024, 11, 29)
LISTED = date(2010, 1, 1)
LISTINGS = (
    ("I-AAPL", "AAPL", LISTED, None),
    ("I-BRK", "BRK.B", LISTED, None),
    ("I-LONG", "ABCDEFGHIJKLMNO", LISTED, None),
    ("I-META", "FB", LISTED, date(2024, 10, 31)),
    ("I-META", "META", date(2024, 11, 1), None),  # one instrument, renamed
    ("I-NEWFB", "FB", date(2024, 11, 1), None),  # the old ticker, now another company's
    *((f"I-C{number:02d}", f"C{number:02d}", LISTED, None) for number in range(40)),  # one for each small story
)
ROLES = {"O": "opening", "6": "closing"}
MEANINGS = {"@": 15, "I": 12, "L": 14, "R": 13, "V": 11, "W": 4, "N": 0, "P": 7, "X": 8, "O": 15, "6": 15}
DIALECTS = {"sim": MEANINGS, "finnhub": {"1": 15, "12": 12}}
BIT_NAMES = {1: "moves_last", 2: "moves_range", 4: "counts_volume", 8: "counts_vwap"}


def calendar() -> list[dict[str, Any]]:
    """Sessions of the harness' weeks, straight from exchange_calendars: pre from 4:00, post until 20:00, 17:00 on
    half days.
    """
    schedule = exchange_calendars.get_calendar("XNYS", start="2024-10-01", end="2025-01-31").schedule
    rows = []
    for at, bell in schedule.iterrows():
        day = at.date()
        if not FIRST_DAY <= day <= LAST_DAY:
            continue
        opens, closes = bell["open"].to_pydatetime(), bell["close"].to_pydatetime()
        is_half = closes.astimezone(NEW_YORK).time() < time(16)
        first = datetime.combine(day, time(4), NEW_YORK).astimezone(UTC)
        last = datetime.combine(day, time(17 if is_half else 20), NEW_YORK).astimezone(UTC)
        for name, start, end in (("pre", first, opens), ("regular", opens, closes), ("post", closes, last)):
            rows.append(
                {"session_date": day, "session": name, "opens_at": start, "closes_at": end, "is_half_day": is_half}
            )
    return rows


def reference() -> Reference:
    """The oracle's view."""
    rows = calendar()
    instant = pa.timestamp("us", "UTC")
    conditions = [
        (feed, code, bits, ROLES.get(code, "")) for feed, codes in DIALECTS.items() for code, bits in codes.items()
    ]
    return Reference(
        listings=pa.table(
            dict(
                zip(
                    ("instrument_id", "ticker", "valid_from", "valid_to"),
                    map(list, zip(*LISTINGS, strict=True)),
                    strict=True,
                )
            ),
            schema=pa.schema(
                [
                    ("instrument_id", pa.string()),
                    ("ticker", pa.string()),
                    ("valid_from", pa.date32()),
                    ("valid_to", pa.date32()),
                ]
            ),
        ),
        sessions=pa.table(
            {
                "session_date": pa.array([row["session_date"] for row in rows]),
                "session": [row["session"] for row in rows],
                "opens_at": pa.array([row["opens_at"] for row in rows], instant),
                "closes_at": pa.array([row["closes_at"] for row in rows], instant),
            }
        ),
        conditions=pa.table(
            dict(zip(("feed", "code", "bits", "role"), map(list, zip(*conditions, strict=True)), strict=True))
        ),
        feeds=pa.table({"feed": list(DIALECTS)}),
    )


def write_dialects(path: Path) -> None:
    """The sale conditions as the file that settings name. JSON is YAML."""
    dialects = {
        feed: {
            "about": "fault harness",
            "rules": [
                {"match": code, "name": f"bits {bits}", "role": ROLES.get(code)}
                | {name: bool(bits & bit) for bit, name in BIT_NAMES.items()}
                for code, bits in codes.items()
            ],
        }
        for feed, codes in DIALECTS.items()
    }
    path.write_text(json.dumps({"version": 1, "dialects": dialects}))


def load_reference(lake: Lake) -> None:
    """Fill silver.sessions and silver.instruments of an empty lake."""
    sessions = [{"exchange": "XNYS", "sequence": 1, **row} for row in calendar()]
    lake.append(SESSIONS, lake.spark.createDataFrame(sessions, SESSIONS.schema))
    listed = [
        (one, ticker, first, last, "XNYS", "USD", None, None, None, "harness", 1, None, None, None)
        for one, ticker, first, last in LISTINGS
    ]
    lake.append(INSTRUMENTS, lake.spark.createDataFrame(listed, INSTRUMENTS.schema))
