"""Replays from quarantine: what passes the mended rules comes to silver once, whatever breaks off in between."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from lakehouse.conservation import held_rows, mismatches, silver_history, totals
from lakehouse.errors import CheckpointError
from lakehouse.tables.silver import QUARANTINE, TRADES
from streaming import reprocess as module
from streaming.identity import claim, next_generation
from streaming.reprocess import Wanted, forecast, reprocess
from tests.delta.played import Played, more_market
from tests.faults.oracle import actual_bars, differences
from tests.faults.pipeline import Crash

GENERATION = 1 << 40
EVERYTHING = Wanted()


def replay(played: Played, wanted: Wanted = EVERYTHING) -> dict[str, int]:
    return reprocess(
        played.lake, played.rules, wanted, refine_checkpoint=played.settings.checkpoint("refine"),
        folder=played.settings.checkpoint("reprocess"),
    )  # fmt: skip


def unconserved(played: Played) -> list[str]:
    """Commits that do not add up, and sums that are not the oracle's."""
    history, right = silver_history(played.lake), played.expected().counts
    sums = totals(history.commits)
    wanted = {
        "decoded": right.decoded, "undecodable": right.undecodable, "control": right.control,
        "quarantined": right.quarantined, "duplicates": right.duplicates, "appended": right.silver,
    }  # fmt: skip
    found = [f"{name} is {sums[name]}, expected {count}" for name, count in wanted.items() if sums[name] != count]
    return found + mismatches(history, held_rows(played.lake, history))


def die_at(monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    def crash(name: str) -> None:
        if name == point:
            raise Crash(name)

    monkeypatch.setattr(module, "crashpoint", crash)


def test_what_passes_now_comes_to_silver_and_bars_and_is_counted_once(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    assert played.silver_differences() != []
    said = forecast(played.lake, played.rules, EVERYTHING)

    counts = replay(played)

    assert played.silver_differences() == []
    assert unconserved(played) == []
    assert counts["settled"] == sum(settled for _, _, settled in said) > 20
    assert counts["decoded"] > 0 > counts["undecodable"]
    assert counts["duplicates"] > 0
    assert played.lake.read(TRADES).where(f"batch = {GENERATION}").count() == counts["appended"] > 30
    assert next_generation(played.lake, TRADES, played.settings.checkpoint("refine"), steps=0).generation == 2

    played.play(more_market(12, 30), 2, played.rules, shard="2", generation=2)
    played.fold(1, silver=played.unfolded(after=1))
    assert differences(played.expected().bars, actual_bars(played.lake.root)) == []

    before = played.lake.version(TRADES), played.lake.version(QUARANTINE)
    assert replay(played)["settled"] == 0
    assert (played.lake.version(TRADES), played.lake.version(QUARANTINE)) == before


@pytest.mark.itest
@pytest.mark.parametrize("point", ["reprocess.after_silver", "reprocess.after_quarantine"])
def test_a_run_that_died_after_silver_is_finished_by_the_next_without_counting_twice(
    operated: Played, point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = operated.copy(tmp_path)
    with monkeypatch.context() as patched, pytest.raises(Crash):
        die_at(patched, point)
        replay(played)
    before = played.lake.version(TRADES)

    counts = replay(played)

    assert counts["settled"] == 0
    assert played.lake.version(TRADES) == before
    assert played.silver_differences() == []
    assert unconserved(played) == []


@pytest.mark.itest
def test_a_run_that_died_before_silver_leaves_nothing_behind_and_is_done_anew(
    operated: Played, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = operated.copy(tmp_path)

    def die(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched, pytest.raises(Crash):
        patched.setattr(module, "append_prints", die)
        replay(played)
    played.play(more_market(12, 30), 2, played.rules, shard="2", generation=2)

    replay(played)

    assert played.silver_differences() == []
    assert unconserved(played) == []
    assert max(played.unfolded(after=-1)) == 3 * GENERATION


@pytest.mark.itest
def test_only_the_refusals_asked_for_are_replayed(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)

    replay(played, Wanted(reason="TOO_LARGE"))

    standing = played.lake.read(QUARANTINE).where("resolved_batch IS NULL")
    assert standing.where("reasons LIKE '%TOO_LARGE%'").count() == 0
    assert standing.where("reasons = 'UNKNOWN_SYMBOL' AND symbol = 'AAPL'").count() > 10
    history = silver_history(played.lake)
    assert mismatches(history, held_rows(played.lake, history)) == []


def test_a_foreign_checkpoint_is_refused_before_anything_is_judged(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    checkpoint = played.settings.checkpoint("refine")
    next_generation(played.lake, TRADES, checkpoint)
    shutil.rmtree(checkpoint)

    with pytest.raises(CheckpointError, match="lost or foreign"):
        replay(played)


def test_a_generation_whose_raising_broke_off_is_taken_up_by_the_next_start(operated: Played, tmp_path: Path) -> None:
    played = operated.copy(tmp_path)
    checkpoint = Path(played.settings.checkpoint("refine"))
    kept = next_generation(played.lake, TRADES, str(checkpoint))
    (checkpoint / "commits").mkdir()
    (checkpoint / "commits" / "0").write_text("v1\n{}")
    (checkpoint / "tickhouse.json").write_text(json.dumps(asdict(kept) | {"generation": kept.generation + 2}))

    claimed = claim(played.lake, TRADES, "refine", str(checkpoint), allow_replay=False)

    assert (claimed.identity.generation, claimed.is_replay) == (kept.generation + 2, False)
