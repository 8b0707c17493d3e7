"""Silver: judged prints, what was refused and why, and the reference data they are judged against."""

from lakehouse.tables.model import Column, Layer, Table

PRICE_CAP_USD = (
    9_000_000  # above the dearest share there is; below it price_micros x a fraction of a share fits 64 bits
)
SIZE_CAP = 1_000_000_000
NOTIONAL_CAP_USD = 100_000_000_000  # 10^11 such prints fit the DECIMAL(28,6) of a bar
USUAL_PRICE_USD, USUAL_SIZE = 10_000, 10_000_000  # together within the cap: such prints need no product

_READ_FROM = (
    Column("fetched_at", "timestamp", "When we first had it, UTC", nullable=False),
    Column("revised_at", "timestamp", "When the document was fetched that says what this row says", nullable=False),
    Column("document_hash", "string", "Content hash of that document in bronze", nullable=False),
)


def _amount(value: int) -> str:
    """A number of the type of prices and sizes: compared with another type, Spark converts both, print by print."""
    return f"CAST({value} AS DECIMAL(18,6))"


TRADES = Table(
    layer=Layer.SILVER,
    name="trades",
    owner="stream",
    comment="One print event: a trade, or the cancel or correction of one. An append-only log; nothing updates it.",
    columns=(
        Column("session_date", "date", "Exchange date of traded_at", nullable=False),
        Column(
            "trade_id", "string", "Id stamped at first receipt, else stream/shard/sequence/position", nullable=False
        ),
        Column("kind", "string", "trade, cancel or correct", nullable=False),
        Column("ref_session_date", "date", "Session date of the print a cancel or correction refers to"),
        Column("ref_trade_id", "string", "Trade id of the print a cancel or correction refers to"),
        Column("symbol", "string", "Ticker as printed", nullable=False),
        Column("instrument_id", "string", "Permanent id of what carried that ticker on that date", nullable=False),
        Column("feed", "string", "Feed that delivered the print; names the sale-condition dialect", nullable=False),
        Column("venue", "string", "Exchange code as the feed writes it, NULL where it gives none"),
        Column("traded_at", "timestamp", "When the exchange says it traded, UTC, whole milliseconds", nullable=False),
        Column(
            "received_at", "timestamp", "When a feed of ours first had it, never later than arrival", nullable=False
        ),
        Column("session", "string", "pre, regular, post, or none where it lies outside every session", nullable=False),
        Column("price", "decimal(18,6)", "Price in USD; NULL only on a cancel that repeats none"),
        Column("size", "decimal(18,6)", "Shares, fractions included; NULL only on a cancel that repeats none"),
        Column("conditions", "string", "Sale conditions as delivered, comma separated, NULL where none"),
        Column("eligibility", "int", "Bits: 1 moves open and close, 2 high and low, 4 volume, 8 VWAP", nullable=False),
        Column("ord", "bigint", "Order of prints: traded_at in ms << 20, plus the feed's counter", nullable=False),
        Column("batch", "bigint", "Generation << 40 plus batch number; strictly rising", nullable=False),
        Column("bronze_ref", "string", "stream/shard/sequence of the bronze record it came in", nullable=False),
        Column("position", "int", "Place among the prints of that record, from 0", nullable=False),
    ),
    key=("session_date", "trade_id"),
    append_only=True,
    retention_hours=24 * 30,
    checks={
        "price_is_sane": f"kind = 'cancel' OR (price > {_amount(0)} AND price < {_amount(PRICE_CAP_USD)})",
        "size_is_sane": f"kind = 'cancel' OR (size > {_amount(0)} AND size < {_amount(SIZE_CAP)})",
        # a dollar of slack: decoding is exact, the product of two doubles is not
        "notional_fits": (
            f"kind = 'cancel' OR (price <= {_amount(USUAL_PRICE_USD)} AND size <= {_amount(USUAL_SIZE)}) "
            f"OR CAST(price AS DOUBLE) * CAST(size AS DOUBLE) <= {NOTIONAL_CAP_USD + 1}"
        ),
        "refers": "kind = 'trade' OR ref_trade_id IS NOT NULL",
    },
    properties={"delta.dataSkippingStatsColumns": "session_date,kind,traded_at,batch,symbol"},
)

