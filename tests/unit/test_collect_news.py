"""News: every article once, with when it was published; what is no article is left out with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.tables.bronze import DOCUMENTS_OF_NEWS
from lakehouse.tables.silver import NEWS
from streaming.collectors.documents import Document, rows_of
from streaming.collectors.finnhub import COMPANY_NEWS
from streaming.collectors.latest import latest
from streaming.collectors.news import read_news
from streaming.collectors.request import Answer, Request
from streaming.collectors.values import Read
from tests.unit.test_collect_polite import NOW

ARTICLE = {
    "id": 7, "datetime": 1779554718, "headline": "Up", "source": "Yahoo", "url": "https://x", "summary": "It is up.",
    "related": "AAPL",
}  # fmt: skip


def document(body: object, at: datetime = NOW, symbol: str = "AAPL") -> Document:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    name = f"news-{symbol}" if at == NOW else f"news-{symbol} of {at}"
    return Document(Request("finnhub", COMPANY_NEWS, name, "u", True, symbol), Answer(data, at, 200))


def read(*documents: Document) -> Read:
    return read_news(rows_of(DOCUMENTS_OF_NEWS, documents))


def test_every_article_of_a_real_answer_is_a_row(shared_data: Path) -> None:
    body = (shared_data / "finnhub_rest/company-news-AAPL.json").read_bytes()

    found = read(document(body, NOW + timedelta(hours=1)))

    articles = json.loads(body)
    assert found.left_out == []
    assert found.rows.num_rows == len(articles) == 246
    assert "246 articles, as many as an answer holds: there may have been more" in found.warnings[0]
    first = next(row for row in found.rows.to_pylist() if row["article_id"] == f"finnhub-{articles[0]['id']}")
    assert first == {
        "article_id": "finnhub-140399323", "symbol": "AAPL",
        "known_from": datetime(2026, 5, 23, 16, 45, 18, tzinfo=UTC), "headline": articles[0]["headline"],
        "sentiment": None, "publisher": "Yahoo", "url": articles[0]["url"],
        "summary": articles[0]["summary"], "source": "finnhub", "fetched_at": NOW + timedelta(hours=1),
        "revised_at": NOW + timedelta(hours=1), "document_hash": document(body).content_hash,
    }  # fmt: skip


def test_an_article_of_two_companies_is_a_row_of_each_and_absent_texts_are_null() -> None:
    bare = {**ARTICLE, "source": "", "url": None}
    del bare["summary"]

    found = read(document([bare]), document([bare], symbol="MSFT")).rows.to_pylist()

    assert [row["symbol"] for row in found] == ["AAPL", "MSFT"]
    assert {(row["publisher"], row["url"], row["summary"]) for row in found} == {(None, None, None)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"datetime": 0}, "expected when it was published, found 0"),
        ({"datetime": 1779554718000}, "expected when it was published"),
        ({"datetime": 10**30}, "expected when it was published"),
        ({"datetime": "1779554718"}, "expected when it was published"),
        ({"datetime": 1779554718 + 3 * 86_400}, "expected when it was published"),
        ({"id": "7"}, "expected an id and a headline, found '7'"),
        ({"id": True}, "expected an id and a headline"),
        ({"headline": ""}, "expected an id and a headline"),
        ({"headline": 5}, "expected an id and a headline"),
    ],
)
def test_what_is_no_article_is_left_out_with_its_place(change: dict[str, Any], words: str) -> None:
    found = read(document([ARTICLE, {**ARTICLE, "id": 8, **change}]))

    assert found.rows.num_rows == 1
    (said,) = found.left_out
    assert said.startswith("news-AAPL: article 1: ")
    assert words in said


def test_another_kind_of_document_is_left_out() -> None:
    table = rows_of(DOCUMENTS_OF_NEWS, [document([])])
    strange = table.set_column(table.schema.get_field_index("kind"), "kind", pa.array(["weather"]))

    assert "found weather" in read_news(strange).left_out[0]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from("xyz"), st.integers(0, 3)), max_size=10),
    st.randoms(use_true_random=False), st.integers(0, 10),
)  # fmt: skip
def test_an_article_says_what_was_fetched_last_and_knows_when_it_was_first_had(
    given: list[tuple[int, str, int]], random: Any, cut: int
) -> None:
    told = [({**ARTICLE, "id": number, "headline": text}, NOW + timedelta(days=day)) for number, text, day in given]
    documents = [document([article], at) for article, at in told]
    mixed = documents + documents[:cut]
    random.shuffle(mixed)

    whole = read(*documents).rows
    parts = [read(*mixed[:cut]).rows, read(*mixed[cut:]).rows]

    assert latest(pa.concat_tables(parts), NEWS.key).equals(whole)
    for row in whole.to_pylist():
        mine = [(day, text) for number, text, day in given if row["article_id"] == f"finnhub-{number}"]
        last = max(day for day, _ in mine)
        hashes = {
            document([{**ARTICLE, "id": int(row["article_id"][8:]), "headline": text}]).content_hash: text
            for day, text in mine
            if day == last
        }
        assert row["headline"] == hashes[max(hashes)]
        assert row["fetched_at"] == NOW + timedelta(days=min(day for day, _ in mine))
