"""What differs between a table's declaration and what is there, and the SQL that settles each difference. No IO."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lakehouse.tables import Column, Table


@dataclass(frozen=True)
class Actual:
    """What a table on disk looks like, in the terms of a declaration."""

    columns: tuple[Column, ...]
    comment: str
    properties: dict[str, str]
    checks: dict[str, str]
    cluster_by: tuple[str, ...]

    def column(self, name: str) -> Column | None:
        """The column of that name, None where there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Difference:
    """One thing that is not as declared. `refused` says why nothing may settle it, `rule` what all rows must pass."""

    what: str
    declared: str | None
    actual: str | None
    statements: tuple[str, ...] = ()
    refused: str = ""
    rule: str = ""


def differences(table: Table, actual: Actual, path: str) -> list[Difference]:
    """Everything about a table that is not as declared; columns first, as checks may need them."""
    alter = f"ALTER TABLE {_quoted_path(path)}"
    return [
        *_column_differences(table, actual, alter),
        *_comment_difference(table, actual, path),
        *_property_differences(table, actual, alter),
        *_clustering_difference(table, actual, alter),
        *_check_differences(table, actual, alter),
    ]


def _column_differences(table: Table, actual: Actual, alter: str) -> Iterator[Difference]:
    before: str | None = None
    for column in table.columns:
        there = actual.column(column.name)
        if there is None:
            yield _missing_column(column, alter, before)
        else:
            yield from _changed_column(column, there, alter)
        before = column.name
    for there in actual.columns:
        if there.name not in table.column_names:
            yield Difference(f"column {there.name}", None, there.type, refused="dropping a column loses its values")


def _missing_column(column: Column, alter: str, before: str | None) -> Difference:
    what, declared = f"column {column.name}", f"{column.type}{'' if column.nullable else ' NOT NULL'}"
    if not column.nullable:
        return Difference(what, declared, None, refused="rows written before it have no value")
    place = f"AFTER {_name(before)}" if before else "FIRST"
    add = f"ADD COLUMNS ({_name(column.name)} {column.type} COMMENT {_text(column.comment)} {place})"
    return Difference(what, declared, None, (f"{alter} {add}",))


def _changed_column(column: Column, there: Column, alter: str) -> Iterator[Difference]:
    what = f"column {column.name}"
    if there.type != column.type:
        yield Difference(f"{what} type", column.type, there.type, refused="its values would have to be converted")
    if there.nullable and not column.nullable:
        yield Difference(f"{what} nullability", "NOT NULL", "nullable", refused="Delta cannot tighten a column")
    elif column.nullable and not there.nullable:
        loosen = f"{alter} ALTER COLUMN {_name(column.name)} DROP NOT NULL"
        yield Difference(f"{what} nullability", "nullable", "NOT NULL", (loosen,))
    if there.comment != column.comment:
        say = f"{alter} ALTER COLUMN {_name(column.name)} COMMENT {_text(column.comment)}"
        yield Difference(f"{what} comment", column.comment, there.comment, (say,))


def _comment_difference(table: Table, actual: Actual, path: str) -> Iterator[Difference]:
    if actual.comment != table.comment:
        say = f"COMMENT ON TABLE {_quoted_path(path)} IS {_text(table.comment)}"
        yield Difference("comment", table.comment, actual.comment, (say,))


def _property_differences(table: Table, actual: Actual, alter: str) -> Iterator[Difference]:
    for key, value in table.table_properties.items():
        if actual.properties.get(key) != value:
            put = f"{alter} SET TBLPROPERTIES ({_text(key)} = {_text(value)})"
            yield Difference(f"property {key}", value, actual.properties.get(key), (put,))
    for key, value in actual.properties.items():
        if key.startswith("delta.columnMapping."):
            yield Difference(f"property {key}", None, value, refused="column mapping cannot be taken back")
        elif key.startswith("delta.") and key not in table.table_properties:
            yield Difference(f"property {key}", None, value, (f"{alter} UNSET TBLPROPERTIES ({_text(key)})",))


def _clustering_difference(table: Table, actual: Actual, alter: str) -> Iterator[Difference]:
    if actual.cluster_by != table.cluster_by:
        columns = f"({', '.join(map(_name, table.cluster_by))})" if table.cluster_by else "NONE"
        declared, there = ", ".join(table.cluster_by) or None, ", ".join(actual.cluster_by) or None
        yield Difference("clustering", declared, there, (f"{alter} CLUSTER BY {columns}",))


def _check_differences(table: Table, actual: Actual, alter: str) -> Iterator[Difference]:
    for name, there in actual.checks.items():
        if name not in table.checks:
            yield Difference(f"check {name}", None, there, (f"{alter} DROP CONSTRAINT {_name(name)}",))
    for name, rule in table.checks.items():
        found = actual.checks.get(name)
        if found is None or _tokens(found) != _tokens(rule):
            drop = (f"{alter} DROP CONSTRAINT {_name(name)}",) if found is not None else ()
            add = f"{alter} ADD CONSTRAINT {_name(name)} CHECK ({rule})"
            yield Difference(f"check {name}", rule, found, (*drop, add), rule=rule)


def _tokens(rule: str) -> list[str]:
    """A rule without its spacing: Delta stores `length(id)` of an added check as `length ( id )`."""
    return re.findall(r"'[^']*'|\w+|[^\w\s]", rule)


def rewrite(table: Table, actual: Actual, path: str) -> str:
    """The statement that fills a newly created table from the old one, moved aside."""
    names = ", ".join(map(_name, table.column_names))
    values = ", ".join(_value(column, table, actual) for column in table.columns)
    return f"INSERT INTO {_quoted_path(path)} ({names}) SELECT {values} FROM {_quoted_path(path + '.before')}"


def _value(column: Column, table: Table, actual: Actual) -> str:
    """A declared column's value from the old table; a lone leftover of the same type is taken for its old name."""
    there = actual.column(column.name)
    if there is not None:
        return _name(column.name) if there.type == column.type else f"CAST({_name(column.name)} AS {column.type})"
    leftovers = [old for old in actual.columns if old.name not in table.column_names and old.type == column.type]
    if len(leftovers) == 1:
        return _name(leftovers[0].name)
    return f"CAST(NULL AS {column.type})" if column.nullable else f"<a value for {column.name}>"


def _quoted_path(path: str) -> str:
    return f"delta.{_name(path)}"


def _name(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
