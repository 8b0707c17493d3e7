"""No row of gold.fundamentals rests on what was known later: inputs cut at 200 random instants give the same rows."""

from __future__ import annotations

import gzip
import random
import shutil
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from lakehouse.arrow_frames import frame_of
from lakehouse.filings.acceptance import settled
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.shapes import FILINGS as FILINGS_SHAPE
from lakehouse.filings.submissions import filings_of
from lakehouse.filings.versions import versions_of
from lakehouse.fundamentals.build import (
    FACT_COLUMNS,
    ROWS,
    Instrument,
    build,
    daily_closes,
    figures_of_company,
    read_instruments,
    rows_of_instrument,
    splits_of_company,
)
from lakehouse.fundamentals.concepts import load_concepts
from lakehouse.lake import Lake
from lakehouse.reference.calendar import Row, session_arrays, sessions_for
from lakehouse.reference.load import reference_frame
from lakehouse.settings import CONF
from lakehouse.tables.filings import COMPANIES, FACTS
from lakehouse.tables.fundamentals import FUNDAMENTALS
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, OPINIONS, SESSIONS
from lakehouse.vendor import LINE, Known, daily_bars, vendor_frame
from streaming.collectors.opinions import SCHEMA as OPINIONS_SHAPE

pytestmark = pytest.mark.itest

FIRST, LAST = date(2009, 7, 1), date(2022, 12, 30)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
INSTANTS, SEED = 200, 5
CONCEPTS = load_concepts(CONF / "concepts.yaml")
TAGS = sorted({tag for concept in CONCEPTS.concepts.values() for way in concept.ways for tag in way})
CIKS = {"AAPL": 320193, "NVDA": 1045810, "GOOGL": 1652044}
# The day a split took effect, into how many shares, and by how many days it was known before (or after, below zero).
SPLITS = {
    "AAPL": ((date(2014, 6, 9), 7, 46), (date(2020, 8, 31), 4, 32)),
    "NVDA": ((date(2021, 7, 20), 4, -9), (date(2024, 6, 10), 10, 19)),
    "GOOGL": ((date(2022, 7, 18), 20, -30),),
}
KNOWN_FROM, US = "known_from", pa.timestamp("us", "UTC")
FIGURES_OF: dict[tuple[Any, ...], pa.Table] = {}  # by all that they are made of


@dataclass(frozen=True)
class Inputs:
    """All that rows of one company are made of."""

    facts: pa.Table
    instrument: Instrument
    closes: pa.Table

    def rows(self, basis: str) -> pa.Table:
        """Its rows of gold.fundamentals, by the functions that the job calls."""
        return rows_of_instrument(self.figures(basis), self.closes, self.instrument, basis)

    def figures(self, basis: str) -> pa.Table:
        """Its rows of silver.figures; between two filings an instant later changes none of what they are made of."""
        one = self.instrument
        made_of = (one.cik, one.splits, self.facts.num_rows, pc.sum(self.facts[KNOWN_FROM].cast(pa.int64())).as_py())
        if made_of not in FIGURES_OF:
            splits = splits_of_company([one], one.cik)
            FIGURES_OF[made_of] = figures_of_company(self.facts, CONCEPTS, splits, basis)
        return FIGURES_OF[made_of]

    def cut(self, instant: datetime) -> Inputs:
        """What of it was known at an instant."""
        one = self.instrument
        splits = tuple(split for split in one.splits if split[2] <= instant)
        known = replace(one, splits=splits, opinions=until(one.opinions, KNOWN_FROM, instant))
        return Inputs(until(self.facts, KNOWN_FROM, instant), known, until(self.closes, "as_of", instant))


@dataclass(frozen=True)
class Built:
    """What the lake was made of, company by company, and the rows it made, in order of sessions."""

    inputs: Mapping[str, Inputs]
    rows: Mapping[str, pa.Table]
    bases: Mapping[str, str]


def until(rows: pa.Table, column: str, instant: datetime) -> pa.Table:
    return rows.filter(pc.field(column) <= pa.scalar(instant, US))


def real_facts(folder: Path, ticker: str) -> pa.Table:
    """Versions of all facts that concepts are read from; of Alphabet, whose list is not here, known by their day."""
    name = f"CIK{CIKS[ticker]:010d}.json.gz"
    body = gzip.decompress((folder / "sec" / "companyfacts" / name).read_bytes())
    listing = folder / "sec" / "submissions" / name
    filings = FILINGS_SHAPE.empty_table()
    if listing.is_file():
        listed = filings_of(gzip.decompress(listing.read_bytes()), cik=CIKS[ticker], fetched_at=NOW)
        filings = settled(listed.rows)
    read = facts_of(body, fetched_at=NOW).rows
    return versions_of(read.filter(pc.field("concept").isin(TAGS)), filings)


