"""Financial Statement Data Sets of both schemas, and companyfacts checked against them."""

from __future__ import annotations

import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse.errors import DocumentError
from lakehouse.filings import datasets
from lakehouse.filings.companyfacts import facts_of
from lakehouse.filings.cross_check import disagreements
from lakehouse.filings.datasets import DataSet, data_set_of, filings_of_data_set
from lakehouse.filings.shapes import READ_FILINGS, SUBMISSIONS, VALUES

AT = datetime(2026, 3, 5, tzinfo=UTC)
SUB = """adsh\tcik\tname\tform\tperiod\tfy\tfp\tfiled\taccepted
0001193125-10-012091\t320193\tAPPLE "INC\t10-K/A\t20090930\t2009\tFY\t20100125\t2010-01-25 16:26:00.0
0001193125-10-012085\t320193\tAPPLE INC\t10-Q\t20091231\t2010\tQ1\t20100125\t2010-01-25 16:24:00.0
not-an-accession\t1\tX\t10-Q\t20091231\t\t\t20100125\t
"""
LINES = (
    "0001193125-10-012091\tAssets\tus-gaap/2009\t20090930\t0\tUSD\t{}\t\t47501000000.0000\tsays \"so",
    "0001193125-10-012091\tOwnTag\t0001193125-10-012091\t20090930\t4\tUSD\t{}\t\t-9.0800\t\"",
    "0001193125-10-012091\tAssets\tus-gaap/2009\t20090930\t0\tUSD\t{}\tParent\t1.0000\t",
    "0001193125-10-012091\tAssets\tus-gaap/2009\t20080930\t0\tUSD\t{}\t\t\t",
    "0001193125-10-012091\tAssets\tus-gaap/2009\t20080931\t0\tUSD\t{}\t\t1.0000\t",
    "0001193125-10-012091\tAssets\tus-gaap/2009\t20080930\t0\tUSD\t{}\t\t12345678901234567.8900\t",
    "0001193125-10-012091\tAssets\tus-gaap/2009\t20080930\t0\tUSD\t{}\t\tn/a\t",
    "too\tfew",
)  # fmt: skip
HEADER = "adsh\ttag\tversion\tddate\tqtrs\tuom\tsegments\tcoreg\tvalue\tfootnote"
SEGMENT = "0001193125-10-012091\tAssets\tus-gaap/2009\t20090930\t0\tUSD\tClassOfStock=\xc4;\t\t1.0000\t"


def archive(num: str, sub: str = SUB) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("sub.txt", sub.encode("latin-1"))
        files.writestr("num.txt", num.encode("latin-1"))
    return packed


def with_segments() -> str:
    return "\n".join([HEADER, *(line.format("") for line in LINES), SEGMENT]) + "\n"


def without_segments() -> str:
    return "\n".join([HEADER.replace("segments\t", ""), *(line.replace("{}\t", "") for line in LINES)]) + "\n"


def parsed(packed: io.BytesIO) -> DataSet:
    return data_set_of(packed, "2010q1.zip", fetched_at=AT)


@pytest.mark.parametrize(("num", "segments"), [(with_segments(), 1), (without_segments(), 0)])
def test_both_schemas_give_the_consolidated_values_and_count_the_rest(num: str, segments: int) -> None:
    found = parsed(archive(num))

    assert found.values.schema == VALUES
    assert found.values.to_pylist() == [
        {"accession": "0001193125-10-012091", "tag": "Assets", "version": "us-gaap/2009",
         "month_end": date(2009, 9, 30), "quarters": 0, "unit": "USD", "value": 47_501_000_000.0},
        {"accession": "0001193125-10-012091", "tag": "OwnTag", "version": "0001193125-10-012091",
         "month_end": date(2009, 9, 30), "quarters": 4, "unit": "USD", "value": -9.08},
    ]  # fmt: skip
    assert {reason: count for reason, count in found.left_out.items() if count} == {
        "num.txt: coreg": 1, "num.txt: value_missing": 1, "num.txt: month_end_malformed": 1,
        "num.txt: value_malformed": 2, "num.txt: line_malformed": 1, "sub.txt: accession_malformed": 1,
    } | ({"num.txt: segments": segments} if segments else {})  # fmt: skip


