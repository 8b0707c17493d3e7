"""What a refine query remembers of silver, against silver: the same answer whatever is forgotten or never was known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.lake import Lake
from lakehouse.tables.silver import TRADES
from streaming.batches import BatchName
from streaming.outline import PRINTS, Outline, new_points, outline_of
from streaming.seen import Seen

DAY, OPEN = date(2024, 7, 3), datetime(2024, 7, 3, 13, 30, tzinfo=UTC)
POINTS = new_points()
HELD = [(f"t{number}", number * 97) for number in range(100)]  # id, seconds after the open: two and a half hours


@pytest.fixture
def silver(lake: Lake) -> Lake:
    """Silver with batch 0, in which HELD stand, and batch 1, which is the one at hand, committed before a crash."""
    rows = [row(identity, at, 0) for identity, at in HELD] + [row("own", 30, 1)]
    lake.append(TRADES, lake.spark.createDataFrame(rows, TRADES.ddl))
    return lake


def row(identity: str, seconds: int, batch: int) -> dict[str, Any]:
    at = OPEN + timedelta(seconds=seconds)
    filled: dict[str, Any] = dict.fromkeys(TRADES.column_names) | {
        "session_date": DAY, "trade_id": identity, "kind": "trade", "symbol": "A", "instrument_id": "I", "feed": "sim",
        "traded_at": at, "received_at": at, "session": "regular", "eligibility": 15, "ord": 1, "batch": batch,
        "bronze_ref": "s/0/1", "position": 0,
    }  # fmt: skip
    return filled | {"price": Decimal(1), "size": Decimal(1)}


def outline(keys: list[tuple[str, int]]) -> Outline:
    at = pa.array([OPEN + timedelta(seconds=seconds) for _, seconds in keys], pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "row": range(len(keys)), "verdict": pa.array([0] * len(keys), pa.int8()),
            "session_date": [DAY] * len(keys), "trade_id": [one for one, _ in keys], "traded_at": at,
            "received_at": at, "arrived_at": at, "bronze_ref": ["s/0/1"] * len(keys),
            "position": pa.array([0] * len(keys), pa.int32()),
        }
    )  # fmt: skip
    return Outline.of_tables([outline_of(table, POINTS)])


def held_by(seen: Seen, lake: Lake, keys: list[tuple[str, int]], batch: int = 1) -> list[str]:
    found = seen.holds(lake, outline(keys), BatchName("refine", 0, batch))
    return [one for (one, _), is_held in zip(keys, found, strict=True) if is_held]


def test_keys_of_earlier_batches_are_held_and_those_of_this_batch_are_not(silver: Lake) -> None:
    wanted = [*HELD[::30], ("t0", 6_000), ("own", 30), ("new", 40), ("beyond", 99_999)]

    assert held_by(Seen(PRINTS, POINTS), silver, wanted) == [one for one, _ in HELD[::30]]


def test_what_is_forgotten_is_read_again_and_what_is_known_is_not(
    silver: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, reads = Seen(PRINTS, POINTS, at_most=8), []
    whole = Lake.read
    monkeypatch.setattr(Lake, "read", lambda *given, **more: reads.append(1) or whole(*given, **more))

    for stretch in (HELD[:4], HELD[50:54], HELD[96:], HELD[:4]):
        assert held_by(seen, silver, stretch) == [one for one, _ in stretch]
        seen.add(outline([(f"{one}-again", at) for one, at in stretch]).at(np.arange(0)))
    before = len(reads)
    later = [("late riser", 50_000)]
    assert held_by(seen, silver, later) == []
    seen.add(outline(later))
    assert held_by(seen, silver, later, batch=2) == ["late riser"]
    assert before >= 4
    assert len(reads) - before <= 1, "beyond what silver held at first nothing needs to be read"


def test_many_runs_of_one_stretch_answer_as_one(silver: Lake) -> None:
    seen, at = Seen(PRINTS, POINTS), 50_000
    for number in range(20):
        assert held_by(seen, silver, [(f"n{number}", at)]) == []
        seen.add(outline([(f"n{number}", at)]))

    wanted = [(f"n{number}", at) for number in range(25)]
    assert held_by(seen, silver, wanted) == [one for one, _ in wanted[:20]]