def opinions(ticker: str, dice: random.Random) -> pa.Table:
    """What analysts and people might have said: each month anew, some of it again later, some of it late."""
    rows: list[Row] = []

    def say(kind: str, period: date, measure: str, value: float, known: datetime) -> None:
        name = f"{ticker}/{kind}/{period}/{measure}/{known.isoformat()}"
        rows.append(dict.fromkeys(OPINIONS.column_names) | {
            "opinion_id": name, "source": "test", "symbol": ticker, "kind": kind, "period": period, "measure": measure,
            "value": value, KNOWN_FROM: known, "known_basis": "stated", "fetched_at": NOW, "revised_at": NOW,
            "document_hash": "h",
        })  # fmt: skip

    def later(day: date, hours: int) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=dice.randint(1, hours))

    for month in range(12 * 13):
        day = date(2010 + month // 12, month % 12 + 1, 1)
        for _ in range(dice.choice((1, 1, 2))):
            known = later(day, 24 * 50)
            for measure in ("strong_buy", "buy", "hold", "sell"):
                say("recommendation", day, measure, float(dice.randint(0, 20)), known)
            say("price_target", day, "target_mean", dice.uniform(50, 500), later(day, 24 * 40))
            say("eps_estimate", date(day.year, 12, 31), "eps_mean", dice.uniform(1, 20), later(day, 24 * 40))
    for one in range(500):
        day = date(2016, 1, 1) + timedelta(days=one)
        for measure in ("mentions", "social_mentions"):
            say("mentions", day, measure, float(dice.randint(1, 900)), later(day, dice.choice((24, 24, 24 * 9))))
        say("sentiment", day, "social_score", dice.uniform(-1, 1), later(day, 36))
    return pa.Table.from_pylist(rows, OPINIONS_SHAPE)


def listed(ticker: str) -> Row:
    return dict.fromkeys(INSTRUMENTS.column_names) | {
        "instrument_id": f"I-{ticker}", "ticker": ticker, "valid_from": date(2000, 1, 3), "exchange": "XNYS",
        "currency": "USD", "cik": CIKS[ticker], "origin": "test", "sequence": 1,
    }  # fmt: skip


def traded(ticker: str, known: Known, dice: random.Random) -> Any:
    """A wandering daily price, as a vendor's file has it."""
    days = [row["session_date"] for row in sessions_for("XNYS", FIRST, LAST) if row["session"] == "regular"][::2]
    walk = np.exp(np.cumsum(np.random.default_rng(dice.randint(0, 1 << 30)).normal(0, 0.02, len(days))))
    prices = np.maximum((walk * 1_000_000).astype(np.int64), 100)
    columns = {"stamp": [f"{day:%Y%m%d} 00:00" for day in days], "volume": np.full(len(days), 1_000, np.int64)}
    return daily_bars(ticker, pa.table({**columns, **dict.fromkeys(LINE[1:5], prices)}).select(LINE), known)


def splits_of(ticker: str) -> list[Row]:
    return [
        dict.fromkeys(CORPORATE_ACTIONS.column_names) | {
            "instrument_id": f"I-{ticker}", "action": "split", "effective_date": day, "ratio": Decimal(ratio),
            KNOWN_FROM: datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - timedelta(days=before),
            "origin": "test", "sequence": 1,
        }
        for day, ratio, before in SPLITS[ticker]
    ]  # fmt: skip


@pytest.fixture(scope="module")
def built(
    spark: SparkSession, empty_lake: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Built:  # fmt: skip
    """Three real companies over 17 years of sessions, with splits and opinions, as the job builds them."""
    dice = random.Random(SEED)
    lake = Lake(spark, str(shutil.copytree(empty_lake, tmp_path_factory.mktemp("cut") / "lake")))
    sessions = sessions_for("XNYS", FIRST, LAST)
    instruments = [listed(ticker) for ticker in CIKS]
    companies = [
        dict.fromkeys(COMPANIES.column_names)
        | {"cik": cik, "sic": "3571", "documents": "d", "refused": 0, "refusals": "[]", "built_at": NOW}
        for cik in CIKS.values()
    ]
    actions = [row for ticker in CIKS for row in splits_of(ticker)]
    for table, rows in (
        (INSTRUMENTS, instruments), (SESSIONS, sessions), (COMPANIES, companies), (CORPORATE_ACTIONS, actions)
    ):  # fmt: skip
        lake.append(table, reference_frame(spark, table, rows))
    known = Known(instruments, session_arrays(sessions), "America/New_York", NOW)
    lake.append(BARS, vendor_frame(spark, [traded(ticker, known, dice) for ticker in CIKS]))
    said = pa.concat_tables([opinions(ticker, dice) for ticker in CIKS])
    lake.append(OPINIONS, frame_of(spark, said, OPINIONS.schema))
    facts = {ticker: real_facts(shared_data, ticker) for ticker in CIKS}
    every = pa.concat_tables(list(facts.values())).select(list(FACTS.column_names))
    lake.append(FACTS, frame_of(spark, every, FACTS.schema))

    build(lake, CONCEPTS, "XNYS")

    found = {one.instrument_id: one for one in read_instruments(lake)}
    closes, rows = daily_closes(lake, "XNYS").toArrow(), lake.read(FUNDAMENTALS).toArrow()
    inputs, made, bases = {}, {}, {}
    for ticker in CIKS:
        mine = pc.field("instrument_id") == f"I-{ticker}"
        stored = rows.filter(mine).select(ROWS.names).cast(ROWS).sort_by("as_of")
        inputs[ticker] = Inputs(facts[ticker].select(FACT_COLUMNS), found[f"I-{ticker}"], closes.filter(mine))
        made[ticker], bases[ticker] = stored.combine_chunks(), stored["basis"][0].as_py()
    return Built(inputs, made, bases)


def instants(built: Built) -> list[tuple[str, datetime]]:
    """Companies and instants: any, or between something that became known and the last close before it."""
    dice, found = random.Random(SEED), []
    moments = {ticker: moments_of(one) for ticker, one in built.inputs.items()}
    for place in range(INSTANTS):
        ticker = dice.choice(list(CIKS))
        closes, *events = moments[ticker]
        kind = place % 4
        event = dice.choice(events[kind]) if kind < len(events) else dice.uniform(closes[0], closes[-1])
        before = closes[bisect_right(closes, event) - 1]
        start = before if before <= event and kind < len(events) else event
        found.append((ticker, datetime.fromtimestamp(dice.uniform(start, event), UTC)))
    return found


def moments_of(one: Inputs) -> list[list[float]]:
    """When sessions closed, and when facts, opinions and splits became known, in seconds and in order."""
    splits = pa.chunked_array([pa.array([known for _, _, known in one.instrument.splits], US)])
    columns = (one.closes["as_of"], one.facts[KNOWN_FROM], one.instrument.opinions[KNOWN_FROM], splits)
    return [sorted(value / 1e6 for value in pc.unique(column).cast(pa.int64()).to_pylist()) for column in columns]


def differing(whole: pa.Table, cut: pa.Table) -> list[str]:
    """The columns in which rows differ from the first rows of a whole."""
    first = whole.slice(0, cut.num_rows)
    return [name for name in ROWS.names if not first[name].combine_chunks().equals(cut[name].combine_chunks())]


def test_rows_of_sessions_closed_by_an_instant_are_those_that_inputs_cut_at_it_give(built: Built) -> None:
    for ticker, inputs in built.inputs.items():
        assert differing(built.rows[ticker], inputs.rows(built.bases[ticker])) == []
    compared, lost, wrong = 0, 0, []
    for ticker, instant in instants(built):
        whole, cut = built.inputs[ticker], built.inputs[ticker].cut(instant)
        rows = cut.rows(built.bases[ticker])
        closed = until(built.rows[ticker], "as_of", instant).num_rows
        assert rows.num_rows == closed
        wrong += [(ticker, instant, name) for name in differing(built.rows[ticker], rows)]
        compared, lost = compared + closed, lost + (cut.facts.num_rows < whole.facts.num_rows)

    assert wrong == []
    assert compared > 100_000
    assert lost > 150


def with_known(facts: pa.Table, known: pa.ChunkedArray) -> pa.Table:
    return facts.set_column(facts.column_names.index(KNOWN_FROM), KNOWN_FROM, known.cast(US))


def early_splits(inputs: Inputs) -> Inputs:
    splits = tuple((day, ratio, datetime(2000, 1, 1, tzinfo=UTC)) for day, ratio, _ in inputs.instrument.splits)
    return replace(inputs, instrument=replace(inputs.instrument, splits=splits))


def early_opinions(inputs: Inputs) -> Inputs:
    said = inputs.instrument.opinions
    return replace(inputs, instrument=replace(inputs.instrument, opinions=with_known(said, said["period"])))


def early_closes(inputs: Inputs) -> Inputs:
    rows = inputs.closes.sort_by("as_of")
    tomorrow = pa.chunked_array([pa.array([*rows["close"].to_pylist()[1:], None], pa.float64())])
    return replace(inputs, closes=rows.set_column(rows.column_names.index("close"), "close", tomorrow))


LEAKS: dict[str, Callable[[Inputs], Inputs]] = {
    "facts known on their filing date": lambda one: replace(one, facts=with_known(one.facts, one.facts["filed_date"])),
    "facts known when their period ends": lambda one: replace(
        one, facts=with_known(one.facts, one.facts["period_end"])
    ),
    "splits known before they are": early_splits,
    "opinions known in the month they are about": early_opinions,
    "tomorrow's close": early_closes,
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_would_be_noticed(built: Built, leak: str) -> None:
    leaking = {ticker: LEAKS[leak](inputs).rows("b") for ticker, inputs in built.inputs.items()}

    def is_noticed(ticker: str, instant: datetime) -> bool:
        return differing(leaking[ticker], LEAKS[leak](built.inputs[ticker].cut(instant)).rows("b")) != []

    assert any(is_noticed(ticker, instant) for ticker, instant in instants(built))
