"""What feed health and completeness are judged by, read from the lake: prints by minute, volumes, numbers, status."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.completeness import Numbers, Witnessed
from lakehouse.conditions import COUNTS_VOLUME
from lakehouse.lake import Lake
from lakehouse.reference.calendar import SessionArrays, day_number
from lakehouse.tables.bronze import MARKET_EVENTS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import QUARANTINE, TRADES

MINUTE_MS = 60_000
NUMBERED = re.compile(r"^(?P<run>[a-z]+[0-9a-f]{8,24})-(?P<symbol>.+)-(?P<number>\d+)$")
DAY_MS = 86_400_000
STATUS_DDL = (
    "feed string, event string, at bigint, run string, `from` bigint, until bigint, frames bigint, symbols string, "
    "next map<string,bigint>"
)
Frame = dict[str, Any]
Minutes = dict[str, dict[int, int]]  # by symbol, then minute of the session
Arrivals = dict[str, NDArray[np.int64]]  # by symbol, prints received in each minute of a session


@dataclass(frozen=True)
class Hours:
    """One regular session: its date, its first millisecond, and how many minutes it has."""

    day: date
    opens_ms: int
    minutes: int

    @property
    def closes_ms(self) -> int:
        """The first millisecond after it."""
        return self.opens_ms + self.minutes * MINUTE_MS


def hours_of(sessions: SessionArrays, day: date) -> Hours | None:
    """The regular session of a date; None on holidays. Half days are shorter."""
    bounds = sessions.regular_bounds(day_number(day))
    return None if bounds is None else Hours(day, bounds[0], (bounds[1] - bounds[0]) // MINUTE_MS)


def prints_of(lake: Lake, feed: str, days: Sequence[date]) -> DataFrame:
    """A feed's trades of some dates, in the regular session."""
    prints = lake.read(TRADES).where(F.col("session_date").isin(list(days)))
    return prints.where("session = 'regular' AND kind = 'trade'").where(F.col("feed") == feed)


def arrivals(lake: Lake, feed: str, sessions: Sequence[Hours]) -> list[Arrivals]:
    """Prints received in each minute of some sessions, by symbol: one look at silver for all of them."""
    minute = F.floor(F.unix_millis("received_at") / MINUTE_MS).cast("bigint")
    prints = prints_of(lake, feed, [one.day for one in sessions])
    counted = prints.groupBy("session_date", "symbol", minute.alias("minute")).count().collect() if sessions else []
    places = {one.day: (at, one) for at, one in enumerate(sessions)}
    found: list[Arrivals] = [{} for _ in sessions]
    for day, symbol, at, count in counted:
        place, hours = places[day]
        inside = at - hours.opens_ms // MINUTE_MS
        if 0 <= inside < hours.minutes:
            found[place].setdefault(symbol, np.zeros(hours.minutes, np.int64))[inside] += count
    return found


def volumes(lake: Lake, feed: str, hours: Hours) -> tuple[Minutes, dict[str, int]]:
    """Shares in millionths that count for volume, by symbol and minute of the trade; and prints by symbol.

    Cancelled prints count: the vendor's tape had them too. Auctions stamped outside the session count in its edges.
    """
    minute = F.least(F.greatest(_minute("traded_at", hours), F.lit(0)), F.lit(hours.minutes - 1))
    counts = F.col("eligibility").bitwiseAND(F.lit(COUNTS_VOLUME)) > 0
    shares = F.sum(F.when(counts, F.col("size") * 1_000_000).otherwise(0)).cast("bigint")
    grouped = prints_of(lake, feed, [hours.day]).groupBy("symbol", minute.alias("minute"))
    by_minute: Minutes = defaultdict(dict)
    prints: dict[str, int] = defaultdict(int)
    for symbol, at, micros, count in grouped.agg(shares, F.count(F.lit(1))).collect():
        by_minute[symbol][at] = int(micros)
        prints[symbol] += count
    return dict(by_minute), dict(prints)


def vendor_volumes(bars: DataFrame, hours: Hours) -> dict[str, Witnessed]:
    """A vendor's shares by symbol (rows in the shape of gold.bars): minutes of the regular session, and the day."""
    chosen = f"source = 'vendor' AND session_date = DATE '{hours.day}' AND session = 'regular'"
    rows = bars.where(chosen).where("interval IN ('1m', '1d')")
    shares = (F.col("volume") * 1_000_000).cast("bigint")
    by_minute: Minutes = defaultdict(dict)
    days: dict[str, int] = {}
    for symbol, interval, at, micros in rows.select(
        "symbol", "interval", _minute("bar_start", hours), shares
    ).collect():
        if interval == "1d":
            days[symbol] = int(micros)
        else:
            by_minute[symbol][at] = int(micros)
    return {symbol: Witnessed(by_minute.get(symbol, {}), days.get(symbol)) for symbol in {*by_minute, *days}}


def stored_vendor_bars(lake: Lake) -> DataFrame:
    """The vendor's rows of gold.bars. Built rows win there: a minute we have is not among them, one we lack is."""
    return lake.read(BARS).where("source = 'vendor'")


