"""The real companyfacts documents and lists of filings, and by pandas what was known of them and when."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from lakehouse.filings.acceptance import settled
from lakehouse.filings.datasets import data_set_of, filings_of_data_set
from lakehouse.filings.submissions import filings_of

AT = datetime(2026, 3, 5, tzinfo=UTC)
Answers = dict[str, tuple[float, str]]  # by concept, unit, start and end: the value and the accession that states it

RESTATED = {"0000320193": 425, "0001045810": 986, "0001652044": 245}


def real_documents(shared_data: Path) -> dict[str, bytes]:
    """The real companyfacts documents by CIK."""
    folder = shared_data / "sec/companyfacts"
    return {cik: gzip.decompress((folder / f"CIK{cik}.json.gz").read_bytes()) for cik in RESTATED}


def real_filings(shared_data: Path) -> pa.Table:
    """All that is here about filings: the lists of AAPL and NVDA, and the Data Set of 2010q2; GOOGL's list is not."""
    folder = shared_data / "sec/submissions"
    listed = [
        filings_of(gzip.decompress((folder / f"CIK{cik}.json.gz").read_bytes()), cik=int(cik), fetched_at=AT).rows
        for cik in ("0000320193", "0001045810")
    ]
    with (shared_data / "sec/fsds/2010q2.zip").open("rb") as archive:
        quarter = data_set_of(archive, "2010q2.zip", fetched_at=AT)
    return settled(pa.concat_tables([*listed, filings_of_data_set(quarter.submissions)]))


def known_by_pandas(document: bytes, filings: pa.Table) -> pd.DataFrame:
    """Every entry of a document with the instant its filing became known, in the order of versions."""
    entries = [
        {"concept": f"{taxonomy}:{tag}", "unit": unit, "start": "", **entry}
        for taxonomy, concepts in json.loads(document)["facts"].items()
        for tag, body in concepts.items()
        for unit, entries in body["units"].items()
        for entry in entries
    ]
    rows = pd.DataFrame(entries)
    rows["key"] = rows["concept"] + "|" + rows["unit"] + "|" + rows["start"] + "|" + rows["end"]
    known = filings.select(["accession", "known_from"]).to_pandas().set_index("accession")["known_from"]
    day_after = pd.to_datetime(rows["filed"]) + pd.Timedelta(days=1)
    rows["known"] = rows["accn"].map(known).fillna(day_after.dt.tz_localize("America/New_York").dt.tz_convert("UTC"))
    return rows.sort_values(["known", "accn"])


def newest_by_pandas(rows: pd.DataFrame, instant: pd.Timestamp) -> Answers:
    newest = rows[rows["known"] <= instant].drop_duplicates("key", keep="last")
    return dict(zip(newest["key"], zip(newest["val"].astype(float), newest["accn"], strict=True), strict=True))


def restated_by_pandas(document: bytes, filings: pa.Table) -> pd.DataFrame:
    """Of these the entries about facts of which not all filings say the same."""
    rows = known_by_pandas(document, filings)
    return rows[rows.groupby("key")["val"].transform("nunique") > 1]
