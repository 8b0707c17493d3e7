"""The Eastern or UTC trap: acceptance settled by evidence, for made filings whose truth is known and for real ones."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.filings.acceptance import settled
from lakehouse.filings.clocks import EASTERN, NEW_YORK, UTC_TIME, Vote, Votes, keeps_its_date_in_the_evening, vote_of
from lakehouse.filings.shapes import FILINGS, READ_FILINGS
from lakehouse.filings.submissions import filings_of

AT = datetime(2026, 3, 5, tzinfo=UTC)
EMPTY = {field.name: None for field in READ_FILINGS}
WEEKDAYS = [day for day in (date(2024, 1, 1) + timedelta(days=n) for n in range(360)) if day.weekday() < 5]
COMPANIES = {"AAPL": "0000320193", "MSFT": "0000789019", "NVDA": "0001045810", "TSM": "0001046179"}
CLOCKS = {"AAPL": EASTERN, "MSFT": UTC_TIME, "NVDA": UTC_TIME, "TSM": UTC_TIME}


class Made(NamedTuple):
    """A filing whose acceptance we know: EDGAR took it in within its hours and dated it by its rules."""

    form: str
    wall: datetime

    @property
    def filed(self) -> date:
        day = self.wall.date()
        if self.wall.time() < time(17, 30) or keeps_its_date_in_the_evening(self.form):
            return day
        return day + timedelta(days=3 if day.weekday() == 4 else 1)

    @property
    def truth(self) -> datetime:
        return self.wall.replace(tzinfo=NEW_YORK).astimezone(UTC)

    def written(self, clock: str) -> str:
        digits = self.wall if clock == EASTERN else self.truth.replace(tzinfo=None)
        return f"{digits.isoformat()}.000Z"


MADE = st.builds(
    lambda form, day, second: Made(form, datetime.combine(day, time()) + timedelta(seconds=second)),
    st.sampled_from(["4", "8-K", "10-Q", "10-K/A", "144", "SC 13G"]),
    st.sampled_from(WEEKDAYS),
    st.integers(6 * 3600, 22 * 3600 - 1),
)


def row(number: int, form: str, filed: date, text: str | None, **more: Any) -> dict[str, Any]:
    about = {"accession": f"0000000001-24-{number:06d}", "cik": 1, "fetched_at": AT, "content_hash": 1}
    return EMPTY | about | {"form": form, "filed_date": filed, "accepted_text": text} | more


def table(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), READ_FILINGS)


def answers(*rows: dict[str, Any]) -> list[tuple[datetime, str]]:
    found = settled(table(*rows))
    return list(zip(found["known_from"].to_pylist(), found["known_basis"].to_pylist(), strict=True))


@given(st.lists(MADE, min_size=1, max_size=25), st.sampled_from([EASTERN, UTC_TIME]))
def test_a_file_of_one_clock_is_never_read_too_early_and_exactly_where_it_is_settled(
    made: list[Made], clock: str
) -> None:
    rows = [row(at, one.form, one.filed, one.written(clock)) for at, one in enumerate(made)]

    for one, (known_from, basis) in zip(made, answers(*rows), strict=True):
        if basis == "later_of_two":
            assert one.truth <= known_from <= one.truth + timedelta(hours=5)
        else:
            assert known_from == one.truth


@given(MADE, st.sampled_from([EASTERN, UTC_TIME]))
def test_no_rule_speaks_for_the_wrong_clock(made: Made, clock: str) -> None:
    text = datetime.fromisoformat(made.written(clock).removesuffix("Z"))
    as_utc = text.replace(tzinfo=UTC).astimezone(NEW_YORK).replace(tzinfo=None)

    vote = vote_of("0000000001-24-000001", made.form, made.filed, eastern=text, utc=as_utc)

    assert vote is None or vote.clock == clock


@pytest.mark.parametrize(
    ("form", "filed", "text", "instant", "basis"),
    [
        # 03:00 Eastern is no time of EDGAR's: this is UTC, the evening before, whose date a Form 4 keeps
        ("4", date(2024, 3, 7), "2024-03-08T03:00:00.000Z", "2024-03-08T03:00", "hours"),
        # the same on a Friday, when Eastern time would be Saturday
        ("4", date(2024, 3, 8), "2024-03-09T00:30:00.000Z", "2024-03-09T00:30", "hours"),
        # read as UTC it would be 02:05 in New York
        ("8-K", date(2024, 3, 8), "2024-03-08T07:05:00.000Z", "2024-03-08T12:05", "hours"),
        # read as UTC it would be 13:00 in New York, and filed that day
        ("8-K", date(2024, 3, 8), "2024-03-07T18:00:00.000Z", "2024-03-07T23:00", "filing_date"),
        # 17:00 by one clock, 12:00 by the other, and dated a day later by neither's rule
        ("8-K", date(2024, 3, 8), "2024-03-07T17:00:00.000Z", "2024-03-07T22:00", "later_of_two"),
        # filed the same evening although 20:30 is after 17:30: a slow evening, or UTC; one day alone does not tell
        ("10-Q", date(2024, 3, 7), "2024-03-07T20:30:00.000Z", "2024-03-08T01:30", "later_of_two"),
        # both readings are within hours and dates
        ("8-K", date(2024, 3, 7), "2024-03-07T13:30:00.000Z", "2024-03-07T18:30", "later_of_two"),
        # in summer New York is four hours behind
        ("8-K", date(2024, 7, 8), "2024-07-08T13:30:00.000Z", "2024-07-08T17:30", "later_of_two"),
        ("8-K", date(2024, 3, 7), None, "2024-03-08T05:00", "filed_date_only"),
        ("8-K", date(2024, 7, 8), "...", "2024-07-09T04:00", "filed_date_only"),
        ("8-K", date(2024, 7, 8), "0001-01-01T00:00:00.000Z", "2024-07-09T04:00", "filed_date_only"),
        ("8-K", date(2024, 7, 8), "2024-07-08T13:30:00+02:00", "2024-07-09T04:00", "filed_date_only"),
    ],
)
def test_a_filing_alone_is_settled_by_what_it_says(
    form: str, filed: date, text: str | None, instant: str, basis: str
) -> None:
    ((known_from, found),) = answers(row(1, form, filed, text))

    assert (known_from, found) == (datetime.fromisoformat(f"{instant}+00:00"), basis)


def noon(day: int) -> dict[str, Any]:
    return row(day, "8-K", date(2024, 3, day), f"2024-03-{day:02d}T16:00:00.000Z")


def surely(day: int, clock: str) -> dict[str, Any]:
    if clock == EASTERN:
        return row(day, "8-K", date(2024, 3, day), f"2024-03-{day:02d}T07:00:00.000Z")
    return row(day, "4", date(2024, 3, day), f"2024-03-{day + 1:02d}T01:00:00.000Z")


def after_the_bell(day: int) -> dict[str, Any]:
    return row(day, "10-Q", date(2024, 3, day), f"2024-03-{day:02d}T21:05:00.000Z")


def test_what_a_filing_does_not_say_its_neighbours_do() -> None:
    eastern, utc = datetime(2024, 3, 12, 20, tzinfo=UTC), datetime(2024, 3, 12, 16, tzinfo=UTC)

    assert answers(noon(12), surely(14, EASTERN))[0] == (eastern, "neighbours")
    assert answers(noon(12), surely(14, UTC_TIME))[0] == (utc, "neighbours")
    assert answers(surely(11, UTC_TIME), noon(12), surely(14, EASTERN))[1] == (eastern, "later_of_two")
    assert answers(noon(12), {**surely(14, UTC_TIME), "cik": 2})[0] == (eastern, "later_of_two")


def test_of_a_mixed_file_each_stretch_speaks_its_own_clock() -> None:
    days = [4, 5, 6, 7, 11, 12, 13, 14, 18, 19, 20, 21]
    clocks = [EASTERN] * 6 + [UTC_TIME] * 6
    votes = [
        surely(day, clock) | {"accession": f"0000000002-24-{day:06d}"} for day, clock in zip(days, clocks, strict=True)
    ]

    found = dict(zip([4, 12, 21], answers(noon(4), noon(12), noon(21), *votes)[:3], strict=True))

    assert found[4] == (datetime(2024, 3, 4, 21, tzinfo=UTC), "neighbours")
    assert found[12] == (datetime(2024, 3, 12, 20, tzinfo=UTC), "later_of_two")
    assert found[21] == (datetime(2024, 3, 21, 16, tzinfo=UTC), "neighbours")


def test_slow_evenings_of_three_days_are_none_and_those_of_two_may_be() -> None:
    two = answers(after_the_bell(12), after_the_bell(13))
    three = answers(after_the_bell(12), after_the_bell(13), after_the_bell(14))

    assert two[0] == (datetime(2024, 3, 13, 1, 5, tzinfo=UTC), "later_of_two")
    assert three[0] == (datetime(2024, 3, 12, 21, 5, tzinfo=UTC), "filing_date")


def test_a_slow_evening_among_eastern_times_is_eastern() -> None:
    found = answers(surely(11, EASTERN), after_the_bell(12), after_the_bell(13), after_the_bell(14))

    assert found[1] == (datetime(2024, 3, 13, 1, 5, tzinfo=UTC), "neighbours")


def test_the_data_sets_settle_what_they_state_and_speak_for_a_clock() -> None:
    stated = {**noon(12), "accepted_text": "2024-03-12 12:00:00.0"}

    agreed = answers(noon(12), stated, noon(13))
    disagreed = answers(noon(12), {**stated, "accepted_text": "2024-03-12 13:17:00.0"}, noon(13))
    alone = answers(stated)

    assert agreed == [
        (datetime(2024, 3, 12, 16, tzinfo=UTC), "datasets"), (datetime(2024, 3, 13, 16, tzinfo=UTC), "neighbours")
    ]  # fmt: skip
    assert disagreed == [
        (datetime(2024, 3, 12, 17, 18, tzinfo=UTC), "datasets"), (datetime(2024, 3, 13, 20, tzinfo=UTC), "later_of_two")
    ]  # fmt: skip
    assert alone == [(datetime(2024, 3, 12, 16, 1, tzinfo=UTC), "datasets")]  # the minute is over


def test_where_both_agree_the_text_gives_the_second_and_an_hour_that_came_twice_is_its_later_one() -> None:
    to_the_second = {**noon(12), "accepted_text": "2024-03-12T16:00:41.000Z"}
    to_the_minute = {**noon(12), "accepted_text": "2024-03-12 12:00:00.0"}
    twice = {**noon(12), "accepted_text": "2024-11-03 01:30:10.0"}

    assert answers(to_the_second, to_the_minute) == [(datetime(2024, 3, 12, 16, 0, 41, tzinfo=UTC), "datasets")]
    assert answers(twice) == [(datetime(2024, 11, 3, 6, 30, 10, tzinfo=UTC), "datasets")]


def test_what_the_sec_makes_proves_nothing() -> None:
    letter = {**surely(14, UTC_TIME), "accession": "0000000000-24-000014", "form": "UPLOAD"}

    assert [basis for _, basis in answers(noon(12), letter)] == ["later_of_two", "later_of_two"]


def test_of_two_rows_about_one_filing_the_one_fetched_later_counts_then_the_higher_hash() -> None:
    old, new = noon(12), {**noon(12), "form": "8-K/A", "fetched_at": AT + timedelta(days=1), "content_hash": 0}
    high = {**noon(12), "form": "10-K", "content_hash": 2}

    assert settled(table(old, new))["form"].to_pylist() == ["8-K/A"]
    assert settled(table(old, high))["form"].to_pylist() == ["10-K"]
    stated = {**noon(12), "form": "X", "accepted_text": "2024-03-12 12:00:00.0", "fetched_at": AT + timedelta(days=9)}
    assert settled(table(old, stated))["form"].to_pylist() == ["8-K"]  # a company's own list says more


@given(st.data(), st.lists(MADE, max_size=8), st.booleans())
@settings(max_examples=50)
def test_order_and_repetition_change_nothing(data: st.DataObject, made: list[Made], is_stated: bool) -> None:
    rows = [row(at // 2, one.form, one.filed, one.written(EASTERN), content_hash=at) for at, one in enumerate(made)]
    if is_stated and made:
        rows.append(row(0, "10-K", made[0].filed, f"{made[0].wall:%Y-%m-%d %H:%M}:00.0"))

    shuffled = data.draw(st.permutations([*rows, *data.draw(st.lists(st.sampled_from(rows)) if rows else st.just([]))]))

    found = settled(table(*rows))
    assert settled(table(*shuffled)).equals(found)
    assert found.schema == FILINGS
    assert found["known_from"].null_count == found["known_basis"].null_count == 0


@pytest.fixture(scope="module")
def listed(shared_data: Path) -> dict[str, pa.Table]:
    """The real lists of filings, by ticker."""
    folder = shared_data / "sec/submissions"
    return {
        ticker: filings_of(
            gzip.decompress((folder / f"CIK{cik}.json.gz").read_bytes()), cik=int(cik), fetched_at=AT
        ).rows
        for ticker, cik in COMPANIES.items()
    }


def texts_read(filings: pa.Table) -> list[tuple[str, str, date, datetime, datetime]]:
    """Accession, form, filing date, and New York's wall time by either clock."""
    digits = [datetime.fromisoformat(text.removesuffix("Z")) for text in filings["accepted_text"].to_pylist()]
    as_utc = [one.replace(tzinfo=UTC).astimezone(NEW_YORK).replace(tzinfo=None) for one in digits]
    columns = (filings[name].to_pylist() for name in ("accession", "form", "filed_date"))
    return list(zip(*columns, digits, as_utc, strict=True))


