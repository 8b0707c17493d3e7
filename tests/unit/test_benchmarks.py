"""The benchmark harness itself: its data, its rounds, its verdicts, its comparisons. No Spark."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("polars", reason="the rivals come with `make bench`")

from benchmarks import compare, data, hops, report, soak
from benchmarks.__main__ import is_sound
from benchmarks.harness import FAILED, OK, VOID, Answers, Contender, Goal, Result, Row, limit, run_row
from benchmarks.hosts import PYTHON, ContenderError, Host
from benchmarks.market import Market, slices
from benchmarks.processes import measured, total_bytes
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.decode import Decoded, decode_record

SMALL = Market(trades=20_000, symbols=50, per_slice=5_000)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setattr(data, "CACHE", tmp_path)
    return tmp_path


def test_a_seed_makes_the_same_market_again_and_another_seed_another() -> None:
    once, again = list(slices(SMALL)), list(slices(SMALL))
    other = list(slices(replace(SMALL, seed=1)))

    assert all(
        np.array_equal(a.cents, b.cents) and np.array_equal(a.traded, b.traded)
        for a, b in zip(once, again, strict=True)
    )
    assert not np.array_equal(once[0].cents, other[0].cents)
    assert replace(SMALL, seed=1).key != SMALL.key


def test_a_market_has_as_many_prints_as_asked_for_one_percent_of_each_trouble_and_unique_orders() -> None:
    found = list(slices(SMALL))

    prints = sum(len(one.cents) for one in found)
    records = sum(len(one.symbol) for one in found)
    late = sum(int((one.received - one.traded > 15_000).sum()) for one in found)
    repeated = sum(int((one.resent_after >= 0).sum()) for one in found)
    orders = [
        (int(s), int(t), int(q))
        for one in found
        for s, t, q in zip(one.symbol[one.record_of], one.traded, one.seq, strict=True)
    ]
    assert prints == SMALL.trades
    assert 0.005 < late / prints < 0.02
    assert 0.005 < repeated / records < 0.02
    assert len(set(orders)) == len(orders)


def test_bronze_decodes_to_exactly_the_silver_rows_and_arrives_in_order(cache: Path) -> None:
    bronze = pa.concat_tables(pq.read_table(file) for file in sorted(data.bronze_files(SMALL).glob("*.parquet")))
    silver = pa.concat_tables(pq.read_table(file) for file in sorted(data.silver_files(SMALL).glob("*.parquet")))

    decoded = Decoded()
    for record, payload in enumerate(bronze["payload"].to_pylist()):
        decode_record(record, payload, decoded, max_bytes=1 << 20)

    prints = decoded.prints
    accepted = {
        one: row
        for one, *row in zip(prints.trade_id, prints.symbol, prints.price_micros, prints.traded_ms, strict=True)
    }
    expected = {
        row["trade_id"]: [row["symbol"], int(row["price"] * 1_000_000), row["traded_at"]] for row in silver.to_pylist()
    }
    assert accepted.keys() == expected.keys()
    assert len(prints.trade_id) > len(accepted), "some records came twice"
    for one, (symbol, price, traded) in accepted.items():
        assert expected[one] == [symbol, price, datetime.fromtimestamp(traded / 1000, UTC)]
    assert bronze["arrived_at"].to_pylist() == sorted(bronze["arrived_at"].to_pylist())
    assert set(decoded.refusals.reasons) == {"NOT_JSON", "BAD_PRICE", "BAD_SIZE", "BAD_TS", "MISSING_FIELD"}
    assert 0.005 < (SMALL.trades - len(accepted)) / SMALL.trades < 0.02


def test_cached_data_is_not_made_twice_and_its_statistics_count_every_row(cache: Path) -> None:
    folder = data.bronze_files(SMALL)
    stamps = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}

    again = data.bronze_files(SMALL)

    adds = json.loads((folder / data.ADDS).read_text())
    assert {file.name: file.stat().st_mtime_ns for file in again.iterdir()} == stamps
    assert all(pq.read_metadata(folder / add["path"]).num_rows == add["stats"]["numRecords"] for add in adds)
    assert all(set(add["stats"]["minValues"]) == {"arrived_at"} for add in adds)
    assert pq.read_schema(folder / adds[0]["path"]).names == list(MARKET_EVENTS.column_names)


# --- rounds and verdicts


def contenders(*names: str, once: str = "") -> tuple[Contender, ...]:
    return tuple(Contender(name, "host", f"m:{name}", once=name == once) for name in names)


def row(
    *goals: Goal, names: tuple[str, ...] = ("ours", "rival"), differ: list[str] | None = None, once: str = ""
) -> Row:
    return Row("x", "a row", contenders(*names, once=once), goals, lambda _: differ or [])


def runner(times: dict[str, Any], calls: list[str] | None = None) -> Callable[..., dict[str, Any]]:
    """A fake host: a contender takes its seconds, one of a list after the other; CPU the same unless given."""
    made: Counter[str] = Counter()

    def run(_host: str, call: str, given: dict[str, Any]) -> dict[str, Any]:
        name = call.removeprefix("m:")
        if calls is not None:
            calls.append(name + ("?" if given["check"] else ""))
        if isinstance(times[name], Exception):
            raise times[name]
        seconds = times[name] if isinstance(times[name], list) else [times[name]]
        wall = seconds[made[name] % len(seconds)]
        made[name] += not given["check"]
        wall, cpu = wall if isinstance(wall, tuple) else (wall, wall)
        return {"wall": wall, "cpu": cpu, "events": 100}

    return run


def quiet(_: str) -> None:
    """Say nothing."""


def test_everything_runs_and_is_compared_before_the_rounds_which_turn_around() -> None:
    calls: list[str] = []

    run_row(row(), runner({"ours": 1, "rival": 2}, calls), most_rounds=2, say=quiet)

    assert calls == ["ours?", "rival?", "ours", "rival", "rival", "ours"]


def test_a_difference_in_the_outputs_voids_the_row_and_nothing_is_timed() -> None:
    calls: list[str] = []

    result = run_row(
        row(Goal(("rival",), 3, 8), differ=["one row too many"]), runner({"ours": 1, "rival": 9}, calls), say=quiet
    )

    assert (result.status, result.detail, result.verdicts, result.runs) == (VOID, ["one row too many"], [], {})
    assert calls == ["ours?", "rival?"]


def test_a_contender_that_fails_fails_its_row_with_its_own_words() -> None:
    result = run_row(row(), runner({"ours": 1, "rival": ContenderError("out of memory")}), say=quiet)

    assert (result.status, result.detail) == (FAILED, ["out of memory"])
    assert not is_sound(result)


@pytest.mark.parametrize(("seconds", "rounds"), [(1.0, 7), (40.0, 3)])
def test_there_are_seven_rounds_or_three_where_one_takes_over_a_minute(seconds: float, rounds: int) -> None:
    result = run_row(row(), runner({"ours": seconds, "rival": seconds}), say=quiet)

    assert [len(one) for one in result.runs.values()] == [rounds, rounds]


def test_where_a_round_takes_over_four_minutes_the_compared_one_is_the_first_of_three() -> None:
    calls: list[str] = []

    result = run_row(row(), runner({"ours": 100.0, "rival": 150.0}, calls), say=quiet)

    assert calls == ["ours?", "rival?", "rival", "ours", "ours", "rival"]
    assert [len(one) for one in result.runs.values()] == [3, 3]


def test_a_ratio_is_the_median_of_the_ratios_of_rounds_not_the_ratio_of_medians() -> None:
    times = {"ours": [1, 2, 10], "rival": [4, 10, 20]}

    result = run_row(row(Goal(("rival",), 3, 8)), runner(times), most_rounds=3, say=quiet)

    assert result.verdicts[0]["ratio"] == 4
    assert result.verdicts[0]["verdict"] == "floor held, aim not reached"


def test_a_contender_shown_once_runs_once_and_is_held_against_every_round() -> None:
    calls: list[str] = []

    result = run_row(
        row(Goal(("tuned",)), names=("ours", "tuned"), once="tuned"), runner({"ours": [1, 2, 4], "tuned": 8}, calls),
        most_rounds=3, say=quiet,
    )  # fmt: skip

    assert calls.count("tuned?") == 1
    assert "tuned" not in calls
    assert result.verdicts[0]["ratio"] == 4
    assert result.verdicts[0]["verdict"] == "for information"


@pytest.mark.parametrize(
    ("ours", "rival", "goal", "word"),
    [
        (1.0, 8.0, Goal(("rival",), 3, 8), "aim reached"),
        (1.0, 7.9, Goal(("rival",), 3, 8), "floor held"),
        (1.0, 2.9, Goal(("rival",), 3, 8), "UNDER THE FLOOR: 2.90x, floor 3x"),
        (1.2, 1.0, Goal(("rival",), 2, 1.25, at_most=True), "aim reached"),
        (1.9, 1.0, Goal(("rival",), 2, 1.25, at_most=True), "floor held"),
        (2.1, 1.0, Goal(("rival",), 2, 1.25, at_most=True), "UNDER THE FLOOR: 2.10x, floor 2x"),
        (1.1, 1.0, Goal(("rival",), None, 1, at_most=True), "aim not reached (no floor)"),
        ((1.0, 6.0), (9.0, 9.0), Goal(("rival",), 3, 8), "DOUBTFUL: CPU ratio only 1.50"),
        ((1.0, 2.0), (1.0, 12.0), Goal(("rival",), 5, 20, per_cpu=True), "floor held"),
    ],
)
def test_a_verdict_says_plainly_where_a_ratio_lies(ours: Any, rival: Any, goal: Goal, word: str) -> None:
    result = run_row(row(goal), runner({"ours": ours, "rival": rival}), say=quiet)

    assert result.verdicts[0]["verdict"].startswith(word)
    assert is_sound(result) is not word.startswith("UNDER")


def test_of_several_rivals_the_fastest_counts() -> None:
    times = {"ours": 1, "slow": 9, "fast": 2}

    result = run_row(row(Goal(("slow", "fast"), 1, 2), names=("ours", "slow", "fast")), runner(times), say=quiet)

    assert (result.verdicts[0]["measured_against"], result.verdicts[0]["ratio"]) == ("fast", 2)


@pytest.mark.parametrize(
    ("value", "word"), [(2.0, "aim reached"), (5.0, "floor held"), (5.1, "UNDER THE FLOOR: 5.10 s")]
)
def test_a_limit_is_held_up_to_its_floor(value: float, word: str) -> None:
    assert limit("p99", value, 5, 2, " s")["verdict"].startswith(word)


# --- comparison, measurement, pages


def test_outputs_are_compared_as_multisets_and_the_first_differences_are_shown() -> None:
    ours = "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (2, 'b')) AS t(n, s)"

    assert compare.differences("x", ours, "SELECT * FROM (VALUES (2, 'b'), (1, 'a'), (2, 'b')) AS t(n, s)") == []
    found = compare.differences("x", ours, "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) AS t(n, s)")
    assert found == ["x: 3 rows against 3", "x: only in ours: (2, 'b')", "x: only in theirs: (3, 'c')"]


def test_the_cpu_of_a_child_that_has_ended_is_counted() -> None:
    burn = "import time\nwhile time.process_time() < 0.4: pass"

    with measured() as taken:
        subprocess.run([sys.executable, "-c", burn], check=True)

    assert 0.35 <= taken.cpu < 2
    assert taken.wall >= 0.35


def test_a_host_hands_back_the_error_of_what_it_was_asked_to_run(tmp_path: Path) -> None:
    with Host(PYTHON, tmp_path) as host, pytest.raises(ContenderError, match="no_such_module"):
        host.call("benchmarks.no_such_module:anything")


def test_the_page_says_plainly_what_was_void_and_what_lies_under_its_floor() -> None:
    fine = run_row(row(Goal(("rival",), 3, 8)), runner({"ours": 1, "rival": 2}), say=quiet)
    void = Result("y", "another row", VOID, ["x: 3 rows against 2"])
    found = {
        one.key: asdict(one) | {"command": "c", "where": report.machine(), "load": [0.1, 2.5]} for one in (fine, void)
    }

    page = report.render(found)

    assert "| x: a row | rival | 3x | 8x | 2.00x | 2.00x | **UNDER THE FLOOR: 2.00x, floor 3x** |" in page
    assert "| y: another row | | | | | | **VOID** |" in page
    assert "    x: 3 rows against 2" in page
    assert "0.1 before and 2.5 after" in page


def test_what_lives_in_a_heap_is_the_total_of_its_histogram() -> None:
    told = "4242:\n num  #instances  #bytes  class name\n   1:  3  96  [J (java.base@17.0.15)\nTotal  7  1234\n"

    assert total_bytes(told) == 1234
    with pytest.raises(ValueError, match="Total"):
        total_bytes("4242:\njava.lang.OutOfMemoryError: Java heap space")


def test_growth_is_the_last_tenth_over_the_first_and_leaves_the_cold_start_out() -> None:
    assert soak.growth([100.0, *[1.0] * 10, *[9.0] * 80, *[1.1] * 10]) == pytest.approx(1.1)


# --- the latency row


def delta(folder: Path, versions: list[pa.Table]) -> None:
    """A table as its log and files alone: one added file a version, the first version empty."""
    log = folder / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020d}.json").write_text("{}\n")
    for number, rows in enumerate(versions, start=1):
        pq.write_table(rows, folder / f"{number}.parquet")
        line = {"add": {"path": f"{number}.parquet", "dataChange": True}}
        (log / f"{number:020d}.json").write_text(json.dumps(line) + "\n")


def bar(*trades: tuple[str, int]) -> pa.Table:
    second = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
    return pa.table(
        {
            "instrument_id": [name for name, _ in trades], "interval": ["1s"] * len(trades),
            "bar_start": pa.array([second] * len(trades), pa.timestamp("us", "UTC")),
            "trades": pa.array([count for _, count in trades], pa.int64()),
        }
    )  # fmt: skip


def prints(*records: tuple[int, str]) -> pa.Table:
    at = datetime(2026, 3, 2, 15, 0, 0, 500_000, tzinfo=UTC)
    return pa.table(
        {
            "trade_id": [f"L{number}-0" for number, _ in records], "bronze_ref": [f"s/0/{n}" for n, _ in records],
            "instrument_id": [name for _, name in records],
            "traded_at": pa.array([at] * len(records), pa.timestamp("us", "UTC")),
        }
    )  # fmt: skip


def arrivals(*numbers: int) -> pa.Table:
    count = len(numbers)
    return pa.table({"stream": ["s"] * count, "shard": ["0"] * count, "sequence": [str(one) for one in numbers]})


def test_a_record_is_in_gold_with_the_first_version_whose_bar_counts_it(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    delta(lake / "bronze" / "market_events", [arrivals(1, 2), arrivals(3, 4)])
    delta(lake / "silver" / "trades", [prints((1, "A"), (2, "B")), prints((3, "A"))])
    delta(lake / "gold" / "bars", [bar(("B", 1)), bar(("A", 1), ("B", 1)), bar(("A", 2))])
    seen = [("market_events", 1, 3), ("market_events", 2, 5), ("trades", 1, 4), ("trades", 2, 6)]
    seen += [("bars", 1, 7), ("bars", 2, 9), ("bars", 3, 10)]
    lines = [json.dumps({"table": name, "version": number, "seen_ns": second * 10**9}) for name, number, second in seen]
    (tmp_path / "versions.jsonl").write_text("\n".join(lines) + "\n")
    acks = {"record": [1, 2, 3, 4], "symbol": [0, 1, 0, 0], "traded_ms": [0] * 4, "acked_ns": [1, 2, 3, 4]}
    acks["acked_ns"] = [one * 10**9 for one in acks["acked_ns"]]
    pq.write_table(pa.table(acks), tmp_path / "acks.parquet")

    with hops.opened(hops.Watched(lake, tmp_path / "acks.parquet", tmp_path / "versions.jsonl")) as db:
        whole = hops.summary(db, 0, 10**11)
        journeys = db.sql("SELECT record, gold_ns / 1e9 FROM journeys ORDER BY record").fetchall()
        behind = hops.backlog(db, 10**9, 11 * 10**9)

    assert journeys == [(1, 9.0), (2, 7.0), (3, 10.0), (4, None)]
    assert (whole["records"], whole["missing"]) == (4, 1)
    assert whole["hops"]["acknowledged to gold.bars"] == [7.0, 7.98, 8.0]
    assert whole["hops"]["bronze to silver"] == [1.0, 1.0, 1.0]
    assert behind == [1, 2, 3, 4, 4, 4, 3, 3, 2, 1]


def test_answers_of_a_row_are_handed_to_its_comparison_by_name() -> None:
    heard: list[Answers] = []

    def listen(answers: Answers) -> list[str]:
        heard.append(answers)
        return []

    result = run_row(replace(row(), compare=listen), runner({"ours": 1, "rival": 2}), most_rounds=1, say=quiet)

    assert result.status == OK
    assert {name: answer["wall"] for name, answer in heard[0].items()} == {"ours": 1, "rival": 2}
