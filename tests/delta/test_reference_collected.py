"""What collectors fetched, in the reference tables: the same however it came, and used by whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jobs.alerts import dry_run
from jobs.load_reference import load_reference
from lakehouse.alert_history import splits
from lakehouse.alerts.conf import AlertConf, AlertsFile
from lakehouse.filings.documents import SUBMISSIONS
from lakehouse.fundamentals.build import read_instruments
from lakehouse.lake import Lake
from lakehouse.quality.flags import flag_actions, flag_filers
from lakehouse.reference.claims import DIVIDENDS, SPLITS
from lakehouse.reference.load import stored_rows
from lakehouse.reference.universe import universe_on
from lakehouse.settings import Settings
from lakehouse.tables.filings import COMPANIES
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import COLLECTED_ACTIONS, CORPORATE_ACTIONS, INSTRUMENTS
from lakehouse.views import create_views
from streaming.collectors.documents import Document
from streaming.collectors.lake_store import LakeStore
from streaming.collectors.request import Answer, Request

pytestmark = pytest.mark.itest

APPLE, AAPL = 320193, "AAPL-19980102"
NOW = datetime(2026, 5, 11, 16, tzinfo=UTC)
FIRST, LAST = date(2026, 4, 1), date(2026, 6, 30)
TABLES = (INSTRUMENTS, CORPORATE_ACTIONS, COLLECTED_ACTIONS)


def fetched(source: str, kind: str, body: object, day: int, cik: int | None = None) -> Document:
    request = Request(source, kind, f"{kind} of AAPL", "u", changes=True, symbol="AAPL", cik=cik)
    return Document(request, Answer(json.dumps(body).encode(), NOW + timedelta(days=day), 200))


def dividend(day: str, amount: float, currency: str = "USD") -> dict[str, Any]:
    return {"symbol": "AAPL", "date": day, "amount": amount, "declarationDate": "2026-05-01", "currency": currency}


LISTING = {
    "cik": "0000320193", "sic": "3571", "tickers": ["AAPL"], "exchanges": ["Nasdaq"],
    "filings": {"recent": {"accessionNumber": ["1"], "filingDate": ["1994-12-13"], "form": ["10-K"]}, "files": []},
}  # fmt: skip
FETCHED = [
    fetched("sec", SUBMISSIONS, LISTING, 0, APPLE),
    fetched("finnhub", DIVIDENDS, [dividend("2026-05-18", 1.0)], 0),
    fetched("finnhub", DIVIDENDS, [dividend("2026-05-18", 2.0), dividend("2026-05-19", 1.0, "EUR")], 1),
    fetched("finnhub", SPLITS, [{"symbol": "AAPL", "date": "2026-05-15", "fromFactor": 1, "toFactor": 4}], 0),
]


def after(lake: Lake, settings: Settings, *runs: Sequence[Document]) -> dict[str, list[dict[str, Any]]]:
    """The tables after so many runs of collectors, each with one of load-reference."""
    for documents in runs:
        for one in documents:
            LakeStore(lake).append([one])
        load_reference(lake, settings, FIRST, LAST)
    return {table.full_name: sorted(stored_rows(lake, table), key=str) for table in TABLES}


def test_the_tables_are_the_same_however_the_documents_came(lake: Lake, settings: Settings, tmp_path: Path) -> None:
    other = Lake(lake.spark, str(tmp_path / "other"))
    other.create_all()

    at_once = after(lake, settings, FETCHED)
    newest_first_and_twice = after(other, settings, FETCHED[2:], [*FETCHED[1::-1], FETCHED[2]])
    versions = [lake.version(table) for table in TABLES]

    assert at_once == newest_first_and_twice
    assert after(lake, settings, []) == at_once
    assert [lake.version(table) for table in TABLES] == versions  # nothing new, nothing written
    assert {row["claim_id"].split("|", 2)[2]: row["verdict"] for row in at_once["silver.collected_actions"]} == {
        "dividend|2026-05-18|2.000000": "taken", "dividend|2026-05-19|1.000000": "other_currency",
        "split|2026-05-15|4.000000000": "taken",
    }  # fmt: skip
    (flag,) = flag_actions(lake)
    assert (flag.unexpected, flag.blocks) == (1, False)
    assert next(flag_filers(lake)).success


def test_a_collected_split_and_dividend_are_used_by_views_rules_and_measures(lake: Lake, settings: Settings) -> None:
    after(lake, settings, FETCHED)
    closes = {date(2026, 5, 14): 400, date(2026, 5, 15): 100, date(2026, 5, 18): 98}
    lake.append(BARS, lake.spark.createDataFrame([a_bar(*one) for one in closes.items()], BARS.schema))
    create_views(lake, as_of=date(2026, 5, 20))

    adjusted, total = (
        [float(row[0]) for row in lake.spark.sql(f"SELECT close FROM {name} ORDER BY session_date").collect()]
        for name in ("gold_bars_adjusted", "gold_bars_total_return")
    )
    fired = dry_run(lake, ex_dividend_rule(), "r", date(2026, 5, 12), date(2026, 5, 20)).fired

    assert adjusted == [100, 100, 98]
    assert total == pytest.approx([98, 98, 98])  # 2 of the 100 of the Friday before
    assert [(alert.subject, alert.text) for alert in fired] == [
        ("AAPL", "AAPL trades without its dividend of 2 from 2026-05-18 on")
    ]
    assert splits(lake)["AAPL"] == [(date(2026, 5, 15), 4.0)]
    lake.append(COMPANIES, lake.spark.createDataFrame([a_company()], COMPANIES.schema))
    (apple,) = read_instruments(lake)
    assert [(day, ratio) for day, ratio, _ in apple.splits] == [(date(2026, 5, 15), 4.0)]


def test_the_universe_of_a_day_is_a_view_and_follows_the_watchlist(lake: Lake, settings: Settings) -> None:
    watched = Path(settings.paths.logs).with_name("watchlist.yaml")
    line = "{{ticker: {0}, name: Some Company, exchange: XNYS, valid_from: {1}}}"
    lines = [line.format("AAPL", "1998-01-02"), line.format("TSLA", "2010-06-29")]
    for count in (1, 2):
        watched.write_text(f"version: 1\ninstruments: [{', '.join(lines[:count])}]")
        chosen = settings.reference.model_copy(update={"watchlist": str(watched)})
        after(lake, settings.model_copy(update={"reference": chosen}), FETCHED[:1] if count == 1 else [])

    for day, tickers in ((date(2010, 6, 28), ["AAPL"]), (date(2026, 5, 11), ["AAPL", "TSLA"])):
        create_views(lake, as_of=day)
        rows = [row.asDict() for row in lake.spark.table("silver_universe").orderBy("ticker").collect()]
        assert rows == universe_on(stored_rows(lake, INSTRUMENTS), day)
        assert [row["ticker"] for row in rows] == tickers
        assert (rows[0]["cik"], rows[0]["sector"]) == (APPLE, "technology")


def ex_dividend_rule() -> AlertConf:
    rule = {"name": "r", "scope": {"symbols": ["AAPL"]}, "kind": "ex_dividend_ahead", "days": 3}
    users = [{"name": "me", "channels": [{"kind": "terminal"}]}]
    return AlertConf(AlertsFile.model_validate({"version": 1, "users": users, "rules": [rule]}), {}, frozenset())


def a_bar(day: date, close: int) -> dict[str, Any]:
    start, amount = datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC), Decimal(close)
    zeros = ("late_prints", "cancelled_prints", "corrected_prints", "revision", "first_trades")
    return {
        **dict.fromkeys(BARS.column_names), **dict.fromkeys(("open", "high", "low", "close"), amount),
        **dict.fromkeys(zeros, 0), "instrument_id": AAPL, "interval": "1d", "bar_start": start,
        "bar_end": start + timedelta(hours=6.5), "session_date": day, "session": "regular", "symbol": "AAPL",
        "volume": amount, "notional": amount, "vwap_volume": amount, "trades": 1, "first_volume": amount,
        "final_at": start, "source": "built", "updated_at": start,
    }  # fmt: skip


def a_company() -> dict[str, Any]:
    return dict.fromkeys(COMPANIES.column_names) | {
        "cik": APPLE,
        "sic": "3571",
        "documents": "d",
        "refused": 0,
        "refusals": "[]",
        "built_at": NOW,
    }
