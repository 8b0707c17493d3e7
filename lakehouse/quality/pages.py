"""Data Docs as pages that load nothing: a folder for each run, an index of its tables, and one of the runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from lakehouse.files import Files
from lakehouse.quality.verdicts import Run, Verdict

INDEX = "index.html"
# Scripts, styles and pictures that the pages would fetch from other hosts when a person opens them.
STRANGERS = re.compile(
    r"<script[^>]*\ssrc=[\"']https?://[^>]*>\s*</script>|<(?:link|img)[^>]*\s(?:href|src)=[\"']https?://[^>]*>"
    r"|\burl\([\"']?https?://[^)]*\)",
    re.IGNORECASE,
)
# What needs those scripts, and an advertisement, is not shown.
STYLE = """<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; margin: .5rem 0 1.25rem; } td, th { border: 1px solid #d0d7de; padding: .3rem .6rem;
text-align: left; vertical-align: top; } code { background: #f2f4f6; } .text-danger { color: #b3261e; }
.text-success { color: #1a7f37; }
i.fa-check-circle::before { content: "\\2713"; } i.fa-times::before { content: "\\2717"; }
.modal, .navbar-toggler, .card:has(input[type=radio]), a[data-toggle=collapse], footer { display: none; }
</style>"""


def publish_pages(files: Files, built: Path, data_docs: str, run: Run, verdicts: Sequence[Verdict]) -> None:
    """Copy the pages of a run under `data_docs`, list its tables there, and all runs."""
    root = data_docs.rstrip("/")
    pages = sorted(page.relative_to(built).as_posix() for page in built.rglob("*.html"))
    for page in pages:
        files.write_text(f"{root}/{run.run_id}/{page}", without_strangers((built / page).read_text(encoding="utf-8")))
    files.write_text(f"{root}/{run.run_id}/{INDEX}", index_of_tables(run, pages, verdicts))
    runs = [one.name for one in files.entries(root) if one.is_folder]
    files.replace_text(f"{root}/{INDEX}", index_of_runs(runs))


def without_strangers(page: str) -> str:
    """A page that loads nothing from another host."""
    return STRANGERS.sub("", page).replace("</head>", f"{STYLE}</head>", 1)


def index_of_tables(run: Run, pages: Iterable[str], verdicts: Sequence[Verdict]) -> str:
    """A page that links what was found of each table, those that do not hold first."""
    broken = {one.table: 0 for one in verdicts}
    for one in verdicts:
        broken[one.table] += one.blocks
    links = {Path(page).stem.partition("-")[2]: page for page in pages if page.startswith("validations/")}
    found = sorted((-count, table) for table, count in broken.items() if table in links)
    rows = "".join(
        f"<tr><td><a href='{escape(links[table], quote=True)}'>{escape(table)}</a></td>"
        f"<td>{f'{-count} do not hold' if count else 'holds'}</td></tr>"
        for count, table in found
    )
    return _page(f"Checks of {run.ran_at:%Y-%m-%d %H:%M} UTC", f"<table>{rows}</table><p><a href='../{INDEX}'>All</a>")


def index_of_runs(runs: Iterable[str]) -> str:
    """A page that links every run, newest first."""
    names = (escape(one, quote=True) for one in sorted(runs, reverse=True))
    links = "".join(f"<li><a href='{one}/{INDEX}'>{one}</a></li>" for one in names)
    return _page("Checks of tables", f"<ul>{links}</ul>")


def _page(title: str, body: str) -> str:
    head = f"<meta charset='utf-8'><title>{title}</title>{STYLE}"
    return f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{title}</h1>{body}</body></html>"
