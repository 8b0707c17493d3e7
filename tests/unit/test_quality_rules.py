"""Rules from declarations: what they say of each column, and gates that agree with plain Python about every row."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from lakehouse.quality.rules import GIVEN, NOT_NAN, Rule, broken, gate, rules_of
from lakehouse.tables import ALL_TABLES, Column, Layer, Table

MOVES = Table(
    layer=Layer.SILVER,
    name="moves",
    owner="test",
    comment="One move.",
    columns=(
        Column("id", "string", "Its id", nullable=False),
        Column("low", "double", "Low", nullable=False),
        Column("high", "double", "High"),
        Column("kind", "string", "up, down or high"),
    ),
    key=("id",),
    checks={"range_is_ordered": "low <= high", "kind_is_known": "kind IS NULL OR kind IN ('up', 'down', 'high')"},
)
Move = tuple[str | None, float | None, float | None, str | None]


def named(name: str) -> Rule:
    return next(rule for rule in rules_of(MOVES) if rule.name == name)


def test_every_column_that_is_always_given_every_double_and_every_check_has_its_rule() -> None:
    found = [(rule.name, rule.columns) for rule in rules_of(MOVES)]

    assert found == [
        (GIVEN, ("id",)), (GIVEN, ("low",)), (NOT_NAN, ("low",)), (NOT_NAN, ("high",)),
        ("range_is_ordered", ("low", "high")), ("kind_is_known", ("kind",)),
    ]  # fmt: skip


def test_a_check_of_doubles_refuses_nan_and_a_word_in_quotes_is_no_column() -> None:
    assert named("range_is_ordered").sql.startswith("(low <= high) AND NOT coalesce(isnan(`low`)")
    assert named("kind_is_known").sql == "(kind IS NULL OR kind IN ('up', 'down', 'high'))"


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.full_name)
def test_the_names_of_results_tell_the_rules_of_a_table_apart(table: Table) -> None:
    names = [(rule.name, rule.columns) for rule in rules_of(table)]

    assert len(set(names)) == len(names)
    assert {name for name, _ in names} >= table.checks.keys()
    assert all(columns for _, columns in names), "a check is about some column"


def is_number(value: float | None) -> bool:
    return value is None or not math.isnan(value)


def holds(move: Move) -> bool:
    """By plain Python: a comparison with nothing does not hold."""
    ident, low, high, kind = move
    ordered = low is not None and high is not None and is_number(low) and is_number(high) and low <= high
    return ident is not None and ordered and kind in (None, "up", "down", "high")


DOUBLES = st.none() | st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf]) | st.floats()
MOVED = st.tuples(st.none() | st.just("a"), DOUBLES, DOUBLES, st.sampled_from([None, "up", "high", "sideways"]))


@hypothesis_settings(max_examples=5)
@given(st.lists(MOVED, min_size=100, max_size=200))
def test_the_gate_agrees_with_plain_python_about_every_row(spark: SparkSession, moves: list[Move]) -> None:
    rows = spark.createDataFrame(moves, MOVES.schema).coalesce(1)

    found = rows.select(gate(MOVES), broken(MOVES)).collect()

    assert [row[0] for row in found] == [holds(move) for move in moves]
    assert [row[1] == "" for row in found] == [holds(move) for move in moves]


def test_the_rules_that_a_row_breaks_are_named_with_their_columns(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(None, math.nan, 1.0, "sideways"), ("a", 1.0, 2.0, None)], MOVES.schema)

    told = [row[0] for row in rows.select(broken(MOVES)).collect()]

    assert told == ["is_given (id); is_not_nan (low); range_is_ordered (low, high); kind_is_known (kind)", ""]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.full_name)
def test_every_declared_table_has_a_gate_that_refuses_a_row_of_nothing(spark: SparkSession, table: Table) -> None:
    nothing = spark.createDataFrame([tuple(None for _ in table.columns)], table.schema)

    assert [row[0] for row in nothing.select(gate(table)).collect()] == [False]


def test_a_table_without_rules_lets_every_row_in(spark: SparkSession) -> None:
    plain = Table(Layer.BRONZE, "plain", "test", "One row.", (Column("a", "string", "Anything"),), key=("a",))

    assert [row[0] for row in spark.createDataFrame([(None,)], "a string").select(gate(plain)).collect()] == [True]
