"""Fetched JSON documents: one clear error where one cannot be read, a reason and a place for each part refused."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import DocumentError
from lakehouse.filings.columns import Inexact, exact_number

# Kinds of documents in bronze, see bronze.filings, bronze.company_facts and bronze.reference.
SUBMISSIONS, OLDER_SUBMISSIONS, COMPANY_FACTS, DATA_SET, FILING_DOCUMENT = (
    "submissions", "older_submissions", "company_facts", "data_set", "filing_document"
)  # fmt: skip
COMPANY_TICKERS = "company_tickers"
LONGEST_DETAIL = 120
HASH_DIGITS = 16  # hexadecimal ones of a hash that rows of silver carry, as a number
ARCHIVED = re.compile(r"/([0-9]{10})([0-9]{2})([0-9]{6})/[^/]+")  # EDGAR's folder of a filing, and a document in it


@dataclass(frozen=True)
class Refusal:
    """A part of a document that became no row: a reason code, the place in the document, and what stood there."""

    reason: str
    place: str
    detail: str


def loaded(document: bytes, source: str) -> dict[str, Any]:
    """The JSON object a document holds. Numbers that a double cannot hold come as `Inexact` text."""
    try:
        content = json.loads(document, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise DocumentError(
            f"{source}: expected one JSON object, found {len(document)} bytes that do not read as one ({error}). "
            f"Nothing of the document was kept. Fetch it again."
        ) from error
    if not isinstance(content, dict):
        raise refused(source, "one JSON object", content)
    return content


def refused(source: str, expected: str, found: object) -> DocumentError:
    """The error of a document that reads, but does not have the shape its source promises."""
    return DocumentError(
        f"{source}: expected {expected}, found {shortened(found)}. Nothing of the document was kept. Look at the "
        f"document in bronze: if the source has changed its shape, the reader must follow."
    )


def cik_of(content: dict[str, Any], source: str) -> int:
    """The filer number a document states, as a number or as digits."""
    cik = content.get("cik")
    if isinstance(cik, str) and cik.isascii() and cik.isdigit():
        cik = int(cik)
    if type(cik) is not int or not 0 < cik < 10**10:
        raise refused(source, "a filer number of at most ten digits in `cik`", cik)
    return cik


def accession_of(document_id: str) -> str | None:
    """The filing a document belongs to, by EDGAR's scheme of addresses."""
    found = ARCHIVED.search(document_id)
    return "-".join(found.groups()) if found else None


def shortened(value: object) -> str:
    """A value as text that fits into a message."""
    text = repr(value)
    return text if len(text) <= LONGEST_DETAIL else f"{text[:LONGEST_DETAIL]}... ({len(text)} characters)"


def content_hash(document: bytes) -> int:
    """The first 64 bits of a document's SHA-256, as a signed number."""
    return signed(hashlib.sha256(document).hexdigest())


def signed(hexadecimal: str) -> int:
    """The first 64 bits of a hexadecimal hash, as rows of silver carry them."""
    return int.from_bytes(bytes.fromhex(hexadecimal[:HASH_DIGITS]), "big", signed=True)


def _number(text: str) -> float | Inexact:
    value = exact_number(text)
    return Inexact(text) if value is None else value
