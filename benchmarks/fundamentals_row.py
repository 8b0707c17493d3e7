"""Row j: facts of a hundred companies to figures and measures over ten years of sessions, and then one more session."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.data import strict_schema
from benchmarks.harness import FAILED, Result, Run, Trial, begun, limit
from benchmarks.hosts import HOUSE, Place
from benchmarks.lakes import fresh_settings
from benchmarks.processes import measured
from lakehouse.arrow_frames import frame_of
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.shapes import FILINGS as FILINGS_SHAPE
from lakehouse.filings.versions import versions_of
from lakehouse.fundamentals.build import build
from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.lake import Lake
from lakehouse.reference.calendar import sessions_for
from lakehouse.reference.load import reference_frame
from lakehouse.settings import CONF
from lakehouse.tables.filings import COMPANIES, FACTS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import INSTRUMENTS, SESSIONS

SHARED = Path(os.environ.get("TICKHOUSE_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
TITLE = "facts to silver.figures and gold.fundamentals"
NOTE = (
    "The facts of the three companies whose files are there, repeated under other filer numbers, and a random daily "
    "close of each session. The first build makes everything; then one session is added, and the second makes that."
)
WHOLE_SECONDS, DAY_SECONDS = 300.0, 30.0
EXCHANGE, LAST, NOW = "XNYS", date(2025, 12, 31), datetime(2026, 1, 5, tzinfo=UTC)
FIRST_CIK = 9_000_001
DAY_US = 86_400_000_000


def trial(*, companies: int, years: int) -> Trial:
    """The row on so many companies and years of sessions."""

    def run(call: Run) -> Result:
        result = begun("j", TITLE, NOTE)
        try:
            found = call(HOUSE, "benchmarks.fundamentals_row:derive", {"companies": companies, "years": years})
        except Exception as error:  # noqa: BLE001 - a row that fails is a result, the other rows still run
            result.status, result.detail = FAILED, [str(error)]
            return result
        what = f"{companies} companies, {found['facts']:,} facts, {found['sessions']:,} sessions each"
        result.verdicts = [
            limit(f"everything: {what}", found["whole"]["wall"], WHOLE_SECONDS, WHOLE_SECONDS, " s"),
            limit("one more session", found["day"]["wall"], DAY_SECONDS, DAY_SECONDS, " s"),
        ]
        result.detail.append(
            f"CPU {found['whole']['cpu']:.0f} s and {found['day']['cpu']:.0f} s; {found['rows']:,} rows of "
            f"gold.fundamentals, {found['figures']:,} of silver.figures"
        )
        return result

    return Trial("j", TITLE, run)


def derive(place: Place, *, companies: int, years: int) -> dict[str, Any]:
    """Everything, then one more session."""
    settings = fresh_settings(place, "fundamentals")
    lake = Lake(place.spark, settings.paths.warehouse)
    lake.create_all()
    days = _reference(lake, companies, years)
    facts = sum(_state(lake, part) for part in _facts(companies))
    _trade(lake, companies, days[:-1])
    concepts = load_concepts(CONF / "concepts.yaml")
    with measured() as whole:
        told = build(lake, concepts, EXCHANGE)
    _trade(lake, companies, days[-1:])
    with measured() as day:
        after = build(lake, concepts, EXCHANGE)
    if (told.companies, after.companies, after.sessions) != (companies, 0, companies * len(days)):
        raise RuntimeError(
            f"expected {companies * len(days)} rows of {companies} companies, found {told}, then {after}"
        )
    shutil.rmtree(settings.paths.warehouse)
    times = {name: {"wall": one.wall, "cpu": one.cpu} for name, one in (("whole", whole), ("day", day))}
    return {**times, "facts": facts, "sessions": len(days), "rows": after.sessions, "figures": after.figures}


def _facts(companies: int) -> Iterator[pa.Table]:
    """The versions of each company's facts."""
    files = sorted((SHARED / "sec" / "companyfacts").glob("CIK*.json.gz"))
    if not files:
        raise RuntimeError(f"no company facts below {SHARED}/sec/companyfacts; set TICKHOUSE_SHARED_DATA")
    read = [facts_of(gzip.decompress(file.read_bytes()), fetched_at=NOW).rows for file in files]
    for number in range(companies):
        rows = read[number % len(read)]
        at = rows.schema.get_field_index("cik")
        rows = rows.set_column(at, "cik", pa.repeat(pa.scalar(FIRST_CIK + number, pa.int64()), rows.num_rows))
        yield versions_of(rows, FILINGS_SHAPE.empty_table())


def _state(lake: Lake, facts: pa.Table) -> int:
    lake.append(FACTS, frame_of(lake.spark, facts.select(list(FACTS.column_names)), FACTS.schema))
    return int(facts.num_rows)


def _reference(lake: Lake, companies: int, years: int) -> list[date]:
    """Calendar, listings and companies; the days on which there are sessions."""
    calendar = sessions_for(EXCHANGE, LAST.replace(year=LAST.year - years), LAST)
    listings = [
        dict.fromkeys(INSTRUMENTS.column_names)
        | {"instrument_id": _name(number), "ticker": _name(number), "valid_from": date(2000, 1, 3),
           "exchange": EXCHANGE, "currency": "USD", "cik": FIRST_CIK + number, "origin": "benchmark", "sequence": 1}
        for number in range(companies)
    ]  # fmt: skip
    filers = [
        dict.fromkeys(COMPANIES.column_names)
        | {"cik": FIRST_CIK + number, "sic": "3571", "documents": "d", "refused": 0, "refusals": "[]", "built_at": NOW}
        for number in range(companies)
    ]
    for table, rows in ((SESSIONS, calendar), (INSTRUMENTS, listings)):
        lake.append(table, reference_frame(lake.spark, table, rows))
    lake.append(COMPANIES, lake.spark.createDataFrame(filers, COMPANIES.schema))
    return sorted({row["session_date"] for row in calendar})


def _name(number: int) -> str:
    return f"B{number:03d}"


def _trade(lake: Lake, companies: int, days: list[date]) -> None:
    """Daily bars of every company, of which only the close means something."""
    dice, count = np.random.default_rng(len(days)), companies * len(days)
    schema = strict_schema(BARS)
    names = pa.array([_name(number) for number in range(companies) for _ in days])
    dates = pa.array(days * companies, pa.date32())
    start = dates.cast(pa.timestamp("us", "UTC"))
    end = pc.add(start, pa.scalar(DAY_US, pa.duration("us")))
    close = pa.array(np.round(50 + dice.random(count) * 100, 2)).cast(schema.field("close").type)
    given: dict[str, Any] = {
        "instrument_id": names, "symbol": names, "session_date": dates, "bar_start": start, "bar_end": end,
        "final_at": end, "updated_at": end, "close": close,
    }  # fmt: skip
    same = {"interval": "1d", "session": "regular", "source": "vendor"}
    columns = [
        given[field.name] if field.name in given
        else pa.repeat(pa.scalar(same[field.name]), count) if field.name in same
        else pa.array(np.ones(count)).cast(field.type) if pa.types.is_decimal(field.type)
        else pa.array(np.zeros(count, np.int64)).cast(field.type) if pa.types.is_integer(field.type)
        else pa.nulls(count, field.type)
        for field in schema
    ]  # fmt: skip
    lake.append(BARS, frame_of(lake.spark, pa.Table.from_arrays(columns, schema=schema), BARS.schema))
