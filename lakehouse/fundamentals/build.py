"""silver.figures and gold.fundamentals: of companies whose facts have changed everything, of others the new sessions.

Both are functions of silver.facts, the corporate actions, the opinions and the daily bars. A row of a session holds
what was known at its close, so what comes later leaves it as it is: sessions of a company are made anew only where
its documents, its splits or the concepts have changed. Rows carry a hash of these, their basis, so a run that broke
off anywhere is finished by the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.fundamentals.concepts import ConceptsFile
from lakehouse.fundamentals.inputs import inputs_of
from lakehouse.fundamentals.late_splits import Split, timeline_as_known
from lakehouse.fundamentals.opinion_measures import Opinions
from lakehouse.fundamentals.per_share import SPLITS_SCHEMA, splits_of
from lakehouse.fundamentals.sessions import CLOSES_SCHEMA, FUNDAMENTALS_SCHEMA, Company, fundamentals_of
from lakehouse.fundamentals.stored_opinions import COLUMNS, opinions_of
from lakehouse.fundamentals.timeline import TIMELINE_SCHEMA
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.filings import COMPANIES, FACTS
from lakehouse.tables.fundamentals import FIGURES, FUNDAMENTALS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, OPINIONS, SESSIONS
from lakehouse.workers import groups_in_arrow, pairs_in_arrow

FACT_COLUMNS = (
    "cik", "concept", "unit", "period_start", "period_end", "days", "accession", "value", "form", "filed_date",
    "origin", "known_from",
)  # fmt: skip
ABOUT = {"instrument_id": pa.string(), "symbol": pa.string(), "cik": pa.int64(), "basis": pa.string()}
ROWS = pa.schema(
    [
        (name, ABOUT[name] if name in ABOUT else FUNDAMENTALS_SCHEMA.field(name).type)
        for name in FUNDAMENTALS.column_names
    ]
)


@dataclass(frozen=True)
class Instrument:
    """What measures of one instrument need besides figures and closes."""

    instrument_id: str
    cik: int
    currency: str
    sic: int | None
    splits: tuple[Split, ...]
    opinions: pa.Table

    def company(self) -> Company:
        """The same as measures take it."""
        names = SPLITS_SCHEMA.names
        splits = pa.table(dict(zip(names, zip(*self.splits, strict=True), strict=True)) if self.splits else {})
        rows = splits.cast(SPLITS_SCHEMA) if self.splits else SPLITS_SCHEMA.empty_table()
        opinions: Opinions | None = opinions_of(self.opinions, self.currency) if self.opinions.num_rows else None
        return Company(self.currency, self.sic, splits_of(rows), opinions)


@dataclass
class Built:
    """What a run did."""

    companies: int = 0
    figures: int = 0
    sessions: int = 0


def build(lake: Lake, concepts: ConceptsFile, exchange: str, *, first: date | None = None) -> Built:
    """Bring both tables up to date; sessions from `first` on are made anew for everybody."""
    instruments = read_instruments(lake)
    bases = _bases(lake, instruments, concepts)
    stored = {row[0]: row[1] for row in lake.read(FIGURES).select("cik", "basis").distinct().collect()}
    changed = {cik: basis for cik, basis in bases.items() if stored.get(cik) != basis}
    if changed:
        _build_figures(lake, concepts, instruments, changed)
    made = {row[0]: row[1] for row in lake.read(FUNDAMENTALS).select("instrument_id", "basis").distinct().collect()}
    whole = [one for one in instruments if made.get(one.instrument_id) != bases[one.cik]]
    others = [one for one in instruments if made.get(one.instrument_id) == bases[one.cik]]
    closes = daily_closes(lake, exchange)
    _replace_sessions(lake, whole, bases, closes, "TRUE")
    if first:
        _replace_sessions(lake, others, bases, closes, f"session_date >= DATE '{first}'")
    keys = lake.read(FUNDAMENTALS).select(*FUNDAMENTALS.key)
    missing = closes.join(keys, list(FUNDAMENTALS.key), "left_anti")
    if others:
        lake.append(FUNDAMENTALS, _measured(lake, others, bases, missing))
    return Built(len(changed), lake.read(FIGURES).count(), lake.read(FUNDAMENTALS).count())


def read_instruments(lake: Lake) -> list[Instrument]:
    """Instruments of companies that file, each once whatever tickers it carried."""
    companies = {row["cik"]: row["sic"] for row in lake.read(COMPANIES).select("cik", "sic").collect()}
    splits: dict[str, list[Split]] = {}
    rows = lake.read(CORPORATE_ACTIONS).where("action = 'split'")
    for row in rows.select("instrument_id", "effective_date", "ratio", "known_from").collect():
        splits.setdefault(row[0], []).append((row[1], float(row[2]), row[3].astimezone(UTC)))
    opinions = _opinions_by_instrument(lake)
    nothing = pa.table({name: pa.nulls(0) for name in COLUMNS})
    listed = lake.read(INSTRUMENTS).where("cik IS NOT NULL").select("instrument_id", "cik", "currency").distinct()
    return [
        Instrument(
            row["instrument_id"], row["cik"], row["currency"], _number(companies[row["cik"]]),
            tuple(sorted(splits.get(row["instrument_id"], []))), opinions.get(row["instrument_id"], nothing),
        )
        for row in listed.orderBy("instrument_id").collect() if row["cik"] in companies
    ]  # fmt: skip


def _number(sic: str | None) -> int | None:
    return int(sic) if sic and sic.isdigit() else None


def _opinions_by_instrument(lake: Lake) -> dict[str, pa.Table]:
    """Opinions about whatever carried their ticker when they became known."""
    said, listed = lake.read(OPINIONS).alias("o"), lake.read(INSTRUMENTS).where("cik IS NOT NULL").alias("i")
    day = F.to_date("o.known_from")
    carries = (F.col("o.symbol") == F.col("i.ticker")) & (day >= F.col("i.valid_from"))
    carries &= F.col("i.valid_to").isNull() | (day <= F.col("i.valid_to"))
    rows = said.join(listed, carries).select("i.instrument_id", *(f"o.{name}" for name in COLUMNS)).toArrow()
    return {
        one: rows.filter(pc.field("instrument_id") == one).drop_columns("instrument_id")
        for one in pc.unique(rows["instrument_id"]).to_pylist()
    }


def _bases(lake: Lake, instruments: Sequence[Instrument], concepts: ConceptsFile) -> dict[int, str]:
    """Of each company a hash of all that its figures are derived from."""
    documents = {row["cik"]: row["documents"] for row in lake.read(COMPANIES).select("cik", "documents").collect()}
    given = hashlib.sha256(concepts.model_dump_json().encode()).hexdigest()
    found = {}
    for cik in {one.cik for one in instruments}:
        splits = [(str(day), ratio, str(known)) for day, ratio, known in splits_of_company(instruments, cik)]
        found[cik] = hashlib.sha256(json.dumps([documents[cik], splits, given]).encode()).hexdigest()[:16]
    return found


def splits_of_company(instruments: Iterable[Instrument], cik: int) -> list[Split]:
    """The splits of a company's shares, since they were first known; listings of one company split together."""
    first: dict[tuple[date, float], datetime] = {}
    for one in instruments:
        for day, ratio, known in one.splits if one.cik == cik else ():
            first[day, ratio] = min(known, first.get((day, ratio), known))
    return sorted((*effect, known) for effect, known in first.items())


