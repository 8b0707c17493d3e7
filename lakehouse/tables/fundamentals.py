"""What is derived from reported facts: figures of standard concepts, and measures of each session."""

from lakehouse.fundamentals.measures import MEASURES
from lakehouse.tables.model import Column, Layer, Table

FIGURES = Table(
    layer=Layer.SILVER,
    name="figures",
    owner="build_fundamentals",
    comment="One answer about one standard concept and period of one filer, from when on it was the answer.",
    columns=(
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column("name", "string", "Standard concept of conf/concepts.yaml, such as revenue", nullable=False),
        Column("span", "string", "instant, quarter, ttm (twelve months) or year", nullable=False),
        Column("period_end", "date", "Last day of the period, or the instant's day", nullable=False),
        Column("value", "double", "The answer, NULL where it cannot be derived"),
        Column("unit", "string", "Unit of the value"),
        Column("known_from", "timestamp", "From when on this was the answer, UTC", nullable=False),
        Column("filed_date", "date", "Latest filing date among the operands"),
        Column("method", "string", "How it was derived, such as reported, four_quarters or formula"),
        Column("reason", "string", "Why there is no value, such as missing_quarter"),
        Column(
            "operands", "string", "JSON: the facts it is made of, with sign, accession and filing date", nullable=False
        ),
        Column("basis", "string", "What it was derived from: facts, splits and concepts, as a hash", nullable=False),
    ),
    key=("cik", "name", "span", "period_end", "known_from"),
    cluster_by=("cik",),
    checks={"has_a_value_or_a_reason": "(value IS NULL) <> (reason IS NULL)"},
)

FUNDAMENTALS = Table(
    layer=Layer.GOLD,
    name="fundamentals",
    owner="build_fundamentals",
    comment="One instrument on one session: what was known of its company when the regular session closed.",
    columns=(
        Column("instrument_id", "string", "Permanent id", nullable=False),
        Column("session_date", "date", "Exchange date", nullable=False),
        Column("symbol", "string", "Ticker of that day", nullable=False),
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column(
            "as_of", "timestamp", "Close of the regular session, UTC; nothing known later is in the row", nullable=False
        ),
        Column("close", "double", "Close of that session as traded, not adjusted"),
        Column("period_end", "date", "Day of the newest balance sheet"),
        Column("currency", "string", "Currency of the statements"),
        *(
            column
            for one in MEASURES
            for column in (
                Column(one.name, "double", one.meaning),
                Column(f"{one.name}_known_from", "timestamp", f"From when on {one.name} could be known, UTC"),
            )
        ),
        Column("piotroski_signals", "string", "JSON: the nine signals of piotroski_f, null where one cannot be told"),
        Column("taken_as_zero", "string", "JSON: inputs that the statements do not name and that count as zero"),
        Column("stand_ins", "string", "JSON: measures that were not reported but made of others"),
        Column("reasons", "string", "JSON: why a measure is NULL, by measure"),
        Column("basis", "string", "Basis of the figures it was made of, as in silver.figures", nullable=False),
    ),
    key=("instrument_id", "session_date"),
    cluster_by=("instrument_id", "session_date"),
)

TABLES = (FIGURES, FUNDAMENTALS)
