"""The ground truth of the simulator against an independent recount of what it sent, and against the real judge."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.conditions import load_dialects
from lakehouse.reference.calendar import day_number, exchange_days, session_arrays, sessions_for
from lakehouse.settings import CONF
from lakehouse.tables.bronze import MARKET_EVENTS
from streaming.feeds.pack import Record
from streaming.feeds.sim_amend import CANCEL_WAYS, CORRECT_WAYS
from streaming.feeds.sim_malformed import KINDS
from streaming.feeds.simulate import SimulatorConfig, instruments, session_hours, simulated_records
from streaming.judge import CONTROL, PRINT, REFUSED, UNDECODABLE, Listings, Rules, judge_batches
from streaming.wire import MICROS, PING

CONFIG = SimulatorConfig(
    seed=5, sessions=3, symbols=8, trades_per_session=5_000, cancel_rate=0.01, correct_rate=0.01, malformed_rate=0.03,
    fat_finger_rate=0.002, oversized_bytes=1_048_577,
)  # fmt: skip
ZONE = "America/New_York"
FOREVER = 1 << 30
Key = tuple[str, str]


class Feed(NamedTuple):
    """What was sent, the truth beside it, and what the real judge makes of it."""

    records: list[Record]
    sent: list[dict[str, Any]]
    truth: Path
    judged: list[dict[str, Any]]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """One of the truth's lists."""
        return [json.loads(line) for line in (self.truth / f"{name}.jsonl").read_text().splitlines()]

    def prints(self) -> list[dict[str, Any]]:
        """The truth's prints of all sessions."""
        return [row for path in sorted(self.truth.glob("prints/*.parquet")) for row in pq.read_table(path).to_pylist()]

    def summary(self) -> dict[str, Any]:
        """The truth's totals and settings."""
        found: dict[str, Any] = json.loads((self.truth / "summary.json").read_text())
        return found


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    truth = tmp_path_factory.mktemp("truth")
    records = list(simulated_records(CONFIG, truth=truth))
    return Feed(records, decoded(records), truth, judge(records))


def judge(records: list[Record]) -> list[dict[str, Any]]:
    """Every record as bronze would hold it, through the judgement of the stream."""
    hours = session_hours(CONFIG)
    listings: dict[str, tuple[tuple[int, int, str], ...]] = {
        row["ticker"]: ((day_number(row["valid_from"]), FOREVER, row["instrument_id"]),) for row in instruments(CONFIG)
    }
    sessions = session_arrays(sessions_for(CONFIG.exchange, hours[0].day, hours[-1].day))
    rules = Rules(load_dialects(CONF / "sale_conditions.yaml"), Listings(listings), sessions)
    count = len(records)
    columns = {
        "stream": ["sim"] * count, "shard": ["s0"] * count, "sequence": [f"{at:09d}" for at in range(count)],
        "arrived_at": pa.array([one.at_ms * 1000 for one in records]).cast(pa.timestamp("us", "UTC")),
        "partition_key": [one.key for one in records], "payload": pa.array([one.data for one in records], pa.binary()),
    }  # fmt: skip
    table = pa.table({column.name: columns[column.name] for column in MARKET_EVENTS.columns})
    return [row for batch in judge_batches(table.to_batches(2_000), rules) for row in batch.to_pylist()]


def decoded(records: list[Record]) -> list[dict[str, Any]]:
    """Every print in a record that reads as a message of good prints, by the json module and nothing of ours."""
    found = []
    for record in records:
        try:
            message = json.loads(record.data, parse_float=Decimal)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and message.get("type") == "trade" and isinstance(message.get("data"), list):
            found += [one for one in message["data"] if isinstance(one, dict) and "note" not in one]
    return found


def exchange_date(milliseconds: int) -> str:
    return str(np.datetime64(int(exchange_days(np.array([milliseconds], np.int64), ZONE)[0]), "D"))


def key_of(one: dict[str, Any]) -> Key:
    return exchange_date(one["t"]), one["id"]


def ref_of(one: dict[str, Any]) -> Key:
    day, slash, trade_id = one["ref"].partition("/")
    return (day, trade_id) if slash else (exchange_date(one["t"]), one["ref"])


