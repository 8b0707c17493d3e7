"""Companyfacts documents: every entry is a row or a refusal, and no document breaks the reader."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import DocumentError
from lakehouse.filings.companyfacts import ParsedFacts, facts_of
from lakehouse.filings.shapes import READ_FACTS

AT = datetime(2026, 3, 5, tzinfo=UTC)
FACT = {
    "start": "2008-09-28", "end": "2009-09-26", "val": 6.29, "accn": "0001193125-09-214859", "fy": 2009, "fp": "FY",
    "form": "10-K", "filed": "2009-10-27",
}  # fmt: skip
ABOUT_LISTS = ("concepts_missing", "units_missing", "facts_missing", "name_malformed")
COMPANIES = ("0000320193", "0001045810", "0001652044")

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("2009-09-26"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.one_of(
    st.just(FACT),
    st.tuples(st.sampled_from(sorted(FACT)), ANYTHING).map(lambda change: FACT | {change[0]: change[1]}),
    st.dictionaries(st.sampled_from(sorted(FACT)), ANYTHING),
    ANYTHING,
)
UNITS = st.dictionaries(st.text(max_size=4), st.lists(ENTRY, max_size=4) | ANYTHING, max_size=3)
CONCEPTS = st.dictionaries(st.text(max_size=4), UNITS.map(lambda units: {"units": units}) | ANYTHING, max_size=3)
TAXONOMIES = st.dictionaries(st.text(max_size=4), CONCEPTS | ANYTHING, max_size=3)


def document(*entries: Any, unit: str = "USD/shares") -> bytes:
    concept = {"label": None, "units": {unit: list(entries)}}
    return json.dumps({"cik": 320193, "facts": {"us-gaap": {"EarningsPerShareDiluted": concept}}}).encode()


def parsed(content: bytes) -> ParsedFacts:
    return facts_of(content, fetched_at=AT)


def test_a_fact_carries_its_taxonomy_its_days_and_what_its_filing_says_of_itself() -> None:
    found = parsed(document(FACT)).rows

    (row,) = found.to_pylist()
    assert found.schema == READ_FACTS
    assert {name: row[name] for name in row if name not in ("fetched_at", "content_hash")} == {
        "cik": 320193, "concept": "us-gaap:EarningsPerShareDiluted", "unit": "USD/shares",
        "period_start": date(2008, 9, 28), "period_end": date(2009, 9, 26), "days": 364, "value": 6.29,
        "accession": "0001193125-09-214859", "form": "10-K", "filed_date": date(2009, 10, 27), "fiscal_year": 2009,
        "fiscal_period": "FY", "origin": "companyfacts",
    }  # fmt: skip


def test_an_instant_has_no_start_and_no_days() -> None:
    (row,) = parsed(document({name: FACT[name] for name in FACT if name != "start"})).rows.to_pylist()

    assert (row["period_start"], row["days"]) == (None, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"val": None}, "value_missing"),
        ({"val": "6.29"}, "value_not_a_number"),
        ({"val": True}, "value_not_a_number"),
        ({"val": float("nan")}, "value_not_finite"),
        ({"val": float("-inf")}, "value_not_finite"),
        ({"val": 9_007_199_254_740_993}, "value_inexact"),
        ({"end": "2009-02-30"}, "end_not_a_day"),
        ({"end": "0209-09-26"}, "end_not_a_day"),
        ({"end": "2999-12-31"}, "end_not_a_day"),
        ({"end": "20090926"}, "end_not_a_day"),
        ({"end": 20090926}, "end_not_a_day"),
        ({"start": ""}, "start_not_a_day"),
        ({"start": "2009-09-27"}, "start_after_end"),
        ({"accn": "1193125-09-214859"}, "accession_malformed"),
        ({"filed": None}, "filed_not_a_day"),
    ],
)
def test_an_entry_that_is_no_fact_is_refused_with_its_reason_and_place(change: dict[str, Any], reason: str) -> None:
    found = parsed(document(FACT, FACT | change))

    (refusal,) = found.refusals
    assert (refusal.reason, found.rows.num_rows) == (reason, 1)
    assert refusal.place == "facts.us-gaap.EarningsPerShareDiluted.units.USD/shares[1]"


@pytest.mark.parametrize("number", ["0.1234567890123456789", "1e999", "1e-400", "1e-99999999999999999999", "1e23000"])
def test_a_number_that_a_double_cannot_hold_is_refused(number: str) -> None:
    found = parsed(document(FACT).replace(b"6.29", number.encode()))

    assert [refusal.reason for refusal in found.refusals] == ["value_inexact"]


@pytest.mark.parametrize("number", [2**53, 2**60, -(2**60), 10**23, 0])
def test_a_great_whole_number_is_kept_where_a_double_holds_it(number: int) -> None:
    found = parsed(document(FACT | {"val": number}, FACT | {"val": 10**400}))

    assert found.rows["value"].to_pylist() == [float(number)]
    assert [refusal.reason for refusal in found.refusals] == ["value_inexact"]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**11), max_value=10**11))
def test_a_number_of_fifteen_digits_is_kept_as_it_is_written(number: Any) -> None:
    found = parsed(document(FACT).replace(b"6.29", f"{number:f}".encode()))

    assert found.refusals == []
    assert found.rows["value"][0].as_py() == float(number)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"us-gaap": None}, "concepts_missing"),
        ({"us-gaap": {"Assets": None}}, "units_missing"),
        ({"us-gaap": {"Assets": {"label": "Assets"}}}, "units_missing"),
        ({"us-gaap": {"Assets": {"units": {"USD": "..."}}}}, "facts_missing"),
        ({"us-gaap": {"Assets": {"units": {"": [FACT]}}}}, "name_malformed"),
        ({"us-gaap": {"Assets": {"units": {"\ud800": [FACT]}}}}, "name_malformed"),
    ],
)
def test_what_holds_no_facts_is_refused_where_it_stands(facts: Any, reason: str) -> None:
    found = parsed(json.dumps({"cik": "0000320193", "facts": facts}).encode())

    (refusal,) = found.refusals
    assert (refusal.reason, found.rows.num_rows) == (reason, 0)
    assert refusal.place.encode()  # whatever the names were, the place is text that can be stored


def test_what_describes_the_filing_does_not_decide_over_the_fact() -> None:
    (row,) = parsed(document(FACT | {"fy": "2009", "fp": None, "form": 7})).rows.to_pylist()

    assert (row["fiscal_year"], row["fiscal_period"], row["form"]) == (None, None, None)


@given(st.data())
def test_a_document_that_was_cut_off_is_one_clear_error(data: st.DataObject) -> None:
    whole = document(FACT)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]

    with pytest.raises(DocumentError, match="companyfacts: expected one JSON object"):
        parsed(cut)


@pytest.mark.parametrize(
    "content",
    [b"...", b"<html>Forbidden</html>", b"[]", b"[" * 100_000, b"\xff\xfe\xfa", b'{"facts": {}}', b'{"cik": 1}',
     b'{"cik": 1, "facts": ...}', b'{"cik": -1, "facts": {}}', b'{"cik": true, "facts": {}}',
     b'{"cik": 1, "facts": "..."}'],
)  # fmt: skip
def test_what_is_no_companyfacts_document_is_one_clear_error(content: bytes) -> None:
    with pytest.raises(DocumentError, match="Nothing of the document was kept"):
        parsed(content)


@given(TAXONOMIES)
@settings(max_examples=50)
def test_no_document_breaks_the_reader_and_every_entry_is_a_row_or_a_refusal(taxonomies: dict[str, Any]) -> None:
    found = parsed(json.dumps({"cik": 1, "facts": taxonomies}).encode())

    entries = sum(
        len(entries)
        for concepts in taxonomies.values() if isinstance(concepts, dict)
        for body in concepts.values() if isinstance(body, dict) and isinstance(body.get("units"), dict)
        for unit, entries in body["units"].items() if isinstance(entries, list) and unit
    )  # fmt: skip
    refused = [refusal for refusal in found.refusals if refusal.reason not in ABOUT_LISTS]
    assert found.rows.num_rows + len(refused) == entries
    assert found.rows["value"].null_count == found.rows["period_end"].null_count == 0


@pytest.mark.parametrize("cik", COMPANIES)
def test_the_real_documents_are_read_whole(cik: str, shared_data: Path) -> None:
    content = gzip.decompress((shared_data / "sec/companyfacts" / f"CIK{cik}.json.gz").read_bytes())

    found = parsed(content)

    entries = [
        (f"{taxonomy}:{tag}", unit, entry)
        for taxonomy, concepts in json.loads(content)["facts"].items()
        for tag, body in concepts.items()
        for unit, entries in body["units"].items()
        for entry in entries
    ]
    assert found.refusals == []
    assert found.rows["concept"].to_pylist() == [concept for concept, _, _ in entries]
    assert found.rows["unit"].to_pylist() == [unit for _, unit, _ in entries]
    for column, name in (("accession", "accn"), ("value", "val"), ("fiscal_year", "fy"), ("form", "form")):
        assert found.rows[column].to_pylist() == [entry[name] for _, _, entry in entries]
    for column, name in (("period_start", "start"), ("period_end", "end"), ("filed_date", "filed")):
        days = np.array([entry.get(name) for _, _, entry in entries], "datetime64[D]")
        assert np.array_equal(found.rows[column].to_numpy().astype("datetime64[D]"), days, equal_nan=True)
