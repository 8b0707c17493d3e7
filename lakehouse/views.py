"""Views over the lake's tables: SQL files with placeholders, registered in a session or written for another engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from lakehouse.fundamentals.measures import MEASURES
from lakehouse.lake import Lake
from lakehouse.tables import ALL_TABLES, Table

FOLDER = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class View:
    """One view: its name, its SQL file, and the values of the placeholders that are its own, which may name tables."""

    name: str
    file: str
    fixed: Mapping[str, str]


def _known(table: str, of: str, tie: str, *, at: str = "known_from") -> View:
    """Rows of a table as versions: `of` is what they are versions of, `at` the column that says since when."""
    as_well = "" if at == "known_from" else f"versions.{at} AS known_from,"
    fixed = {"rows": f"{{{table}}}", "of": of, "tie": tie, "at": at, "known_from": as_well}
    return View(f"{table}_known", "known", fixed)


# In this order: later views read earlier ones.
VIEWS = (
    View("silver_trade_revisions", "silver_trade_revisions", {}),
    View("silver_current_trades", "silver_current_trades", {}),
    View("gold_bars_final", "gold_bars_final", {}),
    View("silver_universe", "silver_universe", {}),
    View("silver_priced_actions", "silver_priced_actions", {}),
    View("gold_bars_adjusted", "gold_bars_adjusted", {"actions": "'split'", "ledger": "{silver_corporate_actions}"}),
    View(
        "gold_bars_total_return",
        "gold_bars_adjusted",
        {"actions": "'split', 'dividend'", "ledger": "{silver_priced_actions}"},
    ),
    View("gold_bars_filled", "gold_bars_filled", {}),
    View("silver_facts_known", "silver_facts_known", {}),
    _known("silver_filings", "cik, form", "accession"),
    _known("silver_figures", "cik, name, span, period_end", "known_from"),
    _known("silver_opinions", "source, symbol, kind, firm, period, measure", "opinion_id"),
    View("silver_consensus_known", "silver_consensus_known", {}),
    _known("gold_fundamentals", "instrument_id", "session_date", at="as_of"),
    View(
        "gold_bars_with_fundamentals",
        "gold_bars_with_fundamentals",
        {"measures": ", ".join(f"known.{one.name}" for one in MEASURES)},
    ),
    View("gold_bars_with_filings", "gold_bars_with_filings", {}),
)

# The starts of silent intervals. Trino's sequence() has at most 10,000 entries, and a session more seconds than that:
# there blocks of intervals are made first, then the intervals of each.
LAST = "gaps.gap_end - INTERVAL '0.001' SECOND"
LAST_CLOSE = {"last_close": "LAST_VALUE(bars.close) IGNORE NULLS"}
SPARK = LAST_CLOSE | {"each_slot": f"LATERAL VIEW explode(sequence(gaps.bar_end, {LAST}, gaps.length)) AS slot"}
TRINO = LAST_CLOSE | {
    "each_slot": f"CROSS JOIN UNNEST(sequence(gaps.bar_end, {LAST}, gaps.length * 5000)) AS blocks(block) "
    f"CROSS JOIN UNNEST(sequence(block, LEAST({LAST}, block + gaps.length * 4999), gaps.length)) AS numbered(slot)"
}
DUCKDB = {
    "last_close": "LAST_VALUE(bars.close IGNORE NULLS)",
    "each_slot": "CROSS JOIN LATERAL "
    f"(SELECT UNNEST(generate_series(gaps.bar_end, {LAST}, gaps.length)) AS slot) AS slots",
}
TRINO_NOW = "CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp(3))"


def view_name(table: Table) -> str:
    """The name a table has in SQL where names hold no dots: `silver_trades`."""
    return table.full_name.replace(".", "_")


def view_sql(
    view: View, names: Mapping[str, str], engine: Mapping[str, str], *, as_of: str = "current_date",
    now: str = "current_timestamp",
) -> str:  # fmt: skip
    """The SELECT of a view. `names` is what the engine calls tables and earlier views; times are SQL expressions."""
    fixed = {name: value.format(**names) for name, value in view.fixed.items()}
    return _body(view.file).format(**names, **engine, **fixed, as_of=as_of, now=now)


def as_known_at_sql(versions: str, instant: str) -> str:
    """Of versions with `known_from` and `known_to` those that were the newest word then. By the market's clock.

    DuckDB, Spark and Trino read it alike. `versions` names a view such as silver_figures_known, or silver.facts itself;
    `instant` is an expression of the type its instants have in the engine.
    """
    return _body("as_known_at").format(versions=versions, instant=instant)


def _body(file: str) -> str:
    """The text of a file of SQL without the lines that explain it."""
    text = (FOLDER / f"{file}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))


def create_views(lake: Lake, *, as_of: date | None = None, now: datetime | None = None) -> list[str]:
    """Register every table and view of the lake in its session, and return their names.

    `as_of` is the date of the universe, which adjusted bars are restated to, `now` (UTC) the reader's clock; by default
    each query's own time.
    """
    names = {view_name(table): view_name(table) for table in ALL_TABLES} | {view.name: view.name for view in VIEWS}
    times = {}
    if as_of is not None:
        times["as_of"] = f"DATE '{as_of}'"
    if now is not None:
        times["now"] = f"TIMESTAMP '{now:%Y-%m-%d %H:%M:%S.%f}'"
    created = []
    for table in ALL_TABLES:
        if lake.exists(table):
            path = lake.path(table).replace("`", "``")
            lake.spark.sql(f"CREATE OR REPLACE TEMP VIEW {view_name(table)} AS SELECT * FROM delta.`{path}`")
            created.append(view_name(table))
    for view in VIEWS:
        select = view_sql(view, names, SPARK, **times)
        lake.spark.sql(f"CREATE OR REPLACE TEMP VIEW {view.name} AS {select}")
        created.append(view.name)
    return created


def trino_views(
    tables: Mapping[str, str], schema: str, *, as_of: str = "current_date", now: str = TRINO_NOW
) -> dict[str, str]:
    """The SELECTs of all views for Trino and Athena by name, in the order in which they are created in a schema.

    First one view of each of `tables` (what the engine calls it, by its view name): instants lose their zone, which is
    UTC, since neither views in a Glue catalog nor sequence() take instants with one. Then VIEWS, which read those.
    """
    names = [*map(view_name, ALL_TABLES), *(view.name for view in VIEWS)]
    places = {name: f"{schema}.{name}" for name in names}
    selects = {
        view_name(table): _without_zone(table, tables[view_name(table)])
        for table in ALL_TABLES
        if view_name(table) in tables
    }
    return selects | {view.name: view_sql(view, places, TRINO, as_of=as_of, now=now) for view in VIEWS}


def duckdb_views(*, as_of: str = "current_date", now: str = "current_timestamp") -> dict[str, str]:
    """The SELECTs of all views for DuckDB by name, in order, over tables that go by their view names.

    `db.register(view_name(table), DeltaTable(path).to_pyarrow_dataset())` makes such a table of one of the lake's.
    """
    names = {view_name(table): view_name(table) for table in ALL_TABLES} | {view.name: view.name for view in VIEWS}
    return {view.name: view_sql(view, names, DUCKDB, as_of=as_of, now=now) for view in VIEWS}


def _without_zone(table: Table, place: str) -> str:
    columns = (
        f'CAST("{column.name}" AS timestamp(3)) AS "{column.name}"'
        if column.type == "timestamp"
        else f'"{column.name}"'
        for column in table.columns
    )
    return f"SELECT {', '.join(columns)} FROM {place}"
