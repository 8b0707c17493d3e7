"""Bronze: what arrived, verbatim. Nothing is judged here and nothing is ever rewritten."""

from lakehouse.tables.model import Column, Layer, Table

MARKET_EVENTS = Table(
    layer=Layer.BRONZE,
    name="market_events",
    owner="stream",
    comment="One record of the market feed as the stream delivered it. The only source that reprocessing needs.",
    columns=(
        Column("stream", "string", "Stream and its incarnation (name@created), topic, or folder", nullable=False),
        Column("shard", "string", "Kinesis shard, Kafka partition, or file", nullable=False),
        Column("sequence", "string", "Sequence number, offset, or line number within the shard", nullable=False),
        Column("arrived_at", "timestamp", "When the stream took the record in, UTC", nullable=False),
        Column("partition_key", "string", "Key the producer gave; NULL where the source has none"),
        Column("payload", "binary", "The record's bytes, verbatim"),
    ),
    key=("stream", "shard", "sequence"),
    append_only=True,
    retention_hours=24 * 30,
    properties={"delta.dataSkippingStatsColumns": "arrived_at"},
)

TABLES = (MARKET_EVENTS,)
