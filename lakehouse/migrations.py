"""Declared tables against actual ones: what differs, the statements that settle it, and which are safe to run.

Safe is what loses nothing and breaks no reader: a new nullable column, a dropped NOT NULL, comments, properties,
clustering, and checks that every row passes. Everything else needs the table rewritten, by hand, with the old one kept
beside it. Columns are compared by name: their order means nothing to Delta.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import functions as F

from lakehouse.differences import Actual, Difference, differences, rewrite
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.tables import Column, Table

CHECK_PROPERTY = "delta.constraints."


@dataclass(frozen=True)
class Plan:
    """All differences of one table, and the rewrite that the refused ones would need."""

    table: Table
    differences: tuple[Difference, ...]
    rewrite: str = ""
    exists: bool = True

    @property
    def statements(self) -> tuple[str, ...]:
        """The SQL that settles everything that is safe, in an order that works."""
        return tuple(statement for one in self.differences if not one.refused for statement in one.statements)

    @property
    def refused(self) -> tuple[Difference, ...]:
        """What no statement may settle."""
        return tuple(one for one in self.differences if one.refused)


def plan(lake: Lake, table: Table) -> Plan:
    """Compare one table with its declaration. Reads only; a new check counts the rows that would fail it."""
    if not lake.exists(table):
        missing = Difference("table", "declared", None)
        return Plan(table, (missing,), exists=False)
    actual, path = read_actual(lake, table), lake.path(table)
    found = differences(table, actual, path)
    if not any(
        one.refused for one in found
    ):  # else nothing will run, and a check may not even fit the columns there are
        found = [_judged(lake, table, actual, one) for one in found]
    return Plan(table, tuple(found), rewrite=rewrite(table, actual, path))


def apply(lake: Lake, plan: Plan) -> int:
    """Run the safe statements of one plan and return how many; a plan with a refused difference runs none."""
    if plan.refused:
        raise TableError(refusal(lake, plan))
    for statement in plan.statements:
        lake.spark.sql(statement)
    return len(plan.statements)


def refusal(lake: Lake, plan: Plan) -> str:
    """The message for differences that need a rewrite: what, why, and the statement it would need."""
    reasons = "; ".join(
        f"{one.what} is {one.actual or 'absent'}, declared {one.declared or 'absent'} ({one.refused})"
        for one in plan.refused
    )
    name, path = plan.table.full_name, lake.path(plan.table)
    return (
        f"{name}: {reasons}. Nothing was written to it. Change the declaration back, repair the rows, or stop "
        f"`{plan.table.owner}`, move {path} to {path}.before, run `tickhouse tables create {name}` and then:\n"
        f"  {plan.rewrite}"
    )


def read_actual(lake: Lake, table: Table) -> Actual:
    """What the newest version of a table looks like."""
    detail = lake.delta(table).detail().collect()[0]
    settings = dict(detail["properties"])
    columns = tuple(
        Column(field.name, field.dataType.simpleString(), field.metadata.get("comment", ""), field.nullable)
        for field in lake.read(table).schema
    )
    return Actual(
        columns=columns,
        comment=detail["description"] or "",
        properties={key: value for key, value in settings.items() if not key.startswith(CHECK_PROPERTY)},
        checks={
            key.removeprefix(CHECK_PROPERTY): rule for key, rule in settings.items() if key.startswith(CHECK_PROPERTY)
        },
        cluster_by=tuple(detail["clusteringColumns"] or ()),
    )


def _judged(lake: Lake, table: Table, actual: Actual, one: Difference) -> Difference:
    """A check is safe only where every row passes; NULL does not pass, and a column still to be added is NULL."""
    if not one.rule:
        return one
    rows = lake.read(table)
    for column in table.columns:
        if actual.column(column.name) is None:
            rows = rows.withColumn(column.name, F.lit(None).cast(column.type))
    failing = rows.where(~F.coalesce(F.expr(one.rule), F.lit(False))).count()
    return replace(one, refused=f"{failing} rows do not pass it") if failing else one
