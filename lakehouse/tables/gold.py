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
        Column("query", "string", "ingest, refine, bars or detect"),
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

FEED_HEALTH = Table(
    layer=Layer.GOLD,
    name="feed_health",
    owner="feed_health",
    comment="One stretch of minutes of a session in which a feed's prints of one symbol were in one state.",
    columns=(
        Column("feed", "string", "Feed, as its prints name it", nullable=False),
        Column("symbol", "string", "Ticker", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("session", "string", "pre, regular or post", nullable=False),
        Column("since", "timestamp", "First instant of the stretch, UTC", nullable=False),
        Column("until", "timestamp", "First instant after it, UTC", nullable=False),
        Column("state", "string", "live, market_quiet, symbol_mute or feed_down", nullable=False),
        Column("prints", "bigint", "Prints received in it", nullable=False),
        Column("usual_prints", "double", "Prints usual in these minutes of past sessions", nullable=False),
        Column("reason", "string", "Why it is in this state, one sentence; empty where prints came", nullable=False),
        Column("checked_at", "timestamp", "When it was judged, UTC (bookkeeping)", nullable=False),
    ),
    key=("feed", "symbol", "session_date", "session", "since"),
    checks={
        "stretch_is_ordered": "until > since",
        "state_is_known": "state IN ('live', 'market_quiet', 'symbol_mute', 'feed_down')",
    },
)

COMPLETENESS = Table(
    layer=Layer.GOLD,
    name="completeness",
    owner="feed_health",
    comment="How complete the prints of one symbol and regular session are, by the collector's numbers and a vendor.",
    columns=(
        Column("feed", "string", "Feed, as its prints name it", nullable=False),
        Column("symbol", "string", "Ticker", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("prints", "bigint", "Prints of the session in silver", nullable=False),
        Column("lost_prints", "bigint", "Numbers the collector gave that no table holds; NULL where prints carry none"),
        Column("reference", "string", "What the volume was compared with: 1m, 1d, or none", nullable=False),
        Column("volume", "decimal(28,6)", "Our shares in what was compared", nullable=False),
        Column("reference_volume", "decimal(28,6)", "The vendor's shares in what was compared", nullable=False),
        Column("short_volume", "decimal(28,6)", "Shares missing, surplus in other minutes not counted", nullable=False),
        Column("compared", "bigint", "Minutes compared, or 1 for a whole day", nullable=False),
        Column("short", "bigint", "Of these, in which we have less than the vendor", nullable=False),
        Column("coverage", "double", "1 - short_volume / reference_volume; NULL where there is no reference"),
        Column("verdict", "string", "complete, short, or unknown where nobody can vouch for it", nullable=False),
        Column("checked_at", "timestamp", "When it was judged, UTC (bookkeeping)", nullable=False),
    ),
    key=("feed", "symbol", "session_date"),
    checks={"verdict_is_known": "verdict IN ('complete', 'short', 'unknown')"},
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


ANOMALIES = Table(
    layer=Layer.GOLD,
    name="anomalies",
    owner="detect",
    comment="One respect in which a bar is out of line: how far, why, and the numbers that say so.",
    columns=(
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("interval", "string", "Interval of the bar: 1s or 1m", nullable=False),
        Column("bar_start", "timestamp", "First instant of the bar, UTC", nullable=False),
        Column("kind", "string", "move, residual, jump, gap, volume, spike or learned", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column(
            "decided_at", "timestamp", "End of the last bar this was judged by, UTC: not known before", nullable=False
        ),
        Column(
            "score",
            "double",
            "How far out, in usual deviations; 0 for a split that is no surprise; of kind learned the model's, 0 to 1",
            nullable=False,
        ),
        Column("reason", "string", "print, halt, split, filing, news, sector move or unexplained", nullable=False),
        Column("evidence", "string", "The numbers it was judged by, a JSON object", nullable=False),
    ),
    key=("instrument_id", "interval", "bar_start", "kind"),
    checks={
        "score_is_a_number": "score >= 0 AND score < 1e300",
        "decided_after_the_bar_began": "decided_at > bar_start",
    },
    properties={"delta.dataSkippingStatsColumns": "session_date,interval,bar_start,instrument_id"},
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

TABLES = (
    BARS,
    BAR_DIFFERENCES,
    STREAM_PROGRESS,
    FEED_HEALTH,
    COMPLETENESS,
    INDICATORS,
    SIGNALS,
    ANOMALIES,
    FAIR_VALUES,
    ADVICE,
    ALERTS,
    ALERT_DELIVERIES,
)