QUOTES = Table(
    layer=Layer.SILVER,
    name="quotes",
    owner="load_quotes",
    comment="One change of one side of a venue's quote. An append-only log; the other side stands as it was.",
    columns=(
        Column("session_date", "date", "Exchange date of quoted_at", nullable=False),
        Column("quote_id", "string", "Where the feed's files have it: feed-TICKER-DAY-LINE", nullable=False),
        Column("symbol", "string", "Ticker as quoted", nullable=False),
        Column("instrument_id", "string", "Permanent id of what carried that ticker on that date", nullable=False),
        Column("feed", "string", "Feed that delivered the quote", nullable=False),
        Column("venue", "string", "Exchange code as the feed writes it, NULL where it gives none"),
        Column("quoted_at", "timestamp", "When the venue says it quoted, UTC, whole milliseconds", nullable=False),
        Column("received_at", "timestamp", "When a feed of ours first had it; a tape's own clock", nullable=False),
        Column("session", "string", "pre, regular, post, or none where it lies outside every session", nullable=False),
        Column("bid_price", "decimal(18,6)", "Bid in USD, NULL where the quote is of the other side"),
        Column("bid_size", "decimal(18,6)", "Shares wanted at the bid, NULL where the quote is of the other side"),
        Column("ask_price", "decimal(18,6)", "Ask in USD, NULL where the quote is of the other side"),
        Column("ask_size", "decimal(18,6)", "Shares offered at the ask, NULL where the quote is of the other side"),
        Column("conditions", "string", "Quote conditions as delivered, `suspicious` among them, comma separated"),
        Column("ord", "bigint", "Order of quotes: quoted_at in ms << 20, plus the place in that ms", nullable=False),
    ),
    key=("session_date", "quote_id"),
    append_only=True,
    checks={"has_one_side": "(bid_price IS NULL) <> (ask_price IS NULL)"},
    properties={"delta.dataSkippingStatsColumns": "session_date,quoted_at,symbol,instrument_id"},
)

QUARANTINE = Table(
    layer=Layer.SILVER,
    name="quarantine",
    owner="stream",
    comment="One refused record or print with the reasons; `tickhouse reprocess` replays it after a fix.",
    columns=(
        Column("bronze_ref", "string", "stream/shard/sequence of the bronze record", nullable=False),
        Column("position", "int", "Place of the refused print in its record, -1 for the whole record", nullable=False),
        Column("arrived_at", "timestamp", "When the stream took the record in, UTC", nullable=False),
        Column("reasons", "string", "Reason codes, comma separated, in alphabetical order", nullable=False),
        Column("detail", "string", "What was found against what was expected, one sentence"),
        Column("symbol", "string", "Symbol where one could be read; never used as a path"),
        Column("raw", "string", "The refused text, first 4,096 characters; bronze holds the whole"),
        Column("raw_bytes", "bigint", "Length of the refused bytes"),
        Column("rules_version", "int", "Version of the rules that refused it", nullable=False),
        Column("batch", "bigint", "Refine batch that refused it", nullable=False),
        Column("resolved_batch", "bigint", "Batch in which a replay settled it, NULL while it is refused"),
    ),
    key=("bronze_ref", "position"),
)

