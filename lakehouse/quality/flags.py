"""Checks between sources and across statements: what they find is flagged, never repaired, and blocks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.filings.cross_check import ONLY_COMPANYFACTS, ONLY_DATASETS, VALUES_DIFFER, disagreements
from lakehouse.lake import Lake
from lakehouse.quality.verdicts import FLAG, WHOLE, Verdict
from lakehouse.reference.ledger import SAME, TAKEN
from lakehouse.tables import Table
from lakehouse.tables.filings import DATA_SET_VALUES, FACTS
from lakehouse.tables.fundamentals import FIGURES
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import COLLECTED_ACTIONS, INSTRUMENTS
from lakehouse.workers import pairs_in_arrow

BALANCE = "balance_sheet_balances"
ACTIONS, FILERS = "collected_actions_agree", "filers_are_undisputed"
CENT = "0.01BD"  # vendors round, and not all alike
FINDINGS = {
    VALUES_DIFFER: ("data_sets_say_the_same", "the Data Sets give the same value"),
    ONLY_COMPANYFACTS: ("data_sets_have_it_too", "what companyfacts has of a filing, the Data Sets have too"),
    ONLY_DATASETS: ("companyfacts_have_it_too", "what the Data Sets have of a filing, companyfacts has too"),
}
FOUND = "cik bigint, finding string, told string"
COMPARED = ("cik", "accession", "concept", "unit", "period_end", "days", "value")
SHOWN = 3
STATED = ("total_assets", "total_liabilities", "total_equity", "equity", "minority_interest")


def flag_balances(lake: Lake) -> Iterator[Verdict]:
    """Balance sheets in silver.figures whose assets are not liabilities plus equity, minorities included."""
    version = lake.version(FIGURES)
    sheets = balance_sheets(lake.read(FIGURES, version=version)).persist()
    try:
        off = sheets.where("abs(difference) > tolerance")
        told = off.orderBy(F.abs("difference").desc()).selectExpr(
            "concat(cik, ' on ', period_end, ' is off by ', format_number(difference, 0), ' ', unit)"
        )
        says = "assets are liabilities plus equity, minorities included, within rounding"
        yield _flag(FIGURES, version, BALANCE, "value", says, off.count(), f"{sheets.count():,} balance sheets", told)
    finally:
        sheets.unpersist()


def balance_sheets(figures: DataFrame) -> DataFrame:
    """Each balance sheet as last known: what is left of its assets, and how much rounding may leave of them.

    Only sheets whose liabilities are reported: liabilities that are assets less equity would prove nothing.
    """
    newest = (
        figures.where("span = 'instant' AND (name <> 'total_liabilities' OR method = 'reported')")
        .groupBy("cik", "period_end", "unit", "name")
        .agg(F.max_by("value", "known_from").alias("value"))
    )
    sheets = newest.groupBy("cik", "period_end", "unit").pivot("name", list(STATED)).agg(F.first("value"))
    return (
        sheets.withColumn("owned", F.expr("coalesce(total_equity, equity + coalesce(minority_interest, 0))"))
        .withColumn("difference", F.expr("total_assets - total_liabilities - owned"))
        .withColumn("tolerance", F.when(_in(1_000_000), 2_000_000).when(_in(1_000), 2_000).otherwise(2))
        .where("difference IS NOT NULL")
        .select("cik", "period_end", "unit", "difference", "tolerance")
    )


def _in(scale: int) -> Column:
    """Whether a statement is in thousands or millions; each figure is rounded for itself, three may be off by two."""
    return F.expr(f"total_assets % {scale} = 0 AND total_liabilities % {scale} = 0 AND owned % {scale} = 0")


def flag_data_sets(lake: Lake) -> Iterator[Verdict]:
    """Facts of companyfacts against the Financial Statement Data Sets, of filings that both have."""
    version = lake.version(FACTS)
    facts = lake.read(FACTS, version=version).where("origin = 'companyfacts'").select(*COMPARED)
    values = lake.read(DATA_SET_VALUES).where("value IS NOT NULL")
    filers = lake.read(FACTS, version=version).select("accession", "cik").distinct()  # Spark pairs no frame with itself
    theirs = values.join(filers, on="accession").select("cik", *DATA_SET_VALUES.column_names)
    found = pairs_in_arrow(facts, theirs, ["cik"], _disagreements_of_one, FOUND).persist()
    try:
        for finding, (name, says) in FINDINGS.items():
            rows = found.where(F.col("finding") == finding)
            told = rows.orderBy("told").select("told")
            yield _flag(FACTS, version, name, "value", says, rows.count(), "facts of filings that both have", told)
    finally:
        found.unpersist()


def _disagreements_of_one(facts: pa.Table, values: pa.Table) -> pa.Table:
    """The disagreements about one company, each as one sentence."""
    schema = pa.schema([("cik", pa.int64()), ("finding", pa.string()), ("told", pa.string())])
    if not facts.num_rows or not values.num_rows:
        return schema.empty_table()
    found = disagreements(facts, values)
    parts = [found[name].cast(pa.string()) for name in ("accession", "concept", "month_end")]
    sides = [
        pc.fill_null(found[name].cast(pa.string()), "nothing") for name in ("companyfacts_value", "datasets_value")
    ]
    told = pc.binary_join_element_wise(*parts, sides[0], "against", sides[1], " ")
    ciks = pa.repeat(pa.scalar(facts["cik"][0].as_py(), pa.int64()), found.num_rows)
    return pa.table({"cik": ciks, "finding": found["finding"], "told": told}).cast(schema)


def flag_actions(lake: Lake) -> Iterator[Verdict]:
    """Collected splits and dividends that are in no row of silver.corporate_actions: what sources say differently."""
    version = lake.version(COLLECTED_ACTIONS)
    claims = lake.read(COLLECTED_ACTIONS, version=version)
    off = claims.where(~F.col("verdict").isin(TAKEN, SAME))
    told = off.orderBy("claim_id").selectExpr("concat(claim_id, ' ', verdict, ': ', coalesce(detail, ''))")
    says = "collected splits and dividends are those of silver.corporate_actions"
    yield _flag(COLLECTED_ACTIONS, version, ACTIONS, "verdict", says, off.count(), f"{claims.count():,} claims", told)


def flag_filers(lake: Lake) -> Iterator[Verdict]:
    """Instruments that documents, or a document and the watchlist, give to two filers."""
    version = lake.version(INSTRUMENTS)
    listed = lake.read(INSTRUMENTS, version=version)
    named = listed.selectExpr("instrument_id", "get_json_object(evidence, '$.disputed') AS disputed").distinct()
    off = named.where("disputed IS NOT NULL")
    told = off.orderBy("instrument_id").selectExpr("concat(instrument_id, ': ', disputed)")
    says = "documents and the watchlist name one filer"
    yield _flag(INSTRUMENTS, version, FILERS, "cik", says, off.count(), f"{named.count():,} instruments", told)


@dataclass(frozen=True)
class Closes:
    """Daily closes of two sources side by side, as `compare_closes` finds them, and what their flag is called."""

    name: str
    says: str
    compared: DataFrame


def flag_closes(pair: Closes, version: int, scope: str) -> Iterator[Verdict]:
    """Days on which two sources of daily closes are more than a cent apart, or only one of them has a price."""
    days = pair.compared.persist()
    try:
        one = "differing[0]"
        apart = f"abs(CAST({one}.ours AS decimal(28,6)) - CAST({one}.theirs AS decimal(28,6)))"
        off = days.where(f"size(differing) > 0 AND coalesce({apart} > {CENT}, true)")
        told = off.orderBy("session_date", "instrument_id").selectExpr(
            f"concat(instrument_id, ' on ', session_date, ' ', coalesce({one}.ours, 'nothing'), ' against ', "
            f"coalesce({one}.theirs, 'nothing'))"
        )
        found = _flag(BARS, version, pair.name, "close", pair.says, off.count(), f"{days.count():,} days", told)
        yield replace(found, scope=scope)
    finally:
        days.unpersist()


def _flag(
    table: Table, version: int, name: str, columns: str, says: str, unexpected: int, of: str, told: DataFrame
) -> Verdict:  # fmt: skip
    """A verdict that blocks nothing; what is shown are the first few."""
    first = "; ".join(row[0] for row in told.take(SHOWN)) if unexpected else ""
    observed = f"{unexpected:,} of {of} disagree{f': {first}' if first else ''}"
    return Verdict(
        table=table.full_name,
        version=version,
        scope=WHOLE,
        expectation=name,
        columns=columns,
        expected=says,
        success=unexpected == 0,
        unexpected=unexpected,
        observed=observed,
        severity=FLAG,
    )
