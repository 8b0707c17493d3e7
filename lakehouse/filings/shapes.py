"""The columns of filings and facts, as they are read from documents and as the market knew them."""

from __future__ import annotations

import pyarrow as pa

INSTANT = pa.timestamp("us", "UTC")

# Which document a row was read from: the first 64 bits of the SHA-256 of its bytes. Where documents fetched at the same
# instant disagree, the higher one counts.
_SOURCE = [pa.field("fetched_at", INSTANT), pa.field("content_hash", pa.int64())]
_KNOWN = [pa.field("known_from", INSTANT), pa.field("known_basis", pa.string())]

_FILING = [
    pa.field("accession", pa.string()),
    pa.field("cik", pa.int64()),
    pa.field("form", pa.string()),
    pa.field("filed_date", pa.date32()),
    pa.field("accepted_text", pa.string()),
]
_ABOUT_FILING = [
    pa.field("report_date", pa.date32()),
    pa.field("primary_document", pa.string()),
    pa.field("items", pa.string()),
    pa.field("is_amendment", pa.bool_()),
]
_FACT = [
    pa.field("cik", pa.int64()),
    pa.field("concept", pa.string()),
    pa.field("unit", pa.string()),
    pa.field("period_start", pa.date32()),
    pa.field("period_end", pa.date32()),
    pa.field("days", pa.int32()),
    pa.field("accession", pa.string()),
    pa.field("value", pa.float64()),
    pa.field("form", pa.string()),
    pa.field("filed_date", pa.date32()),
    pa.field("fiscal_year", pa.int32()),
    pa.field("fiscal_period", pa.string()),
    pa.field("origin", pa.string()),
]

READ_FILINGS = pa.schema([*_FILING, *_ABOUT_FILING, *_SOURCE])
FILINGS = pa.schema([*_FILING, *_KNOWN, *_ABOUT_FILING, *_SOURCE])
READ_FACTS = pa.schema([*_FACT, *_SOURCE])
FACTS = pa.schema([*_FACT, *_KNOWN, pa.field("known_to", INSTANT), *_SOURCE])

SUBMISSIONS = pa.schema(
    [
        *_FILING,
        pa.field("period_end", pa.date32()),  # rounded to a month's end by the SEC
        pa.field("fiscal_year", pa.int32()),
        pa.field("fiscal_period", pa.string()),
        *_SOURCE,
    ]
)
VALUES = pa.schema(
    [
        pa.field("accession", pa.string()),
        pa.field("tag", pa.string()),
        pa.field("version", pa.string()),
        pa.field("month_end", pa.date32()),
        pa.field("quarters", pa.int32()),
        pa.field("unit", pa.string()),
        pa.field("value", pa.float64()),
    ]
)

# One fact of a company; each accession that states it is a version of it.
FACT_KEY = ("cik", "concept", "unit", "period_end", "days")
