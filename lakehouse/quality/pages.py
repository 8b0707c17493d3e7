"""Data Docs as pages that load nothing: a folder for each run, and an index of the runs."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from lakehouse.files import Files

INDEX = "index.html"
# Scripts, styles and pictures that the pages would fetch from other hosts when a person opens them.
STRANGERS = re.compile(
    r"<script[^>]*\ssrc=[\"']https?://[^>]*>\s*</script>|<(?:link|img)[^>]*\s(?:href|src)=[\"']https?://[^>]*>"
    r"|\burl\([\"']?https?://[^)]*\)",
    re.IGNORECASE,
)
STYLE = """<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1f24; }
table { border-collapse: collapse; margin: .5rem 0 1.25rem; } td, th { border: 1px solid #d0d7de; padding: .3rem .6rem;
text-align: left; vertical-align: top; } code { background: #f2f4f6; } .text-danger { color: #b3261e; }
.text-success { color: #1a7f37; }
i.fa-check-circle::before { content: "\\2713"; } i.fa-times::before { content: "\\2717"; }
.modal, .collapse, .navbar-toggler { display: none; }
</style>"""


def publish_pages(files: Files, built: Path, data_docs: str, run_id: str) -> str:
    """Copy the pages of a run under `data_docs`, and list all runs there; returns the run's first page."""
    root = data_docs.rstrip("/")
    for page in sorted(built.rglob("*")):
        if page.suffix == ".html":
            text = without_strangers(page.read_text(encoding="utf-8"))
            files.write_text(f"{root}/{run_id}/{page.relative_to(built).as_posix()}", text)
    runs = [one.name for one in files.entries(root) if one.is_folder]
    files.replace_text(f"{root}/{INDEX}", index_of(runs))
    return f"{root}/{run_id}/{INDEX}"


def without_strangers(page: str) -> str:
    """A page that loads nothing from another host."""
    return STRANGERS.sub("", page).replace("</head>", f"{STYLE}</head>", 1)


def index_of(runs: list[str]) -> str:
    """A page that links every run, newest first."""
    links = "".join(f'<li><a href="{escape(one)}/{INDEX}">{escape(one)}</a></li>' for one in sorted(runs, reverse=True))
    return f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Data quality</title>{STYLE}</head>" + (
        f"<body><h1>Checks of tables</h1><ul>{links}</ul></body></html>"
    )
