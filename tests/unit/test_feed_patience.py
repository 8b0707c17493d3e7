"""Waiting: back-off doubles within bounds and differs, Retry-After is obeyed, a bucket never runs over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.feeds.patience import LONGEST_WAIT, Backoff, TokenBucket, retry_after

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


def test_pauses_double_up_to_the_cap_with_jitter_and_begin_again_after_a_success() -> None:
    least, most = Backoff(1.0, 60.0, lambda: 0.0), Backoff(1.0, 60.0, lambda: 1.0)

    assert [least.after_failure() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [most.after_failure() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    most.succeeded()
    assert most.after_failure() == 1
    assert [most.after_failure() for _ in range(5000)][-1] == 60


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0), ("", 0), ("soon", 0), ("-5", 0), ("7", 7), ("999999999", LONGEST_WAIT),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("Mon, 02 Mar 2026 14:31:00 -0000", 0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_nothing(header: str | None, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.floats(1, 600), st.integers(1, 10), st.lists(st.floats(0, 30), max_size=60))
def test_no_window_ever_holds_more_calls_than_the_rate_and_one_burst(
    per_minute: float, burst: int, gaps: list[float]
) -> None:
    now = 0.0
    bucket = TokenBucket(per_minute, burst, lambda: now)
    used = []
    for gap in gaps:
        now += gap
        now += bucket.take()
        used.append(now)

    for first in range(len(used)):
        for last in range(first, len(used)):
            allowed = burst + (used[last] - used[first]) * per_minute / 60
            assert last - first + 1 <= allowed + 1e-6


def test_a_server_that_says_stay_away_is_left_alone_for_so_long() -> None:
    bucket = TokenBucket(60, 5, lambda: 0.0)
    bucket.empty(30)

    assert bucket.take() == pytest.approx(31, abs=1)
