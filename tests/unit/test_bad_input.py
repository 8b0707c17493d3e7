"""Bad input is refused with its reason, the good prints beside it survive, nothing is lost; odd but valid input
passes.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.conditions import load_dialects
from lakehouse.reference.calendar import session_arrays
from streaming.judge import CONTROL, PRINT, REFUSED, UNDECODABLE, Listings, Rules, judge_batch
from tests.faults import corpus
from tests.faults.oracle import answer, records_table
from tests.faults.reference import LISTINGS, calendar, reference, write_dialects

FOREVER = 1 << 30


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    return rules_from(tmp_path_factory.mktemp("rules") / "dialects.yaml")


def rules_from(path: Path) -> Rules:
    write_dialects(path)
    epoch = LISTINGS[0][2].toordinal() - (LISTINGS[0][2] - LISTINGS[0][2].fromtimestamp(0)).days
    by_ticker: dict[str, tuple[tuple[int, int, str], ...]] = {}
    for instrument, ticker, first, last in LISTINGS:
        until = FOREVER if last is None else last.toordinal() - epoch
        by_ticker[ticker] = (*by_ticker.get(ticker, ()), (first.toordinal() - epoch, until, instrument))
    return Rules(load_dialects(path), Listings(by_ticker), session_arrays(calendar()))


def judged(payloads: list[bytes], rules: Rules) -> list[dict[str, Any]]:
    records = records_table([("s", "h", f"{at:06d}", corpus.ARRIVED_MS, one) for at, one in enumerate(payloads)])
    rows: list[dict[str, Any]] = judge_batch(records.combine_chunks().to_batches()[0], rules).to_pylist()
    return rows


def test_the_corpus_holds_at_least_forty_five_kinds_of_bad_input_under_distinct_names() -> None:
    bad = corpus.BAD_RECORDS + corpus.BAD_PRINTS

    assert len(bad) >= 45
    assert len({case.name for case in corpus.CASES}) == len(corpus.CASES)
    assert len({code for case in bad for code in case.reasons.split(",")}) >= 14


@pytest.mark.parametrize("case", corpus.BAD_RECORDS, ids=lambda case: case.name)
def test_a_record_that_cannot_be_decoded_is_refused_as_a_whole(case: corpus.Case, rules: Rules) -> None:
    rows = judged([case.payload], rules)

    assert [(row["verdict"], row["position"], row["reasons"]) for row in rows] == [(UNDECODABLE, -1, case.reasons)]
    assert rows[0]["raw_bytes"] == len(case.payload)
    assert len(rows[0]["raw"]) <= 4096
    assert rows[0]["detail"]


@pytest.mark.parametrize("case", corpus.BAD_PRINTS, ids=lambda case: case.name)
def test_a_bad_print_is_refused_and_its_neighbours_survive(case: corpus.Case, rules: Rules) -> None:
    rows = judged([case.payload], rules)

    refused = [row for row in rows if row["verdict"] == REFUSED]
    assert [row["reasons"] for row in refused] == [case.reasons]
    assert [row["position"] for row in rows if row["verdict"] == PRINT] == [0, 2][: case.good_prints]
    assert len(rows) == case.good_prints + 1
    assert refused[0]["detail"]


@pytest.mark.parametrize("case", corpus.ODDITIES, ids=lambda case: case.name)
def test_odd_input_that_is_valid_passes(case: corpus.Case, rules: Rules) -> None:
    rows = judged([case.payload], rules)

    verdicts = Counter(row["verdict"] for row in rows)
    assert verdicts == Counter({PRINT: case.good_prints, CONTROL: int(case.is_control)})


def test_every_kind_together_is_conserved_and_judged_as_the_oracle_judges(rules: Rules) -> None:
    payloads = [case.payload for case in corpus.CASES]
    random.Random(7).shuffle(payloads)

    assert_as_the_oracle(payloads, rules)


def assert_as_the_oracle(payloads: list[bytes], rules: Rules) -> None:
    rows = judged(payloads, rules)
    records = records_table([("s", "h", f"{at:06d}", corpus.ARRIVED_MS, one) for at, one in enumerate(payloads)])
    right = answer(records, reference())
    refused = [
        (row["bronze_ref"], row["position"], row["reasons"]) for row in rows if row["verdict"] in (REFUSED, UNDECODABLE)
    ]
    assert sorted(refused) == sorted(tuple(row.values()) for row in right.refusals.to_pylist())
    verdicts = Counter(row["verdict"] for row in rows)
    assert verdicts[PRINT] + verdicts[REFUSED] == right.counts.decoded
    assert (verdicts[UNDECODABLE], verdicts[CONTROL]) == (right.counts.undecodable, right.counts.control)


def test_rounded_amounts_of_accepted_prints_fit_the_checks_of_the_table(rules: Rules) -> None:
    edges = ["0.0000005", "5e-7", "0.00000049999", "8999999.9999994", "8999999.9999995", "8999999.9999996", "1.0000005"]
    prints = [corpus.print_text(p=price, v=size) for price in edges for size in ("0.0000005", "1", "11111.1111111")]
    prints += [corpus.print_text(p="1", v=size) for size in ("999999999.9999994", "999999999.9999995", "999999999")]
    prints += [corpus.print_text(p="100.0000005", v=size) for size in ("999999990", "999999995", "999999989.99999995")]

    rows = [row for row in judged([corpus.message(*prints)], rules) if row["verdict"] == PRINT]

    assert len(rows) >= 12
    for row in rows:
        assert 0 < row["price"] < 9_000_000
        assert 0 < row["size"] < 1_000_000_000
        assert float(row["price"]) * float(row["size"]) <= 100_000_000_000
    assert_as_the_oracle([corpus.message(*prints)], rules)


@pytest.mark.parametrize("fields", ["s", "p", "t", "v", "c", "x", "id", "seq", "received_at", "kind", "ref", "z"])
def test_no_depth_of_nesting_in_a_field_stops_the_stream(fields: str, rules: Rules) -> None:
    depths = [*range(1, 40), *range(300, 1100, 7)]
    payloads = [corpus.message(corpus.print_text(**{fields: "[" * deep + "]" * deep})) for deep in depths]

    rows = judged(payloads, rules)

    assert len(rows) == len(depths)


WEIRD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**25), 10**25),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: 1e-15 < abs(number) < 1e15 or number == 0),
    st.text(max_size=6).filter(lambda text: "\x01" not in text and "\x02" not in text),
    st.sampled_from(["AAPL", "FB", "trade", "cancel", "correct", "a1", "2024-11-27/a1", corpus.TRADED_MS, 1.5, 100]),
    st.lists(st.sampled_from(["1", "12", "Q", 7, None, "a,b", ""]), max_size=3),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=2),
)
FIELDS = ("s", "p", "t", "v", "c", "x", "id", "seq", "received_at", "kind", "ref", "z")
PRINTS = st.dictionaries(st.sampled_from(FIELDS), WEIRD, max_size=12)
BODIES = st.fixed_dictionaries(
    {"data": st.one_of(WEIRD, st.lists(st.one_of(WEIRD, PRINTS, PRINTS), max_size=4))},
    optional={
        "type": st.sampled_from(["trade", "ping", "x", 1]),
        "feed": st.one_of(WEIRD, st.sampled_from(["sim", "finnhub"])),
    },
)


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.one_of(BODIES, PRINTS, WEIRD), min_size=1, max_size=5), cuts=st.randoms(use_true_random=False)
)
def test_whatever_json_comes_is_judged_as_the_oracle_judges(bodies: list[Any], cuts: random.Random) -> None:
    payloads = []
    for body in bodies:
        if isinstance(body, dict) and "data" in body and cuts.random() < 0.8:
            body = {"type": "trade", **body}
        payloads.append(json.dumps(body, ensure_ascii=cuts.random() < 0.5).encode("utf-8", "surrogatepass"))

    assert_as_the_oracle(payloads, shared_rules())


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_byte_or_a_cut_anywhere_in_a_message_is_judged_as_the_oracle_judges(
    at: int, byte: int, cut: bool
) -> None:
    whole = corpus.message(corpus.print_text(c='["1","12"]', id='"a1"', seq="3"), corpus.print_text(x='"Q"'))
    at %= len(whole)
    damaged = whole[:at] if cut else whole[:at] + bytes([byte]) + whole[at + 1 :]

    assert_as_the_oracle([damaged], shared_rules())


@cache
def shared_rules() -> Rules:
    """The rules of the property tests, which hypothesis wants without fixtures."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return rules_from(Path(folder) / "dialects.yaml")


def test_the_oracle_counts_what_the_corpus_says() -> None:
    records = records_table(
        [("s", "h", str(at), corpus.ARRIVED_MS, one.payload) for at, one in enumerate(corpus.CASES)]
    )

    counts = answer(records, reference()).counts

    assert counts.silver == sum(case.good_prints for case in corpus.CASES)
    assert counts.quarantined == len(corpus.BAD_RECORDS) + len(corpus.BAD_PRINTS)
    assert counts.control == sum(case.is_control for case in corpus.CASES)
    assert counts.duplicates == 0


def test_reasons_of_the_arrow_rows_are_texts_that_spark_can_take(rules: Rules) -> None:
    records = records_table(
        [("s", "h", str(at), corpus.ARRIVED_MS, one.payload) for at, one in enumerate(corpus.CASES)]
    )

    batch = judge_batch(records.combine_chunks().to_batches()[0], rules)

    for name in ("symbol", "raw", "detail"):
        texts = batch.column(name).drop_null()
        assert all(one.as_py().encode() for one in texts if one.as_py() != ""), name
        assert isinstance(texts, pa.StringArray)
