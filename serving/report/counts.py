"""The tables behind the figures of a session: by reason, by rule, by feed. One without rows is left out."""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.bars import INTERVALS
from serving.report.head import Head
from serving.report.html import Column, table
from serving.report.lake import Row
from serving.report.wording import count


def tables_of(head: Head) -> Iterator[str]:
    """All of them that have rows."""
    made = (
        (head.flags, _flags), (head.alerts, _alerts), (head.signals, _signals), (head.refused, _refused),
        (head.feeds, _feeds), (head.complete, _complete),
    )  # fmt: skip
    yield from (make(rows) for rows, make in made if rows)


def _flags(rows: list[Row]) -> str:
    columns = Column("reason"), Column("flags", True), Column("highest score", True)
    return table(
        "Flags by reason", columns, [(row["reason"], count(row["rows"]), f"{row['worst']:,.1f}") for row in rows]
    )


def _alerts(rows: list[Row]) -> str:
    columns = (
        Column("rule"), Column("alerts", True), Column("attempts", True), Column("accepted", True),
        Column("failed", True), Column("perhaps twice", True),
    )  # fmt: skip
    names = ("rows", "attempts", "accepted", "failed", "copies")
    cells = [(row["rule"], *(f"{row[name]:,}" for name in names)) for row in rows]
    return table("Alerts by rule, and the attempts to deliver them", columns, cells)


def _signals(rows: list[Row]) -> str:
    there = {row["interval"] for row in rows}
    lengths = [name for name in INTERVALS if name in there]
    by_rule: dict[str, dict[str, int]] = {}
    for row in rows:
        by_rule.setdefault(row["rule"], {})[row["interval"]] = row["rows"]
    columns = (Column("rule"), *(Column(name, True) for name in lengths))
    cells = [(rule, *(count(counts.get(name)) for name in lengths)) for rule, counts in by_rule.items()]
    return table("Signals by rule and length of bar", columns, cells)


def _refused(rows: list[Row]) -> str:
    columns = Column("reasons"), Column("records and prints", True), Column("settled since", True)
    cells = [(row["reasons"], count(row["rows"]), count(row["settled"])) for row in rows]
    return table("Refused: what arrived that day, or in one batch with its prints", columns, cells)


def _feeds(rows: list[Row]) -> str:
    columns = (
        Column("feed"), Column("state"), Column("symbols", True), Column("stretches", True), Column("minutes", True),
    )  # fmt: skip
    cells = [
        (
            row["feed"], row["state"].replace("_", " "), count(row["symbols"]), count(row["stretches"]),
            f"{row['minutes']:,.0f}",
        )
        for row in rows
    ]  # fmt: skip
    return table("Feeds in the regular session, minutes summed over symbols", columns, cells)


def _complete(rows: list[Row]) -> str:
    columns = (
        Column("feed"), Column("verdict"), Column("symbols", True), Column("prints lost", True),
        Column("least coverage", True),
    )  # fmt: skip
    cells = [
        (
            row["feed"], row["verdict"], count(row["rows"]), "" if row["lost"] is None else f"{row['lost']:,}",
            "" if row["least"] is None else f"{row['least']:.2%}",
        )
        for row in rows
    ]  # fmt: skip
    return table("Completeness of the regular session", columns, cells)
