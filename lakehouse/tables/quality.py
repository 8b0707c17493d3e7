"""What was found when tables were held against their declarations."""

from lakehouse.tables.model import Column, Layer, Table

QUALITY_RESULTS = Table(
    layer=Layer.GOLD,
    name="quality_results",
    owner="check_quality",
    comment="One expectation of one table in one run of checks: whether it held, and how many rows it did not hold of.",
    columns=(
        Column("run_id", "string", "Start of the run, UTC, and a random part", nullable=False),
        Column("table_name", "string", "Table that was judged, such as silver.facts", nullable=False),
        Column("table_version", "bigint", "Delta version of it that was judged", nullable=False),
        Column("scope", "string", "whole, or the session dates that were judged", nullable=False),
        Column(
            "expectation",
            "string",
            "What was expected: a declared check, is_given, is_not_nan and others",
            nullable=False,
        ),
        Column("column_name", "string", "Columns it is about, comma separated; empty for the table", nullable=False),
        Column("severity", "string", "block, or flag: worth a look, stands in nobody's way", nullable=False),
        Column("success", "boolean", "It held", nullable=False),
        Column("unexpected", "bigint", "Rows it did not hold of, NULL where nothing could be counted"),
        Column("observed", "string", "What was found, as text"),
        Column("expected", "string", "What was expected, in words or as a Spark condition", nullable=False),
        Column("ran_at", "timestamp", "Start of the run, UTC", nullable=False),
    ),
    key=("run_id", "table_name", "expectation", "column_name"),
    cluster_by=("table_name", "ran_at"),
    checks={"severity_is_known": "severity IN ('block', 'flag')"},
)

TABLES = (QUALITY_RESULTS,)