@given(st.decimals(places=4, min_value=-(10**11), max_value=10**11))
@settings(max_examples=40)
@example(Decimal("9007199254740992.0000"))
@example(Decimal("1E+15"))
def test_a_value_is_read_as_it_is_written(value: Decimal) -> None:
    found = parsed(archive(with_segments().replace("-9.0800", str(value))))

    assert found.values["value"].to_pylist() == [47_501_000_000.0, float(value)]


def test_submissions_keep_their_eastern_text_and_become_filings() -> None:
    found = parsed(archive(with_segments())).submissions
    filings = filings_of_data_set(found)

    assert (found.schema, filings.schema) == (SUBMISSIONS, READ_FILINGS)
    assert found["accepted_text"].to_pylist() == ["2010-01-25 16:26:00.0", "2010-01-25 16:24:00.0"]
    assert found["period_end"].to_pylist() == [date(2009, 9, 30), date(2009, 12, 31)]
    assert (found["fiscal_year"].to_pylist(), found["fiscal_period"].to_pylist()) == ([2009, 2010], ["FY", "Q1"])
    assert filings["is_amendment"].to_pylist() == [True, False]
    assert filings["report_date"].null_count == filings["items"].null_count == 2  # rounded, and not stated


@pytest.mark.parametrize(
    "packed", [io.BytesIO(b"<html>"), archive("adsh\ttag\n"), archive(with_segments(), sub=""), io.BytesIO()]
)
def test_what_is_no_data_set_is_one_clear_error(packed: io.BytesIO) -> None:
    with pytest.raises(DocumentError, match="2010q1.zip: expected a zip"):
        parsed(packed)


def test_a_data_set_that_was_cut_off_is_one_clear_error() -> None:
    whole = archive(with_segments()).getvalue()

    for cut in range(0, len(whole), 29):
        with pytest.raises(DocumentError):
            parsed(io.BytesIO(whole[:cut]))


@pytest.fixture(scope="module")
def quarter(shared_data: Path) -> bytes:
    return (shared_data / "sec/fsds/2010q2.zip").read_bytes()


@pytest.fixture(scope="module")
def data_set(quarter: bytes) -> DataSet:
    return parsed(io.BytesIO(quarter))


def by_pandas(lines: pd.DataFrame) -> pd.DataFrame:
    parts = [name for name in ("segments", "coreg") if name in lines]
    whole = lines[lines[parts].isna().all(axis=1) & lines["value"].notna()]
    return whole[["adsh", "tag", "version", "ddate", "qtrs", "uom", "value"]].reset_index(drop=True)


def same_as_pandas(found: pa.Table, lines: pd.DataFrame) -> bool:
    expected = by_pandas(lines)
    month_ends = pd.to_datetime(expected["ddate"].astype(str)).to_numpy().astype("datetime64[D]")
    columns = (("accession", "adsh"), ("tag", "tag"), ("version", "version"), ("unit", "uom"), ("quarters", "qtrs"))
    return (
        all(found[ours].to_pylist() == expected[theirs].tolist() for ours, theirs in columns)
        and np.array_equal(found["month_end"].to_numpy().astype("datetime64[D]"), month_ends)
        and np.array_equal(found["value"].to_numpy(), expected["value"].to_numpy())
    )


def test_a_real_quarter_is_what_pandas_reads(quarter: bytes, data_set: DataSet) -> None:
    with zipfile.ZipFile(io.BytesIO(quarter)) as files:
        lines = pd.read_csv(files.open("num.txt"), sep="\t", quoting=3, float_precision="round_trip")

    assert same_as_pandas(data_set.values, lines)
    numbers_left_out = sum(count for reason, count in data_set.left_out.items() if reason.startswith("num.txt"))
    assert data_set.values.num_rows + numbers_left_out == len(lines)
    assert data_set.submissions.num_rows == 522