def test_each_real_file_speaks_one_clock_and_every_filing_in_it_is_settled(listed: dict[str, pa.Table]) -> None:
    found = settled(pa.concat_tables(listed.values()))

    names = {int(cik): ticker for ticker, cik in COMPANIES.items()}
    tickers = [names[cik] for cik in found["cik"].to_pylist()]
    assert Counter(zip(tickers, found["known_basis"].to_pylist(), strict=True)) == {
        ("AAPL", "hours"): 67, ("AAPL", "filing_date"): 47, ("AAPL", "neighbours"): 891,
        ("MSFT", "hours"): 493, ("MSFT", "filing_date"): 148, ("MSFT", "neighbours"): 361,
        ("NVDA", "hours"): 314, ("NVDA", "filing_date"): 114, ("NVDA", "neighbours"): 579,
        ("TSM", "hours"): 15, ("TSM", "filing_date"): 18, ("TSM", "neighbours"): 968,
    }  # fmt: skip
    known = dict(zip(found["accession"].to_pylist(), found["known_from"].to_pylist(), strict=True))
    for ticker, filings in listed.items():
        for accession, _, _, eastern, utc in texts_read(filings):
            wall = eastern if CLOCKS[ticker] == EASTERN else utc
            assert known[accession] == wall.replace(tzinfo=NEW_YORK).astimezone(UTC)


