"""Suites from declarations, the pages that show them, and verdicts that refuse; all without Spark."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

pytest.importorskip("great_expectations", reason="great-expectations is not installed")

from lakehouse.errors import QualityError
from lakehouse.quality.days import Days
from lakehouse.quality.pages import index_of_runs, index_of_tables, without_strangers
from lakehouse.quality.rules import rules_of
from lakehouse.quality.suites import COLUMNS, KEY, TYPE, suite_of
from lakehouse.quality.verdicts import FLAG, Run, Verdict, require_held
from lakehouse.tables import ALL_TABLES, Table
from lakehouse.tables.fundamentals import FIGURES
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import SESSIONS

HELD = Verdict("silver.figures", 7, "whole", "is_given", "cik", "cik is always given", True, 0, "0 of 9 rows break it")
BROKEN = replace(HELD, success=False, unexpected=2, observed="2 of 9 rows break it")


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.full_name)
def test_a_suite_expects_order_types_key_and_every_rule_and_names_each_once(table: Table) -> None:
    metas = [one.meta for one in suite_of(table).expectations]

    names = [(meta["name"], meta["columns"]) for meta in metas]
    types = [(TYPE, name) for name in table.column_names]
    rules = [(rule.name, ", ".join(rule.columns)) for rule in rules_of(table)]
    assert names == [(COLUMNS, ""), (KEY, ", ".join(table.key)), *types, *rules]
    assert len(set(names)) == len(names)


def test_an_expectation_carries_the_declared_type_and_the_rule_and_says_it_without_markup() -> None:
    found = {(one.meta["name"], one.meta["columns"]): one for one in suite_of(FIGURES).expectations}

    assert found[TYPE, "value"].type_ == "double"
    assert found["is_not_nan", "value"].rule == "NOT coalesce(isnan(`value`), false)"
    assert found["has_a_value_or_a_reason", "value, reason"].about == ["value", "reason"]
    assert "&lt;&gt;" in found["has_a_value_or_a_reason", "value, reason"].description


def test_great_expectations_is_told_to_send_nothing() -> None:
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"


def test_pages_load_nothing_from_other_hosts_and_keep_their_own() -> None:
    page = (
        '<head><script src="https://cdn.example/a.js"></script><link rel="s" href="https://x.example/a.css"/></head>'
        "<img class='l' src='https://x.example/a.png'><a href='https://x.example'>x</a><script>let a = 1</script>"
        "<style>b { background: url('https://x.example/l.png') 0 0; }</style>"
    )

    shown = without_strangers(page)

    assert "cdn.example" not in shown
    assert shown.count("x.example") == 1, "a link that a person may follow stays"
    assert "let a = 1" in shown


def test_the_index_lists_runs_newest_first() -> None:
    page = index_of_runs(["20260101T000000Z-a", "20260102T000000Z-b"])

    assert page.index("20260102T000000Z-b/index.html") < page.index("20260101T000000Z-a/index.html")


def test_the_index_of_a_run_links_each_table_and_puts_those_that_do_not_hold_first() -> None:
    other = replace(HELD, table="gold.bars")
    pages = [
        "expectations/gold/bars.html",
        *(f"validations/x/tickhouse-{one}.html" for one in (BROKEN.table, "gold.bars")),
    ]

    page = index_of_tables(Run("r1", datetime(2026, 3, 2, 12, tzinfo=UTC)), pages, [other, HELD, BROKEN])

    rows = re.findall(r"<tr><td><a href='(.*?)'>(.*?)</a></td><td>(.*?)</td>", page)
    assert rows == [
        ("validations/x/tickhouse-silver.figures.html", "silver.figures", "1 do not hold"),
        ("validations/x/tickhouse-gold.bars.html", "gold.bars", "holds"),
    ]


def test_days_bound_tables_of_sessions_only() -> None:
    days = Days()

    assert days.scope(BARS) == "whole"
    some = Days(first=days.first.replace(2024), last=days.last)
    assert some.scope(BARS) == "2024-01-01 to 9999-12-31"
    assert some.scope(SESSIONS) == "2024-01-01 to 9999-12-31"
    assert some.scope(FIGURES) == "whole"


def test_what_held_and_what_is_flagged_refuses_nothing() -> None:
    require_held([HELD, replace(BROKEN, severity=FLAG)])


def test_what_did_not_hold_is_refused_with_where_what_and_what_to_do() -> None:
    with pytest.raises(QualityError) as refused:
        require_held([HELD, *[BROKEN] * 7])

    told = str(refused.value)
    assert told.startswith("silver.figures: 7 expectations do not hold.")
    assert "silver.figures version 7: is_given (cik): expected that cik is always given; found 2 of 9 rows" in told
    assert "and 2 more" in told
    assert "The rows were written and stay as they are" in told
    assert "`tickhouse check-quality silver.figures`" in told
