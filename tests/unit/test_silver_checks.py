"""The checks silver is declared with say of every print what exact arithmetic says, whichever shortcut they take."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.tables.silver import (
    NOTIONAL_CAP_USD,
    PRICE_CAP_USD,
    SIZE_CAP,
    TRADES,
    USUAL_PRICE_USD,
    USUAL_SIZE,
)  # fmt: skip

MICRO = Decimal("0.000001")
PRINT = "kind string, price decimal(18,6), size decimal(18,6), ref_trade_id string"
AMOUNT_CHECKS = ("price_is_sane", "size_is_sane", "notional_fits")
Print = tuple[str, Decimal, Decimal, None]


def amounts(*edges: int) -> st.SearchStrategy[Decimal]:
    """Amounts around zero and around these edges, and any between."""
    around = st.sampled_from([Decimal(edge) + step for edge in (0, 1, *edges) for step in (-MICRO, Decimal(0), MICRO)])
    return around | st.decimals(min_value=-1, max_value=2 * max(edges), places=6)


def expected(one: Print) -> tuple[bool, ...]:
    """By arithmetic without rounding; between the cap and a dollar above it the check of the product may say either."""
    kind, price, size, _ = one
    sane = 0 < price < PRICE_CAP_USD, 0 < size < SIZE_CAP, price * size <= NOTIONAL_CAP_USD + 1
    return tuple(kind == "cancel" or one for one in sane)


def is_clear(one: Print) -> bool:
    """Whether the product is far enough from its cap for doubles to tell."""
    return abs(one[1] * one[2] - NOTIONAL_CAP_USD - 1) > Decimal("0.01")


PRINTS = st.tuples(
    st.sampled_from(["trade", "correct", "cancel"]),
    amounts(USUAL_PRICE_USD, PRICE_CAP_USD),
    amounts(USUAL_SIZE, SIZE_CAP),
    st.none(),
).filter(is_clear)


@hypothesis_settings(max_examples=5)
@given(st.lists(PRINTS, min_size=100, max_size=200))
def test_the_checks_of_amounts_agree_with_exact_arithmetic(spark: SparkSession, prints: list[Print]) -> None:
    frame = spark.createDataFrame(prints, PRINT).coalesce(1)

    found = frame.selectExpr(*(f"({TRADES.checks[name]}) AS {name}" for name in AMOUNT_CHECKS)).collect()

    assert [tuple(row) for row in found] == [expected(one) for one in prints]


def test_a_usual_print_is_within_the_cap_of_the_product() -> None:
    assert USUAL_PRICE_USD * USUAL_SIZE <= NOTIONAL_CAP_USD
