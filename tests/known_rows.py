"""Filings, facts, figures, opinions and measures of X-1, and bars around them: for views of what was known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from lakehouse.tables import Table
from lakehouse.tables.filings import FACTS, FILINGS
from lakehouse.tables.fundamentals import FIGURES, FUNDAMENTALS
from lakehouse.tables.silver import OPINIONS
from tests.view_rows import bar, listing

Row = dict[str, Any]
CIK = 7


def at(day: int, hour: int = 21) -> datetime:
    """An instant of December 2015: the evening of a day, after the close, where no hour is given."""
    return datetime(2015, 12, day, hour, tzinfo=UTC)


def a_row(table: Table, **values: Any) -> Row:
    company = {"cik": CIK} if "cik" in table.column_names else {}
    return dict.fromkeys(table.column_names) | company | values


def a_filing(accession: str, form: str, known: datetime) -> Row:
    return a_row(
        FILINGS, accession=accession, form=form, filed_date=known.date(), known_from=known, known_basis="hours",
        is_amendment=form.endswith("/A"), fetched_at=at(31), content_hash=1,
    )  # fmt: skip


def a_fact(accession: str, value: float, known: datetime, until: datetime | None) -> Row:
    return a_row(
        FACTS, concept="us-gaap:Assets", unit="USD", period_end=date(2015, 9, 30), days=0, accession=accession,
        value=value, form="10-Q", filed_date=known.date(), origin="companyfacts", known_from=known, known_basis="hours",
        known_to=until, fetched_at=at(31), content_hash=1,
    )  # fmt: skip


def a_figure(name: str, value: float | None, known: datetime) -> Row:
    answer = {"value": value, "method": "reported"} if value is not None else {"reason": "conflict"}
    return a_row(
        FIGURES, name=name, span="ttm", period_end=date(2015, 9, 30), unit="USD", known_from=known, operands="[]",
        basis="b", **answer,
    )  # fmt: skip


def an_opinion(kind: str, period: date, measure: str, value: float, known: datetime) -> Row:
    return a_row(
        OPINIONS, opinion_id=f"X/{kind}/{period}/{measure}/{known.isoformat()}", source="test", symbol="X", kind=kind,
        period=period, measure=measure, value=value, known_from=known, known_basis="stated", fetched_at=known,
        revised_at=known, document_hash="h",
    )  # fmt: skip


def a_session(day: int, close: float, pe: float | None) -> Row:
    known = at(day, 20) if pe is not None else None
    return a_row(
        FUNDAMENTALS, instrument_id="X-1", session_date=date(2015, 12, day), symbol="X", as_of=at(day, 21), close=close,
        pe=pe, pe_known_from=known, basis="b",
    )  # fmt: skip


def a_bar(start: datetime, minutes: int, interval: str) -> Row:
    return bar(start, minutes, 10.0, interval=interval, bar_end=start + timedelta(minutes=minutes))


# Two filings and two versions of a fact become known at one instant; an older month is told of anew.
FILED = [
    a_filing("a-1", "10-K", at(1)), a_filing("a-2", "10-Q", at(9)), a_filing("a-3", "8-K", at(9)),
    a_filing("a-4", "10-K/A", at(21)), a_filing("a-5", "10-Q", at(23)),
]  # fmt: skip
STATED = [
    a_fact("a-1", 1.0, at(1), at(9)), a_fact("a-2", 2.0, at(9), at(9)), a_fact("a-3", 3.0, at(9), at(23)),
    a_fact("a-5", 4.0, at(23), None),
]  # fmt: skip
DERIVED = [
    a_figure("revenue", 1.0, at(1)), a_figure("revenue", 3.0, at(9)), a_figure("revenue", None, at(23)),
    a_figure("net_income", 2.0, at(9)),
]  # fmt: skip
NOVEMBER, DECEMBER = date(2015, 11, 1), date(2015, 12, 1)
SAID = [
    an_opinion("recommendation", NOVEMBER, "buy", 3.0, at(1)),
    an_opinion("recommendation", NOVEMBER, "sell", 1.0, at(1)),
    an_opinion("recommendation", DECEMBER, "strong_buy", 5.0, at(9)),
    an_opinion("recommendation", DECEMBER, "hold", 2.0, at(9)),
    an_opinion("recommendation", NOVEMBER, "buy", 9.0, at(21)),
    an_opinion("recommendation", DECEMBER, "hold", 0.0, at(23)),
    an_opinion("price_target", DECEMBER, "target_mean", 12.0, at(2)),
    an_opinion("price_target", DECEMBER, "target_mean", 14.0, at(22)),
]
MEASURED = [a_session(9, 10.0, 20.0), a_session(10, 11.0, None), a_session(23, 12.0, 22.0)]
TRADED = [
    a_bar(at(8, 15), 360, "1d"), a_bar(at(9, 15), 360, "1d"), a_bar(at(10, 15), 1, "1m"), a_bar(at(10, 21), 1, "1m"),
    a_bar(at(22, 15), 360, "1d"), a_bar(at(23, 15), 360, "1d"), a_bar(at(24, 15), 60, "1h"),
]  # fmt: skip


def listed() -> Row:
    """X-1 with the company that files for it."""
    return {**listing(), "cik": CIK, "valid_from": date(2015, 1, 2)}


def known_rows() -> list[tuple[Table, list[Row]]]:
    """Rows by the table they belong to; bars and the listing are not among them."""
    return [(FILINGS, FILED), (FACTS, STATED), (FIGURES, DERIVED), (OPINIONS, SAID), (FUNDAMENTALS, MEASURED)]
