"""What the tables promise about odd prints and changing shapes: kept as they came, or refused as a whole. No Spark."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.bars import PRINT_COLUMNS, BarRules
from lakehouse.errors import TableError
from lakehouse.fold import fold_table
from lakehouse.lake import Lake
from lakehouse.tables.silver import TRADES
from streaming.judge import PRINT, Rules, judge_batch
from tests.faults import corpus
from tests.faults.oracle import records_table
from tests.unit.test_bad_input import judged, rules_from

NO_SPARK: Any = None


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    return rules_from(tmp_path_factory.mktemp("rules") / "dialects.yaml")


def test_a_fat_finger_is_kept_in_silver_and_shows_as_the_high_of_its_bar(rules: Rules) -> None:
    prices = ("129.58", "12958", "129.59")
    text = corpus.message(*(corpus.print_text(p=one, t=str(corpus.TRADED_MS + at)) for at, one in enumerate(prices)))
    records = records_table([("s", "h", "0", corpus.ARRIVED_MS, text)]).combine_chunks().to_batches()[0]

    judged_rows = pa.Table.from_batches([judge_batch(records, rules)])
    prints = judged_rows.append_column("batch", pa.array([0] * 3, pa.int64())).select(PRINT_COLUMNS)
    bars = [row for row in fold_table(prints, BarRules(rules.sessions)).to_pylist() if row["interval"] == "1m"]

    assert judged_rows["verdict"].to_pylist() == [PRINT] * 3
    assert prints["price"].to_pylist() == [Decimal(one) for one in prices]
    assert [(bar["high"], bar["close"], bar["trades"]) for bar in bars] == [(Decimal("12958"), Decimal("129.59"), 3)]


def test_a_field_nobody_declared_changes_no_row_of_silver(rules: Rules) -> None:
    plain, wider = (
        judged([corpus.message(corpus.print_text(**more), head=head)], rules)
        for more, head in (({}, '"type":"trade"'), ({"venue_latency": "7"}, '"type":"trade","schema":2'))
    )

    assert plain == wider
    assert plain[0]["verdict"] == PRINT


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ((*TRADES.column_names, "venue_latency"), r"missing \[\], unexpected \['venue_latency'\]"),
        (TRADES.column_names[1:], r"missing \['session_date'\], unexpected \[\]"),
        (("SESSION_DATE", *TRADES.column_names[1:]), r"missing \['session_date'\], unexpected \['SESSION_DATE'\]"),
    ],
)
def test_rows_with_a_column_more_or_less_or_in_another_case_are_refused_before_anything_is_written(
    columns: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    rows: Any = SimpleNamespace(columns=list(columns))

    with pytest.raises(TableError, match=rf"{said}\)\. Nothing was written.*tables migrate silver\.trades"):
        Lake(NO_SPARK, str(tmp_path)).append(TRADES, rows)
