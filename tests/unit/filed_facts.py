"""Rows of silver.facts for tests: by hand, or from a companyfacts file as if known the day after filing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        ("cik", pa.int64()),
        ("concept", pa.string()),
        ("unit", pa.string()),
        ("period_start", pa.date32()),
        ("period_end", pa.date32()),
        ("days", pa.int32()),
        ("accession", pa.string()),
        ("value", pa.float64()),
        ("form", pa.string()),
        ("filed_date", pa.date32()),
        ("fiscal_year", pa.int32()),
        ("fiscal_period", pa.string()),
        ("origin", pa.string()),
        ("known_from", pa.timestamp("us", "UTC")),
        ("known_basis", pa.string()),
        ("known_to", pa.timestamp("us", "UTC")),
        ("fetched_at", pa.timestamp("us", "UTC")),
    ]
)
DAYS = ("start", "end", "filed")
FETCHED_AT = datetime(2026, 6, 1, tzinfo=UTC)


def known_after(filed: date) -> datetime:
    """The midnight (UTC) after a filing's day."""
    return datetime(filed.year, filed.month, filed.day, tzinfo=UTC) + timedelta(days=1)


def fact(concept: str, start: date | None, end: date, value: float, filed: date, **others: Any) -> dict[str, Any]:
    """One row of silver.facts; an accession is made up from the filing's day where none is given."""
    return {
        "cik": 1,
        "concept": concept,
        "unit": "USD",
        "period_start": start,
        "period_end": end,
        "days": 0 if start is None else (end - start).days + 1,
        "accession": f"0000000001-{filed:%y-%m%d}01",
        "value": value,
        "form": "10-Q",
        "filed_date": filed,
        "origin": "companyfacts",
        "known_from": known_after(filed),
        "known_basis": "test",
        "fetched_at": FETCHED_AT,
        **others,
    }


def table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows of silver.facts as a table."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def companyfacts(path: Path) -> pa.Table:
    """Every fact of a companyfacts file as rows of silver.facts."""
    contents = json.loads(gzip.decompress(path.read_bytes()))
    lines = [
        (f"{taxonomy}:{tag}", unit, one)
        for taxonomy, tags in contents["facts"].items()
        for tag, about in tags.items()
        for unit, facts in about["units"].items()
        for one in facts
    ]
    starts, ends, filed = (pa.array([one.get(day) for _, _, one in lines]).cast(pa.date32()) for day in DAYS)
    counted = pc.add(pc.subtract(ends.cast(pa.int32()), starts.cast(pa.int32())), 1)
    columns = {
        "cik": pa.array([contents["cik"]] * len(lines)),
        "concept": [concept for concept, _, _ in lines],
        "unit": [unit for _, unit, _ in lines],
        "period_start": starts,
        "period_end": ends,
        "days": pc.fill_null(counted, 0),
        "accession": [one["accn"] for _, _, one in lines],
        "value": pa.array([float(one["val"]) for _, _, one in lines]),
        "form": [one["form"] for _, _, one in lines],
        "filed_date": filed,
        "origin": ["companyfacts"] * len(lines),
        "known_from": pc.add(filed.cast(pa.timestamp("us")), timedelta(days=1)).cast(pa.timestamp("us", "UTC")),
        "known_basis": ["test"] * len(lines),
    }
    arrays = [columns.get(field.name, pa.nulls(len(lines), field.type)) for field in SCHEMA]
    return pa.Table.from_arrays([pa.array(one) if isinstance(one, list) else one for one in arrays], schema=SCHEMA)


def answers(timeline: pa.Table, at: datetime | None = None) -> dict[tuple[str, str, date], dict[str, Any]]:
    """What a timeline says at an instant, or at its end: the newest row of each name, span and last day."""
    rows = sorted(timeline.to_pylist(), key=lambda row: row["known_from"])
    return {(row["name"], row["span"], row["period_end"]): row for row in rows if at is None or row["known_from"] <= at}
