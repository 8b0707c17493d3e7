"""The top of the page: what the session was in figures, and every symbol in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from zoneinfo import ZoneInfo

from serving.report.counts import tables_of
from serving.report.head import Head
from serving.report.html import Column, Link, table, text
from serving.report.lake import Row
from serving.report.limits import SYMBOLS_AT_MOST
from serving.report.wording import by_count, change, count, counted, price, shares, shown_of

BAD_STATES = ("feed_down", "symbol_mute")
FIGURES = (
    "open", "high", "low", "close", "open to close", "shares", "prints", "late", "cancelled", "corrected", "flags",
    "alerts",
)  # fmt: skip
Tile = tuple[str, str, str, bool]


def summary(head: Head, zone: ZoneInfo) -> str:
    """Tiles, and the tables behind them."""
    cells = "".join(_tile(*tile) for tile in tiles(head, zone))
    behind = "".join(tables_of(head))
    return f'<h2 id="summary">Summary</h2><dl class="tiles">{cells}</dl><div class="side">{behind}</div>'


def _tile(name: str, value: str, more: str, is_bad: bool) -> str:
    kind = ' class="bad"' if is_bad else ""
    return f"<div{kind}><dt>{text(name)}</dt><dd>{text(value)}<small>{text(more)}</small></dd></div>"


def tiles(head: Head, zone: ZoneInfo) -> Iterable[Tile]:
    """Name, figure, a line about it, and whether it is bad news."""
    late, gone, mended = (head.total(head.symbols, name) for name in ("late", "cancelled", "corrected"))
    revised = f"{late:,} late, {gone:,} cancelled, {mended:,} corrected"
    settled, untold = head.total(head.refused, "settled"), head.total(head.alerts, "untold")
    traded, lengths = sum(row["trades"] > 0 for row in head.symbols), by_count(head.bars, "interval", len(head.bars))
    yield _sessions(head, zone)
    yield "Symbols", f"{len(head.symbols):,}", f"{traded:,} with prints", False
    yield "Bars", f"{head.total(head.bars):,}", lengths, False
    yield "Prints", f"{_prints(head):,}", revised, False
    yield "Refused", f"{head.total(head.refused):,}", f"{settled:,} of them settled since", False
    yield "Flags", f"{head.total(head.flags):,}", by_count(head.flags, "reason"), False
    yield "Signals", f"{head.total(head.signals):,}", by_count(_rules(head.signals), "rule"), False
    yield "Alerts", f"{head.total(head.alerts):,}", f"{untold:,} not delivered to anybody" if untold else "", untold > 0
    yield _feeds(head)


def _sessions(head: Head, zone: ZoneInfo) -> Tile:
    regular = next((row for row in head.sessions if row["session"] == "regular"), None)
    if regular is None:
        return "Sessions", "unknown", "silver.sessions has no row for the date", True
    half = "half day, " if regular["is_half_day"] else ""
    hours = f"{regular['opens_at'].astimezone(zone):%H:%M} to {regular['closes_at'].astimezone(zone):%H:%M}"
    around = [
        f"{row['session']} {row['opens_at'].astimezone(zone):%H:%M} to {row['closes_at'].astimezone(zone):%H:%M}"
        for row in head.sessions if row["session"] != "regular"
    ]  # fmt: skip
    return "Regular session", hours, half + ", ".join(around), False


def _prints(head: Head) -> int:
    return sum(row["rows"] for row in head.prints if row["kind"] == "trade")


def _rules(signals: Iterable[Row]) -> list[Row]:
    totals: dict[str, int] = {}
    for row in signals:
        totals[row["rule"]] = totals.get(row["rule"], 0) + row["rows"]
    return [{"rule": rule, "rows": rows} for rule, rows in sorted(totals.items(), key=lambda one: (-one[1], one[0]))]


def _feeds(head: Head) -> Tile:
    sick = [row for row in head.feeds if row["state"] in BAD_STATES]
    short = sum(row["rows"] for row in head.complete if row["verdict"] == "short")
    if not head.feeds and not head.complete:
        return "Feeds", "not judged", f"tickhouse feed-health --from {head.day} --to {head.day}", False
    told = [f"{row['feed']} {row['state'].replace('_', ' ')}: {counted(row['symbols'], 'symbol')}" for row in sick]
    told += [f"{counted(short, 'symbol')} short of prints"] if short else []
    return "Feeds", "not well" if told else "well", ", ".join(told), bool(told)


def overview(head: Head, places: Mapping[str, int]) -> str:
    """Every symbol in one table, those with a chart as a link to it."""
    columns = (
        Column("symbol"), *(Column(name, True) for name in FIGURES), Column("source"),
    )  # fmt: skip
    shown: Sequence[Row] = head.symbols[:SYMBOLS_AT_MOST]
    rows = [
        (
            Link(f"s{places[row['symbol']]}", row["symbol"]) if row["symbol"] in places else row["symbol"],
            *(price(row[name]) for name in ("open", "high", "low", "close")), change(row), shares(row["volume"]),
            f"{row['trades']:,}", *(count(row[name]) for name in ("late", "cancelled", "corrected", "flags", "alerts")),
            row["source"],
        )
        for row in shown
    ]  # fmt: skip
    caption = "Prices of the regular session in USD; shares and counts of all sessions"
    left = shown_of(shown, len(head.symbols), "the first by name")
    return f'<h2 id="symbols">Symbols</h2>{table(caption + left, columns, rows)}'
