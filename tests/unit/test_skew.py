"""Clocks that disagree: the skew of a batch is measured, and said once where it is too large. No Spark runs here."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pytest

from streaming.judge import PRINT, REFUSED
from streaming.outline import KINDS, NUMBERS, Outline
from streaming.progress import report_of
from streaming.refine import conservation
from streaming.skew import SkewWatch, is_skewed
from tests.unit.test_listener import NOW, NOW_MS, progress, report

NO_COPIES = dict.fromkeys(KINDS, np.empty(0, np.int64))


def outline(delays_ms: list[int], verdict: int = PRINT) -> Outline:
    """Prints traded at NOW and received so many ms later."""
    count = len(delays_ms)
    traded = np.full(count, NOW_MS * 1000, np.int64)
    received = traded + np.array(delays_ms, np.int64) * 1000
    columns = dict.fromkeys(NUMBERS, np.arange(count))
    columns |= {"verdict": np.full(count, verdict), "instant_us": traded, "received_us": received}
    return Outline(columns, pa.chunked_array([[""] * count]), np.arange(count))


def counts_of(rows: Outline) -> dict[str, int]:
    return conservation(rows, {kind: rows.of(kind) for kind in KINDS}, NO_COPIES)


def warnings_of(watch: SkewWatch, caplog: pytest.LogCaptureFixture, *skews_ms: int | None) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for skew_ms in skews_ms:
            watch.hear(report(skew_ms=skew_ms))
    return [record.getMessage() for record in caplog.records]


def test_the_skew_of_a_batch_is_the_median_from_trade_to_receipt_which_late_prints_do_not_move() -> None:
    hours_late = 5 * 3_600_000

    counts = counts_of(outline([40, 50, 60, hours_late]))
    behind = counts_of(outline([-600_000, -599_000, hours_late]))
    refused = counts_of(outline([700], REFUSED))

    assert counts["skew_ms"] == 55
    assert report_of(progress(), counts, NOW).skew_ms == 55
    assert behind["skew_ms"] == -599_000
    assert report_of(progress(), refused, NOW).skew_ms is None


@pytest.mark.parametrize(
    ("skew_ms", "is_off"),
    [
        (0, False),
        (60_000, False),
        (-60_000, False),
        (60_001, True),
        (-60_001, True),
        (-(10**12), True),
        (10**12, False),
    ],
)
def test_more_than_a_minute_is_a_clock_and_years_are_a_tape(skew_ms: int, is_off: bool) -> None:
    assert is_skewed(skew_ms) == is_off


def test_a_skew_is_told_once_until_it_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    watch = SkewWatch()

    assert warnings_of(watch, caplog, 40, None) == []
    (said,) = warnings_of(watch, caplog, -600_000, None, -600_000)
    assert said.startswith("refine, batch 7: its median print was received 600 s before its trade")
    (again,) = warnings_of(watch, caplog, 55, 40)
    assert again.endswith("agree again.")
    (after,) = warnings_of(watch, caplog, 600_000)
    assert "600 s after its trade" in after
