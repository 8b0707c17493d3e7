"""Facts and daily bars become silver.figures and gold.fundamentals, as known at each close."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from lakehouse.arrow_frames import frame_of
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.shapes import FILINGS as FILINGS_SHAPE
from lakehouse.filings.versions import versions_of
from lakehouse.fundamentals import build as module
from lakehouse.fundamentals.build import build
from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.lake import Lake
from lakehouse.reference.calendar import sessions_for
from lakehouse.reference.load import reference_frame
from lakehouse.settings import CONF
from lakehouse.tables.filings import COMPANIES, FACTS
from lakehouse.tables.fundamentals import FIGURES, FUNDAMENTALS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, OPINIONS, SESSIONS
from tests.faults.pipeline import Crash

pytestmark = pytest.mark.itest

APPLE, FIRST, LAST = 320193, date(2009, 10, 19), date(2010, 2, 5)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
CUT = datetime(2009, 12, 1, tzinfo=UTC)
CONCEPTS = load_concepts(CONF / "concepts.yaml")


@pytest.fixture(scope="module")
def facts(shared_data: Path) -> pa.Table:
    """What Apple had stated until 2012, known from the end of the day of each filing."""
    body = gzip.decompress((shared_data / "sec" / "companyfacts" / f"CIK{APPLE:010d}.json.gz").read_bytes())
    read = facts_of(body, fetched_at=NOW).rows
    return versions_of(read.filter(pc.field("filed_date") < date(2012, 1, 1)), FILINGS_SHAPE.empty_table())


def days() -> list[date]:
    return sorted({row["session_date"] for row in sessions_for("XNYS", FIRST, LAST)})


def a_bar(day: date, close: float) -> dict[str, Any]:
    """A daily bar of Apple."""
    start = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
    amount, zeros = Decimal(str(close)), ("late_prints", "cancelled_prints", "corrected_prints", "revision")
    return {
        **dict.fromkeys(BARS.column_names), **dict.fromkeys(("open", "high", "low", "close"), amount),
        **dict.fromkeys(zeros, 0), "instrument_id": "I-AAPL", "interval": "1d", "bar_start": start,
        "bar_end": start + timedelta(hours=6.5), "session_date": day, "session": "regular", "symbol": "AAPL",
        "volume": amount, "notional": amount, "vwap_volume": amount, "trades": 1, "first_volume": amount,
        "first_trades": 1, "final_at": start, "source": "built", "updated_at": start,
    }  # fmt: skip


def list_apple(lake: Lake, facts: pa.Table) -> None:
    """Apple is listed and has filed."""
    apple = dict.fromkeys(INSTRUMENTS.column_names) | {
        "instrument_id": "I-AAPL", "ticker": "AAPL", "valid_from": date(2000, 1, 3), "exchange": "XNYS",
        "currency": "USD", "cik": APPLE, "origin": "test", "sequence": 1,
    }  # fmt: skip
    lake.append(INSTRUMENTS, reference_frame(lake.spark, INSTRUMENTS, [apple]))
    lake.append(SESSIONS, reference_frame(lake.spark, SESSIONS, sessions_for("XNYS", FIRST, LAST)))
    company = dict.fromkeys(COMPANIES.column_names) | {
        "cik": APPLE, "sic": "3571", "documents": "d1", "refused": 0, "refusals": "[]", "built_at": NOW
    }  # fmt: skip
    lake.append(COMPANIES, lake.spark.createDataFrame([company], COMPANIES.schema))
    state(lake, facts)


def state(lake: Lake, facts: pa.Table) -> None:
    lake.append(FACTS, frame_of(lake.spark, facts.select(list(FACTS.column_names)), FACTS.schema))


def trade(lake: Lake, on: list[date]) -> None:
    bars = [a_bar(day, 190.0 + day.day) for day in on]
    lake.append(BARS, lake.spark.createDataFrame(bars, BARS.schema))


def rows_of(lake: Lake) -> dict[date, dict[str, Any]]:
    rows = lake.read(FUNDAMENTALS).collect()
    found = {row["session_date"]: row.asDict() for row in rows}
    assert len(found) == len(rows)
    return found


def test_earnings_are_those_that_were_known_at_the_close(lake: Lake, facts: pa.Table) -> None:
    list_apple(lake, facts)
    trade(lake, days())

    told = build(lake, CONCEPTS, "XNYS")

    rows = rows_of(lake)
    assert told.sessions == len(rows) == len(days())
    assert {row["symbol"] for row in rows.values()} == {"AAPL"}
    before, after, restated = (rows[one] for one in (date(2009, 10, 26), date(2009, 10, 28), date(2010, 1, 27)))
    assert before["eps"] is None
    assert after["eps"] == pytest.approx(6.29)
    assert after["pe"] == pytest.approx(after["close"] / 6.29)
    assert restated["eps"] > 9
    for row in rows.values():
        known = [value for name, value in row.items() if name.endswith("_known_from") and value]
        assert all(one <= row["as_of"] for one in known)
        reasons = json.loads(row["reasons"])
        assert all((row[name] is None) == (name in reasons) for name in ("pe", "ps", "roe", "altman_z", "consensus"))


def test_new_sessions_are_added_and_what_becomes_known_later_changes_nothing_before_it(
    lake: Lake, facts: pa.Table
) -> None:
    list_apple(lake, facts.filter(pc.field("known_from") <= pa.scalar(CUT)))
    trade(lake, days()[:20])
    build(lake, CONCEPTS, "XNYS")
    early = rows_of(lake)

    trade(lake, days()[20:])
    assert build(lake, CONCEPTS, "XNYS").companies == 0
    longer = rows_of(lake)
    lake.delta(FACTS).delete()
    state(lake, facts)
    lake.delta(COMPANIES).update(set={"documents": "'d2'"})
    assert build(lake, CONCEPTS, "XNYS").companies == 1
    whole = rows_of(lake)

    assert len(early) == 20
    assert {day: longer[day] for day in early} == early
    before = [day for day in days() if day < CUT.date()]
    assert [whole[day] | {"basis": "d1"} for day in before] == [longer[day] | {"basis": "d1"} for day in before]
    assert whole.keys() == longer.keys() == set(days())
    assert whole[date(2010, 1, 27)]["eps"] != longer[date(2010, 1, 27)]["eps"]


def test_a_split_brings_earlier_earnings_to_the_shares_of_the_session(lake: Lake, facts: pa.Table) -> None:
    list_apple(lake, facts)
    trade(lake, days()[:30])
    action = dict.fromkeys(CORPORATE_ACTIONS.column_names) | {
        "instrument_id": "I-AAPL", "action": "split", "effective_date": date(2009, 11, 9), "ratio": Decimal(7),
        "known_from": datetime(2009, 11, 1, tzinfo=UTC), "origin": "test", "sequence": 1,
    }  # fmt: skip
    lake.append(CORPORATE_ACTIONS, lake.spark.createDataFrame([action], CORPORATE_ACTIONS.schema))

    build(lake, CONCEPTS, "XNYS")

    rows = rows_of(lake)
    assert rows[date(2009, 11, 6)]["eps"] == pytest.approx(6.29)
    assert rows[date(2009, 11, 9)]["eps"] == pytest.approx(6.29 / 7)
    assert lake.read(FIGURES).where("name = 'eps_diluted' AND value IS NOT NULL").count() > 0


def an_opinion(known: datetime, strong_buy: float) -> dict[str, Any]:
    """So many analysts say strong buy of whatever is called AAPL then."""
    return {
        **dict.fromkeys(OPINIONS.column_names), "opinion_id": str(known), "source": "test", "symbol": "AAPL",
        "kind": "recommendation", "period": known.date(), "measure": "strong_buy", "value": strong_buy,
        "known_from": known, "known_basis": "stated", "fetched_at": NOW, "revised_at": NOW, "document_hash": "h",
    }  # fmt: skip


def test_a_ticker_that_changes_hands_splices_neither_figures_nor_opinions(lake: Lake, facts: pa.Table) -> None:
    list_apple(lake, facts)
    lake.delta(INSTRUMENTS).update(set={"ticker": "'APC'", "valid_to": "DATE '2009-11-06'"})
    apple = lake.read(INSTRUMENTS).collect()[0].asDict()
    later = apple | {"ticker": "AAPL", "valid_from": date(2009, 11, 9), "valid_to": None}
    other = apple | {"instrument_id": "I-OLD", "ticker": "AAPL", "cik": 99, "valid_to": date(2009, 11, 6)}
    lake.append(INSTRUMENTS, reference_frame(lake.spark, INSTRUMENTS, [later, other]))
    filer = lake.read(COMPANIES).collect()[0].asDict() | {"cik": 99}
    lake.append(COMPANIES, lake.spark.createDataFrame([filer], COMPANIES.schema))
    said = [an_opinion(datetime(2009, 11, day, 15, tzinfo=UTC), count) for day, count in ((2, 3.0), (10, 7.0))]
    lake.append(OPINIONS, lake.spark.createDataFrame(said, OPINIONS.schema))
    trading = [a_bar(day, 190.0) for day in days()[:25]]
    old = [bar | {"instrument_id": "I-OLD"} for bar in trading if bar["session_date"] <= date(2009, 11, 6)]
    lake.append(BARS, lake.spark.createDataFrame([*trading, *old], BARS.schema))

    build(lake, CONCEPTS, "XNYS")

    rows = {(row["instrument_id"], row["session_date"]): row for row in lake.read(FUNDAMENTALS).collect()}
    mine, theirs = rows["I-AAPL", date(2009, 11, 5)], rows["I-OLD", date(2009, 11, 5)]
    assert (mine["cik"], theirs["cik"]) == (APPLE, 99)
    assert mine["eps"] == pytest.approx(6.29)
    assert theirs["eps"] is None
    assert mine["consensus"] is None
    assert theirs["consensus"] == 5.0
    assert rows["I-AAPL", date(2009, 11, 11)]["consensus"] == 5.0
    assert max(day for name, day in rows if name == "I-OLD") == date(2009, 11, 6)


def test_a_run_that_died_between_its_tables_is_finished_and_older_sessions_are_added(
    lake: Lake, facts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_apple(lake, facts.filter(pc.field("known_from") <= pa.scalar(CUT)))
    trade(lake, days()[30:])
    build(lake, CONCEPTS, "XNYS")
    lake.delta(FACTS).delete()
    state(lake, facts)
    lake.delta(COMPANIES).update(set={"documents": "'d2'"})

    def die(*_: object) -> None:
        raise Crash("before gold.fundamentals")

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(module, "_replace_sessions", die)
        build(lake, CONCEPTS, "XNYS")
    assert rows_of(lake)[date(2010, 1, 27)]["eps"] == pytest.approx(6.29)

    trade(lake, days()[:30])
    build(lake, CONCEPTS, "XNYS")

    rows = rows_of(lake)
    assert rows.keys() == set(days())
    assert rows[date(2010, 1, 27)]["eps"] > 9


def test_sessions_that_a_vendor_brings_later_are_added_to_those_there(lake: Lake, facts: pa.Table) -> None:
    list_apple(lake, facts)
    trade(lake, days()[30:])
    build(lake, CONCEPTS, "XNYS")

    trade(lake, days()[:30])

    assert build(lake, CONCEPTS, "XNYS").companies == 0
    assert rows_of(lake).keys() == set(days())
