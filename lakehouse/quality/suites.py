"""The Great Expectations suite of a table, from its declaration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import great_expectations as gx
from great_expectations.expectations.expectation import Expectation

from lakehouse.quality.expectations import (
    ExpectColumnRowsToFollowRule,
    ExpectColumnTypeToBeDeclared,
    ExpectTableKeyToBeUnique,
    ExpectTableRowsToFollowRule,
)
from lakehouse.quality.rules import Rule, rules_of
from lakehouse.tables import Column, Table

COLUMNS, TYPE, KEY = "columns_are_declared", "type_is_declared", "key_is_unique"


@dataclass(frozen=True)
class Expected:
    """What one expectation is called in gold.quality_results, which columns it is about, and what it says."""

    name: str
    columns: tuple[str, ...]
    says: str

    @property
    def described(self) -> dict[str, object]:
        """The same as an expectation carries it; Data Docs escape nothing and take a dollar sign for a parameter."""
        meta = {"name": self.name, "columns": ", ".join(self.columns), "says": self.says}
        return {"meta": meta, "description": escape(self.says, quote=False).replace("$", "$$")}


def suite_of(table: Table) -> gx.ExpectationSuite:
    """Columns in order with their types, what is always given, no NaN, one row a key, and every declared check."""
    return gx.ExpectationSuite(name=table.full_name, expectations=list(_expectations(table)))


def _expectations(table: Table) -> Iterator[Expectation]:
    in_order = Expected(COLUMNS, (), "the columns are the declared ones, in order")
    yield gx.expectations.ExpectTableColumnsToMatchOrderedList(
        column_list=list(table.column_names), **in_order.described
    )
    key = Expected(KEY, table.key, f"no two rows have the same {', '.join(table.key)}")
    yield ExpectTableKeyToBeUnique(key=list(table.key), **key.described)
    yield from (_type(column) for column in table.columns)
    yield from (_rule(rule) for rule in rules_of(table))


def _type(column: Column) -> Expectation:
    expected = Expected(TYPE, (column.name,), f"{column.name} is of type {column.type}")
    return ExpectColumnTypeToBeDeclared(column=column.name, type_=column.type, **expected.described)


def _rule(rule: Rule) -> Expectation:
    expected = Expected(rule.name, rule.columns, rule.says)
    if len(rule.columns) == 1:
        return ExpectColumnRowsToFollowRule(
            column=rule.columns[0], rule=rule.sql, about=list(rule.columns), **expected.described
        )
    return ExpectTableRowsToFollowRule(rule=rule.sql, about=list(rule.columns), **expected.described)
