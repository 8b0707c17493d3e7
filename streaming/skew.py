"""Clocks that disagree: a warning when the median print of a batch was received long before or after its trade."""

from __future__ import annotations

import logging

from streaming.progress import BatchReport

LOGGER = logging.getLogger("tickhouse.skew")
TOLERATED_MS = 60_000
REPLAYED_MS = 3_600_000  # a median print that old is a tape, no clock


class SkewWatch:
    """Warns when the skew leaves what is tolerated, and says when it is back; not for every batch in between."""

    def __init__(self) -> None:
        self._is_off = False

    def hear(self, report: BatchReport) -> None:
        """Hear of a batch; batches without prints say nothing."""
        if report.skew_ms is None:
            return
        is_off = is_skewed(report.skew_ms)
        if is_off and not self._is_off:
            LOGGER.warning(
                "%s, batch %d: its median print was received %.0f s %s its trade; up to %d s are tolerated. Every "
                "print is kept, but by these times late prints are told from punctual ones. Look at the clock of the "
                "feed that stamps `received_at`, and for a delay upstream of it.",
                report.query, report.batch, abs(report.skew_ms) / 1000,
                "before" if report.skew_ms < 0 else "after", TOLERATED_MS // 1000,
            )  # fmt: skip
        elif self._is_off and not is_off:
            LOGGER.warning("%s, batch %d: trades and receipts agree again.", report.query, report.batch)
        self._is_off = is_off


def is_skewed(skew_ms: int) -> bool:
    """Whether a median from trade to receipt says that a clock is off; hours and more are the age of a tape."""
    return skew_ms < -TOLERATED_MS or TOLERATED_MS < skew_ms < REPLAYED_MS
