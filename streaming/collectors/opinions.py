"""Opinions from fetched documents: rows of silver.opinions, each with the instant from which it could be known. Pure.

`known_basis` says how we know that instant. A source that dates an opinion to a day is believed from the end of that
day in New York; one that gives no time, or only the month an opinion is about, from the moment we fetched it. What a
bucket of time holds counts from the end of the bucket, and not at all while the bucket was not over.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from lakehouse.arrow_frames import arrow_schema
from lakehouse.reference.calendar import exchange_zone, midnight_ms
from lakehouse.tables.silver import OPINIONS
from streaming.collectors import finnhub
from streaming.collectors.grades import score_of
from streaming.collectors.latest import latest
from streaming.collectors.promises import MENTIONS
from streaming.collectors.values import Read, day_of, instant_of, number_of, text_of, time_of

SCHEMA = arrow_schema(OPINIONS)
STATED, STATED_DAY, FETCHED = "stated", "stated_day", "fetched"
NEW_YORK = exchange_zone("XNYS")
AN_HOUR = timedelta(hours=1)
RECOMMENDATIONS = {
    "strongBuy": "strong_buy", "buy": "buy", "hold": "hold", "sell": "sell", "strongSell": "strong_sell",
}  # fmt: skip
TARGETS = {
    "targetHigh": "target_high", "targetLow": "target_low", "targetMean": "target_mean",
    "targetMedian": "target_median", "numberAnalysts": "analysts",
}  # fmt: skip
ESTIMATES = {"epsAvg": "eps_mean", "epsHigh": "eps_high", "epsLow": "eps_low", "numberAnalysts": "analysts"}
COMPANY_SENTIMENT = {
    "companyNewsScore": "news_score", "sectorAverageNewsScore": "sector_news_score",
    "sectorAverageBullishPercent": "sector_bullish", "sentiment.bullishPercent": "bullish",
    "sentiment.bearishPercent": "bearish", "buzz.buzz": "buzz", "buzz.articlesInLastWeek": "articles_in_last_week",
    "buzz.weeklyAverage": "articles_a_week",
}  # fmt: skip
SCORES = {"score": "social_score", "positiveScore": "social_positive_score", "negativeScore": "social_negative_score"}
COUNTS = {
    "mention": "social_mentions", "positiveMention": "social_positive_mentions",
    "negativeMention": "social_negative_mentions",
}  # fmt: skip
ACTIONS = {"up": 1.0, "down": -1.0, "init": 0.0, "main": 0.0, "reit": 0.0}


@dataclass(frozen=True)
class Said:
    """One figure or word; `at` is the instant the source states, or the day; None where it states no time."""

    kind: str
    period: date
    measure: str
    value: float | None
    at: datetime | date | None = None
    label: str | None = None
    firm: str | None = None


class Unclear(Exception):
    """A part of a document that cannot be read; its text says what was expected and what was found."""


Parts = Iterator[Said | Unclear]
Reader = Callable[[Any, datetime], Parts]  # what a document says, by its JSON and when it was fetched


def read_opinions(documents: pa.Table, *, bucket: timedelta) -> Read:
    """Rows of silver.opinions from rows of bronze.opinions; `bucket` is how long a mention count runs."""
    read = Read(SCHEMA.empty_table())
    rows = [row for one in documents.to_pylist() for row in _rows(one, bucket, read)]
    read.rows = latest(pa.Table.from_pylist(rows, SCHEMA), OPINIONS.key)
    return read


def _rows(document: Mapping[str, Any], bucket: timedelta, read: Read) -> Iterator[dict[str, Any]]:
    fetched_at = document["fetched_at"]
    for part in _parts(document, bucket):
        if isinstance(part, Unclear):
            read.left_out.append(f"{document['document_id']}: {part}")
            continue
        known_from, basis = known(part.at, fetched_at)
        if basis == STATED and known_from > fetched_at:
            read.unfinished += 1
        else:
            yield _row(document, part, known_from, basis)


def _parts(document: Mapping[str, Any], bucket: timedelta) -> Parts:
    kind, body, fetched_at = document["kind"], document["body"], document["fetched_at"]
    if kind == MENTIONS:
        return _mentions(body, bucket)
    reader = _READERS.get(kind)
    if reader is None:
        return iter([Unclear(f"expected one of {', '.join((*_READERS, MENTIONS))}, found {kind}")])
    return reader(json.loads(body), fetched_at)


def known(at: datetime | date | None, fetched_at: datetime) -> tuple[datetime, str]:
    """From when an opinion could be known, and how we know: by the instant or the day stated, else when we had it."""
    if at is None:
        return fetched_at, FETCHED
    if isinstance(at, datetime):
        return at, STATED
    day_is_over = midnight_ms(at + timedelta(days=1), NEW_YORK)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=day_is_over), STATED_DAY


def _row(document: Mapping[str, Any], said: Said, known_from: datetime, basis: str) -> dict[str, Any]:
    source, symbol = document["source"], document["symbol"]
    named = (source, symbol, said.kind, said.firm or "", said.period, said.measure, known_from.isoformat())
    return {
        "opinion_id": "|".join(map(str, named)), "source": source, "symbol": symbol, "kind": said.kind,
        "firm": said.firm, "period": said.period, "measure": said.measure, "value": said.value, "label": said.label,
        "known_from": known_from, "known_basis": basis, "fetched_at": document["fetched_at"],
        "revised_at": document["fetched_at"], "document_hash": document["content_hash"],
    }  # fmt: skip


def _figures(kind: str, found: Any, names: Mapping[str, str], period: date, at: datetime | date | None = None) -> Parts:
    """The figures of an object by our names for them; one that is null or absent is none."""
    for theirs, ours in names.items():
        value = _inside(found, theirs)
        number = number_of(value)
        if number is not None:
            yield Said(kind, period, ours, number, at)
        elif value is not None:
            yield Unclear(f"{theirs}: expected a number, found {value!r}")


def _inside(found: Any, name: str) -> Any:
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _recommendations(found: Any, _fetched_at: datetime) -> Parts:
    """Counts of analysts by month: the month is what they are about, not when they were known."""
    for one in found:
        month = day_of(one["period"])
        if month is None:
            yield Unclear(f"period: expected a date, found {one['period']!r}")
        else:
            yield from _figures("recommendation", one, RECOMMENDATIONS, month)


def _price_targets(found: Any, fetched_at: datetime) -> Parts:
    """Targets over all analysts as of the day of the last update; Finnhub knows none where that is empty."""
    if found["lastUpdated"] in ("", None):
        return
    updated = day_of(found["lastUpdated"]) or time_of(found["lastUpdated"])
    if updated is None:
        yield Unclear(f"lastUpdated: expected a date, found {found['lastUpdated']!r}")
        return
    yield from _figures("price_target", found, TARGETS, _day(updated), updated)


def _grades(found: Any, _fetched_at: datetime) -> Parts:
    """What a firm changed its mind to; a time at midnight UTC is a day."""
    for one in found:
        at, firm, action = instant_of(one["gradeTime"]), text_of(one["company"]), text_of(one["action"])
        if at is None or firm is None:
            yield Unclear(f"expected gradeTime and company, found {one['gradeTime']!r} and {one['company']!r}")
            continue
        stated = at.date() if at.time() == datetime.min.time() else at
        for measure, label, value in (
            ("grade", text_of(one["toGrade"]), score_of(text_of(one["toGrade"]))),
            ("previous_grade", text_of(one.get("fromGrade")), score_of(text_of(one.get("fromGrade")))),
            ("action", action, ACTIONS.get(action or "")),
        ):
            if label is not None:
                yield Said("grade", at.date(), measure, value, stated, label, firm)


def _estimates(found: Any, _fetched_at: datetime) -> Parts:
    """Estimates by fiscal period, as they stood when they were fetched."""
    for one in found["data"]:
        period = day_of(one["period"])
        if period is None:
            yield Unclear(f"period: expected a date, found {one['period']!r}")
        else:
            yield from _figures("eps_estimate", one, ESTIMATES, period)


def _news_sentiment(found: Any, fetched_at: datetime) -> Parts:
    return _figures("sentiment", found, COMPANY_SENTIMENT, fetched_at.date())


def _social_sentiment(found: Any, _fetched_at: datetime) -> Parts:
    """Scores and counts by the hour that begins at `atTime`."""
    for one in found["data"]:
        at = time_of(one["atTime"])
        if at is None:
            yield Unclear(f"atTime: expected a time, found {one['atTime']!r}")
        else:
            yield from _figures("sentiment", one, SCORES, at.date(), at + AN_HOUR)
            yield from _figures("mentions", one, COUNTS, at.date(), at + AN_HOUR)


def _mentions(body: bytes, bucket: timedelta) -> Parts:
    """Lines of `timestamp,value`: how often in the bucket that begins then."""
    for number, line in enumerate(csv.DictReader(io.StringIO(body.decode("utf-8", "replace"))), 2):
        at, value = time_of(line.get("timestamp")), _plain_number(line.get("value"))
        if at is None or value is None:
            found = f"{line.get('timestamp')!r} and {line.get('value')!r}"
            yield Unclear(f"line {number}: expected a time and a number, found {found}")
        else:
            yield Said("mentions", at.date(), "mentions", value, at + bucket)


def _plain_number(text: str | None) -> float | None:
    try:
        return number_of(float(text or ""))
    except ValueError:
        return None


def _day(at: datetime | date) -> date:
    return at.date() if isinstance(at, datetime) else at


_READERS: dict[str, Reader] = {
    finnhub.RECOMMENDATION: _recommendations,
    finnhub.GRADES: _grades,
    finnhub.PRICE_TARGET: _price_targets,
    finnhub.EPS_ESTIMATE: _estimates,
    finnhub.NEWS_SENTIMENT: _news_sentiment,
    finnhub.SOCIAL_SENTIMENT: _social_sentiment,
}