@pytest.mark.parametrize("schema", ["parquet_old", "parquet_new"])
def test_both_issues_of_a_real_quarter_are_what_pandas_reads(schema: str, shared_data: Path) -> None:
    folder = shared_data / "sec/fsds" / schema / "2010q1.zip"
    lines = pd.read_parquet(folder / "num.txt.parquet").sample(4000, random_state=5)
    filings = pd.read_parquet(folder / "sub.txt.parquet")

    num, sub = (frame.to_csv(sep="\t", index=False, quoting=3, escapechar="\\") for frame in (lines, filings))
    found = parsed(archive(num, sub))

    assert same_as_pandas(found.values, lines)
    assert found.submissions["accepted_text"].to_pylist() == filings["accepted"].tolist()
    assert found.submissions["fiscal_year"].to_pylist() == [None if pd.isna(one) else int(one) for one in filings["fy"]]


def test_the_size_of_the_pieces_a_member_is_read_in_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive(with_segments() + "".join(f"{line.format('')}\n" for line in LINES * 50))
    at_once = parsed(packed)

    monkeypatch.setattr(datasets, "BLOCK_BYTES", 512)
    in_pieces = parsed(packed)

    assert in_pieces.values.equals(at_once.values)
    assert in_pieces.left_out == at_once.left_out


@pytest.fixture(scope="module")
def companyfacts(shared_data: Path) -> pa.Table:
    """AAPL and NVDA, whose filings of that quarter the Data Set holds too."""
    files = [shared_data / "sec/companyfacts" / f"CIK{cik}.json.gz" for cik in ("0000320193", "0001045810")]
    return pa.concat_tables([facts_of(gzip.decompress(file.read_bytes()), fetched_at=AT).rows for file in files])


def test_companyfacts_and_the_data_set_agree_in_all_but_three_cover_pages(
    companyfacts: pa.Table, data_set: DataSet
) -> None:
    found = disagreements(companyfacts, data_set.values)

    assert found["finding"].to_pylist() == ["only_companyfacts"] * 3
    assert {concept.partition(":")[0] for concept in found["concept"].to_pylist()} == {"dei"}
    compared = pc.sum(pc.is_in(companyfacts["accession"], data_set.values["accession"].unique())).as_py()
    assert compared == 290


def test_every_other_value_and_every_missing_one_is_flagged(companyfacts: pa.Table, data_set: DataSet) -> None:
    eps = pc.and_(
        pc.equal(data_set.values["tag"], "EarningsPerShareDiluted"),
        pc.equal(data_set.values["accession"], "0001193125-10-088957"),
    )
    assets = pc.and_(
        pc.equal(companyfacts["concept"], "us-gaap:Assets"), pc.equal(companyfacts["accession"], "0001193125-10-088957")
    )
    values = pc.if_else(eps, pc.add(data_set.values["value"], 0.01), data_set.values["value"])
    altered = data_set.values.set_column(VALUES.get_field_index("value"), "value", values)

    found = disagreements(companyfacts.filter(pc.invert(assets)), altered).to_pandas()

    counts = found.groupby(["concept", "finding"]).size().to_dict()
    assert counts[("us-gaap:EarningsPerShareDiluted", "values_differ")] == pc.sum(eps).as_py() > 0
    assert counts[("us-gaap:Assets", "only_datasets")] == pc.sum(assets).as_py() > 0
    differing = found[found["finding"] == "values_differ"]
    assert np.allclose(differing["datasets_value"] - differing["companyfacts_value"], 0.01)


def test_filings_that_only_one_side_has_are_no_disagreement(companyfacts: pa.Table, data_set: DataSet) -> None:
    of_others = data_set.values.filter(pc.not_equal(data_set.values["accession"], "0001193125-10-088957"))
    of_others = of_others.filter(pc.not_equal(of_others["accession"], "0001045810-10-000018"))

    assert disagreements(companyfacts, of_others).num_rows == 0