def _build_figures(
    lake: Lake, concepts: ConceptsFile, instruments: Sequence[Instrument], bases: Mapping[int, str]
) -> None:  # fmt: skip
    """Every answer about every concept, a company at a time."""
    facts = lake.read(FACTS).where(F.col("cik").isin(list(bases)))
    splits = {cik: splits_of_company(instruments, cik) for cik in bases}

    def derived(group: pa.Table) -> pa.Table:
        cik = group["cik"][0].as_py()
        return figures_of_company(group, concepts, splits[cik], bases[cik])

    figures = groups_in_arrow(facts.select(*FACT_COLUMNS), ["cik"], derived, FIGURES.schema)
    _replace(lake, FIGURES, figures, f"cik IN ({', '.join(map(str, bases))})")


def figures_of_company(
    facts: pa.Table, concepts: ConceptsFile, splits: Iterable[Split], basis: str
) -> pa.Table:  # fmt: skip
    """Rows of silver.figures of one company, from its rows of silver.facts in any order."""
    tags = sorted({tag for concept in concepts.concepts.values() for way in concept.ways for tag in way})
    rows = timeline_as_known(facts.filter(pc.field("concept").isin(tags)), concepts, splits)
    rows = rows.append_column("basis", pa.repeat(pa.scalar(basis), rows.num_rows))
    return rows.select([*TIMELINE_SCHEMA.names, "basis"])


