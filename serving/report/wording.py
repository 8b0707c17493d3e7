"""How numbers, instants and counts are written for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from serving.report.html import clean
from serving.report.lake import Row
from serving.report.lines import number


def price(value: Any) -> str:
    """USD with two decimals, six where it is a fraction of a dollar or a cent is not enough; nothing for none."""
    found = number(value)
    if found is None:
        return ""
    return f"{found:,.2f}" if abs(found - round(found, 2)) < 1e-9 else f"{found:,.6f}".rstrip("0")


def count(value: Any) -> str:
    """A whole number, '' for 0 and none."""
    return f"{value:,}" if value else ""


def shares(value: Any) -> str:
    """Shares, whole."""
    return "" if value is None else f"{value:,.0f}"


def change(row: Row) -> str:
    """The way from open to close in percent."""
    return f"{(row['close'] / row['open'] - 1) * 100:+.2f} %" if row["open"] and row["close"] else ""


def clock(instant: datetime | None, zone: ZoneInfo) -> str:
    """The time of day by the exchange's clock."""
    return "" if instant is None else f"{instant.astimezone(zone):%H:%M:%S}"


def counted(number_of: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def by_count(rows: Iterable[Row], name: str, most: int = 4) -> str:
    """The largest counts by name, and how many names more there are."""
    known = list(rows)
    told = [f"{clean(row[name])}: {row['rows']:,}" for row in known[:most]]
    return ", ".join([*told, *([f"{len(known) - most} more"] if len(known) > most else [])])


def shown_of(shown: Sequence[Any], of_all: int, which: str) -> str:
    """What a caption says where a table holds a part only."""
    return f", {len(shown):,} of {of_all:,} shown: {which}" if of_all > len(shown) else ""
