"""What a declaration expects of every row, as Spark expressions. Row gates and judgements of tables read the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.tables import Table

TEXT = re.compile(r"'(?:[^']|'')*'")
GIVEN, NOT_NAN = "is_given", "is_not_nan"


@dataclass(frozen=True)
class Rule:
    """One condition that must be TRUE of every row of a table; where it is NULL the row fails."""

    name: str
    columns: tuple[str, ...]
    sql: str
    says: str

    @property
    def holds(self) -> Column:
        """Whether it is TRUE of a row; never NULL."""
        return F.coalesce(F.expr(self.sql), F.lit(False))


def rules_of(table: Table) -> tuple[Rule, ...]:
    """Every rule of a declaration: columns that are always given, doubles that are numbers, and its checks."""
    given = (
        Rule(GIVEN, (one.name,), f"`{one.name}` IS NOT NULL", f"{one.name} is always given")
        for one in table.columns
        if not one.nullable
    )
    numbers = (
        Rule(NOT_NAN, (name,), f"NOT coalesce(isnan(`{name}`), false)", f"{name} is a number or NULL, never NaN")
        for name in doubles_of(table)
    )
    checks = (_check(table, name, sql) for name, sql in table.checks.items())
    return (*given, *numbers, *checks)


def doubles_of(table: Table) -> tuple[str, ...]:
    """The columns that could hold NaN."""
    return tuple(one.name for one in table.columns if one.type == "double")


def gate(table: Table) -> Column:
    """Whether a row may enter the table: TRUE where every rule is, else FALSE. Runs on streams, needs no other row."""
    rules = rules_of(table)
    every = " AND ".join(f"({rule.sql})" for rule in rules) or "true"
    return F.coalesce(F.expr(every), F.lit(False))


def broken(table: Table) -> Column:
    """The rules that are not TRUE of a row, with their columns, as text; empty where it may enter the table."""
    names = (F.when(~rule.holds, F.lit(f"{rule.name} ({', '.join(rule.columns)})")) for rule in rules_of(table))
    return F.concat_ws("; ", *names)


def _check(table: Table, name: str, sql: str) -> Rule:
    """A declared check. Spark holds NaN to be larger than any number and equal to itself, so NaN is refused here."""
    words = set(re.findall(r"\w+", TEXT.sub("", sql)))
    columns = tuple(one for one in table.column_names if one in words)
    numbers = "".join(f" AND NOT coalesce(isnan(`{one}`), false)" for one in columns if one in doubles_of(table))
    return Rule(name, columns, f"({sql}){numbers}", sql)
