"""Per-share facts and share counts in the shares of a later session: by splits after the filing, and no others.

A filing counts in the shares of its day, and TIMELINE states what it adds up in the shares of the newest filing. So a
split counts for it from its effective date on, where that comes after the filing date; one that is announced but not
effective, or not known yet, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lakehouse.errors import TableError
from lakehouse.fundamentals.amounts import SINCE_EVER, Doubles, Longs, Mask
from lakehouse.fundamentals.arrays import day_numbers, doubles, microseconds

SPLITS_SCHEMA = pa.schema(
    [("effective_date", pa.date32()), ("ratio", pa.float64()), ("known_from", pa.timestamp("us", "UTC"))]
)


@dataclass(frozen=True, eq=False)
class Splits:
    """Splits of one listing: the day from which new shares trade, new shares per old share, since when it is known."""

    effective_days: Longs
    ratios: Doubles
    known_us: Longs


def splits_of(rows: pa.Table) -> Splits:
    """Splits from rows of effective_date, ratio and known_from, in any order."""
    ordered = rows.select(SPLITS_SCHEMA.names).sort_by([(name, "ascending") for name in SPLITS_SCHEMA.names])
    ratios = doubles(ordered["ratio"])
    if not (np.isfinite(ratios) & (ratios > 0)).all():
        raise TableError(
            f"splits: expected ratios above zero (new shares per old share), found {ratios.tolist()}. Nothing was "
            f"computed. Correct silver.corporate_actions and run again."
        )
    return Splits(day_numbers(ordered["effective_date"]), ratios, microseconds(ordered["known_from"]))


def new_shares_per_old(
    splits: Splits, filed_days: Longs, session_days: Longs, as_of_us: Longs
) -> tuple[Doubles, Longs]:
    """How many shares of each session one share of its filing has become, and since when that is known.

    Share counts are multiplied with it, per-share facts divided by it.
    """
    shares, known_us = np.ones(len(session_days)), np.full(len(session_days), SINCE_EVER)
    for effective, ratio, known in zip(splits.effective_days, splits.ratios, splits.known_us, strict=True):
        counts: Mask = (filed_days < effective) & (effective <= session_days) & (known <= as_of_us)
        shares = np.where(counts, shares * ratio, shares)
        known_us = np.where(counts, np.maximum(known_us, known), known_us)
    return shares, known_us
