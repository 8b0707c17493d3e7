"""Sale conditions: rules as data, combined by AND, one dialect per feed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.conditions import (
    CACHE_LIMIT,
    COUNTS_VOLUME,
    COUNTS_VWAP,
    EVERYTHING,
    MOVES_LAST,
    MOVES_RANGE,
    Dialect,
    Dialects,
    Rule,
    load_dialects,
)
from lakehouse.errors import SettingsError
from lakehouse.settings import CONF


@pytest.fixture(scope="module")
def shipped() -> Dialects:
    return load_dialects(CONF / "sale_conditions.yaml")


def loaded(folder: Path, text: str) -> Dialects:
    path = folder / "conditions.yaml"
    path.write_text(text)
    return load_dialects(path)


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("feed", "text", "bits", "role"),
    [
        ("sim", "@", EVERYTHING, None),
        ("sim", "@,I", COUNTS_VOLUME | COUNTS_VWAP, None),
        ("sim", "O", EVERYTHING, "opening"),
        ("sim", "6", EVERYTHING, "closing"),
        ("sim", "@,T", EVERYTHING, None),
        ("sim", "Z", MOVES_RANGE | COUNTS_VOLUME | COUNTS_VWAP, None),
        ("sim", "W", COUNTS_VOLUME, None),
        ("finnhub", "1,8", EVERYTHING, None),
        ("finnhub", "1,8,24,12", COUNTS_VOLUME | COUNTS_VWAP, None),
        ("lean", "1", EVERYTHING, None),
        ("lean", "0", EVERYTHING, None),
        ("lean", "20000020", COUNTS_VOLUME | COUNTS_VWAP, None),
        ("lean", "20002020", EVERYTHING, None),
        ("lean", "20040200", COUNTS_VOLUME, None),
        ("lean", "20100000", COUNTS_VOLUME, None),
        ("lean", "100000", MOVES_LAST | MOVES_RANGE | COUNTS_VOLUME, None),
        ("lean", "4000000", 0, None),
        ("lean", "80", EVERYTHING, "closing"),
        ("lean", "40", EVERYTHING, "opening"),
        ("lean", "2000,suspicious", 0, None),
    ],
)
def test_the_shipped_dialects_say(shipped: Dialects, feed: str, text: str, bits: int, role: str | None) -> None:
    assert shipped.by_feed[feed].judge_text(text) == (bits, role)
    assert shipped.by_feed[feed].unknown(text) == ()


@pytest.mark.parametrize("feed", ["sim", "finnhub", "lean"])
def test_a_print_without_conditions_may_do_everything(shipped: Dialects, feed: str) -> None:
    dialect = shipped.by_feed[feed]

    assert dialect.judge_text(None) == dialect.judge_text("") == dialect.judge(()) == dialect.judge(None)
    assert dialect.judge(None) == (EVERYTHING, None)


def test_unknown_conditions_forbid_nothing_and_are_listed(shipped: Dialects) -> None:
    assert shipped.by_feed["finnhub"].judge(("1", "99")) == (EVERYTHING, None)
    assert shipped.by_feed["finnhub"].unknown("1,99,12") == ("99",)
    assert shipped.by_feed["lean"].judge(("300000001", "what")) == (EVERYTHING, None)
    assert shipped.by_feed["lean"].unknown("300000001,what") == ("what", "100000000", "200000000")


def test_flags_of_several_numbers_count_together(shipped: Dialects) -> None:
    lean = shipped.by_feed["lean"]

    assert lean.judge(("20000000", "100000")) == lean.judge(("20100000",))
    assert lean.judge(("20", "2000")) == lean.judge(("2020",)) == (EVERYTHING, None)


@given(st.lists(st.sampled_from(["@", "I", "O", "6", "T", "Z", "W", "?"]), max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_verdict_is_the_and_over_the_codes_in_any_order(codes: list[str]) -> None:
    sim = load_dialects(CONF / "sale_conditions.yaml").by_feed["sim"]
    alone = [sim.judge((code,))[0] for code in codes]

    bits, _ = sim.judge(tuple(codes))

    expected = EVERYTHING
    for one in alone:
        expected &= one
    assert bits == expected
    assert bits == sim.judge(tuple(reversed(codes)))[0]


def test_a_rule_steps_back_for_each_of_its_exceptions() -> None:
    rules = (Rule(match="A", name="a", unless=("B", "C"), moves_last=False),)

    verdicts = [Dialect(False, rules).judge_text(text)[0] for text in ("A", "A,B", "A,C", "B")]

    assert verdicts == [EVERYTHING & ~MOVES_LAST, EVERYTHING, EVERYTHING, EVERYTHING]


def test_dialects_travel_to_executors_and_keep_their_verdicts(shipped: Dialects) -> None:
    copied = pickle.loads(pickle.dumps(shipped))

    assert copied == shipped
    assert copied.by_feed["lean"].judge_text("20") == (COUNTS_VOLUME | COUNTS_VWAP, None)


def test_invented_conditions_do_not_fill_the_memory() -> None:
    dialect = Dialect(False, (Rule(match="A", name="a", counts_vwap=False),))

    for number in range(CACHE_LIMIT + 10):
        dialect.judge_text(f"x{number}")

    assert len(dialect._verdicts) <= CACHE_LIMIT
    assert dialect.judge_text("A") == (EVERYTHING & ~COUNTS_VWAP, None)


def test_a_misspelt_rule_names_file_place_and_value(tmp_path: Path) -> None:
    rules = '[{match: "1", name: a, move_last: false}, {match: 1, name: b}]'

    said = complaint(tmp_path, f"version: 1\ndialects: {{x: {{about: y, rules: {rules}}}}}")

    assert "conditions.yaml: dialects.x.rules.0.move_last: Extra inputs are not permitted; found False" in said
    assert "conditions.yaml: dialects.x.rules.1.match: Input should be a valid string; found 1." in said
    assert "Nothing was loaded" in said and "Quote it" in said


def test_a_missing_version_a_repeated_rule_broken_yaml_and_no_file_are_refused(tmp_path: Path) -> None:
    assert "version: Field required; found nothing" in complaint(tmp_path, "dialects: {}")
    twice = 'version: 1\ndialects: {x: {about: y, rules: [{match: "1", name: a}, {match: "1", name: b}]}}'
    assert "found ['1'] more than once" in complaint(tmp_path, twice)
    assert "expected YAML" in complaint(tmp_path, "version: [")
    with pytest.raises(SettingsError, match="expected a file, found none"):
        load_dialects(tmp_path / "absent.yaml")
