"""Companyfacts against the Data Sets: two ways in which the SEC gives out the same filings. Flags, never repairs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.filings.columns import ACCESSION
from lakehouse.filings.ordering import in_order

KEY = ("accession", "concept", "unit", "month_end", "quarters")
DAYS_A_QUARTER = 365.25 / 4
HALF_A_STEP = 0.00005 + 1e-9  # the Data Sets keep four decimals
PER_SHARE = "/shares"  # the Data Sets name such a unit without it
VALUES_DIFFER, ONLY_COMPANYFACTS, ONLY_DATASETS = "values_differ", "only_companyfacts", "only_datasets"


def disagreements(companyfacts_rows: pa.Table, datasets_rows: pa.Table) -> pa.Table:
    """What the two say differently about filings that both have, one row per key. In: READ_FACTS (or FACTS) and VALUES.

    Compared the way the Data Sets round: period ends to the nearest end of a month, durations to whole quarters, values
    to four decimals, units without their share; a filer's own tags, which companyfacts leaves out, are left out.
    `finding` is values_differ, only_companyfacts or only_datasets. Where several facts of a key fall together, one that
    agrees is enough, and the smallest of each side is shown.
    """
    ours, theirs = _of_companyfacts(companyfacts_rows), _of_datasets(datasets_rows)
    ours, theirs = (
        ours.filter(pc.is_in(ours["accession"], theirs["accession"].unique())),
        theirs.filter(pc.is_in(theirs["accession"], ours["accession"].unique())),
    )
    pairs = ours.join(theirs, list(KEY), join_type="full outer")
    is_equal = pc.less_equal(pc.abs(pc.subtract(pairs["companyfacts_value"], pairs["datasets_value"])), HALF_A_STEP)
    judged = pairs.append_column("is_equal", pc.fill_null(is_equal, False))
    sums = [("is_equal", "any"), ("companyfacts_value", "min"), ("datasets_value", "min")]
    keys = judged.group_by(list(KEY), use_threads=False).aggregate(sums)
    found = keys.filter(pc.invert(keys["is_equal_any"]))
    finding = pc.case_when(
        pc.make_struct(found["datasets_value_min"].is_null(), found["companyfacts_value_min"].is_null()),
        ONLY_COMPANYFACTS,
        ONLY_DATASETS,
        VALUES_DIFFER,
    )
    columns = {name: found[name] for name in KEY} | {
        "companyfacts_value": found["companyfacts_value_min"],
        "datasets_value": found["datasets_value_min"],
        "finding": finding,
    }
    return in_order(pa.table(columns), KEY)


def _of_companyfacts(rows: pa.Table) -> pa.Table:
    days = rows["days"].to_numpy()
    return pa.table(
        {
            "accession": rows["accession"],
            "concept": rows["concept"],
            "unit": _without_share(rows["unit"]),
            "month_end": _month_ends(rows["period_end"]),
            "quarters": pa.array(np.rint(days / DAYS_A_QUARTER), pa.int32()),
            "companyfacts_value": rows["value"],
        }
    )


def _of_datasets(rows: pa.Table) -> pa.Table:
    standard = rows.filter(pc.invert(pc.match_substring_regex(rows["version"], f"^{ACCESSION.pattern}$")))
    taxonomy = pc.list_element(pc.split_pattern(standard["version"], "/", max_splits=1), 0)
    return pa.table(
        {
            "accession": standard["accession"],
            "concept": pc.binary_join_element_wise(taxonomy, standard["tag"], ":"),
            "unit": _without_share(standard["unit"]),
            "month_end": standard["month_end"],
            "quarters": standard["quarters"],
            "datasets_value": standard["value"],
        }
    )


def _without_share(units: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(units, f"{PER_SHARE}$", "")


def _month_ends(dates: pa.ChunkedArray) -> pa.Array:
    """The end of a month nearest to each date, the later of two that are equally near."""
    days = dates.to_numpy().astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    before, after = months.astype("datetime64[D]") - 1, (months + 1).astype("datetime64[D]") - 1
    return pa.array(np.where(days - before < after - days, before, after), pa.date32())
