"""Gold: what people and models read. Reader version 1, UTC milliseconds, no nested types."""

from lakehouse.tables.model import Column, Layer, Table

BARS = Table(
    layer=Layer.GOLD,
    name="bars",
    owner="stream",
    comment="One bar of one instrument, interval and start. Raw prices; a bar is stamped with its start and its close.",
    columns=(
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("interval", "string", "1s, 1m, 5m, 15m, 1h or 1d", nullable=False),
        Column("bar_start", "timestamp", "First instant of the bar, UTC", nullable=False),
        Column("bar_end", "timestamp", "First instant after the bar, UTC; never past its session", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("session", "string", "pre, regular or post", nullable=False),
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column("open", "decimal(18,6)", "Price of the first print that may open; NULL where none may"),
        Column("high", "decimal(18,6)", "Highest eligible price"),
        Column("low", "decimal(18,6)", "Lowest eligible price"),
        Column("close", "decimal(18,6)", "Price of the last print that may close"),
        Column("volume", "decimal(28,6)", "Shares", nullable=False),
        Column("notional", "decimal(28,6)", "Sum of price x size over the prints that count for VWAP", nullable=False),
        Column("vwap_volume", "decimal(28,6)", "Shares of the prints that count for VWAP", nullable=False),
        Column("vwap", "double", "notional / vwap_volume, NULL where nothing counts"),
        Column("trades", "bigint", "Prints that count for volume", nullable=False),
        Column("open_ord", "bigint", "Order of the opening print"),
        Column("close_ord", "bigint", "Order of the closing print"),
        Column("first_open", "decimal(18,6)", "As first published, from what was in by bar_end + grace: open"),
        Column("first_high", "decimal(18,6)", "As first published: high"),
        Column("first_low", "decimal(18,6)", "As first published: low"),
        Column("first_close", "decimal(18,6)", "As first published: close"),
        Column("first_volume", "decimal(28,6)", "As first published: shares", nullable=False),
        Column("first_trades", "bigint", "As first published: prints that count for volume", nullable=False),
        Column("first_open_ord", "bigint", "As first published: order of the opening print"),
        Column("first_close_ord", "bigint", "As first published: order of the closing print"),
        Column("late_prints", "bigint", "Prints received after bar_end + grace", nullable=False),
        Column("cancelled_prints", "bigint", "Prints of this bar that a cancel took away", nullable=False),
        Column("corrected_prints", "bigint", "Prints of this bar that a correction replaced", nullable=False),
        Column("revision", "bigint", "late_prints + cancelled_prints + corrected_prints", nullable=False),
        Column(
            "final_at", "timestamp", "bar_end + grace: from then on the bar is final but for revisions", nullable=False
        ),
        Column("source", "string", "built from our prints, or vendor; built wins", nullable=False),
        Column(
            "through_batch", "bigint", "A recompute holds every silver row up to this batch; NULL while only merged"
        ),
        Column("updated_at", "timestamp", "When this row was last written (bookkeeping)", nullable=False),
    ),
    key=("instrument_id", "interval", "bar_start"),
    checks={
        "range_is_ordered": "low IS NULL OR low <= high",
        "counts_are_not_negative": "volume >= 0 AND trades >= 0",
        "bar_is_ordered": "bar_end > bar_start",
    },
    properties={"delta.dataSkippingStatsColumns": "interval,bar_start,session_date,instrument_id,through_batch"},
)

BAR_DIFFERENCES = Table(
    layer=Layer.GOLD,
    name="bar_differences",
    owner="compare_bars",
    comment="One disagreement between the streamed bars and a recompute from silver, or a vendor's close.",
    columns=(
        Column("checked_at", "timestamp", "When the comparison ran, UTC", nullable=False),
        Column("against", "string", "silver or vendor", nullable=False),
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("interval", "string", "Interval of the bar", nullable=False),
        Column("bar_start", "timestamp", "Start of the bar, UTC", nullable=False),
        Column("field", "string", "Column that differs, or row where one side has no bar", nullable=False),
        Column("ours", "string", "Our value as text, NULL where we have no bar"),
        Column("theirs", "string", "The other value as text, NULL where it has no bar"),
    ),
    key=("checked_at", "against", "instrument_id", "interval", "bar_start", "field"),
)

STREAM_PROGRESS = Table(
    layer=Layer.GOLD,
    name="stream_progress",
    owner="fold_progress",
    comment="One line of the stream's log: a batch of a query, or its start or end.",
    columns=(
        Column("run", "string", "Start of the process that wrote the line, and a random part", nullable=False),
        Column("line", "bigint", "Number of the line within its run, from 1", nullable=False),
        Column("at", "timestamp", "When it was written, UTC", nullable=False),
        Column("event", "string", "batch, started or ended", nullable=False),
        Column("query", "string", "ingest, refine or bars"),
        Column("batch", "bigint", "Batch number within the checkpoint; NULL where the line is about no batch"),
        Column("rows", "bigint", "Rows read"),
        Column("rows_per_second", "double", "Rows read over the time the batch took"),
        Column("batch_ms", "bigint", "How long the batch took"),
        Column("lag_ms", "bigint", "From the arrival or receipt of the newest row to the end of the batch"),
        Column("refused", "bigint", "Records and prints that went to quarantine"),
        Column("late", "bigint", "Prints received after the grace of their minute"),
        Column("duplicates", "bigint", "Second copies that were left out"),
        Column("state_rows", "bigint", "Rows the query keeps between batches"),
        Column("state_bytes", "bigint", "Memory of Spark's state stores"),
        Column(
            "skew_ms", "bigint", "From trade to receipt of the batch's median print: a clock is off where it is large"
        ),
        Column("detail", "string", "The error a query ended with, or the stages of a batch in ms as JSON"),
    ),
    key=("run", "line"),
)

FAIR_VALUES = Table(
    layer=Layer.GOLD,
    name="fair_values",
    owner="fair_value",
    comment="What one model held one share to be worth on one day, as a range.",
    columns=(
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column("as_of", "date", "Exchange date it was made for", nullable=False),
        Column("model", "string", "Model and version", nullable=False),
        Column("low", "double", "Low end of the range, USD a share", nullable=False),
        Column("mid", "double", "Middle of the range, USD a share", nullable=False),
        Column("high", "double", "High end of the range, USD a share", nullable=False),
        Column("price", "double", "Close of that day, USD a share", nullable=False),
        Column("known_from", "timestamp", "From when a reader could have known it, UTC", nullable=False),
    ),
    key=("symbol", "as_of", "model"),
    checks={"range_is_ordered": "low <= mid AND mid <= high"},
)

ADVICE = Table(
    layer=Layer.GOLD,
    name="advice",
    owner="advise",
    comment="One piece of advice on one symbol.",
    columns=(
        Column("advice_id", "string", "Permanent id", nullable=False),
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column("session_date", "date", "Exchange date it was issued for", nullable=False),
        Column("issued_at", "timestamp", "When it was issued, UTC", nullable=False),
        Column("action", "string", "buy, hold or sell", nullable=False),
        Column("score", "double", "Sum of the signed contributions", nullable=False),
        Column("expires_at", "timestamp", "From when on it does not stand any more, UTC", nullable=False),
    ),
    key=("advice_id",),
    checks={"action_is_known": "action IN ('buy', 'hold', 'sell')"},
)

ALERTS = Table(
    layer=Layer.GOLD,
    name="alerts",
    owner="detect",
    comment="One alert: one crossing of one rule by one subject, and where it stands.",
    columns=(
        Column("alert_id", "string", "Key as a hash: rule, version, subject, side, session, crossing", nullable=False),
        Column("rule", "string", "Name of the rule in conf/alerts.yaml", nullable=False),
        Column("rule_version", "bigint", "Version of the rule", nullable=False),
        Column("kind", "string", "Kind of the rule, such as price_jump", nullable=False),
        Column("subject", "string", "Symbol, portfolio, or portfolio/symbol", nullable=False),
        Column("side", "string", "up, down, cheap, dear, ...; empty where the kind has no sides", nullable=False),
        Column("session", "string", "Exchange date, with /pre, /regular or /post where it matters", nullable=False),
        Column("crossing", "string", "Instant of the crossing in ms, or the id of the event", nullable=False),
        Column("fired_at", "timestamp", "When it fired by the clock of the data, UTC", nullable=False),
        Column("value", "double", "The value that crossed the rule's level", nullable=False),
        Column("text", "string", "One sentence for people", nullable=False),
        Column("state", "string", "fired, cooling, rearmed or expired", nullable=False),
        Column("state_at", "timestamp", "Since when it stands there by the clock of the data, UTC", nullable=False),
    ),
    key=("alert_id",),
    checks={"state_is_known": "state IN ('fired', 'cooling', 'rearmed', 'expired')"},
)

ALERT_DELIVERIES = Table(
    layer=Layer.GOLD,
    name="alert_deliveries",
    owner="deliver",
    comment="One attempt to deliver one alert to one user by one channel.",
    columns=(
        Column("alert_id", "string", "Key of gold.alerts", nullable=False),
        Column("recipient", "string", "User of conf/alerts.yaml", nullable=False),
        Column("channel", "string", "Name of the user's channel", nullable=False),
        Column("attempt", "bigint", "Number of the attempt, from 1", nullable=False),
        Column("started_at", "timestamp", "When the channel was about to be called, UTC", nullable=False),
        Column("accepted_at", "timestamp", "When the channel had accepted it, UTC; NULL where it did not"),
        Column("failed_at", "timestamp", "When the attempt had failed, UTC; with accepted_at NULL: no known outcome"),
        Column("receipt", "string", "What the channel called it, such as the message id of SNS"),
        Column("error", "string", "Why the attempt failed"),
        Column("possible_copy", "boolean", "An attempt before it may have arrived as well", nullable=False),
    ),
    key=("alert_id", "recipient", "channel", "attempt"),
    checks={"has_one_outcome": "accepted_at IS NULL OR failed_at IS NULL"},
)

TABLES = (BARS, BAR_DIFFERENCES, STREAM_PROGRESS, FAIR_VALUES, ADVICE, ALERTS, ALERT_DELIVERIES)