def standing(events: dict[Key, dict[str, Any]]) -> set[Key]:
    """DECISIONS 4, word by word: which prints stand once every cancel and correction has spoken."""
    words: dict[Key, list[Key]] = defaultdict(list)
    for key, one in events.items():
        if one.get("kind", "trade") != "trade":
            words[ref_of(one)].append(key)
    dead = set(words)
    for spoken in words.values():
        ranked = sorted(
            spoken, key=lambda key: (events[key]["received_at"], (events[key]["t"] << 20) + events[key]["seq"], key[1])
        )
        dead |= set(ranked[:-1])
    return {key for key, one in events.items() if one.get("kind") != "cancel" and key not in dead}


def test_an_independent_recount_finds_the_prints_that_the_truth_says_stand(feed: Feed) -> None:
    events = {key_of(one): one for one in feed.sent}

    truth = {(str(row["session_date"]), row["trade_id"]): row for row in feed.prints()}

    assert set(truth) == set(events)
    assert {key for key, row in truth.items() if row["is_current"]} == standing(events)
    for key, row in truth.items():
        one = events[key]
        assert (row["symbol"], row["traded_ms"], row["received_ms"]) == (one["s"], one["t"], one["received_at"])
        assert (row["price_micros"], row["size_micros"]) == (int(one["p"] * MICROS), int(one["v"] * MICROS))
        assert (row["kind"], row["ref"], row["seq"]) == (one.get("kind", "trade"), one.get("ref"), one["seq"])
        assert row["conditions"] == (None if "c" not in one else ",".join(one["c"]))


def test_the_truth_counts_every_copy_that_was_sent(feed: Feed) -> None:
    copies = Counter(map(key_of, feed.sent))
    truth = {(str(row["session_date"]), row["trade_id"]): row["copies"] for row in feed.prints()}

    twice = {(row["session_date"], row["trade_id"]): row["sent_twice"] for row in feed.rows("duplicates")}

    assert copies == truth
    assert set(twice) == {key for key, count in copies.items() if count > 1}
    assert set(copies.values()) == {1, 2}
    assert set(Counter(twice.values())) == {"print", "record"}
    same = Counter(one.data for one in feed.records if b'"note"' not in one.data and one.data != PING)
    assert sum(one.count(b'"p":') for one, count in same.items() if count == 2) >= Counter(twice.values())["record"]


def test_copies_are_the_same_to_the_byte_stamps_included(feed: Feed) -> None:
    texts: dict[Key, set[str]] = defaultdict(set)
    for one in feed.sent:
        texts[key_of(one)].add(json.dumps(one, default=str))

    assert {len(some) for some in texts.values()} == {1}


def test_the_judge_accepts_every_good_print_as_the_truth_has_it(feed: Feed) -> None:
    truth = {(str(row["session_date"]), row["trade_id"]): row for row in feed.prints()}

    accepted = {(str(row["session_date"]), row["trade_id"]): row for row in feed.judged if row["verdict"] == PRINT}

    assert set(accepted) == set(truth)
    for key, row in accepted.items():
        expected = truth[key]
        assert (row["session"], row["conditions"]) == (expected["session"], expected["conditions"])
        assert row["instrument_id"] == f"SIM-{expected['symbol']}"
        assert (row["price"] * MICROS, row["size"] * MICROS) == (expected["price_micros"], expected["size_micros"])
        assert row["ord"] == (expected["traded_ms"] << 20) + expected["seq"]


def test_the_judge_refuses_exactly_what_the_truth_calls_malformed_and_for_that_reason(feed: Feed) -> None:
    payloads = {f"sim/s0/{at:09d}": one.data for at, one in enumerate(feed.records)}
    refused = Counter(
        (hashlib.sha256(payloads[row["bronze_ref"]]).hexdigest(), row["position"], row["reasons"])
        for row in feed.judged
        if row["verdict"] in (REFUSED, UNDECODABLE)
    )

    expected = Counter((row["sha256"], row["position"], row["reasons"]) for row in feed.rows("malformed"))

    assert refused == expected
    assert set(expected.values()) == {1}


