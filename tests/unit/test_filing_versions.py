"""Versions of facts under every order and repetition of documents, and what makes one version newer than another."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.filings.acceptance import settled
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.shapes import FACTS, FILINGS, READ_FACTS, READ_FILINGS
from lakehouse.filings.versions import as_known_at, versions_of

AT = datetime(2026, 3, 5, tzinfo=UTC)
NO_FILINGS = FILINGS.empty_table()


def read(document: bytes, fetched_at: datetime = AT) -> pa.Table:
    return facts_of(document, fetched_at=fetched_at).rows


def fact(concept: str, accession: int, value: float, *, filed: int, end: int = 1) -> dict[str, Any]:
    return {
        "concept": concept, "end": f"2024-01-{end:02d}", "val": value, "accn": f"0000000001-24-{accession:06d}",
        "filed": f"2024-03-{filed:02d}",
    }  # fmt: skip


def companyfacts(facts: list[dict[str, Any]]) -> bytes:
    concepts: dict[str, Any] = {}
    for one in facts:
        entries = concepts.setdefault(one["concept"], {"units": {"USD": []}})["units"]["USD"]
        entries.append({name: one[name] for name in ("end", "val", "accn", "filed")})
    return json.dumps({"cik": 1, "facts": {"us-gaap": concepts}}).encode()


FACT = st.builds(
    lambda concept, accession, value, end: fact(concept, accession, value, filed=1 + accession // 2, end=end),
    st.sampled_from(["Assets", "Liabilities"]), st.integers(0, 5), st.sampled_from([1.0, 2.0, 3.0]), st.integers(1, 2),
)  # fmt: skip
DOCUMENTS = st.lists(
    st.tuples(st.lists(FACT, max_size=6), st.integers(0, 2)).map(
        lambda made: read(companyfacts(made[0]), AT + timedelta(days=made[1]))
    ),
    min_size=1,
    max_size=4,
)
LISTED = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=5).map(
    lambda listed: settled(
        pa.Table.from_pylist(
            [
                {"accession": f"0000000001-24-{number:06d}", "cik": 1, "form": "10-Q", "filed_date": date(2024, 3, 1),
                 "accepted_text": f"2024-03-0{day + 1} 12:00:00.0", "fetched_at": AT}
                for number, day in listed
            ],
            READ_FILINGS,
        )
    )
)  # fmt: skip


@given(st.data(), DOCUMENTS, LISTED)
@settings(max_examples=40)
def test_documents_in_any_order_twice_or_one_at_a_time_give_the_same_table(
    data: st.DataObject, documents: list[pa.Table], filings: pa.Table
) -> None:
    at_once = versions_of(pa.concat_tables(documents), filings)

    shuffled = data.draw(st.permutations([*documents, *data.draw(st.lists(st.sampled_from(documents), max_size=3))]))
    one_by_one = FACTS.empty_table()
    for document in shuffled:
        so_far = one_by_one.select(READ_FACTS.names)
        one_by_one = versions_of(pa.concat_tables([so_far, document]), filings)

    assert versions_of(pa.concat_tables(shuffled), filings).equals(at_once)
    assert one_by_one.equals(at_once)
    assert at_once.schema == FACTS


@given(DOCUMENTS, LISTED, st.integers(0, 6), st.integers(0, 24))
@settings(max_examples=40)
def test_at_any_instant_each_fact_has_at_most_one_version_that_lasts(
    documents: list[pa.Table], filings: pa.Table, day: int, hour: int
) -> None:
    facts = versions_of(pa.concat_tables(documents), filings)
    instant = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(days=day, hours=hour)

    lasting = facts.filter(
        pc.and_(
            pc.less_equal(facts["known_from"], pa.scalar(instant)),
            pc.fill_null(pc.greater(facts["known_to"], pa.scalar(instant)), True),
        )
    )

    assert lasting.equals(as_known_at(facts, instant))
    assert pc.all(pc.fill_null(pc.less_equal(facts["known_from"], facts["known_to"]), True), min_count=0).as_py()


def one_version(*facts: dict[str, Any], filings: pa.Table = NO_FILINGS) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = versions_of(read(companyfacts(list(facts))), filings).to_pylist()
    return rows


def test_an_amendment_that_says_the_same_is_a_version_all_the_same() -> None:
    first, second = one_version(fact("Assets", 1, 5.0, filed=4), fact("Assets", 2, 5.0, filed=6))

    assert first["known_to"] == second["known_from"] == datetime(2024, 3, 7, 5, tzinfo=UTC)
    assert second["known_to"] is None


def test_of_two_versions_known_at_once_the_higher_accession_counts() -> None:
    first, second = one_version(fact("Assets", 2, 7.0, filed=4), fact("Assets", 1, 5.0, filed=4))

    assert (first["accession"], second["accession"]) == ("0000000001-24-000001", "0000000001-24-000002")
    assert first["known_from"] == first["known_to"] == second["known_from"]


def test_of_two_filings_with_one_accession_the_one_known_later_counts() -> None:
    known = [datetime(2024, 3, day, tzinfo=UTC) for day in (5, 7, 6)]
    filings = pa.Table.from_pylist(
        [{"accession": "0000000001-24-000001", "known_from": one, "known_basis": "hours"} for one in known], FILINGS
    )

    (version,) = one_version(fact("Assets", 1, 5.0, filed=4), filings=filings)

    assert (version["known_from"], version["known_basis"]) == (known[1], "hours")


def test_of_two_documents_that_disagree_the_one_fetched_later_counts() -> None:
    old, new = companyfacts([fact("Assets", 1, 5.0, filed=4)]), companyfacts([fact("Assets", 1, 6.0, filed=4)])

    for earlier, later, value in ((old, new, 6.0), (new, old, 5.0)):
        both = pa.concat_tables([read(later, AT + timedelta(seconds=1)), read(earlier)])
        assert versions_of(both, NO_FILINGS)["value"].to_pylist() == [value]


def test_of_two_documents_fetched_at_once_the_higher_hash_counts() -> None:
    rows = [read(companyfacts([fact("Assets", 1, value, filed=4)])) for value in (5.0, 6.0, 7.0)]
    highest = max(rows, key=lambda table: table["content_hash"][0].as_py())

    assert versions_of(pa.concat_tables(rows), NO_FILINGS)["value"].to_pylist() == highest["value"].to_pylist()