def _replace_sessions(
    lake: Lake, instruments: Sequence[Instrument], bases: Mapping[int, str], closes: DataFrame, sessions: str
) -> None:  # fmt: skip
    """The rows of some instruments on the sessions that a condition holds for, made anew in one commit."""
    if instruments:
        ids = ", ".join(f"'{one.instrument_id}'" for one in instruments)
        rows = _measured(lake, instruments, bases, closes.where(sessions))
        _replace(lake, FUNDAMENTALS, rows, f"instrument_id IN ({ids}) AND {sessions}")


def _measured(
    lake: Lake, instruments: Sequence[Instrument], bases: Mapping[int, str], closes: DataFrame
) -> DataFrame:  # fmt: skip
    """Rows of gold.fundamentals for the closes of some instruments."""
    by_id = {one.instrument_id: one for one in instruments}
    pairs = [(one.instrument_id, one.cik) for one in instruments]
    links = lake.spark.createDataFrame(pairs, "instrument_id string, cik bigint")
    figures = lake.read(FIGURES).join(F.broadcast(links), "cik").select("instrument_id", *TIMELINE_SCHEMA.names)
    basis_of = {one.instrument_id: bases[one.cik] for one in instruments}

    def measured(timeline: pa.Table, rows: pa.Table) -> pa.Table:
        if not rows.num_rows:
            return ROWS.empty_table()
        one = by_id[rows["instrument_id"][0].as_py()]
        return rows_of_instrument(timeline, rows, one, basis_of[one.instrument_id])

    wanted = closes.where(F.col("instrument_id").isin(list(by_id)))
    return pairs_in_arrow(figures, wanted, ["instrument_id"], measured, FUNDAMENTALS.schema)


def rows_of_instrument(figures: pa.Table, closes: pa.Table, one: Instrument, basis: str) -> pa.Table:
    """Rows of gold.fundamentals of one instrument, from its figures and closes in any order."""
    found = fundamentals_of(
        inputs_of(figures.select(TIMELINE_SCHEMA.names).cast(TIMELINE_SCHEMA)),
        closes.select(CLOSES_SCHEMA.names).cast(CLOSES_SCHEMA), one.company(),
    )  # fmt: skip
    symbols = closes.sort_by("as_of")["symbol"]
    same = {"instrument_id": one.instrument_id, "cik": one.cik, "basis": basis}
    columns = {name: found[name] for name in found.column_names} | {"symbol": symbols}
    columns |= {name: pa.repeat(pa.scalar(value), found.num_rows) for name, value in same.items()}
    return pa.Table.from_arrays([columns[name] for name in ROWS.names], schema=ROWS)


def daily_closes(lake: Lake, exchange: str) -> DataFrame:
    """Daily closes as traded, known when the regular session closed."""
    closing = lake.read(SESSIONS).where((F.col("exchange") == exchange) & (F.col("session") == "regular"))
    bars = lake.read(BARS).where("interval = '1d' AND close IS NOT NULL")
    return bars.join(closing.select("session_date", F.col("closes_at").alias("as_of")), "session_date").select(
        "instrument_id", "symbol", "session_date", "as_of", F.col("close").cast("double").alias("close"),
        F.col("as_of").alias("known_from"),
    )  # fmt: skip


def _replace(lake: Lake, table: Table, rows: DataFrame, where: str) -> None:
    """Exactly these rows where a condition holds, in one commit."""
    writer = rows.select(*table.column_names).write.format("delta").mode("overwrite")
    writer.option("replaceWhere", where).save(lake.path(table))