def test_every_kind_of_malformed_record_is_planted_and_some_leave_a_good_neighbour(feed: Feed) -> None:
    rows = feed.rows("malformed")

    assert len({row["variant"] for row in rows}) == KINDS + 1 > 60
    codes = {code for row in rows for code in row["reasons"].split(",")}
    assert codes >= {
        "NOT_JSON", "BAD_ENCODING", "TOO_LARGE", "BAD_SHAPE", "UNKNOWN_TYPE", "MISSING_FIELD", "WRONG_TYPE",
        "BAD_PRICE", "BAD_SIZE", "BAD_TS", "FUTURE_TS", "BAD_SYMBOL", "UNKNOWN_SYMBOL", "BAD_NOTIONAL", "BAD_KIND",
        "MISSING_REF", "BAD_ID", "BAD_CONDITIONS",
    }  # fmt: skip
    assert sum(row["position"] == 1 for row in rows) > 10
    assert not [one for one in feed.records if b"\n" in one.data or not one.data]


def test_the_totals_conserve_every_print_and_record(feed: Feed) -> None:
    totals = feed.summary()["totals"]
    verdicts = Counter(row["verdict"] for row in feed.judged)

    assert totals["prints_delivered"] == verdicts[PRINT] == len(feed.sent)
    assert totals["prints_delivered"] == totals["prints_distinct"] + totals["prints_delivered_again"]
    assert totals["prints_refused"] == verdicts[REFUSED]
    assert totals["records_refused"] == verdicts[UNDECODABLE]
    assert totals["pings"] == verdicts[CONTROL]
    assert totals["prints_trade"] == CONFIG.sessions * CONFIG.trades_per_session
    assert totals["prints_distinct"] == sum(totals[f"prints_{kind}"] for kind in ("trade", "cancel", "correct"))
    assert totals["prints_current"] == sum(row["is_current"] for row in feed.prints())


def test_cancels_come_in_every_way_and_each_takes_its_print_away(feed: Feed) -> None:
    truth = {(str(row["session_date"]), row["trade_id"]): row for row in feed.prints()}
    cancels: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in truth.values():
        if row["kind"] == "cancel":
            day, slash, trade_id = row["ref"].partition("/")
            cancels[(day, trade_id) if slash else (str(row["session_date"]), row["ref"])].append(row)

    planned = {(row["session_date"], row["trade_id"]): row["way"] for row in feed.rows("cancelled")}

    assert set(planned.values()) == set(CANCEL_WAYS)
    for key, way in planned.items():
        first = min(cancels[key], key=lambda row: row["received_ms"])
        assert not truth[key]["is_current"]
        assert len(cancels[key]) == (2 if way == "twice" else 1)
        assert (first["received_ms"] < truth[key]["received_ms"]) == (way == "before_trade")
        assert (str(first["session_date"]) > key[0]) == (way == "next_session")
        assert ("/" in first["ref"]) == (way == "next_session")
        assert first["symbol"] == truth[key]["symbol"]


def test_a_cancel_that_comes_before_its_trade_is_also_delivered_before_it(feed: Feed) -> None:
    places: dict[Key, int] = {}
    for place, one in enumerate(feed.sent):
        places.setdefault(key_of(one), place)
    delivered = {(str(row["session_date"]), row["trade_id"]): row for row in feed.prints()}
    early = {(row["session_date"], row["trade_id"]) for row in feed.rows("cancelled") if row["way"] == "before_trade"}

    for key, row in delivered.items():
        if row["kind"] == "cancel" and "/" not in row["ref"] and (key[0], row["ref"]) in early:
            assert places[key] < places[key[0], row["ref"]]
    assert len(early) > 20


