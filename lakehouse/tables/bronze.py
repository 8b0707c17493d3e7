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

_DOCUMENT = (
    Column("source", "string", "Who gave it: sec, finnhub, or the name of a source of mentions", nullable=False),
    Column("document_id", "string", "Its lasting name at the source: path and query, without secrets", nullable=False),
    Column("content_hash", "string", "SHA-256 of the body, hexadecimal", nullable=False),
    Column("kind", "string", "What it is, such as submissions or company_news; says how to read it", nullable=False),
    Column("symbol", "string", "Ticker it was asked for by; NULL where it is of no one company"),
    Column("cik", "bigint", "SEC filer number it was asked for by; NULL where by none"),
    Column("fetched_at", "timestamp", "When this content was first fetched, UTC", nullable=False),
    Column("url", "string", "Address it was fetched from, without secrets", nullable=False),
    Column("status", "int", "HTTP status; NULL where it came from a file"),
    Column("content_type", "string", "Content-Type as the source gave it"),
    Column("etag", "string", "ETag, by which the source is asked whether it changed"),
    Column("last_modified", "string", "Last-Modified as the source gave it, for the same"),
)
_BODY = Column("body", "binary", "The document, verbatim, without the compression it travelled in")


def _documents(name: str, owner: str, comment: str) -> Table:
    """A table of fetched documents: one row for each content that a document ever had."""
    return Table(
        layer=Layer.BRONZE,
        name=name,
        owner=owner,
        comment=comment,
        columns=(*_DOCUMENT, _BODY),
        key=("source", "document_id", "content_hash"),
        cluster_by=("symbol", "fetched_at"),
        append_only=True,
        retention_hours=24 * 30,
        properties={"delta.dataSkippingStatsColumns": "source,document_id,kind,symbol,fetched_at,content_hash"},
    )


DOCUMENTS_OF_FILINGS = _documents(
    "filings",
    "collect_filings",
    "One fetched document about filings: a list of filings, a daily index, or the main document of one.",
)
DOCUMENTS_OF_FACTS = _documents(
    "company_facts",
    "collect_filings",
    "One fetched document of reported figures: a company's facts, or a quarter's Financial Statement Data Sets.",
)
DOCUMENTS_OF_REFERENCE = _documents(
    "reference",
    "collect_filings",
    "One fetched document of reference data: splits, dividends, an earnings calendar, which ticker files as whom.",
)
DOCUMENTS_OF_OPINIONS = _documents(
    "opinions",
    "collect_opinions",
    "One fetched document of opinions: recommendations, grades, targets, estimates, sentiment, mentions.",
)
DOCUMENTS_OF_NEWS = _documents("news", "collect_news", "One fetched document of news: one company's articles of a day.")

REFUSED_DOCUMENTS = Table(
    layer=Layer.BRONZE,
    name="refused_documents",
    owner="collect_filings",
    comment="One fetched body that was not what was promised, and why; every collector appends to it.",
    columns=(
        *_DOCUMENT,
        Column("reason", "string", "Reason code, such as not_json, elided or schema_changed", nullable=False),
        Column("detail", "string", "What was found against what was expected, one sentence", nullable=False),
        _BODY,
    ),
    key=("source", "document_id", "content_hash"),
    append_only=True,
    retention_hours=24 * 30,
    properties={"delta.dataSkippingStatsColumns": "source,document_id,kind,symbol,fetched_at"},
)

DOCUMENTS = (
    DOCUMENTS_OF_FILINGS,
    DOCUMENTS_OF_FACTS,
    DOCUMENTS_OF_REFERENCE,
    DOCUMENTS_OF_OPINIONS,
    DOCUMENTS_OF_NEWS,
)

TABLES = (MARKET_EVENTS, *DOCUMENTS, REFUSED_DOCUMENTS)
