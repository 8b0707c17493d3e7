"""Alerts and the lake: a rule tried on the past, and what became of alerts as rows of gold."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from jobs.alerts import dry_run
from lakehouse.alert_history import READERS, splits
from lakehouse.alert_ledger import merge_alerts, merge_deliveries
from lakehouse.alerts.conf import AlertConf, AlertsFile
from lakehouse.alerts.lifecycle import Change, State
from lakehouse.alerts.observations import Dividend, Filing
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.filings import FILINGS
from lakehouse.tables.gold import ADVICE, ALERT_DELIVERIES, ALERTS, BARS, COMPLETENESS, FAIR_VALUES
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, NEWS, SESSIONS, TRADES
from tests.alert_doubles import an_alert

DAY = date(2024, 3, 7)
OPEN = datetime(2024, 3, 7, 14, 30, tzinfo=UTC)
NOT_OURS = ("Indicators", "Flag")  # gold.indicators and gold.anomalies are declared where they are built
FILLING: dict[str, Any] = {
    "string": "x", "bigint": 1, "int": 15, "date": DAY, "timestamp": OPEN, "double": 1.0, "boolean": False
}  # fmt: skip


def append(lake: Lake, table: Table, *rows: dict[str, Any]) -> None:
    """Rows with what matters given, NULL elsewhere, and anything where NULL is not allowed."""
    filled = [
        tuple(row.get(c.name, None if c.nullable else FILLING.get(c.type, Decimal(1))) for c in table.columns)
        for row in rows
    ]
    lake.append(table, lake.spark.createDataFrame(filled, table.schema))


def conf(**rule: Any) -> AlertConf:
    given = {"name": "r", "scope": {"symbols": ["A"]}, **rule}
    users = [{"name": "me", "channels": [{"kind": "terminal"}]}]
    return AlertConf(AlertsFile.model_validate({"version": 1, "users": users, "rules": [given]}), {}, frozenset())


def a_trade(number: int, price: float, kind: str = "trade", **changes: Any) -> dict[str, Any]:
    at = OPEN + timedelta(seconds=number)
    base = {
        "symbol": "A",
        "session_date": DAY,
        "session": "regular",
        "kind": kind,
        "price": Decimal(str(price)),
        "size": Decimal(1),
    }
    stamps = {"traded_at": at, "received_at": at, "ord": number << 20, "trade_id": str(number), "eligibility": 15}
    return {**base, **stamps, "ref_trade_id": None if kind == "trade" else "0", **changes}


def test_a_jump_rule_tried_on_the_past_says_how_often_and_when(lake: Lake) -> None:
    prices = [100, 100, 103, 103, 103]
    append(lake, TRADES, *(a_trade(n, price) for n, price in enumerate(prices)))
    append(lake, TRADES, a_trade(9, 1, kind="cancel"), a_trade(10, 1, symbol="B"), a_trade(11, 1, eligibility=14))

    fired, rows, _ = dry_run(lake, conf(kind="price_jump", percent=2, seconds=10), "r", DAY, DAY)

    assert [(alert.fired_ms, alert.text) for alert in fired] == [
        (round(OPEN.timestamp() * 1000) + 3000, "A rose 3.00 % within 10 s, to 103")
    ]
    assert rows == 7
    assert dry_run(lake, conf(kind="price_jump", percent=2, seconds=10), "r", date(2024, 3, 8), date(2024, 3, 9)) == (
        [], 0, 0,
    )  # fmt: skip


def test_bars_are_seen_as_they_were_first_published(lake: Lake) -> None:
    volumes = [(100, 100)] * 3 + [(100, 900), (900, 900)]
    rows = [
        {
            "symbol": "A", "interval": "1m", "session_date": DAY, "session": "regular",
            "bar_start": OPEN + timedelta(minutes=n), "bar_end": OPEN + timedelta(minutes=n + 1), "low": Decimal(1),
            "high": Decimal(1), "close": Decimal(1), "first_close": Decimal(1), "first_volume": Decimal(first),
            "first_trades": 1, "volume": Decimal(now),
        }
        for n, (first, now) in enumerate(volumes)
    ]  # fmt: skip
    append(lake, BARS, *rows)
    rule = conf(kind="volume_surge", times=5, bars=3)
    assert dry_run(lake, rule, "r", DAY, DAY) == ([], 5, 5)  # nobody vouches for the volume

    before = {"session_date": DAY - timedelta(days=1), "symbol": "A", "verdict": "complete", "coverage": 1.0}
    append(lake, COMPLETENESS, {**before, "short_volume": Decimal(0)})
    fired, _, thin = dry_run(lake, rule, "r", DAY, DAY)

    assert [alert.value for alert in fired] == [9.0]
    assert thin == 0
    assert fired[0].fired_ms == round(OPEN.timestamp() * 1000) + 300_000


@pytest.mark.itest
def test_every_table_that_is_declared_can_be_read_by_its_rule(lake: Lake) -> None:
    append(lake, INSTRUMENTS, {"ticker": "A", "cik": 7, "instrument_id": "A-1", "valid_from": DAY, "valid_to": None})
    append(lake, SESSIONS, {"session_date": DAY, "session": "regular", "closes_at": OPEN + timedelta(hours=6)})
    actions = [("dividend", DAY + timedelta(days=2), None), ("split", DAY, Decimal(7))]
    append(
        lake,
        CORPORATE_ACTIONS,
        *(
            {
                "instrument_id": "A-1", "action": action, "effective_date": day, "ratio": ratio,
                "amount": Decimal("0.24"), "known_from": OPEN - timedelta(days=30),
            }
            for action, day, ratio in actions
        ),
    )  # fmt: skip
    append(lake, FILINGS, {"accession": "acc", "cik": 7, "form": "10-K"})
    append(lake, NEWS, {"symbol": "A", "sentiment": 0.5}, {"symbol": "A", "article_id": "y", "sentiment": None})
    append(lake, FAIR_VALUES, {"symbol": "A"})
    append(lake, ADVICE, {"symbol": "A", "action": "buy"})

    found = {kind: list(read(lake, DAY, DAY)) for kind, read in READERS.items() if kind.__name__ not in NOT_OURS}

    ms = round(OPEN.timestamp() * 1000)
    assert found[Filing] == [Filing("A", "acc", "10-K", DAY, ms, ms)]
    assert found[Dividend] == [Dividend("A", DAY + timedelta(days=2), 0.24, DAY, ms - 30 * 86_400_000)]
    assert {kind.__name__: len(rows) for kind, rows in found.items() if kind.__name__ not in ("Trade", "Bar")} == {
        "Filing": 1, "Dividend": 1, "Article": 1, "FairValue": 1, "Advice": 1
    }  # fmt: skip
    assert splits(lake) == {"A": [(DAY, 7.0)]}


def test_a_table_that_is_not_there_is_named(lake: Lake) -> None:
    rule = {"kind": "fair_value_crossing", "percent": 20}
    shutil.rmtree(lake.path(FAIR_VALUES))

    with pytest.raises(TableError, match="gold.fair_values: the rule reads this table and there is none at"):
        dry_run(lake, conf(**rule), "r", DAY, DAY)


def rows_of(lake: Lake, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in lake.read(table).select(*columns).collect())


@pytest.mark.itest
def test_alerts_are_merged_once_and_their_state_never_goes_back(lake: Lake) -> None:
    one, two = an_alert(1), an_alert(2)
    fired = [Change(one.alert_id, State.FIRED, 1), Change(two.alert_id, State.FIRED, 2)]

    assert merge_alerts(lake, [one, two], fired) == 2
    merge_alerts(lake, [], [Change(one.alert_id, State.COOLING, 5), Change(one.alert_id, State.REARMED, 5)])
    merge_alerts(lake, [one, two, two], fired)

    assert rows_of(lake, ALERTS, "subject", "state") == [("A1", "rearmed"), ("A2", "fired")]


@pytest.mark.itest
def test_an_attempt_gets_its_outcome_once(lake: Lake) -> None:
    begun = {"pk": "a", "user": "me", "channel": "sns", "attempt": 1, "started_ms": 1000, "possible_copy": False}
    done = {**begun, "accepted_ms": 2000, "receipt": "m1"}

    for attempts in ([begun], [done], [begun], [{**begun, "attempt": 2, "failed_ms": 3, "error": "503"}]):
        merge_deliveries(lake, attempts)

    assert rows_of(lake, ALERT_DELIVERIES, "attempt", "receipt", "error") == [(1, "m1", None), (2, None, "503")]