def test_corrections_come_in_every_way_and_only_the_last_word_stands(feed: Feed) -> None:
    truth = {(str(row["session_date"]), row["trade_id"]): row for row in feed.prints()}
    words: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for row in truth.values():
        if row["kind"] == "correct":
            words[str(row["session_date"]), row["ref"]].append(row)

    planned = {(row["session_date"], row["trade_id"]): row["way"] for row in feed.rows("corrected")}

    assert set(planned.values()) == set(CORRECT_WAYS)
    for key, way in planned.items():
        original, said = truth[key], sorted(words[key], key=lambda row: row["received_ms"])
        stands = [row["is_current"] for row in said]
        assert not original["is_current"]
        assert stands == {"twice": [False, True], "then_cancelled": [False], "correction_cancelled": [False]}.get(
            way, [True]
        )
        assert (said[0]["size_micros"] != original["size_micros"]) == (way == "size")
        assert (said[0]["traded_ms"] // 60_000 != original["traded_ms"] // 60_000) == (way == "moved")
        assert (said[0]["price_micros"] != original["price_micros"]) == (way not in ("size", "moved"))
        assert said[-1]["session"] == "regular"


def test_late_prints_detours_and_fat_fingers_are_what_the_truth_says(feed: Feed) -> None:
    truth = {(str(row["session_date"]), row["trade_id"]): row for row in feed.prints()}
    late = {(row["session_date"], row["trade_id"]): row["lag_ms"] for row in feed.rows("late")}

    assert {key: truth[key]["received_ms"] - truth[key]["traded_ms"] for key in late} == late
    assert late == {
        key: row["received_ms"] - row["traded_ms"]
        for key, row in truth.items()
        if row["received_ms"] - row["traded_ms"] >= 30_000 and row["kind"] == "trade"
    }
    assert all("Z" in truth[key]["conditions"] for key in late)
    by_symbol: dict[Key, list[int]] = defaultdict(list)
    for row in truth.values():
        by_symbol[str(row["session_date"]), row["symbol"]].append(row["price_micros"])
    for row in feed.rows("fat_fingers"):
        prices = sorted(by_symbol[row["session_date"], row["symbol"]])
        assert 80 < row["price_micros"] / prices[len(prices) // 2] < 120
        assert truth[row["session_date"], row["trade_id"]]["is_current"]
    assert len(feed.rows("fat_fingers")) == CONFIG.sessions * 10


def test_some_prints_overtake_others_on_the_way(feed: Feed) -> None:
    received: dict[str, list[int]] = defaultdict(list)
    seen: set[Key] = set()
    for one in feed.sent:
        if key_of(one) not in seen:
            received[one["s"]].append(one["received_at"])
            seen.add(key_of(one))

    overtaken = sum(before > after for some in received.values() for before, after in pairwise(some))

    assert overtaken > 0.2 * len(feed.rows("disorder")) > 10


def test_jumps_halt_and_split_are_written_down(feed: Feed) -> None:
    jumps, halts, splits = feed.rows("jumps"), feed.rows("halts"), feed.rows("splits")

    assert Counter(row["session_date"] for row in jumps) == {str(day.day): 3 for day in session_hours(CONFIG)}
    assert all(2.5 < abs(row["change_pct"]) < 8.5 for row in jumps)
    assert [(row["session_date"], row["to_ms"] - row["from_ms"]) for row in halts] == [("2025-03-03", 20 * 60_000)]
    assert splits == [{"instrument_id": "SIM-BOREAL", "effective_date": "2025-03-04", "ratio": 4}]


def test_the_truth_says_that_it_is_simulated_and_from_which_settings(feed: Feed) -> None:
    summary = feed.summary()

    assert summary["label"] == "SIMULATED"
    assert summary["config"]["seed"] == 5
    assert summary["config"]["first_session"] == "2025-03-03"
    assert summary["totals"]["sessions"] == 3


def test_a_truth_folder_used_again_holds_only_the_last_market(tmp_path: Path) -> None:
    small = replace(CONFIG, sessions=1, trades_per_session=200, oversized_bytes=None)
    files = sorted(path.relative_to(tmp_path) for path in written(tmp_path, small))
    once = {name: (tmp_path / name).read_bytes() for name in files}
    written(tmp_path, replace(small, sessions=2))

    again = sorted(path.relative_to(tmp_path) for path in written(tmp_path, small))

    assert {name: (tmp_path / name).read_bytes() for name in again} == once


def written(folder: Path, config: SimulatorConfig) -> list[Path]:
    for _ in simulated_records(config, truth=folder):
        pass
    return [path for path in folder.rglob("*") if path.is_file()]