def _minute(column: str, hours: Hours) -> Any:
    return F.floor((F.unix_millis(column) - F.lit(hours.opens_ms)) / MINUTE_MS).cast("int")


@dataclass
class Told:
    """What collectors of a feed told around one session: minutes with a heartbeat, what they watched, their numbers.

    `alive` is None where no collector told anything; `until_ms` is when the last one told something.
    """

    alive: NDArray[np.bool_] | None
    until_ms: int = 0
    symbols: set[str] = field(default_factory=set)
    numbers: dict[str, dict[str, Numbers]] = field(default_factory=lambda: defaultdict(dict))


def told(lake: Lake, feed: str, hours: Hours) -> Told:
    """What the status frames of bronze say of a session."""
    around = [F.timestamp_millis(F.lit(one)) for one in (hours.opens_ms - DAY_MS, hours.closes_ms + DAY_MS)]
    payload = F.col("payload").cast("string")
    frames = (
        lake.read(MARKET_EVENTS)
        .where(F.col("arrived_at").between(*around))
        .where(payload.startswith('{"type":"status"'))
        .select(F.from_json(payload, STATUS_DDL).alias("one"))
        .select("one.*")
        .where(F.col("feed") == feed)
    )
    return told_by([row.asDict() for row in frames.collect()], hours)


def told_by(frames: Sequence[Frame], hours: Hours) -> Told:
    """Status frames of one feed, in any order and as often as they were sent, as what they say of a session."""
    found = Told(np.zeros(hours.minutes, bool) if frames else None)
    found.until_ms = max((frame["at"] or 0 for frame in frames), default=0)
    minutes = [frame for frame in frames if frame["event"] == "minute"]
    gaps = [frame for frame in frames if frame["event"] == "gap"]
    begun = [frame for frame in frames if frame["event"] == "started" and frame["at"] < hours.closes_ms]
    if found.alive is not None:
        for frame in minutes:
            found.alive[_span(frame, hours)] |= bool(frame["frames"])
        for frame in gaps:  # after the heartbeats: a gap may begin and end in minutes that have some
            found.alive[_span(frame, hours, whole=True)] = False
    for frame in begun:
        found.symbols |= set(json.loads(frame["symbols"] or "[]"))
    found.numbers = _numbers(minutes, {frame["run"] for frame in begun}, found.symbols, hours)
    return found


def _numbers(minutes: list[Frame], begun: set[str], symbols: set[str], hours: Hours) -> dict[str, dict[str, Numbers]]:
    """By symbol and run, the numbers given from the last word before the session to the first word after it."""
    spans: dict[str, dict[str, Numbers]] = {symbol: dict.fromkeys(begun, Numbers(0)) for symbol in symbols}
    ended: set[str] = set()
    for frame in sorted(minutes, key=lambda frame: frame["until"]):
        run = frame["run"]
        for symbol, number in (frame["next"] or {}).items():
            runs = spans.setdefault(symbol, {})
            low = runs.get(run, Numbers(0 if run in begun else None)).low
            if frame["until"] <= hours.opens_ms:
                runs[run] = Numbers(number, number)
            elif run not in ended:
                runs[run] = Numbers(low, number)
        if frame["until"] >= hours.closes_ms:
            ended.add(run)
    return spans


def _span(row: Frame, hours: Hours, *, whole: bool = False) -> slice:
    """The minutes a frame touches; with `whole` only those that lie in it entirely."""
    first, last = (row["from"] - hours.opens_ms) / MINUTE_MS, (row["until"] - hours.opens_ms) / MINUTE_MS
    edges = (np.ceil(first), np.floor(last)) if whole else (np.floor(first), np.ceil(last))
    first_minute, after = (int(min(max(edge, 0), hours.minutes)) for edge in edges)
    return slice(first_minute, max(first_minute, after))


def numbers_seen(lake: Lake, runs: Iterable[str], day: date) -> dict[str, dict[str, list[int]]]:
    """By symbol and run the numbers of prints that silver or quarantine holds, around one date.

    A print refused is not lost: quarantine has it.
    """
    wanted = sorted(set(runs))
    if not wanted:
        return {}
    days = [day + timedelta(days=shift) for shift in (-1, 0, 1)]
    mine = F.lit(rf"^({'|'.join(wanted)})-")
    ids = lake.read(TRADES).where(F.col("session_date").isin(days)).select("trade_id")
    refused = lake.read(QUARANTINE).select(F.get_json_object("raw", "$.id").alias("trade_id"))
    both = ids.union(refused).where(F.regexp_like("trade_id", mine)).distinct()
    return numbered(row[0] for row in both.toLocalIterator())


def numbered(ids: Iterable[str]) -> dict[str, dict[str, list[int]]]:
    """Ids `RUN-SYMBOL-NUMBER` by symbol and run; other ids are left out."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for run, symbol, number in _parsed(ids):
        found[symbol][run].append(number)
    return {symbol: dict(runs) for symbol, runs in found.items()}


def _parsed(ids: Iterable[str]) -> Iterator[tuple[str, str, int]]:
    for one in ids:
        parts = NUMBERED.match(one)
        if parts:
            yield parts["run"], parts["symbol"], int(parts["number"])
