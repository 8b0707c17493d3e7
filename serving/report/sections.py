"""One symbol's part of the page: facts, chart, and the tables behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from serving.report.encode import encoded
from serving.report.figure import figure_of
from serving.report.html import Column, folded, listed, paragraph, table, text
from serving.report.lake import Row
from serving.report.limits import ROWS_AT_MOST
from serving.report.lines import local, price_axis, volume_axis
from serving.report.marks import sent
from serving.report.names import names_for
from serving.report.sheets import Found, Sheet, cold_bars, evidence_of
from serving.report.wording import change, clock, count, counted, price, shares, shown_of

HOURS = {"day": "Whole day", "regular": "Regular session"}
MOVES = (("in", "Zoom in"), ("out", "Zoom out"), ("earlier", "Earlier"), ("later", "Later"))
SHOW_ALL = "The button Full height shows all."


def section(
    at: int, sheet: Sheet, facts: Row, sessions: Sequence[Row], zone: ZoneInfo, known: dict[str, dict[str, str]],
    now: datetime,
) -> str:  # fmt: skip
    """The part of the page about one symbol, under the anchor s<at>."""
    names = names_for((bar["parameter_set"] for bar in sheet.bars), known)
    parts = [
        f'<section id="s{at}" aria-labelledby="h{at}"><h3 id="h{at}">{text(sheet.symbol)}</h3>',
        _facts(facts, sheet),
        listed(notes(sheet, names, now), "notes"),
        _chart(at, sheet, sessions, zone, names) if sheet.bars else "",
        *tables(sheet, zone),
        "</section>",
    ]
    return "".join(parts)


def _facts(facts: Row, sheet: Sheet) -> str:
    told = (
        ("open", price(facts["open"])), ("high", price(facts["high"])), ("low", price(facts["low"])),
        ("close", price(facts["close"])), ("open to close", change(facts)), ("shares", shares(facts["volume"])),
        ("prints", f"{facts['trades']:,}"), ("late", count(facts["late"])), ("cancelled", count(facts["cancelled"])),
        ("corrected", count(facts["corrected"])), ("flags", count(facts["flags"])),
        ("alerts", count(facts["alerts"])), ("bars drawn", f"{len(sheet.bars):,} of {sheet.choice.interval}"),
    )  # fmt: skip
    cells = (f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in told if value)
    return f'<dl class="facts">{"".join(cells)}</dl>'


def notes(sheet: Sheet, names: dict[str, str], now: datetime) -> list[str]:
    """What a reader must know before believing the chart."""
    told = [sheet.choice.why] if sheet.choice.why else []
    if not sheet.bars:
        return ["Nothing of it traded that day: there is no bar to draw."]
    if axis := price_axis(sheet.bars):
        far = counted(axis.beyond, "bar reaches", "bars reach")
        told.append(f"{far} beyond the price axis, as far as {price(axis.farthest)} USD. {SHOW_ALL}")
    if axis := volume_axis(sheet.bars):
        far = counted(axis.beyond, "bar reaches", "bars reach")
        told.append(f"{far} beyond the axis of shares, as far as {shares(axis.farthest)}. {SHOW_ALL}")
    if running := sum(bar["final_at"] > now for bar in sheet.bars):
        told.append(f"{counted(running, 'bar is', 'bars are')} not final yet: prints may still come.")
    if all(bar["parameter_set"] is None for bar in sheet.bars):
        told.append("gold.indicators has no rows for these bars; `tickhouse indicators build` makes them.")
    if cold := cold_bars(sheet.bars):
        rest = "; ".join(f"{names[name]}: {bars:,}" for name, bars in cold.items())
        told.append(f"Not warm yet, on so many of {len(sheet.bars):,} bars (more history would change them): {rest}.")
    if sheet.other_signals:
        told.append(f"{counted(sheet.other_signals, 'signal')} of bars of other lengths are not drawn.")
    return told


def _chart(at: int, sheet: Sheet, sessions: Sequence[Row], zone: ZoneInfo, names: dict[str, str]) -> str:
    figure = figure_of(sheet, sessions, zone, names)
    about = (
        f"Chart of {sheet.symbol}: {len(sheet.bars):,} bars of {sheet.choice.interval}, "
        f"{counted(len(sheet.flags.rows), 'flag')}, {counted(len(sheet.alerts.rows), 'alert')}, "
        f"{counted(len(sheet.signals.rows), 'signal')}; the tables below hold the same"
    )
    return (
        f'<figure><div class="plot" id="p{at}" data-figure="f{at}" role="img" aria-label="{text(about)}" '
        f'style="height:{int(figure.layout.height)}px"></div>{_moves(at, sheet, sessions, zone)}</figure>'
        f'<script type="application/json" id="f{at}">{encoded(figure)}</script>'
    )


def _moves(at: int, sheet: Sheet, sessions: Sequence[Row], zone: ZoneInfo) -> str:
    """Buttons that move the axes: for keyboards, and for fingers, which scroll the page over the chart."""
    traded = {bar["session"] for bar in sheet.bars}
    hours = {
        "day": [row for row in sessions if row["session"] in traded],
        "regular": [row for row in sessions if row["session"] == "regular"],
    }
    ranges = {name: _range(rows, zone) for name, rows in hours.items() if rows}
    is_cut = price_axis(sheet.bars) or volume_axis(sheet.bars)
    chosen = [(name, HOURS[name]) for name in ranges] + [*MOVES] + ([("all", "Full height")] if is_cut else [])
    data = "".join(f' data-{name}="{text(span)}"' for name, span in ranges.items())
    buttons = "".join(f'<button type="button" value="{name}">{label}</button>' for name, label in chosen)
    about = f'role="group" aria-label="Axes of {text(sheet.symbol)}"'
    return f'<div class="moves" {about} data-plot="p{at}"{data}>{buttons}</div>'


def _range(rows: Sequence[Row], zone: ZoneInfo) -> str:
    return f"{local(rows[0]['opens_at'], zone)},{local(rows[-1]['closes_at'], zone)}"


def tables(sheet: Sheet, zone: ZoneInfo) -> Iterator[str]:
    """The tables behind a chart, each folded away; those without rows are left out."""
    if sheet.flags.rows:
        yield _folded("Flags", sheet.flags, _flags(sheet, zone), is_open=len(sheet.flags.rows) <= 5)
    if sheet.alerts.rows:
        yield _folded("Alerts", sheet.alerts, alerts_table(sheet.alerts, zone), is_open=len(sheet.alerts.rows) <= 5)
    if sheet.signals.rows:
        yield _folded("Signals", sheet.signals, _signals(sheet, zone))
    if sheet.stretches.rows or sheet.complete:
        yield folded("Feed", _feed(sheet, zone), is_open=bool(sheet.stretches.rows))
    if sheet.revised:
        yield folded(f"Revised bars ({len(sheet.revised):,})", _revised(sheet, zone))


def _folded(title: str, found: Found, content: str, *, is_open: bool = False) -> str:
    return folded(f"{title} ({found.of_all:,})", content, is_open=is_open)


def _flags(sheet: Sheet, zone: ZoneInfo) -> str:
    columns = (
        Column("bar"), Column("length"), Column("what"), Column("score", True), Column("reason"), Column("known from"),
        Column("evidence"),
    )  # fmt: skip
    rows = [
        (
            clock(row["bar_start"], zone), row["interval"], row["kind"], f"{row['score']:,.1f}", row["reason"],
            clock(row["decided_at"], zone), evidence_of(row),
        )
        for row in sheet.flags.rows
    ]  # fmt: skip
    left = shown_of(sheet.flags.rows, sheet.flags.of_all, "the highest scores")
    return table(f"Flags of {sheet.symbol}, {zone.key}; score in usual deviations{left}", columns, rows)


def alerts_table(found: Found, zone: ZoneInfo, title: str = "Alerts") -> str:
    """Alerts and how far they got."""
    columns = (
        Column("fired"), Column("rule"), Column("subject"), Column("side"), Column("value", True), Column("text"),
        Column("state"), Column("delivery"),
    )  # fmt: skip
    rows = [
        (
            clock(row["fired_at"], zone), row["rule"], row["subject"], row["side"], f"{row['value']:,.6g}",
            row["text"] or row["kind"], f"{row['state']} since {clock(row['state_at'], zone)}", sent(row),
        )
        for row in found.rows
    ]  # fmt: skip
    return table(f"{title}, {zone.key}{shown_of(found.rows, found.of_all, 'the first')}", columns, rows)


def _signals(sheet: Sheet, zone: ZoneInfo) -> str:
    columns = (
        Column("bar"), Column("rule"), Column("direction"), Column("value", True), Column("level", True),
        Column("evidence"),
    )  # fmt: skip
    rows = [
        (
            clock(row["bar_start"], zone), row["rule"], row["direction"], f"{row['value']:.6g}", f"{row['level']:.6g}",
            evidence_of(row),
        )
        for row in sheet.signals.rows
    ]  # fmt: skip
    left = shown_of(sheet.signals.rows, sheet.signals.of_all, "the first")
    return table(f"Signals of {sheet.symbol}, {sheet.choice.interval} bars, {zone.key}{left}", columns, rows)


def _feed(sheet: Sheet, zone: ZoneInfo) -> str:
    found = ""
    if sheet.stretches.rows:
        columns = (Column("since"), Column("until"), Column("feed"), Column("state"), Column("prints", True),
                   Column("usual", True), Column("why"))  # fmt: skip
        rows = [
            (
                clock(row["since"], zone), clock(row["until"], zone), row["feed"], row["state"], f"{row['prints']:,}",
                f"{row['usual_prints']:,.0f}", row["reason"],
            )
            for row in sheet.stretches.rows
        ]  # fmt: skip
        left = shown_of(sheet.stretches.rows, sheet.stretches.of_all, "the longest")
        found += table(f"When the feed was not well, {sheet.symbol}, {zone.key}{left}", columns, rows)
    return found + "".join(paragraph(_completeness(row)) for row in sheet.complete)


def _completeness(row: Row) -> str:
    lost = (
        ""
        if row["lost_prints"] is None
        else f", {counted(row['lost_prints'], 'print')} lost by the collector's numbers"
    )
    covered = "" if row["coverage"] is None else f", {row['coverage']:.2%} of the vendor's volume ({row['reference']})"
    return f"{row['feed']}: the regular session is {row['verdict']}, {counted(row['prints'], 'print')}{lost}{covered}."


def _revised(sheet: Sheet, zone: ZoneInfo) -> str:
    columns = (
        Column("bar"), Column("late", True), Column("cancelled", True), Column("corrected", True),
        Column("close first", True), Column("close now", True), Column("shares first", True),
        Column("shares now", True),
    )  # fmt: skip
    heaviest = sorted(sheet.revised, key=lambda bar: -bar["revision"])[:ROWS_AT_MOST]
    rows = [_revision(bar, zone) for bar in sorted(heaviest, key=lambda bar: bar["bar_start"])]
    left = shown_of(rows, len(sheet.revised), "the most revised")
    return table(f"Bars of {sheet.symbol} that prints revised, {zone.key}{left}", columns, rows)


def _revision(bar: Row, zone: ZoneInfo) -> tuple[Any, ...]:
    return (
        clock(bar["bar_start"], zone), count(bar["late_prints"]), count(bar["cancelled_prints"]),
        count(bar["corrected_prints"]), price(bar["first_close"]), price(bar["close"]), shares(bar["first_volume"]),
        shares(bar["volume"]),
    )  # fmt: skip
