"""Documents of filings become silver.filing_texts and files, whatever way they come and wherever a run breaks off."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import LeaseError
from lakehouse.files import Files
from lakehouse.filings import texts as module
from lakehouse.filings.archive import Archived, archive_filings
from lakehouse.filings.sections import filing_sections
from lakehouse.filings.texts import UNREADABLE, Texts, build_texts, changed_texts, only
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.bronze import DOCUMENTS_OF_FILINGS
from lakehouse.tables.filings import COMPANIES, FACTS, FILING_TEXTS, FILINGS
from lakehouse.tables.silver import INSTRUMENTS
from tests import filing_pages as pages
from tests.faults.pipeline import Crash

pytestmark = pytest.mark.itest

NOW = datetime(2026, 6, 1, tzinfo=UTC)
APPLE, OTHER = 320193, 7
ANNUAL, AMENDED, CURRENT, SCANNED, SHARED = (f"0000320193-24-00000{number}" for number in range(1, 6))
Row = dict[str, Any]


def put(lake: Lake, table: Table, rows: Sequence[Row]) -> None:
    nothing = dict.fromkeys(table.column_names)
    lake.append(table, lake.spark.createDataFrame([tuple((nothing | row).values()) for row in rows], table.schema))


def document(accession: str, body: bytes, *, cik: int = APPLE, hours: int = 0, name: str = "a.htm") -> Row:
    folder = accession.replace("-", "")
    return {
        "source": "sec", "document_id": f"Archives/edgar/data/{cik}/{folder}/{name}", "kind": "filing_document",
        "content_hash": hashlib.sha256(body).hexdigest(), "cik": cik, "fetched_at": NOW + timedelta(hours=hours),
        "url": "http://local/", "body": body,
    }  # fmt: skip


def filing(accession: str, form: str, *, cik: int = APPLE, day: int = 1) -> Row:
    return {
        "accession": accession, "cik": cik, "form": form, "filed_date": date(2024, 11, day), "known_basis": "hours",
        "known_from": datetime(2024, 11, day, 21, tzinfo=UTC), "is_amendment": form.endswith("/A"), "fetched_at": NOW,
        "content_hash": 1,
    }  # fmt: skip


FILED = [
    filing(ANNUAL, "10-K"), filing(AMENDED, "10-K/A", day=2), filing(CURRENT, "8-K", day=3), filing(SCANNED, "20-F"),
    filing(SHARED, "8-K", day=4), filing(SHARED, "8-K", cik=OTHER, day=4),
]  # fmt: skip
TOLD = pages.current(("2.02", "Results of Operations \U0001f4c8", "we told our results."))
DOCUMENTS = [
    document(ANNUAL, pages.modern(pages.ANNUAL)),
    document(AMENDED, pages.modern(pages.ANNUAL[10:11], contents=""), hours=-1),
    document(CURRENT, b"<p>a draft that was replaced</p>", hours=-2),
    document(CURRENT, TOLD, hours=1), document(SCANNED, b"%PDF-1.4", name="scan.pdf"), document(SHARED, TOLD),
    document(SHARED, TOLD, cik=OTHER, hours=2),
]  # fmt: skip


BEGUN = (DOCUMENTS[0]["content_hash"], DOCUMENTS[2]["content_hash"])  # what came before the rest


@pytest.fixture
def filed(lake: Lake) -> Lake:
    """A lake that lists the filings and has none of their documents."""
    put(lake, FILINGS, FILED)
    return lake


@pytest.fixture(scope="module")
def built(spark: SparkSession, empty_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Texts]:
    """A lake with texts, facts, a ticker and what is known of the companies, for tests that do not change it."""
    root = shutil.copytree(empty_lake, tmp_path_factory.mktemp("texts") / "lake")
    lake = Lake(spark, str(root))
    put(lake, FILINGS, FILED)
    put(lake, DOCUMENTS_OF_FILINGS, [*DOCUMENTS, document("0000320193-24-000099", b"<p>not listed yet</p>")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", 4)
        done = build_texts(lake)
    fact = {
        "cik": APPLE, "concept": "us-gaap:Assets", "unit": "USD", "period_end": date(2024, 9, 28), "days": 0,
        "accession": ANNUAL, "value": 364980e6, "form": "10-K", "filed_date": date(2024, 11, 1), "fiscal_year": 2024,
        "fiscal_period": "FY", "origin": "companyfacts", "known_from": NOW, "known_basis": "hours", "fetched_at": NOW,
        "content_hash": 1,
    }  # fmt: skip
    put(lake, FACTS, [fact])
    put(lake, COMPANIES, [
        {"cik": cik, "documents": "a", "refused": 0, "refusals": "[]", "built_at": NOW} for cik in (APPLE, OTHER)
    ])  # fmt: skip
    listing = {
        "instrument_id": "A", "ticker": "AAPL", "valid_from": date(1998, 1, 2), "exchange": "XNYS", "currency": "USD",
        "cik": APPLE, "origin": "test", "sequence": 1,
    }  # fmt: skip
    put(lake, INSTRUMENTS, [listing])
    return lake, done


@pytest.fixture
def published(built: tuple[Lake, Texts], tmp_path: Path) -> Lake:
    """A copy of it for a test to change."""
    return Lake(built[0].spark, str(shutil.copytree(built[0].root, tmp_path / "own")))


def rows_in(lake: Lake) -> list[Row]:
    found = lake.read(FILING_TEXTS).orderBy("cik", "accession", "ordinal").toArrow().to_pylist()
    return [dict(row) for row in found]


def expected() -> list[tuple[int, str, int, str, str]]:
    newest = {
        (APPLE, ANNUAL): DOCUMENTS[0], (APPLE, AMENDED): DOCUMENTS[1], (APPLE, CURRENT): DOCUMENTS[3],
        (APPLE, SHARED): DOCUMENTS[5], (OTHER, SHARED): DOCUMENTS[6],
    }  # fmt: skip
    forms = {(one["cik"], one["accession"]): one["form"] for one in FILED}
    found = [
        (*key, at, one.name, one.text)
        for key, fetched in newest.items() for at, one in enumerate(filing_sections(fetched["body"], forms[key]))
    ]  # fmt: skip
    return sorted([*found, (APPLE, SCANNED, 0, UNREADABLE, "")])


def told(rows: list[Row]) -> list[tuple[int, str, int, str, str]]:
    return [(row["cik"], row["accession"], row["ordinal"], row["section"], row["text"]) for row in rows]


def test_every_section_of_the_newest_document_of_each_filing_is_there_and_a_second_run_writes_nothing(
    built: tuple[Lake, Texts],
) -> None:
    lake, done = built

    rows = rows_in(lake)
    assert told(rows) == expected()
    assert done == Texts(texts=6, sections=len(rows), unlisted=1)
    by_key = {(one["cik"], one["accession"]): one for one in FILED}
    same = ("form", "filed_date", "known_from", "known_basis")
    assert all(all(row[it] == by_key[row["cik"], row["accession"]][it] for it in same) for row in rows)
    assert all(row["char_count"] == len(row["text"]) for row in rows)
    assert "expected a text, found a PDF" in next(row["title"] for row in rows if row["section"] == UNREADABLE)
    version = lake.version(FILING_TEXTS)
    assert build_texts(lake) == Texts(unlisted=1)
    assert lake.version(FILING_TEXTS) == version


def test_any_order_gives_the_same_and_only_what_changed_is_read(filed: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for begun in (True, False):
        came = [one for one in DOCUMENTS if (one["content_hash"] in BEGUN) is begun]
        put(filed, DOCUMENTS_OF_FILINGS, came[::-1])
        build_texts(filed)
    assert told(rows_in(filed)) == expected()

    put(filed, DOCUMENTS_OF_FILINGS, [document(SHARED, b"<p>Corrected.</p>", hours=9)])
    filed.delta(FILINGS).update(f"accession = '{ANNUAL}'", {"known_basis": "'datasets'"})
    assert {(one["cik"], one["accession"]) for one in changed_texts(filed)[0]} == {(APPLE, SHARED), (APPLE, ANNUAL)}
    build_texts(filed)
    rows = rows_in(filed)
    of_shared = [(row["cik"], row["section"]) for row in rows if row["accession"] == SHARED]
    assert of_shared == [(OTHER, "front"), (OTHER, "2.02"), (APPLE, "whole")], "that of another filer is as before"
    assert {row["known_basis"] for row in rows if row["accession"] == ANNUAL} == {"datasets"}
    assert changed_texts(filed) == ([], 0)
    monkeypatch.setattr(module, "READER", module.READER + 1)
    assert len(changed_texts(filed)[0]) == 6, "new rules read all of it again"


def test_the_condition_of_a_portion_holds_for_its_filings_only() -> None:
    assert only([{"cik": 2, "accession": "b"}, {"cik": 1, "accession": "a"}, {"cik": 2, "accession": "a"}]) == (
        "(cik = 1 AND accession IN ('a')) OR (cik = 2 AND accession IN ('a', 'b'))"
    )


def archived(lake: Lake, root: Path) -> Archived:
    return archive_filings(lake, str(root), threading.Event())


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("symbol=*/*/*"))}


def test_each_filing_is_a_file_and_a_run_writes_only_what_is_new_or_changed(published: Lake, tmp_path: Path) -> None:
    root = tmp_path / "archive" / "filings"
    assert archived(published, root) == Archived(companies=2, written=6, deleted=0)

    before = files(root)
    assert f"symbol=CIK0000000007/filed_date=2024-11-04/{SHARED}.json" in before
    annual = json.loads(before[f"symbol=AAPL/filed_date=2024-11-01/{ANNUAL}.json"])
    assert [one["value"] for one in annual["facts"]] == [364980e6]
    assert (annual["fiscal_period"], annual["known_from"]) == ("FY", "2024-11-01T21:00:00Z")
    texts = [row["text"] for row in rows_in(published) if row["accession"] == ANNUAL]
    assert [one["text"] for one in annual["sections"]] == texts
    assert archived(published, root) == Archived()

    put(published, DOCUMENTS_OF_FILINGS, [document(CURRENT, b"<p>Corrected.</p>", hours=9)])
    build_texts(published)
    written = {path: path.stat().st_mtime_ns for path in root.glob("symbol=*/*/*")}
    assert archived(published, root) == Archived(companies=1, written=1, deleted=0)
    assert [path.name for path, at in written.items() if path.stat().st_mtime_ns != at] == [f"{CURRENT}.json"]
    assert not list(root.rglob("*.draft"))


def test_a_filing_that_lies_elsewhere_now_leaves_nothing_behind(published: Lake, tmp_path: Path) -> None:
    archived(published, tmp_path)
    before = files(tmp_path)
    published.delta(INSTRUMENTS).update("ticker = 'AAPL'", {"ticker": "'APPL'"})

    assert archived(published, tmp_path) == Archived(companies=1, written=5, deleted=5)

    assert files(tmp_path) == {name.replace("symbol=AAPL", "symbol=APPL"): body for name, body in before.items()}


def test_a_run_that_dies_is_finished_by_the_next_and_no_file_is_half(
    published: Lake, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    archived(published, whole)
    replace, count = Files.replace_text, iter(range(100))

    def die_at_the_third(self: Files, path: str, text: str) -> None:
        if next(count) == 2:
            self.write_text(f"{path}.draft", text[:10])
            raise Crash(path)
        replace(self, path, text)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Files, "replace_text", die_at_the_third)
        archived(published, tmp_path / "cut")
    assert all(json.loads(body) for name, body in files(tmp_path / "cut").items() if name.endswith(".json"))
    lost = threading.Event()
    lost.set()
    with pytest.raises(LeaseError, match="the lease of this archive was lost"):
        archive_filings(published, str(tmp_path / "cut"), lost)

    archived(published, tmp_path / "cut")

    assert files(tmp_path / "cut") == files(whole)
