"""A server of real documents on this machine, and a store in memory: what collectors meet, without the world."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from streaming.collectors.documents import Document
from streaming.collectors.request import Known, Request
from tests.finnhub_double import Refusal

APPLE = "CIK0000320193"
INDEX = b"Description: Daily Index\n\nForm Type   Company Name  CIK  Date Filed  File Name\n-----\n8-K  APPLE INC\n"


def unpacked(path: Path) -> bytes:
    """A file of the real data as its server sends it."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def real_documents(data: Path, *, filings: int = 40) -> dict[str, bytes]:
    """Apple at the SEC and at Finnhub by path: real lists and answers, cut to a few filings, and pages for those."""
    listing = json.loads(unpacked(data / f"sec/submissions/{APPLE}.json.gz"))
    recent = listing["filings"]["recent"]
    older = {name: values[filings : 2 * filings] for name, values in recent.items()}
    listing["filings"]["recent"] = {name: values[:filings] for name, values in recent.items()}
    found = {
        f"/submissions/{APPLE}.json": json.dumps(listing).encode(),
        f"/submissions/{APPLE}-submissions-001.json": json.dumps(older).encode(),
        f"/api/xbrl/companyfacts/{APPLE}.json": unpacked(data / f"sec/companyfacts/{APPLE}.json.gz"),
        "/files/company_tickers.json": unpacked(data / "sec/company_tickers.json.gz"),
        "/files/dera/data/financial-statement-data-sets/2010q2.zip": unpacked(data / "sec/fsds/2010q2.zip"),
        "/Archives/edgar/daily-index/2026/QTR2/form.20260522.idx": INDEX,
    }
    for path, name in {
        "stock/recommendation": "finnhub_rest/recommendation-AAPL.json",
        "stock/upgrade-downgrade": "finnhub_openapi/stock__upgrade-downgrade.json",
        "stock/price-target": "finnhub_openapi/stock__price-target.json",
        "stock/eps-estimate": "finnhub_openapi/stock__eps-estimate.json",
        "news-sentiment": "finnhub_openapi/news-sentiment.json",
        "stock/social-sentiment": "finnhub_openapi/stock__social-sentiment.json",
        "stock/filings": "finnhub_openapi/stock__filings.jsonish",
        "stock/split": "finnhub_openapi/stock__split.json",
        "company-news": "finnhub_rest/company-news-AAPL.json",
    }.items():
        found[f"/{path}"] = unpacked(data / name)
    return found


Script = Callable[[int], Refusal | None]  # what happens at the nth time something is asked for; None: nothing unusual


def at_first(*steps: Refusal) -> Script:
    """Misbehave in this way the first times, then no more."""
    return lambda number: steps[number] if number < len(steps) else None


@dataclass
class Library:
    """Serves documents by path and misbehaves by script; `given` counts each whole document that was given out."""

    documents: dict[str, bytes]
    scripts: dict[str, Script] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def answer(self, target: str, headers: dict[str, str]) -> Refusal:
        """One answer: by script, unchanged, the document, a page for any filing of Apple's, or 404."""
        path = target.partition("?")[0]
        number, self.asked[path] = self.asked[path], self.asked[path] + 1
        unusual = self.scripts[path](number) if path in self.scripts else None
        if unusual is not None:
            return unusual
        body = self.documents.get(path)
        if body is None and path.startswith("/Archives/edgar/data/320193/"):
            body = f"<html><title>{path}</title></html>".encode()
        if body is None:
            return Refusal(404)
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("If-None-Match") == etag:
            return Refusal(304)
        self.given[path] += 1
        return Refusal(200, gzip.compress(body, 1), (("ETag", etag), ("Content-Encoding", "gzip")))


@dataclass
class MemoryStore:
    """Documents in memory, refused ones apart; `appends` notes how many came at a time."""

    documents: list[Document] = field(default_factory=list)
    refused: list[Document] = field(default_factory=list)
    appends: list[int] = field(default_factory=list)

    def append(self, documents: Sequence[Document]) -> None:
        """Keep them."""
        self.appends.append(len(documents))
        self.documents += [one for one in documents if one.broken is None]
        self.refused += [one for one in documents if one.broken is not None]

    def body(self, request: Request) -> bytes | None:
        """The newest one of its name."""
        mine = [one for one in self.documents if one.place == (request.source, request.document_id)]
        return max(mine, key=lambda one: (one.answer.fetched_at, one.content_hash)).answer.body if mine else None

    def known(self) -> tuple[Known, Known]:
        """What a run starts from."""
        return _known(self.documents), _known(self.refused)

    def names(self) -> list[str]:
        """The names of all that is kept."""
        return [one.request.document_id for one in self.documents]


def _known(documents: Sequence[Document]) -> Known:
    known = Known()
    for one in documents:
        known.add(one.place, one.version)
    return known
