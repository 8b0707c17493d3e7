"""Opinions: every figure with the instant from which it could be known, whatever the order of documents."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.tables.bronze import DOCUMENTS_OF_OPINIONS
from lakehouse.tables.silver import OPINIONS
from streaming.collectors import finnhub
from streaming.collectors.documents import Document, rows_of
from streaming.collectors.grades import SCORES, score_of
from streaming.collectors.latest import latest
from streaming.collectors.mentions import fetch_mentions, mentions_in_files, mentions_request
from streaming.collectors.opinions import SCHEMA, known, read_opinions
from streaming.collectors.promises import MENTIONS, broken
from streaming.collectors.request import MISSING, Answer, Nothing, Request
from streaming.collectors.values import Read, day_of, instant_of, number_of, time_of
from tests.unit.test_collect_polite import NOW

FIVE_MINUTES = timedelta(minutes=5)


def document(kind: str, body: object, at: datetime = NOW, symbol: str = "AAPL") -> Document:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    name = f"{kind}-{symbol}" if at == NOW else f"{kind}-{symbol} of {at}"
    return Document(Request("finnhub", kind, name, "u", True, symbol), Answer(data, at, 200))


def read(*documents: Document, bucket: timedelta = FIVE_MINUTES) -> Read:
    return read_opinions(rows_of(DOCUMENTS_OF_OPINIONS, documents), bucket=bucket)


def rows(*documents: Document) -> list[dict[str, Any]]:
    found = read(*documents)
    assert found.left_out == []
    return found.rows.to_pylist()


def test_recommendations_are_known_from_when_they_were_fetched_for_a_month_is_no_time(shared_data: Path) -> None:
    body = (shared_data / "finnhub_rest/recommendation-AAPL.json").read_bytes()

    found = rows(document(finnhub.RECOMMENDATION, body))

    assert len(found) == 4 * 5
    may = {row["measure"]: row["value"] for row in found if row["period"] == date(2026, 5, 1)}
    assert may == {"strong_buy": 15.0, "buy": 24.0, "hold": 13.0, "sell": 2.0, "strong_sell": 0.0}
    assert {(row["known_from"], row["known_basis"], row["kind"], row["firm"]) for row in found} == {
        (NOW, "fetched", "recommendation", None)
    }
    assert found[0]["opinion_id"] == "finnhub|AAPL|recommendation||2026-02-01|buy|2026-05-23T16:00:00+00:00"


def test_a_recommendation_that_changed_is_a_new_version_beside_the_old(shared_data: Path) -> None:
    before = json.loads((shared_data / "finnhub_rest/recommendation-AAPL.json").read_bytes())[:1]
    after = [{**before[0], "buy": 30}]

    found = rows(
        document(finnhub.RECOMMENDATION, before), document(finnhub.RECOMMENDATION, after, NOW + timedelta(days=1))
    )

    assert [row["value"] for row in found if row["measure"] == "buy"] == [24.0, 30.0]


def test_a_price_target_is_known_when_the_day_of_its_update_is_over_in_new_york(shared_data: Path) -> None:
    body = (shared_data / "finnhub_openapi/stock__price-target.json").read_bytes()

    found = rows(document(finnhub.PRICE_TARGET, body, symbol="NFLX"))

    assert {row["measure"]: row["value"] for row in found} == {
        "target_high": 462.0, "target_low": 217.15, "target_mean": 364.37, "target_median": 359.04, "analysts": 39.0
    }  # fmt: skip
    assert {(row["period"], row["known_from"], row["known_basis"]) for row in found} == {
        (date(2023, 4, 6), datetime(2023, 4, 7, 4, tzinfo=UTC), "stated_day")
    }
    assert rows(document(finnhub.PRICE_TARGET, {"lastUpdated": "", "targetMean": 0})) == []


def test_a_grade_has_its_firm_its_words_and_a_place_on_one_scale(shared_data: Path) -> None:
    body = (shared_data / "finnhub_openapi/stock__upgrade-downgrade.json").read_bytes()

    found = rows(document(finnhub.GRADES, body, symbol="BYND"))

    said = {(row["firm"], row["measure"]): (row["label"], row["value"]) for row in found}
    assert said == {
        ("DA Davidson", "grade"): ("Underperform", -1.0), ("DA Davidson", "action"): ("init", 0.0),
        ("JP Morgan", "grade"): ("Overweight", 1.0), ("JP Morgan", "previous_grade"): ("Neutral", 0.0),
        ("JP Morgan", "action"): ("up", 1.0), ("Bank of America", "grade"): ("Neutral", 0.0),
        ("Bank of America", "action"): ("reit", 0.0),
    }  # fmt: skip
    morgan = next(row for row in found if row["firm"] == "JP Morgan")
    assert (morgan["period"], morgan["known_from"]) == (date(2019, 8, 20), datetime(2019, 8, 21, 4, tzinfo=UTC))
    assert {row["known_basis"] for row in found} == {"stated_day"}, "midnight in UTC is a day, not an instant"


def test_a_grade_with_a_time_of_day_is_known_at_that_time_and_one_in_odd_words_keeps_them() -> None:
    one = {"gradeTime": 1566259261, "company": "X", "fromGrade": "", "toGrade": "Long Run Winner", "action": "up"}

    (action, grade) = rows(document(finnhub.GRADES, [one]))

    assert (grade["label"], grade["value"]) == ("Long Run Winner", None)
    assert (grade["known_basis"], grade["known_from"]) == ("stated", datetime(2019, 8, 20, 0, 1, 1, tzinfo=UTC))
    assert action["value"] == 1.0


def test_estimates_and_company_sentiment_count_from_when_we_had_them(shared_data: Path) -> None:
    folder = shared_data / "finnhub_openapi"
    estimates = rows(document(finnhub.EPS_ESTIMATE, (folder / "stock__eps-estimate.json").read_bytes()))
    sentiment = rows(document(finnhub.NEWS_SENTIMENT, (folder / "news-sentiment.json").read_bytes(), symbol="V"))

    assert {(row["period"], row["measure"], row["value"]) for row in estimates if row["measure"] == "eps_mean"} == {
        (date(2020, 6, 30), "eps_mean", 2.65), (date(2020, 3, 31), "eps_mean", 2.52)
    }  # fmt: skip
    assert {row["measure"]: row["value"] for row in sentiment} == {
        "news_score": 0.9166, "sector_news_score": 0.5191, "sector_bullish": 0.6482, "bullish": 1.0, "bearish": 0.0,
        "buzz": 0.8888, "articles_in_last_week": 20.0, "articles_a_week": 22.5,
    }  # fmt: skip
    assert {row["known_basis"] for row in estimates + sentiment} == {"fetched"}
    assert {row["period"] for row in sentiment} == {NOW.date()}


def test_an_hour_of_social_sentiment_is_known_when_the_hour_is_over(shared_data: Path) -> None:
    body = (shared_data / "finnhub_openapi/stock__social-sentiment.json").read_bytes()

    found = rows(document(finnhub.SOCIAL_SENTIMENT, body))

    assert Counter(row["kind"] for row in found) == {"sentiment": 6, "mentions": 6}
    first = [row for row in found if row["known_from"] == datetime(2021, 5, 8, 15, tzinfo=UTC)]
    assert {row["measure"]: row["value"] for row in first} == {
        "social_score": -0.0341123222115352, "social_positive_score": 0.9213675, "social_negative_score": -0.9864475,
        "social_mentions": 32.0, "social_positive_mentions": 20.0, "social_negative_mentions": 12.0,
    }  # fmt: skip


def test_an_hour_that_is_not_over_is_left_to_a_later_document() -> None:
    hours = [{"atTime": f"2026-05-23 {hour}:00:00", "mention": 5, "score": 0.5} for hour in (14, 15, 16)]

    early = read(document(finnhub.SOCIAL_SENTIMENT, {"data": hours}, NOW - timedelta(minutes=1)))
    late = read(document(finnhub.SOCIAL_SENTIMENT, {"data": hours}, NOW + timedelta(hours=1)))

    assert (early.rows.num_rows, early.unfinished) == (2, 4)
    assert (late.rows.num_rows, late.unfinished) == (6, 0)


@pytest.mark.parametrize("symbol", ["AAPL", "IBM", "AMZN", "KO", "CRM"])
def test_mentions_of_the_tweet_volume_files_are_all_read(symbol: str, shared_data: Path) -> None:
    mentions = mentions_in_files(str(shared_data / "nab/realTweets/Twitter_volume_{symbol}.csv"))
    request = mentions_request("tweets", symbol)
    answer = fetch_mentions(mentions, lambda: NOW)(request, None)
    assert isinstance(answer, Answer)
    assert broken(MENTIONS, answer.body) is None

    found = read(Document(request, answer))

    lines = answer.body.decode().strip().splitlines()[1:]
    assert found.left_out == []
    assert found.rows.num_rows == len(lines) > 15_000
    assert sum(found.rows["value"].to_pylist()) == sum(int(line.split(",")[1]) for line in lines)
    known_from = sorted(found.rows["known_from"].to_pylist())
    assert known_from[0] == datetime(2015, 2, 26, 21, 47, 53, tzinfo=UTC)
    assert {later - earlier for earlier, later in pairwise(known_from)} == {FIVE_MINUTES}


def test_a_symbol_without_a_series_is_missing(tmp_path: Path) -> None:
    fetch = fetch_mentions(mentions_in_files(str(tmp_path / "{symbol}.csv")), lambda: NOW)

    assert fetch(mentions_request("searches", "X"), None) == Nothing(MISSING, "no series of X")


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (finnhub.RECOMMENDATION, [{"period": "Sep 2019", "buy": 1}], "expected a date, found 'Sep 2019'"),
        (finnhub.RECOMMENDATION, [{"period": "2019-09-01", "buy": "many"}], "buy: expected a number, found 'many'"),
        (finnhub.RECOMMENDATION, [{"period": "2019-09-01", "buy": True}], "expected a number, found True"),
        (finnhub.RECOMMENDATION, [{"period": "2019-09-01", "buy": 10**400}], "expected a number"),
        (finnhub.PRICE_TARGET, {"lastUpdated": "soon", "targetMean": 1}, "expected a date, found 'soon'"),
        (finnhub.GRADES, [{"gradeTime": "x", "company": "A", "toGrade": "Buy", "action": "up"}], "gradeTime"),
        (finnhub.GRADES, [{"gradeTime": 10**20, "company": "A", "toGrade": "Buy", "action": "up"}], "gradeTime"),
        (finnhub.GRADES, [{"gradeTime": 1, "company": "", "toGrade": "Buy", "action": "up"}], "company"),
        (finnhub.EPS_ESTIMATE, {"data": [{"period": None, "epsAvg": 1}]}, "expected a date, found None"),
        (finnhub.SOCIAL_SENTIMENT, {"data": [{"atTime": "2021", "mention": 1}]}, "expected a time, found '2021'"),
        (MENTIONS, b"timestamp,value\n2015-02-26 21:42:53,x\n", "line 2: expected a time and a number"),
        (MENTIONS, b"timestamp,value\n2015-02-26 21:42:53,nan\n", "line 2: expected a time and a number"),
        (MENTIONS, b"timestamp,value\nsoon,1\n", "line 2: expected a time and a number"),
        (finnhub.SOCIAL_SENTIMENT, {"data": [{"atTime": "2021-05-08 14:00:00", "mention": []}]}, "mention: expected"),
    ],
)
def test_what_cannot_be_read_is_left_out_with_its_place_and_never_guessed(kind: str, body: object, words: str) -> None:
    found = read(document(kind, body))

    assert found.rows.num_rows == 0
    assert len(found.left_out) == 1
    assert words in found.left_out[0]
    assert found.left_out[0].startswith(f"{kind}-AAPL: ")


def test_a_document_of_another_kind_is_left_out() -> None:
    table = rows_of(DOCUMENTS_OF_OPINIONS, [document(finnhub.RECOMMENDATION, [])])
    strange = table.set_column(table.schema.get_field_index("kind"), "kind", pa.array(["horoscope"]))

    assert "found horoscope" in read_opinions(strange, bucket=FIVE_MINUTES).left_out[0]


@given(st.dates(date(1995, 1, 1), date(2035, 1, 1)))
def test_a_day_counts_when_it_is_over_in_new_york(day: date) -> None:
    known_from, basis = known(day, NOW)

    assert basis == "stated_day"
    hours = (known_from - datetime.combine(day, datetime.min.time(), UTC)).total_seconds() / 3600
    assert hours in (28, 29)


VALUES = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2))  # month, value, fetched on day


def grade_documents(given: list[tuple[int, int, int]]) -> list[Document]:
    return [
        document(
            finnhub.GRADES,
            [{"gradeTime": 86_400 * month, "company": "X", "toGrade": ("Buy", "Sell")[value], "action": "up"}],
            NOW + timedelta(days=day),
        )
        for month, value, day in given
    ]  # fmt: skip


@settings(max_examples=60)
@given(st.lists(VALUES, max_size=8), st.randoms(use_true_random=False), st.integers(0, 8))
def test_rows_follow_from_the_set_of_documents_not_from_their_order_number_or_repetition(
    given: list[tuple[int, int, int]], random: Any, cut: int
) -> None:
    documents = grade_documents(given)
    mixed = documents + documents[:cut]
    random.shuffle(mixed)
    parts = [read(*mixed[:cut]).rows, read(*mixed[cut:]).rows]

    whole = read(*documents).rows
    together = latest(pa.concat_tables(parts), OPINIONS.key)

    assert together.equals(whole)
    assert whole.schema == SCHEMA
    for row in whole.to_pylist():
        if row["measure"] == "grade":
            mine = [(day, value) for month, value, day in given if row["period"] == date(1970, 1, 1 + month)]
            last = max(day for day, _ in mine)
            assert row["label"] in {("Buy", "Sell")[value] for day, value in mine if day == last}
            assert row["fetched_at"] == NOW + timedelta(days=min(day for day, _ in mine))
            assert row["revised_at"] == NOW + timedelta(days=last)


def test_grades_read_the_same_in_any_dress() -> None:
    assert score_of(" Sector  Outperform") == 1.0
    assert score_of("STRONG SELL") == -2.0
    assert score_of("") is score_of(None) is None
    assert set(SCORES.values()) == {2.0, 1.0, 0.0, -1.0, -2.0}
    assert all(word == " ".join(word.lower().split()) for word in SCORES)


def test_single_values_are_read_without_guessing() -> None:
    assert day_of("2023-04-06 00:00:00") == date(2023, 4, 6)
    assert [day_of(one) for one in ("2023-04-06 10:00:00", "", None, 20230406, "06.04.2023")] == [None] * 5
    assert [number_of(one) for one in (1, 0.5, True, "1", float("inf"), None)] == [1.0, 0.5, None, None, None, None]
    assert instant_of(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert [instant_of(one) for one in (1.5, True, None, "0")] == [None] * 4
    assert time_of("2021-05-08 14:00") is None
