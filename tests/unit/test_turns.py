"""Taking turns: ingest goes on once what it wrote has come to gold.bars, and never waits for what will not come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from streaming.turns import Turns

NOTHING_NEW = {"decoded": 7, "undecodable": 1, "quarantined": 3, "duplicates": 5}
TWO_PRINTS = {**NOTHING_NEW, "decoded": 9}
BARS = {"prints": 2}
LONG, SHORT = 60.0, 0.05


class Waiting(Turns):
    """Turns that tell a test when somebody has begun to wait for a query."""

    def __init__(self, longest_seconds: float) -> None:
        super().__init__(longest_seconds)
        self.began = {query: threading.Event() for query in ("refine", "bars")}

    def _next(self, query: str) -> bool:
        self.began[query].set()
        return super()._next(query)


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def ingest_waits(turns: Waiting, aside: ThreadPoolExecutor) -> Future[int]:
    waiting = aside.submit(turns.wait)
    assert turns.began["refine"].wait(LONG)
    return waiting


def test_ingest_waits_for_refine_and_then_for_bars(aside: ThreadPoolExecutor) -> None:
    turns = Waiting(LONG)
    waiting = ingest_waits(turns, aside)

    turns.hear("bars", BARS)
    turns.hear("refine", TWO_PRINTS)
    assert turns.began["bars"].wait(LONG)
    assert not waiting.done()

    turns.hear("bars", BARS)
    assert waiting.result(LONG) >= 0


def test_ingest_does_not_wait_for_bars_where_no_print_is_new(aside: ThreadPoolExecutor) -> None:
    turns = Waiting(LONG)
    waiting = ingest_waits(turns, aside)

    turns.hear("refine", NOTHING_NEW)

    waiting.result(LONG)
    assert not turns.began["bars"].is_set()


def test_a_wait_that_leads_to_nothing_is_given_up_and_its_length_told() -> None:
    turns = Waiting(SHORT)

    waited = turns.wait()

    assert waited >= SHORT * 1000
    assert not turns.began["bars"].is_set()
