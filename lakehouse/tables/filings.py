"""Silver of the SEC: companies, their filings, and what these state, version by version."""

from lakehouse.tables.model import Column, Layer, Table

_READ_FROM = (
    Column("fetched_at", "timestamp", "When the document was fetched that this row was read from, UTC", nullable=False),
    Column("content_hash", "bigint", "First 64 bits of the SHA-256 of that document", nullable=False),
)

COMPANIES = Table(
    layer=Layer.SILVER,
    name="companies",
    owner="build_facts",
    comment="One filer: what the SEC says about it, and which documents silver.filings and silver.facts hold of it.",
    columns=(
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column("name", "string", "Name as the SEC has it today, NULL where no list of its filings was fetched"),
        Column("sic", "string", "Standard industrial classification, four digits"),
        Column("tickers", "string", "Its tickers today, comma separated; never a key, see silver.instruments"),
        Column("fiscal_year_end", "string", "Month and day, MMDD"),
        Column("former_names", "string", "JSON: names it no longer carries, with first and last instant"),
        Column("documents", "string", "First 16 digits of the hash of each document read, in order", nullable=False),
        Column("refused", "bigint", "Entries of these documents that became no row", nullable=False),
        Column(
            "refusals", "string", "JSON: the first of them, with reason, place and what stood there", nullable=False
        ),
        Column("built_at", "timestamp", "When its rows were made, UTC", nullable=False),
    ),
    key=("cik",),
)

FILINGS = Table(
    layer=Layer.SILVER,
    name="filings",
    owner="build_facts",
    comment="One filing of one filer, as the SEC accepted it.",
    columns=(
        Column("accession", "string", "Accession number", nullable=False),
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column("form", "string", "Form type, such as 10-K or 8-K/A", nullable=False),
        Column("filed_date", "date", "Filing date the SEC states; may be the day after acceptance", nullable=False),
        Column("accepted_text", "string", "Acceptance time as the source writes it, NULL where it has none"),
        Column("known_from", "timestamp", "Acceptance instant, UTC, as far as evidence goes", nullable=False),
        Column("known_basis", "string", "What settled known_from, see docs/filings.md", nullable=False),
        Column("report_date", "date", "End of the period it reports on, NULL where it reports on none"),
        Column("primary_document", "string", "File name of its main document"),
        Column("items", "string", "Items of an 8-K, comma separated"),
        Column("is_amendment", "boolean", "It amends an earlier filing", nullable=False),
        *_READ_FROM,
    ),
    key=("cik", "accession"),
    cluster_by=("cik",),
)

FACTS = Table(
    layer=Layer.SILVER,
    name="facts",
    owner="build_facts",
    comment="One version of one reported fact: what a filing said of a concept and period, and from when until when.",
    columns=(
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column("concept", "string", "Taxonomy and tag, such as us-gaap:Assets", nullable=False),
        Column("unit", "string", "Unit of measure, such as USD, shares or USD/shares", nullable=False),
        Column("period_start", "date", "First day of the period, NULL for an instant"),
        Column("period_end", "date", "Last day of the period, or the instant's day", nullable=False),
        Column("days", "int", "Days of the period, 0 for an instant", nullable=False),
        Column("accession", "string", "Filing that says so", nullable=False),
        Column("value", "double", "A number of at most 15 digits, which a double holds", nullable=False),
        Column("form", "string", "Form type of that filing", nullable=False),
        Column("filed_date", "date", "Filing date of that filing", nullable=False),
        Column("fiscal_year", "int", "Fiscal year of the filing, not of the fact"),
        Column("fiscal_period", "string", "Fiscal period of the filing, not of the fact"),
        Column("origin", "string", "companyfacts or datasets", nullable=False),
        Column("known_from", "timestamp", "From when the market knew this version, UTC", nullable=False),
        Column("known_basis", "string", "What settled known_from, as in silver.filings", nullable=False),
        Column("known_to", "timestamp", "When a newer version became known, NULL while it is the newest"),
        *_READ_FROM,
    ),
    key=("cik", "concept", "unit", "period_end", "days", "accession"),
    cluster_by=("cik",),
    checks={
        "value_is_a_number": "NOT isnan(value) AND abs(value) < 1e300",
        "period_has_its_days": "days = coalesce(datediff(period_end, period_start) + 1, 0)",
        "known_is_ordered": "known_to IS NULL OR known_to >= known_from",
    },
)

