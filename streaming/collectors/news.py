"""Articles from fetched documents: rows of silver.news. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from lakehouse.arrow_frames import arrow_schema
from lakehouse.tables.silver import NEWS
from streaming.collectors.finnhub import COMPANY_NEWS, SOURCE
from streaming.collectors.latest import latest
from streaming.collectors.values import Read, instant_of, is_whole, text_of

SCHEMA = arrow_schema(NEWS)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)  # an article dated further ahead of when we had it is misdated
FULL = 240  # articles; more than that came for no question we know of, older ones were left out


def read_news(documents: pa.Table) -> Read:
    """Rows of silver.news from rows of bronze.news. Every article is a row or left out with a reason."""
    read = Read(SCHEMA.empty_table())
    rows = [row for one in documents.to_pylist() for row in _articles(one, read)]
    read.rows = latest(pa.Table.from_pylist(rows, SCHEMA), NEWS.key)
    return read


def _articles(document: Mapping[str, Any], read: Read) -> Iterator[dict[str, Any]]:
    place = document["document_id"]
    if document["kind"] != COMPANY_NEWS or document["source"] != SOURCE:
        read.left_out.append(f"{place}: expected {COMPANY_NEWS} of {SOURCE}, found {document['kind']}")
        return
    articles = json.loads(document["body"])
    if len(articles) >= FULL:
        read.warnings.append(f"{place}: {len(articles)} articles, as many as an answer holds: there may have been more")
    for number, article in enumerate(articles):
        published = instant_of(article["datetime"])
        if published is None or not EARLIEST <= published <= document["fetched_at"] + AHEAD:
            said = f"expected when it was published, found {article['datetime']!r}"
            read.left_out.append(f"{place}: article {number}: {said}")
        elif not is_whole(article["id"]) or text_of(article["headline"]) is None:
            read.left_out.append(f"{place}: article {number}: expected an id and a headline, found {article['id']!r}")
        else:
            yield _row(document, article, published)


def _row(document: Mapping[str, Any], article: Mapping[str, Any], published: datetime) -> dict[str, Any]:
    fetched_at = document["fetched_at"]
    return {
        "article_id": f"{SOURCE}-{article['id']}", "symbol": document["symbol"], "known_from": published,
        "headline": article["headline"], "sentiment": None, "publisher": text_of(article.get("source")),
        "url": text_of(article.get("url")), "summary": text_of(article.get("summary")), "source": SOURCE,
        "fetched_at": fetched_at, "revised_at": fetched_at, "document_hash": document["content_hash"],
    }  # fmt: skip
