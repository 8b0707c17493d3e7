"""The past as rules see it: rows of the lake's tables in the order in which a rule would have met them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakehouse.alerts import observations as seen
from lakehouse.alerts.holdings import Splits
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.tables import Table, table_named

MOVES_LAST = 1
Reader = Callable[[Lake, date, date], Iterator[seen.Row]]


def trades(lake: Lake, first: date, last: date) -> Iterator[seen.Trade]:
    """Trades of silver.trades in the order of their receipt; what was cancelled later fired all the same."""
    rows = (
        _between(lake, "silver.trades", first, last)
        .where("kind = 'trade'")
        .selectExpr(
            "symbol", "session_date", "session", "ord", "unix_millis(traded_at) AS traded_ms",
            "unix_millis(received_at) AS received_ms", "CAST(price * 1000000 AS BIGINT) AS price_micros",
            f"eligibility & {MOVES_LAST} > 0 AS moves_last",
        )
        .orderBy("received_ms", "ord")
    )  # fmt: skip
    return (seen.Trade(*row) for row in rows.toLocalIterator())


def bars(lake: Lake, first: date, last: date) -> Iterator[seen.Bar]:
    """Bars as they were first published, in order of their end."""
    return bar_rows(_between(lake, "gold.bars", first, last))


def bar_rows(bars: DataFrame) -> Iterator[seen.Bar]:
    """Rows of gold.bars as they were first published, in order of their end; of late prints alone none was."""
    rows = (
        bars.where("NOT (source = 'built' AND first_trades = 0 AND first_close IS NULL AND late_prints > 0)")
        .selectExpr(
            "symbol", "interval", "session_date", "session", "unix_millis(bar_end) AS end_ms",
            "CAST(coalesce(first_close, close) AS DOUBLE) AS close",
            "CAST(CASE WHEN first_trades > 0 THEN first_volume ELSE volume END AS DOUBLE) AS volume",
        )
        .orderBy("end_ms", "symbol")
    )  # fmt: skip
    return (seen.Bar(*row) for row in rows.toLocalIterator())


def indicators(lake: Lake, first: date, last: date) -> Iterator[seen.Indicators]:
    """Indicators in order of their bar; values that are not warm are left out.

    The values lie between the columns `close` and `warm`; each has a bit of `warm`, in that order.
    """
    frame = _between(lake, "gold.indicators", first, last).withColumn("end_ms", F.unix_millis("bar_end"))
    names = frame.columns[frame.columns.index("close") + 1 : frame.columns.index("warm")]
    for row in frame.orderBy("end_ms", "symbol").toLocalIterator():
        values = {
            name: float(row[name]) for bit, name in enumerate(names) if row["warm"] >> bit & 1 and row[name] is not None
        }
        yield seen.Indicators(row["symbol"], row["interval"], row["session_date"], row["end_ms"], values)


def flags(lake: Lake, first: date, last: date) -> Iterator[seen.Flag]:
    """Flags of gold.anomalies in the order they were decided."""
    rows = (
        _between(lake, "gold.anomalies", first, last)
        .selectExpr(
            "symbol", "interval", "kind", "session_date", "unix_millis(bar_start) AS start_ms",
            "unix_millis(decided_at) AS at_ms", "score", "reason",
        )
        .orderBy("at_ms", "symbol", "start_ms", "kind")
    )  # fmt: skip
    return (seen.Flag(*row) for row in rows.toLocalIterator())


def advice(lake: Lake, first: date, last: date) -> Iterator[seen.Advice]:
    """Advice in the order it was issued."""
    rows = (
        _between(lake, "gold.advice", first, last)
        .selectExpr("symbol", "advice_id", "session_date", "unix_millis(issued_at) AS issued_ms", "action")
        .orderBy("issued_ms", "advice_id")
    )
    return (seen.Advice(*row) for row in rows.toLocalIterator())


def fair_values(lake: Lake, first: date, last: date) -> Iterator[seen.FairValue]:
    """Fair values in the order they were known."""
    rows = (
        _between(lake, "gold.fair_values", first, last, day="as_of")
        .selectExpr("symbol", "as_of", "unix_millis(known_from) AS known_ms", "mid", "price")
        .orderBy("known_ms", "symbol")
    )
    return (seen.FairValue(*row) for row in rows.toLocalIterator())


def filings(lake: Lake, first: date, last: date) -> Iterator[seen.Filing]:
    """Filings of what carries a ticker, in the order they were accepted."""
    tickers = lake.read(table_named("silver.instruments")).where("valid_to IS NULL").select("cik", "ticker")
    rows = (
        _between(lake, "silver.filings", first, last, day="to_date(known_from)")
        .join(tickers, "cik", "inner")
        .selectExpr(
            "ticker", "accession", "form", "to_date(known_from) AS day", "unix_millis(known_from) AS known_ms",
            "unix_millis(fetched_at) AS seen_ms",
        )
        .orderBy("known_ms", "accession")
    )  # fmt: skip
    return (seen.Filing(*row) for row in rows.toLocalIterator())


def articles(lake: Lake, first: date, last: date) -> Iterator[seen.Article]:
    """Judged news in the order it was published."""
    rows = (
        _between(lake, "silver.news", first, last, day="to_date(known_from)")
        .where("sentiment IS NOT NULL")
        .selectExpr(
            "symbol", "article_id", "to_date(known_from) AS day", "unix_millis(known_from) AS known_ms", "sentiment"
        )
        .orderBy("known_ms", "article_id")
    )
    return (seen.Article(*row) for row in rows.toLocalIterator())


def dividends(lake: Lake, first: date, last: date) -> Iterator[seen.Dividend]:
    """Every dividend that was known, looked at on every session of the range."""
    known, days = lake.read(table_named("silver.corporate_actions")), lake.read(table_named("silver.sessions"))
    sessions = days.where(F.col("session_date").between(first, last)).where("session = 'regular'")
    tickers = lake.read(table_named("silver.instruments")).where("valid_to IS NULL").select("instrument_id", "ticker")
    rows = (
        known.where("action = 'dividend'")
        .join(tickers, "instrument_id", "inner")
        .join(sessions, F.expr("known_from <= opens_at AND effective_date >= session_date"), "inner")
        .selectExpr(
            "ticker", "effective_date", "CAST(amount AS DOUBLE) AS amount", "session_date AS today",
            "unix_millis(known_from) AS known_ms",
        )
        .orderBy("today", "ticker")
    )  # fmt: skip
    return (seen.Dividend(*row) for row in rows.toLocalIterator())


def splits(lake: Lake) -> Splits:
    """Splits by the ticker that carries the instrument today: day and new shares per old share, in order."""
    tickers = lake.read(table_named("silver.instruments")).where("valid_to IS NULL").select("instrument_id", "ticker")
    rows: list[Row] = (
        lake.read(table_named("silver.corporate_actions"))
        .where("action = 'split'")
        .join(tickers, "instrument_id", "inner")
        .selectExpr("ticker", "effective_date", "CAST(ratio AS DOUBLE) AS ratio")
        .orderBy("effective_date")
        .collect()
    )
    found: dict[str, list[tuple[date, float]]] = {}
    for ticker, day, ratio in rows:
        found.setdefault(ticker, []).append((day, ratio))
    return found


READERS: Mapping[type, Reader] = {
    seen.Trade: trades,
    seen.Bar: bars,
    seen.Indicators: indicators,
    seen.Flag: flags,
    seen.Advice: advice,
    seen.FairValue: fair_values,
    seen.Filing: filings,
    seen.Article: articles,
    seen.Dividend: dividends,
}


def _between(lake: Lake, name: str, first: date, last: date, *, day: str = "session_date") -> DataFrame:
    return lake.read(_required(lake, name)).where(F.expr(day).between(first, last))


def _required(lake: Lake, name: str) -> Table:
    """The table a rule reads; one that is not declared or not made yet is an error that says so."""
    try:
        table = table_named(name)
    except KeyError as error:
        raise TableError(
            f"{name}: the rule reads this table and it is not declared in this release. Nothing was tested. Test a "
            "rule of another kind."
        ) from error
    if not lake.exists(table):
        raise TableError(
            f"{name}: the rule reads this table and there is none at {lake.path(table)}. Nothing was tested. Create it "
            f"with `tickhouse tables create {name}` and fill it, or check paths.warehouse."
        )
    return table
