"""Stock Spark: the same work as a careful person writes it with from_json and window(), nothing of ours in it."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

MESSAGE = (
    "type string, feed string, data array<struct<s string, p decimal(18,6), t bigint, v decimal(18,6), "
    "c array<string>, x string, id string, seq bigint, received_at bigint, kind string, ref string>>"
)
TRADE_COLUMNS = (
    "session_date", "trade_id", "kind", "ref_session_date", "ref_trade_id", "symbol", "instrument_id", "feed", "venue",
    "traded_at", "received_at", "session", "price", "size", "conditions", "eligibility", "ord", "bronze_ref",
    "position",
)  # fmt: skip
REFUSED_COLUMNS = ("bronze_ref", "position", "arrived_at", "reasons", "symbol", "raw")
FAULTS = {
    "BAD_PRICE": "one.p <= 0 OR one.p >= 9000000",
    "BAD_SIZE": "one.v <= 0 OR one.v >= 1000000000",
    "BAD_TS": "one.t < 631152000000 OR one.t >= 4102444800000",
    "FUTURE_TS": "one.t > unix_millis(arrived_at) + 300000",
    "MISSING_FIELD": "one.p IS NULL OR one.v IS NULL OR one.t IS NULL OR one.s IS NULL",
    "UNKNOWN_SYMBOL": "one.s IS NOT NULL AND one.t BETWEEN 631152000000 AND 4102444799999 AND instrument_id IS NULL",
}
INTERVALS = {"1s": "1 second", "1m": "1 minute", "5m": "5 minutes"}


@dataclass(frozen=True)
class Judged:
    """The two outcomes of judging bronze records: rows for silver.trades and rows for silver.quarantine."""

    trades: DataFrame
    refused: DataFrame


def judge(records: DataFrame, reference: str) -> Judged:
    """Parse, judge and split bronze records; `reference` is a lake with silver.instruments and silver.sessions."""
    message = F.from_json(F.col("payload").cast("string"), MESSAGE)
    ref = F.concat_ws("/", "stream", "shard", "sequence").alias("bronze_ref")
    parsed = records.select(ref, "arrived_at", "payload", message.alias("message"))
    undecodable = parsed.where("message.data IS NULL").select(
        "bronze_ref", F.lit(-1).alias("position"), "arrived_at", F.lit("NOT_JSON").alias("reasons"),
        F.lit(None).cast("string").alias("symbol"), F.substring(F.col("payload").cast("string"), 1, 4096).alias("raw"),
    )  # fmt: skip
    prints = parsed.where("message.data IS NOT NULL").select(
        "bronze_ref",
        "arrived_at",
        F.col("message.feed").alias("feed"),
        F.posexplode("message.data").alias("position", "one"),
    )
    judged = with_reasons(with_surroundings(prints, reference))
    refused = judged.where("reasons <> ''").select(
        "bronze_ref", "position", "arrived_at", "reasons", F.col("one.s").alias("symbol"), F.to_json("one").alias("raw")
    )
    return Judged(to_trades(judged.where("reasons = ''")), refused.union(undecodable))


def with_surroundings(prints: DataFrame, reference: str) -> DataFrame:
    """Add exchange date, instrument and session of each print."""
    spark: SparkSession = prints.sparkSession
    listings = spark.read.format("delta").load(f"{reference}/silver/instruments")
    sessions = spark.read.format("delta").load(f"{reference}/silver/sessions")
    dated = prints.withColumn("traded_at", F.timestamp_millis("one.t")).withColumn(
        "session_date", F.to_date(F.from_utc_timestamp("traded_at", "America/New_York"))
    )
    carried = F.expr("one.s = ticker AND session_date >= valid_from AND (valid_to IS NULL OR session_date <= valid_to)")
    listed = dated.join(listings.select("ticker", "valid_from", "valid_to", "instrument_id"), on=carried, how="left")
    hours = sessions.select(F.col("session_date").alias("day"), "session", "opens_at", "closes_at")
    open_then = F.expr("session_date = day AND traded_at >= opens_at AND traded_at < closes_at")
    return listed.join(hours, on=open_then, how="left")


def with_reasons(prints: DataFrame) -> DataFrame:
    """Add the reason codes of a print, comma separated, empty where nothing is wrong."""
    found = (F.when(F.expr(rule), F.lit(code)) for code, rule in FAULTS.items())
    return prints.withColumn("reasons", F.concat_ws(",", *found))


def to_trades(prints: DataFrame) -> DataFrame:
    """Accepted prints as rows of silver.trades."""
    received = F.least(F.timestamp_millis("one.received_at"), "arrived_at")
    odd_lot = F.array_contains("one.c", "I")
    columns: dict[str, Column] = {
        "trade_id": F.col("one.id"), "kind": F.coalesce("one.kind", F.lit("trade")),
        "ref_session_date": F.lit(None).cast("date"), "ref_trade_id": F.col("one.ref"), "symbol": F.col("one.s"),
        "venue": F.col("one.x"), "received_at": F.coalesce(received, "arrived_at"),
        "session": F.coalesce("session", F.lit("none")), "price": F.col("one.p"), "size": F.col("one.v"),
        "conditions": F.array_join("one.c", ","), "eligibility": F.when(odd_lot, 12).otherwise(15),
        "ord": F.shiftleft(F.col("one.t"), 20).bitwiseOR(F.col("one.seq")),
    }  # fmt: skip
    return prints.withColumns(columns).select(*TRADE_COLUMNS)


def window_bars(trades: DataFrame, length: str) -> DataFrame:
    """Bars of one length by one window() aggregation, on the stored types."""
    bars = trades.groupBy("instrument_id", F.window("traded_at", length).alias("span")).agg(
        F.min_by("price", "ord").alias("open"), F.max("price").alias("high"), F.min("price").alias("low"),
        F.max_by("price", "ord").alias("close"), F.sum("size").alias("volume"),
        F.sum(F.col("price") * F.col("size")).alias("notional"), F.count(F.lit(1)).alias("trades"),
    )  # fmt: skip
    return bars.select(
        "instrument_id",
        F.col("span.start").alias("bar_start"),
        "open",
        "high",
        "low",
        "close",
        "volume",
        "notional",
        "trades",
    )


def as_doubles(trades: DataFrame) -> DataFrame:
    """The columns a bar needs, amounts as doubles, which Spark aggregates by hashing; exact to the cent, not beyond."""
    return trades.select(
        "instrument_id", "traded_at", "ord", F.col("price").cast("double"), F.col("size").cast("double")
    )


def rolled_up(bars: DataFrame, length: str) -> DataFrame:
    """Bars of a greater length from bars of a lesser one, as the tuned rival makes them."""
    bars = bars.groupBy("instrument_id", F.window("bar_start", length).alias("span")).agg(
        F.min_by("open", "bar_start").alias("open"), F.max("high").alias("high"), F.min("low").alias("low"),
        F.max_by("close", "bar_start").alias("close"), F.sum("volume").alias("volume"),
        F.sum("notional").alias("notional"), F.sum("trades").alias("trades"),
    )  # fmt: skip
    return bars.select(
        "instrument_id",
        F.col("span.start").alias("bar_start"),
        "open",
        "high",
        "low",
        "close",
        "volume",
        "notional",
        "trades",
    )