def test_left_out_in_turn_every_real_vote_is_told_by_its_neighbours_but_for_one_slow_evening(
    listed: dict[str, pa.Table],
) -> None:
    for ticker, filings in listed.items():
        found = [
            vote_of(accession, form, filed, eastern=eastern, utc=utc)
            for accession, form, filed, eastern, utc in texts_read(filings)
        ]
        votes = {vote for vote in found if vote is not None}

        told: dict[Vote, str | None] = {
            vote: Votes(one for one in votes if one.filed_date != vote.filed_date).clock_near(vote.filed_date)
            for vote in votes
        }

        assert set(told.values()) == {CLOCKS[ticker]}
        strays = {vote.filed_date for vote in votes if vote.clock != CLOCKS[ticker]}
        assert strays == ({date(2020, 7, 30)} if ticker == "AAPL" else set())


def test_taiwan_files_at_the_opening_of_edgar_in_summer_and_in_winter(listed: dict[str, pa.Table]) -> None:
    """No rule says this: of one clock, only UTC moves by an hour in the text when New York changes its own."""
    digits = [eastern for _, _, _, eastern, _ in texts_read(listed["TSM"]) if eastern.hour >= 6]
    summers: dict[bool, list[time]] = {True: [], False: []}
    for one in digits:
        offset = one.replace(tzinfo=UTC).astimezone(NEW_YORK).utcoffset()
        summers[offset == timedelta(hours=-4)].append(one.time())

    assert time(10) < min(summers[True]) < time(10, 1)
    assert time(11) < min(summers[False]) < time(11, 1)