SESSIONS = Table(
    layer=Layer.SILVER,
    name="sessions",
    owner="load_reference",
    comment="One trading session (pre, regular or post) of one exchange date.",
    columns=(
        Column("exchange", "string", "Market identifier code of the calendar, XNYS for US equities", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("session", "string", "pre, regular or post", nullable=False),
        Column("opens_at", "timestamp", "First instant, UTC", nullable=False),
        Column("closes_at", "timestamp", "First instant after it, UTC", nullable=False),
        Column("is_half_day", "boolean", "The regular session closes early", nullable=False),
        Column("sequence", "bigint", "Version of this row; a corrected calendar carries a higher one", nullable=False),
    ),
    key=("exchange", "session_date", "session"),
    version="sequence",
    checks={"session_is_ordered": "closes_at > opens_at"},
)

INSTRUMENTS = Table(
    layer=Layer.SILVER,
    name="instruments",
    owner="load_reference",
    comment="One row per listing and the interval in which it carried its ticker.",
    columns=(
        Column("instrument_id", "string", "Permanent id, never reused", nullable=False),
        Column("ticker", "string", "Ticker in this interval, as listed on the venue", nullable=False),
        Column("valid_from", "date", "First exchange date of the interval", nullable=False),
        Column("valid_to", "date", "Last exchange date, NULL while it lasts"),
        Column("exchange", "string", "Market identifier code of the calendar it trades by", nullable=False),
        Column("currency", "string", "Trading currency", nullable=False),
        Column("cik", "bigint", "SEC filer number, NULL where it files nothing or is not known"),
        Column("name", "string", "Name of the issuer where known"),
        Column("delist_reason", "string", "Why the listing ended, NULL while it lasts or where not known"),
        Column("origin", "string", "Where the row came from: lean, simulator, watchlist", nullable=False),
        Column("sequence", "bigint", "Version of this row; a correction carries a higher one", nullable=False),
        Column("cik_from", "date", "First day of which a filing of that filer is known, NULL where none is"),
        Column("sector", "string", "Industry by conf/sectors.yaml, of the filer's SIC as it is today"),
        Column("evidence", "string", "JSON: which document gave cik, cik_from, sector and delist_reason; `disputed`"),
    ),
    key=("instrument_id", "valid_from"),
    version="sequence",
    cluster_by=("ticker",),
    checks={"interval_is_ordered": "valid_to IS NULL OR valid_to >= valid_from"},
)

CORPORATE_ACTIONS = Table(
    layer=Layer.SILVER,
    name="corporate_actions",
    owner="load_reference",
    comment="One split or dividend of one instrument. Raw prices stay raw; adjustment happens on read.",
    columns=(
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("action", "string", "split or dividend", nullable=False),
        Column("effective_date", "date", "First exchange date that trades after it (ex-date)", nullable=False),
        Column("ratio", "decimal(18,9)", "New shares per old share for a split, NULL for a dividend"),
        Column("amount", "decimal(18,6)", "Cash per share for a dividend, NULL for a split"),
        Column("price_factor", "double", "Multiplier for prices before effective_date where the source states it"),
        Column("announced_at", "timestamp", "When it was announced, NULL where not known"),
        Column("known_from", "timestamp", "From when a reader could have known it", nullable=False),
        Column(
            "origin", "string", "Who says so: lean, simulator, finnhub, or the first and who agrees", nullable=False
        ),
        Column("sequence", "bigint", "Version of this row; a correction carries a higher one", nullable=False),
    ),
    key=("instrument_id", "action", "effective_date"),
    version="sequence",
    checks={"split_has_a_ratio": "action <> 'split' OR ratio > 0"},
)

COLLECTED_ACTIONS = Table(
    layer=Layer.SILVER,
    name="collected_actions",
    owner="load_reference",
    comment="One split or dividend as a collected document tells of it, and what silver.corporate_actions made of it.",
    columns=(
        Column(
            "claim_id", "string", "Source, symbol, action, day and figure, or the place in the document", nullable=False
        ),
        Column("source", "string", "Who says so, such as finnhub", nullable=False),
        Column("symbol", "string", "Ticker that was asked for", nullable=False),
        Column("action", "string", "split or dividend", nullable=False),
        Column("effective_date", "date", "First day that trades after it, NULL where it could not be read"),
        Column("ratio", "decimal(18,9)", "New shares per old share for a split"),
        Column("amount", "decimal(18,6)", "Cash per share for a dividend"),
        Column("currency", "string", "Currency of the amount where it is given"),
        Column("announced_date", "date", "Day on which it was announced, where that is given"),
        Column(
            "instrument_id", "string", "What carried the ticker when the document was fetched, NULL where nothing did"
        ),
        Column("verdict", "string", "taken, same, or why it is in no row: see docs/filings.md", nullable=False),
        Column("detail", "string", "What was found against what was expected, NULL where it was taken or is the same"),
        *_READ_FROM,
    ),
    key=("claim_id",),
)

NEWS = Table(
    layer=Layer.SILVER,
    name="news",
    owner="collect_news",
    comment="One news article about one symbol.",
    columns=(
        Column("article_id", "string", "Source and its id of the article", nullable=False),
        Column("symbol", "string", "Ticker it is about", nullable=False),
        Column("known_from", "timestamp", "When it was published, UTC", nullable=False),
        Column("headline", "string", "Its headline"),
        Column("sentiment", "double", "From -1 (bad) to 1 (good), NULL where it was not judged"),
        Column("publisher", "string", "Who published it, as the source writes it"),
        Column("url", "string", "Where it can be read"),
        Column("summary", "string", "What it says in short, as the source gives it"),
        Column("source", "string", "Who gave us the article", nullable=False),
        *_READ_FROM,
    ),
    key=("article_id", "symbol"),
    version="revised_at",
    checks={"sentiment_is_in_range": "sentiment IS NULL OR (sentiment >= -1 AND sentiment <= 1)"},
)

OPINIONS = Table(
    layer=Layer.SILVER,
    name="opinions",
    owner="collect_opinions",
    comment="One figure of what others think of one symbol: a count of analysts, a target, a grade, a sentiment.",
    columns=(
        Column("opinion_id", "string", "Source, symbol, kind, firm, period, measure and known_from", nullable=False),
        Column("source", "string", "Who gave it to us", nullable=False),
        Column("symbol", "string", "Ticker it is about", nullable=False),
        Column(
            "kind", "string", "recommendation, price_target, grade, eps_estimate, sentiment or mentions", nullable=False
        ),
        Column("firm", "string", "Whose opinion it is; NULL where it is of many"),
        Column("period", "date", "Month, fiscal period or day it is about, as the source dates it", nullable=False),
        Column("measure", "string", "What the value is, such as strong_buy, target_mean or mentions", nullable=False),
        Column("value", "double", "The figure; NULL where the source has only words that we have no number for"),
        Column("label", "string", "The source's own words, such as Overweight; NULL where it gives a number"),
        Column("known_from", "timestamp", "From when a reader could have known it, UTC", nullable=False),
        Column(
            "known_basis",
            "string",
            "stated: the source gives the instant; stated_day: only the day, whose end in New York counts; "
            "fetched: no time at all, so it counts from when we had it",
            nullable=False,
        ),
        *_READ_FROM,
    ),
    key=("opinion_id",),
    version="revised_at",
    cluster_by=("symbol",),
    checks={
        "says_something": "(value IS NOT NULL AND NOT isnan(value)) OR (value IS NULL AND label IS NOT NULL)",
        "basis_is_known": "known_basis IN ('stated', 'stated_day', 'fetched')",
    },
)

TABLES = (TRADES, QUOTES, QUARANTINE, SESSIONS, INSTRUMENTS, CORPORATE_ACTIONS, COLLECTED_ACTIONS, NEWS, OPINIONS)
