"""The whole report as one HTML file: head, overview, one part for each symbol; it loads nothing and sends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from plotly.offline import get_plotlyjs, get_plotlyjs_version

from serving.report.encode import script_hash
from serving.report.head import Head
from serving.report.html import listed, text
from serving.report.overview import overview, summary
from serving.report.sections import alerts_table, section
from serving.report.sheets import Found, Sheet

NO_SCRIPT = "The charts need JavaScript, which this browser does not run here; every table can be read without it."


@dataclass(frozen=True)
class Report:
    """All a page is made from."""

    head: Head
    sheets: list[Sheet]
    others: Found
    left_out: list[str]
    exchange: str
    zone: ZoneInfo
    made_at: datetime
    series: dict[str, dict[str, str]]


def page_of(report: Report) -> str:
    """The file's text."""
    title = f"Session report, {report.head.day:%A} {report.head.day.day} {report.head.day:%B %Y}"
    style, script, plotly = _asset("page.css"), _asset("page.js"), get_plotlyjs()
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n{_policy(plotly, script)}\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{text(title)} · Tickhouse</title>\n'
        f"<style>{style}</style></head>\n<body>{_header(report, title)}\n{_main(report)}\n{_footer(report)}\n"
        f"<script>{plotly}</script>\n<script>{script}</script></body></html>\n"
    )


def _policy(*scripts: str) -> str:
    """Nothing is loaded from anywhere, and only the scripts this page came with run."""
    allowed = " ".join(script_hash(script) for script in scripts)
    rules = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}; form-action \'none\'">'


def _header(report: Report, title: str) -> str:
    zone, made = report.zone, report.made_at.astimezone(report.zone)
    closes = max((row["closes_at"] for row in report.head.sessions), default=None)
    running = closes is not None and report.made_at < closes
    warning = '<p class="warning">The session was not over when this was made: figures may still change.</p>'
    return (
        f'<a class="skip" href="#symbols">Skip to the symbols</a><header><h1>{text(title)}</h1>'
        f'<p class="soft">{text(report.exchange)}. All times are those of {text(zone.key)}. Made '
        f"{made:%Y-%m-%d %H:%M:%S}.</p>{warning if running else ''}</header>"
    )


def _main(report: Report) -> str:
    places = {sheet.symbol: at for at, sheet in enumerate(report.sheets, start=1)}
    facts = {row["symbol"]: row for row in report.head.symbols}
    charts = "".join(
        section(
            places[sheet.symbol], sheet, facts[sheet.symbol], report.head.sessions, report.zone, report.series,
            report.made_at,
        )
        for sheet in report.sheets
    )  # fmt: skip
    return (
        f"<main>{summary(report.head, report.zone)}{_left_out(report)}{overview(report.head, places)}"
        f'{_others(report)}<h2 id="charts">Charts</h2><noscript><p class="warning">{NO_SCRIPT}</p></noscript>'
        f"{charts}</main>"
    )


def _left_out(report: Report) -> str:
    return f"<h2>Left out</h2>{listed(report.left_out)}" if report.left_out else ""


def _others(report: Report) -> str:
    if not report.others.rows:
        return ""
    return f"<h2>Alerts about no symbol above</h2>{alerts_table(report.others, report.zone, 'Alerts of portfolios')}"


def _footer(report: Report) -> str:
    how = (
        "A bar stands at its first instant. Lines break where nothing traded, a bar alone is a dash. The regular "
        "session lies on a ground of its own, halts and silences of the feed are tinted. Marks stand at the bar they "
        "are about, which is before they could be known: the tables say from when.",
        f"Made by tickhouse report from the gold and silver tables, drawn by plotly.js {get_plotlyjs_version()}, "
        f"which is in this file: it loads nothing and sends nothing.",
    )
    return f"<footer>{''.join(f'<p>{text(one)}</p>' for one in how)}</footer>"


@cache
def _asset(name: str) -> str:
    return (files("serving.report") / name).read_text(encoding="utf-8")
