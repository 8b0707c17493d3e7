"""Rows of silver.facts for tests: by hand, or from a companyfacts file as if known the day after filing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

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
    return table(
        fact(
            f"{taxonomy}:{tag}",
            date.fromisoformat(one["start"]) if "start" in one else None,
            date.fromisoformat(one["end"]),
            float(one["val"]),
            date.fromisoformat(one["filed"]),
            cik=contents["cik"],
            unit=unit,
            accession=one["accn"],
            form=one["form"],
        )
        for taxonomy, tags in contents["facts"].items()
        for tag, about in tags.items()
        for unit, facts in about["units"].items()
        for one in facts
    )


def answers(timeline: pa.Table, at: datetime | None = None) -> dict[tuple[str, str, date], dict[str, Any]]:
    """What a timeline says at an instant, or at its end: the newest row of each name, span and last day."""
    rows = sorted(timeline.to_pylist(), key=lambda row: row["known_from"])
    return {(row["name"], row["span"], row["period_end"]): row for row in rows if at is None or row["known_from"] <= at}
