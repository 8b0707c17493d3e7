"""Versions of facts: what each accession stated, from when on it was known, and until when it was the newest word.

Repeating, reordering or splitting the documents changes nothing: of rows about one fact and accession the one fetched
later counts, then the higher content hash. Rows of silver.facts may be put in again together with new ones.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.filings.acceptance import FILED_DATE_ONLY, end_of_day
from lakehouse.filings.ordering import continues, in_order, last_of_each, sort_key
from lakehouse.filings.shapes import FACT_KEY, FACTS, INSTANT, READ_FACTS

VERSION_KEY = (*FACT_KEY, "accession")
BY_AGE = (
    "fetched_at", "content_hash", "filed_date", "value", "form", "fiscal_year", "fiscal_period", "origin"
)  # fmt: skip


def versions_of(facts: pa.Table, filings: pa.Table) -> pa.Table:
    """Every version of every fact once, in order. In: READ_FACTS and FILINGS, out: FACTS.

    A version is known from when its filing is; one whose filing is not here, from the end of its filing date on. It is
    the newest word until another version of the same fact becomes known, whether or not that says the same.
    """
    once = with_known(last_of_each(facts.select(READ_FACTS.names), VERSION_KEY, BY_AGE), filings)
    ordered = in_order(once, (*FACT_KEY, "known_from", "accession"))
    goes_on = continues([sort_key(ordered[name]) for name in FACT_KEY])
    known_from = ordered["known_from"].combine_chunks().cast(pa.int64()).to_numpy()
    known_to = pa.array(np.roll(known_from, -1), mask=~goes_on).cast(INSTANT)
    columns = {name: ordered[name] for name in ordered.column_names} | {"known_to": known_to}
    return pa.Table.from_arrays([columns[name] for name in FACTS.names], schema=FACTS)


def with_known(facts: pa.Table, filings: pa.Table) -> pa.Table:
    """Add `known_from` and `known_basis` of each fact's filing; of filings with one accession, those of the later."""
    one_each = last_of_each(filings, ("accession",), ("known_from", "known_basis"))
    at = pc.index_in(facts["accession"], value_set=one_each["accession"].combine_chunks())
    by_date = facts["filed_date"].combine_chunks().dictionary_encode()
    ends = pa.array([end_of_day(day) for day in by_date.dictionary.to_pylist()], INSTANT).take(by_date.indices)
    known_from = pc.coalesce(one_each["known_from"].take(at), ends)
    known_basis = pc.coalesce(one_each["known_basis"].take(at), FILED_DATE_ONLY)
    return facts.append_column("known_from", known_from).append_column("known_basis", known_basis)


def as_known_at(facts: pa.Table, instant: datetime) -> pa.Table:
    """Of each fact the newest version the market knew at an instant, from `known_from` alone. Shape: FACTS, by fact.

    Of versions that became known at one instant the one with the higher accession counts.
    """
    known = facts.filter(pc.less_equal(facts["known_from"], pa.scalar(instant, INSTANT)))
    return last_of_each(known, FACT_KEY, ("known_from", "accession"))