FILING_TEXTS = Table(
    layer=Layer.SILVER,
    name="filing_texts",
    owner="build_facts",
    comment="One section of the main document of one filing, as text; in their order they are the whole text.",
    columns=(
        Column("accession", "string", "Accession number", nullable=False),
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column("ordinal", "int", "Place in the text, from 0", nullable=False),
        Column("section", "string", "Item (1A, II.1A), exhibit, front, whole, unreadable", nullable=False),
        Column("title", "string", "What its heading says behind the number, NULL where nothing"),
        Column("text", "string", "The text, heading included", nullable=False),
        Column("char_count", "int", "Its length in characters", nullable=False),
        Column("form", "string", "Form type of the filing", nullable=False),
        Column("filed_date", "date", "Filing date the SEC states", nullable=False),
        Column("known_from", "timestamp", "Acceptance instant, as in silver.filings, UTC", nullable=False),
        Column("known_basis", "string", "What settled known_from, as in silver.filings", nullable=False),
        Column("reader", "int", "Version of the rules by which it was read", nullable=False),
        *_READ_FROM,
    ),
    key=("cik", "accession", "ordinal"),
    cluster_by=("cik", "section"),
    checks={"characters_are_counted": "char_count = length(text)"},
    properties={"delta.dataSkippingStatsColumns": "cik,accession,ordinal,section,form,filed_date,known_from"},
)

DATA_SET_FILINGS = Table(
    layer=Layer.SILVER,
    name="data_set_filings",
    owner="build_facts",
    comment="One filing as a Financial Statement Data Set lists it. Evidence for silver.filings.",
    columns=(
        Column("accession", "string", "Accession number", nullable=False),
        Column("cik", "bigint", "SEC filer number", nullable=False),
        Column("form", "string", "Form type", nullable=False),
        Column("filed_date", "date", "Filing date", nullable=False),
        Column("accepted_text", "string", "Acceptance time of New York, usually to the minute"),
        Column("period_end", "date", "End of the period reported on, rounded to the end of a month"),
        Column("fiscal_year", "int", "Fiscal year of the filing"),
        Column("fiscal_period", "string", "Fiscal period of the filing"),
        *_READ_FROM,
    ),
    key=("content_hash", "accession"),
    append_only=True,
    cluster_by=("cik",),
)

DATA_SET_VALUES = Table(
    layer=Layer.SILVER,
    name="data_set_values",
    owner="build_facts",
    comment="One number of a whole consolidated company in a Data Set; silver.facts are checked against it.",
    columns=(
        Column("accession", "string", "Filing that states it", nullable=False),
        Column("tag", "string", "Tag without its taxonomy", nullable=False),
        Column("version", "string", "Taxonomy and year, or the accession for a filer's own tag", nullable=False),
        Column("month_end", "date", "End of the period, rounded to the end of a month", nullable=False),
        Column("quarters", "int", "Length in quarters, 0 for an instant", nullable=False),
        Column("unit", "string", "Unit of measure, without its share", nullable=False),
        Column("value", "double", "The value; NULL where the filing gives none"),
        Column("content_hash", "bigint", "First 64 bits of the SHA-256 of the Data Set", nullable=False),
    ),
    key=("content_hash", "accession", "tag", "version", "month_end", "quarters", "unit"),
    append_only=True,
    cluster_by=("accession",),
)

TABLES = (COMPANIES, FILINGS, FACTS, FILING_TEXTS, DATA_SET_FILINGS, DATA_SET_VALUES)
