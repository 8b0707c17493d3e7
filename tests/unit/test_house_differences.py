"""Differences between a declaration and a table, without Spark: what is refused, why, and the rewrite it would need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.differences import Actual, differences, rewrite
from lakehouse.tables import ALL_TABLES, Column, Layer, Table

V1 = Table(
    layer=Layer.SILVER,
    name="things",
    owner="things_job",
    comment="One thing.",
    columns=(
        Column("id", "string", "Permanent id", nullable=False),
        Column("size", "int", "Size in cubits", nullable=False),
        Column("note", "string", "What there is to say"),
    ),
    key=("id",),
    checks={"size_is_positive": "size > 0"},
)


def as_made(table: Table) -> Actual:
    """What a table looks like right after it was created."""
    return Actual(table.columns, table.comment, table.table_properties, dict(table.checks), table.cluster_by)


def with_column(table: Table, column: str, **changes: object) -> Table:
    """The declaration with one column changed."""
    columns = tuple(replace(one, **changes) if one.name == column else one for one in table.columns)  # type: ignore[arg-type]
    return replace(table, columns=columns)


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.full_name)
def test_a_table_as_made_has_no_difference(table: Table) -> None:
    assert differences(table, as_made(table), "lake") == []


REFUSED: dict[str, tuple[Callable[[Table], Table], str, str]] = {
    "a dropped column": (
        lambda table: replace(table, columns=table.columns[:2]),
        "dropping a column loses its values",
        "(`id`, `size`) SELECT `id`, `size` FROM",
    ),
    "a renamed column": (
        lambda table: with_column(table, "note", name="remark"),
        "dropping a column loses its values",
        "(`id`, `size`, `remark`) SELECT `id`, `size`, `note` FROM",
    ),
    "a wider column": (
        lambda table: with_column(table, "size", type="bigint"),
        "its values would have to be converted",
        "SELECT `id`, CAST(`size` AS bigint), `note` FROM",
    ),
    "a narrower column": (
        lambda table: with_column(table, "size", type="smallint"),
        "its values would have to be converted",
        "SELECT `id`, CAST(`size` AS smallint), `note` FROM",
    ),
    "a column that must be given from now on": (
        lambda table: with_column(table, "note", nullable=False),
        "Delta cannot tighten a column",
        "SELECT `id`, `size`, `note` FROM",
    ),
    "a new column that must be given": (
        lambda table: replace(table, columns=(*table.columns, Column("age", "int", "Age", nullable=False))),
        "rows written before it have no value",
        "SELECT `id`, `size`, `note`, <a value for age> FROM",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_destructive_difference_has_no_statement_but_a_reason_and_a_rewrite(name: str) -> None:
    change, reason, expected = REFUSED[name]
    changed = change(V1)

    found = [one for one in differences(changed, as_made(V1), "lake/things") if one.refused]

    assert [(one.refused, one.statements) for one in found] == [(reason, ())]
    written = rewrite(changed, as_made(V1), "lake/things")
    assert written.startswith("INSERT INTO delta.`lake/things` (")
    assert expected in written
    assert written.endswith("FROM delta.`lake/things.before`")


def test_names_and_texts_are_quoted_so_that_sql_reads_them_as_they_are() -> None:
    changed = replace(V1, comment="It's a \\ thing")

    found = differences(changed, as_made(V1), "la`ke")

    assert found[0].statements == ("COMMENT ON TABLE delta.`la``ke` IS 'It\\'s a \\\\ thing'",)


def test_a_check_differs_by_its_words_and_not_by_its_spacing() -> None:
    there = replace(as_made(V1), checks={"size_is_positive": "size  >0"})
    other_text = replace(V1, checks={"note": "note = 'a  b'"})
    stored = replace(as_made(V1), checks={"note": "note = 'a b'"})

    assert differences(V1, there, "lake") == []
    assert [one.what for one in differences(other_text, stored, "lake")] == ["check note"]


@settings(max_examples=50)
@given(kept=st.sets(st.sampled_from(["id", "size", "note"])), nullable=st.booleans())
def test_a_statement_is_offered_only_where_nothing_can_be_lost(kept: set[str], nullable: bool) -> None:
    actual = replace(as_made(V1), columns=tuple(column for column in V1.columns if column.name in kept))
    declared = replace(V1, columns=tuple(replace(column, nullable=nullable) for column in V1.columns))

    for one in differences(declared, actual, "lake"):
        assert bool(one.statements) != bool(one.refused)
        assert not any(
            word in statement for statement in one.statements for word in ("DROP COLUMN", "SET NOT NULL", "TYPE ")
        )
