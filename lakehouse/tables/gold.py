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

# Every value of gold.indicators, in the order of the bits of `warm`: the first is bit 0 (1), the second bit 1 (2)...
# Periods are those of the row's parameter set; "bars" are bars with prices. Prices are in the shares of the bar's day.
INDICATOR_VALUES: tuple[tuple[str, str], ...] = (
    ("sma_fast", "Simple average of closes, the shortest (5 bars)"),
    ("sma_medium", "Simple average of closes (20 bars)"),
    ("sma_slow", "Simple average of closes (50 bars)"),
    ("sma_long", "Simple average of closes, the longest (200 bars)"),
    ("ema_fast", "Exponential average of closes, seeded by a simple one (12 bars)"),
    ("ema_slow", "Exponential average of closes, seeded by a simple one (26 bars)"),
    ("macd", "Fast less slow exponential average (12, 26)"),
    ("macd_signal", "Exponential average of macd (9)"),
    ("macd_histogram", "macd less macd_signal"),
    ("rsi", "Relative strength index after Wilder, 0 to 100 (14)"),
    ("bollinger_upper", "Average plus a number of standard deviations of closes (20, 2)"),
    ("bollinger_middle", "Average of closes of the bands (20)"),
    ("bollinger_lower", "Average less a number of standard deviations of closes (20, 2)"),
    ("atr", "Average true range after Wilder (14)"),
    ("adx", "Average directional index after Wilder, 0 to 100 (14)"),
    ("stochastic_k", "Slow stochastic, 0 to 100 (14, smoothed over 3)"),
    ("stochastic_d", "Average of stochastic_k (3)"),
    ("obv", "On-balance volume since the first bar of the exchange date; of daily bars, of the calendar year"),
    ("mfi", "Money flow index, 0 to 100 (14)"),
    ("cci", "Commodity channel index (20)"),
    ("roc", "Change of the close in percent (10 bars)"),
    ("momentum", "Change of the close in USD (10 bars)"),
    ("session_vwap", "Volume-weighted average price since the first bar of the session"),
    ("volatility", "Standard deviation of log returns per bar, n - 1 in the divisor (20 returns)"),
    ("realised_volatility", "Root of the sum of squared log returns, for the whole window (20 returns)"),
    ("parkinson", "Parkinson's volatility per bar, from highs and lows (20 bars)"),
    ("trade_rate", "Prints a minute (5 bars); NULL where a vendor's bar says nothing of prints"),
    ("money_flow", "Chaikin's money flow: volume signed by the place of the close, -1 to 1 (20 bars)"),
    ("drawdown", "Close over the highest close of the window, less 1 (250 bars)"),
    ("beta", "Slope of log returns against those of the index, over pairs of bars both have (60); NULL without index"),
    ("channel_high", "Highest high of the bars before this one (20)"),
    ("channel_low", "Lowest low of the bars before this one (20)"),
    ("relative_volume", "Volume over the mean volume of the bars before this one (20)"),
)
WARM_ORDER = ", ".join(f"{name} {1 << bit}" for bit, (name, _) in enumerate(INDICATOR_VALUES))

INDICATORS = Table(
    layer=Layer.GOLD,
    name="indicators",
    owner="detect",
    comment="The indicators of one bar, known at its end. A value is NULL where it is not defined.",
    columns=(
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("interval", "string", "Interval of the bar", nullable=False),
        Column("bar_start", "timestamp", "First instant of the bar, UTC", nullable=False),
        Column(
            "bar_end", "timestamp", "First instant after it, UTC: from then on the values are known", nullable=False
        ),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("session", "string", "pre, regular or post", nullable=False),
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column("close", "double", "Close as traded; NULL where the bar has no prices"),
        *(Column(name, "double", meaning) for name, meaning in INDICATOR_VALUES),
        Column(
            "warm",
            "bigint",
            f"Which values had enough history to agree with any longer one within 1e-9, as a sum: {WARM_ORDER}",
            nullable=False,
        ),
        Column("parameter_set", "string", "Name and version of the set in conf/indicators.yaml", nullable=False),
        Column("computed_at", "timestamp", "When this row was computed (bookkeeping)", nullable=False),
    ),
    key=("instrument_id", "interval", "bar_start"),
    checks={"bar_is_ordered": "bar_end > bar_start"},
    properties={"delta.dataSkippingStatsColumns": "interval,bar_start,session_date,instrument_id"},
)

SIGNALS = Table(
    layer=Layer.GOLD,
    name="signals",
    owner="detect",
    comment="One crossing of one rule, at the bar that caused it. A rule speaks again only after it was clearly left.",
    columns=(
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("interval", "string", "Interval of the bar", nullable=False),
        Column("bar_start", "timestamp", "First instant of the bar that caused it, UTC", nullable=False),
        Column(
            "rule", "string", "What was crossed: golden_cross, rsi_overbought, volume_surge and others", nullable=False
        ),
        Column("bar_end", "timestamp", "First instant after that bar, UTC: from then on it is known", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("session", "string", "pre, regular or post", nullable=False),
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column("direction", "string", "up or down: the way the level was crossed", nullable=False),
        Column("value", "double", "What the rule measures, at this bar", nullable=False),
        Column("level", "double", "The level it crossed", nullable=False),
        Column(
            "evidence",
            "string",
            "JSON: what is measured, the last bar on the other side, the values used",
            nullable=False,
        ),
        Column("parameter_set", "string", "Name and version of the set in conf/indicators.yaml", nullable=False),
        Column("computed_at", "timestamp", "When this row was computed (bookkeeping)", nullable=False),
    ),
    key=("instrument_id", "interval", "bar_start", "rule"),
    checks={"direction_is_known": "direction IN ('up', 'down')"},
    properties={"delta.dataSkippingStatsColumns": "interval,bar_start,session_date,instrument_id,rule"},
)

TABLES = (BARS, BAR_DIFFERENCES, STREAM_PROGRESS, INDICATORS, SIGNALS)
