"""Collected splits and dividends beside Lean's: one row an event, whoever tells of it; what contradicts is in none."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.reference.calendar import Row, TradingDays, sessions_for
from lakehouse.reference.claims import DIVIDENDS, SPLITS, Claim, claims_of
from lakehouse.reference.lean import corporate_actions_from, instruments_from, read_lean_files
from lakehouse.reference.ledger import Judged, Ledger, bare_action, refusals
from lakehouse.reference.watchlist import load_watchlist, watched_instruments
from lakehouse.settings import CONF
from lakehouse.tables.silver import COLLECTED_ACTIONS, CORPORATE_ACTIONS, INSTRUMENTS

NEW_YORK = "America/New_York"
DAYS = TradingDays.of(sessions_for("XNYS", date(1998, 1, 1), date(2026, 12, 31)))
NOW = datetime(2026, 5, 22, 17, tzinfo=UTC)
AAPL = "AAPL-19980102"
Document = dict[str, Any]


def document(kind: str, entries: object, at: datetime = NOW, symbol: str = "X") -> Document:
    body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return {"kind": kind, "source": "finnhub", "symbol": symbol, "body": body, "fetched_at": at,
            "content_hash": hashlib.sha256(body).hexdigest()}  # fmt: skip


def dividend(day: str, amount: float, announced: str | None = None, **others: Any) -> dict[str, Any]:
    return {"symbol": "X", "date": day, "amount": amount, "declarationDate": announced, "currency": "USD"} | others


def split(day: str, before: float, after: float) -> dict[str, Any]:
    return {"symbol": "X", "date": day, "fromFactor": before, "toFactor": after}


def listing(ticker: str = "X", **others: Any) -> Row:
    row: Row = dict.fromkeys(INSTRUMENTS.column_names)
    return row | {
        "instrument_id": "X-1", "ticker": ticker, "valid_from": date(2010, 1, 4), "exchange": "XNYS",
        "currency": "USD", "origin": "watchlist", "sequence": 1,
    } | others  # fmt: skip


def of_lean(action: str, day: str, ratio: str | None = None, amount: str | None = None) -> Row:
    effective = date.fromisoformat(day)
    return {
        "instrument_id": "X-1", "action": action, "effective_date": effective,
        "ratio": Decimal(ratio) if ratio else None, "amount": Decimal(amount) if amount else None,
        "price_factor": 0.9, "announced_at": None, "known_from": DAYS.opens[effective], "origin": "lean",
        "sequence": 20210331000,
    }  # fmt: skip


def together(
    *documents: Document, actions: list[Row] | None = None, listings: list[Row] | None = None
) -> tuple[list[Row], list[Judged]]:
    claims = [claim for one in documents for claim in claims_of(one)]
    return Ledger(actions or [], listings or [listing()], DAYS, NEW_YORK).with_claims(claims)


def verdicts(judged: list[Judged]) -> list[tuple[str, str]]:
    return [(str(one.claim.effective_date), one.verdict) for one in judged]


def test_an_announced_dividend_is_known_when_its_day_of_announcement_is_over() -> None:
    rows, judged = together(document(DIVIDENDS, [dividend("2026-06-12", 0.27, "2026-05-01")]))

    assert rows == [{
        "instrument_id": "X-1", "action": "dividend", "effective_date": date(2026, 6, 12), "ratio": None,
        "amount": Decimal("0.27"), "price_factor": None, "announced_at": datetime(2026, 5, 2, 4, tzinfo=UTC),
        "known_from": datetime(2026, 5, 2, 4, tzinfo=UTC), "origin": "finnhub", "sequence": 20260522,
    }]  # fmt: skip
    assert [tuple(row) for row in rows] == [CORPORATE_ACTIONS.column_names]
    assert [tuple(one.row) for one in judged] == [COLLECTED_ACTIONS.column_names]
    assert verdicts(judged) == [("2026-06-12", "taken")]


def test_what_nobody_dates_is_known_when_we_had_it_or_when_it_first_traded() -> None:
    earlier = document(SPLITS, [split("2026-06-12", 1, 4)], NOW - timedelta(days=3))
    rows, _ = together(document(SPLITS, [split("2026-06-12", 1, 4), split("2014-06-09", 3, 1)]), earlier)

    assert [(row["ratio"], row["price_factor"], row["known_from"], row["announced_at"]) for row in rows] == [
        (Decimal("0.333333333"), pytest.approx(3, abs=1e-8), datetime(2014, 6, 9, 8, tzinfo=UTC), None),
        (Decimal(4), 0.25, NOW - timedelta(days=3), None),
    ]


def test_the_same_event_of_lean_stays_one_row_and_gains_its_announcement() -> None:
    known = [of_lean("dividend", "2019-11-07", amount="0.770012"), of_lean("split", "2014-06-09", ratio="7")]
    told = (document(DIVIDENDS, [dividend("2019-11-07", 0.77, "2019-10-30")]),
            document(SPLITS, [split("2014-06-09", 1, 7)]))  # fmt: skip

    rows, judged = together(*told, actions=known)

    announced = datetime(2019, 10, 31, 4, tzinfo=UTC)
    assert rows == [
        {**known[0], "announced_at": announced, "known_from": announced, "origin": "lean, finnhub"},
        {**known[1], "origin": "lean, finnhub"},
    ]
    assert verdicts(judged) == [("2019-11-07", "same"), ("2014-06-09", "same")]
    assert refusals(judged) == []
    assert [bare_action(row, DAYS) for row in rows] == known


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (dividend("2019-11-07", 0.75), "contradicts: lean has 0.770012"),
        (dividend("2019-11-08", 0.77), "contradicts: lean tells of actions up to 2020-02-07, and of no dividend"),
        (dividend("2009-12-31", 0.77), "not_listed: X-1 was not listed on 2009-12-31"),
        (dividend("2026-05-25", 0.77), "not_listed: the calendar has no session on 2026-05-25"),
        (dividend("2026-05-26", 0.77, currency="CAD"), "other_currency: expected USD, found CAD"),
        (dividend("2026-05-26", 0.77, "2026-05-27"), "unreadable: entry 0: declarationDate: expected a day up to"),
        (dividend("2026-05-26", 0.77, symbol="Y"), "unreadable: entry 0: symbol: expected X, found 'Y'"),
        (dividend("2026-05-26", 0), "unreadable: entry 0: amount: expected a number above zero, found 0"),
        (dividend("2026-05-26", -1), "unreadable: entry 0: amount: expected a number above zero, found -1"),
        (dividend("26.5.2026", 1), "unreadable: entry 0: date: expected a day, found '26.5.2026'"),
        (dividend("", 1), "unreadable: entry 0: date: expected a day, found nothing"),
        (dividend("2026-05-26", 1, currency=3), "unreadable: entry 0: currency: expected a text, found 3"),
        ("text", "unreadable: entry 0: expected an object, found 'text'"),
    ],
)  # fmt: skip
def test_what_contradicts_or_cannot_be_is_told_and_in_no_row(told: Any, said: str) -> None:
    known = [of_lean("dividend", "2019-11-07", amount="0.770012"), of_lean("dividend", "2020-02-07", amount="0.77")]

    rows, judged = together(document(DIVIDENDS, [told]), actions=known)

    assert rows == known
    assert len(judged) == 1
    assert said in refusals(judged)[0]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (split("2014-06-09", 1, 7.01), "contradicts: lean has 7"),
        (split("2020-02-07", 1, 2), "contradicts: lean tells of actions up to 2020-02-07, and of no split on"),
        (split("2026-05-26", 2, 2), "unreadable: entry 0: expected other shares than before, found 1"),
        (split("2026-05-26", 0, 2), "unreadable: entry 0: fromFactor: expected a number above zero, found 0"),
        (split("2026-05-26", 1e-9, 1e7), "unreadable: entry 0: expected other shares than before, found 1"),
    ],
)
def test_splits_are_held_to_the_same(told: Any, said: str) -> None:
    known = [of_lean("split", "2014-06-09", ratio="7"), of_lean("dividend", "2020-02-07", amount="0.77")]

    rows, judged = together(document(SPLITS, [told]), actions=known)

    assert rows == known
    assert said in refusals(judged)[0]


def test_what_is_announced_on_the_day_itself_is_known_when_the_first_trades() -> None:
    rows, _ = together(document(DIVIDENDS, [dividend("2026-05-26", 1, "2026-05-26")], NOW + timedelta(days=30)))

    assert [row["known_from"] for row in rows] == [datetime(2026, 5, 26, 8, tzinfo=UTC)]


def test_two_figures_of_one_day_contradict_each_other_and_an_entry_that_stands_twice_is_one() -> None:
    twice = [dividend("2026-05-26", 1), dividend("2026-05-27", 1), dividend("2026-05-27", 1), dividend("2026-05-26", 2)]

    rows, judged = together(document(DIVIDENDS, twice))

    assert [row["effective_date"] for row in rows] == [date(2026, 5, 27)]
    assert verdicts(judged) == [("2026-05-26", "contradicts")] * 2 + [("2026-05-27", "taken")]


def test_the_newest_document_withdraws_what_it_no_longer_says_but_silence_withdraws_nothing() -> None:
    first = document(DIVIDENDS, [dividend("2026-05-26", 1), dividend("2026-05-27", 1)], NOW)
    moved = document(DIVIDENDS, [dividend("2026-05-26", 1)], NOW + timedelta(days=1))
    empty = document(DIVIDENDS, [], NOW + timedelta(days=2))
    damaged = document(DIVIDENDS, b"{]", NOW + timedelta(days=3))

    def left(*documents: Document) -> list[date]:
        return [row["effective_date"] for row in together(*documents)[0]]

    assert left(first) == [date(2026, 5, 26), date(2026, 5, 27)]
    assert left(first, moved) == left(first, moved, empty) == left(first, moved, empty, damaged) == [date(2026, 5, 26)]
    assert "unreadable" in refusals(together(first, moved, empty, damaged)[1])[0]


def test_documents_under_an_old_ticker_and_a_new_one_tell_of_one_instrument() -> None:
    listings = [listing("OLD", valid_to=date(2026, 3, 31)), listing("NEW", valid_from=date(2026, 4, 1))]
    told = [dividend("2026-02-10", 1, symbol=None), dividend("2026-02-17", 1, symbol=None)]
    old = document(DIVIDENDS, told, datetime(2026, 3, 2, 17, tzinfo=UTC), symbol="OLD")
    new = document(DIVIDENDS, [*told, dividend("2026-05-26", 1, symbol=None)], symbol="NEW")

    rows, judged = together(old, new, listings=listings)

    assert [str(row["effective_date"]) for row in rows] == ["2026-02-10", "2026-02-17", "2026-05-26"]
    assert {one.claim.symbol for one in judged} == {"NEW"}
    assert rows[0]["known_from"] == datetime(2026, 2, 10, 9, tzinfo=UTC)


def test_a_reused_ticker_gives_nothing_to_who_carried_it_before() -> None:
    listings = [listing(valid_to=date(2020, 1, 31)), listing(instrument_id="X-2", valid_from=date(2021, 1, 4))]
    told = document(DIVIDENDS, [dividend("2019-05-15", 1), dividend("2026-05-26", 1)])

    rows, judged = together(told, listings=listings)

    assert [(row["instrument_id"], str(row["effective_date"])) for row in rows] == [("X-2", "2026-05-26")]
    assert verdicts(judged) == [("2019-05-15", "not_listed"), ("2026-05-26", "taken")]


def test_the_published_samples_say_what_lean_says_of_apple(shared_data: Path) -> None:
    files = read_lean_files(shared_data / "lean")
    listings = watched_instruments(load_watchlist(CONF / "watchlist.yaml"), instruments_from(files, DAYS))
    known = corporate_actions_from(files, DAYS)
    samples = [
        document(kind, (shared_data / f"finnhub_openapi/stock__{name}.json").read_bytes(), symbol="AAPL")
        for kind, name in ((SPLITS, "split"), (DIVIDENDS, "dividend"))
    ]

    rows, judged = together(*samples, actions=known, listings=listings)

    assert verdicts(judged) == [
        (day, "same") for day in ("2019-02-08", "2019-05-10", "2019-08-09", "2019-11-07", "2014-06-09")
    ]
    told = [row for row in rows if row["origin"] == "lean, finnhub"]
    assert len(rows) == len(known)
    assert {(row["instrument_id"], row["known_from"] < DAYS.opens[row["effective_date"]]) for row in told} == {
        (AAPL, True), (AAPL, False)
    }  # fmt: skip


def test_facebook_of_2021_gets_nothing_of_what_trades_as_fb_today(shared_data: Path) -> None:
    listings = instruments_from(read_lean_files(shared_data / "lean"), DAYS)
    told = document(DIVIDENDS, [dividend("2020-05-12", 0.1, symbol="FB")], symbol="FB")

    rows, judged = together(told, listings=listings)

    assert rows == []
    assert refusals(judged)[0].endswith("no_instrument: nothing is known to have carried FB on 2026-05-22")


ENTRIES = st.lists(
    st.builds(
        dividend, st.sampled_from(["2026-05-26", "2026-05-27", "2026-05-28", "2009-01-05", "soon"]),
        st.sampled_from([0, 0.5, 1]), st.sampled_from([None, "", "2026-04-01", "2026-05-27"]),
    ), max_size=4,
)  # fmt: skip
DOCUMENTS = st.lists(
    st.builds(lambda entries, day: document(DIVIDENDS, entries, NOW + timedelta(days=day)), ENTRIES, st.integers(0, 3)),
    min_size=1, max_size=4,
)  # fmt: skip


@given(DOCUMENTS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_number_and_repetition_of_documents_change_nothing(documents: list[Document], random: Any) -> None:
    known = [of_lean("dividend", "2026-05-26", amount="1")]
    mixed = documents + documents[: random.randint(0, len(documents))]
    random.shuffle(mixed)

    rows, judged = together(*documents, actions=known)
    after_some, _ = together(*mixed[: random.randint(0, len(mixed))], actions=known)
    again, judged_again = together(
        *mixed, actions=[other for row in after_some if (other := bare_action(row, DAYS))]
    )  # fmt: skip

    assert again == rows
    assert [one.row for one in judged_again] == [one.row for one in judged]
    for table, found in ((CORPORATE_ACTIONS, rows), (COLLECTED_ACTIONS, [one.row for one in judged])):
        keys = [tuple(row[name] for name in table.key) for row in found]
        assert len(set(keys)) == len(keys)
    assert [row for row in rows if row["amount"] == 0.5 and row["effective_date"] == date(2026, 5, 26)] == []


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.just("2026-05-26"),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["date", "amount", "fromFactor", "toFactor", "currency", "symbol"]), inner),
    max_leaves=12,
), st.sampled_from([SPLITS, DIVIDENDS]))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_every_entry_of_any_json_is_a_whole_claim_or_says_why_not(content: Any, kind: str) -> None:
    found: list[Claim] = list(claims_of(document(kind, [content, split("2026-05-26", 1, 2) | {"amount": 1}])))

    assert [one.place for one in found] == ["[0]", "[1]"]
    assert found[1].problem is None
    for one in found:
        figure = one.ratio if kind == SPLITS else one.amount
        assert (one.problem is None) == (figure is not None) == (one.effective_date is not None)
