"""What the stream reports of itself: numbers, lines, a terminal, and figures for CloudWatch. No Spark runs here."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from rich.console import Console

from streaming.batch_log import BatchLog, is_remote, local_folder
from streaming.fold_progress import new_rows, row_of
from streaming.metrics import VALUES_AT_MOST, CloudWatch
from streaming.progress import BatchReport, live_table, plain_line, report_of, shown_on

NOW = datetime(2026, 3, 2, 14, 30, 0, 250_000, tzinfo=UTC)
NOW_MS = 1_772_461_800_250
NO_FILES: Any = None


def report(query: str = "refine", **changes: Any) -> BatchReport:
    given = {
        "at": NOW, "query": query, "batch": 7, "rows": 1200, "rows_per_second": 800.0, "batch_ms": 1500, "lag_ms": 2250,
        "refused": 3, "late": 0, "duplicates": 1, "state_rows": 0, "state_bytes": 0,
    }  # fmt: skip
    return BatchReport(**{**given, **changes})


def progress(**changes: Any) -> Any:
    given = {
        "name": "refine", "batchId": 7, "numInputRows": 1200, "processedRowsPerSecond": 800.04,
        "durationMs": {"triggerExecution": 1500}, "stateOperators": [], "observedMetrics": {},
    }  # fmt: skip
    return SimpleNamespace(**{**given, **changes})


class Ticking:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def lines_in(folder: Path, pattern: str = "*.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text().splitlines()]


def test_the_time_a_batch_waited_for_its_turn_is_not_its_own() -> None:
    now, arrived = NOW, {"arrivals": {"newest_ms": NOW_MS - 2_250}}

    told = report_of(progress(name="ingest", observedMetrics=arrived), {"waited_ms": 900}, now)

    assert (told.batch_ms, told.rows_per_second, told.lag_ms) == (600, 2000.0, 1350)


def test_a_report_joins_what_spark_measured_with_what_the_writer_counted() -> None:
    counts = {"quarantined": 3, "duplicates": 1, "newest_ms": NOW_MS - 2250, "late": 4, "remembered": 5}

    found = report_of(progress(), counts, NOW)

    assert found == report(late=4, state_rows=5)


def test_records_that_refine_reads_twice_are_told_once() -> None:
    found = report_of(progress(numInputRows=2400), {"records": 1200, "newest_ms": NOW_MS}, NOW)

    assert (found.rows, found.rows_per_second) == (1200, 800.0)


def test_lag_of_ingest_comes_from_the_arrivals_spark_observed_and_is_unknown_without_them() -> None:
    observed = progress(name="ingest", observedMetrics={"arrivals": {"newest_ms": NOW_MS - 40}})

    assert report_of(observed, {}, NOW).lag_ms == 40
    assert report_of(progress(), {}, NOW).lag_ms is None
    assert report_of(progress(), {"newest_ms": NOW_MS + 99}, NOW).lag_ms == 0


def test_a_terminal_shows_one_row_a_query_and_anything_else_a_line_now_and_then() -> None:
    drawn = io.StringIO()
    Console(file=drawn, width=120).print(live_table({one: report(one) for one in ("ingest", "refine", "bars")}))
    said = io.StringIO()

    with shown_on(Console(file=said, width=200)) as show:
        for second in (0, 1, 2, 11, 12):
            show(report(batch=second, rows=10, at=NOW + timedelta(seconds=second)))
        show(report("bars", lag_ms=None, at=NOW + timedelta(seconds=12)))

    assert [drawn.getvalue().count(name) for name in ("ingest", "refine", "bars", "2.2")] == [1, 1, 1, 3]
    lines = said.getvalue().splitlines()
    assert [line.split("Z ")[1].split(" rows,")[0] for line in lines] == [
        "refine: batch 0, 10", "refine: batch 11, 30", "bars: batch 7, 1,200",
    ]  # fmt: skip
    assert plain_line([report()]) == (
        "2026-03-02 14:30:00Z refine: batch 7, 1,200 rows, 800 rows/s, 1,500 ms, lag 2.2 s, refused 3, late 0"
    )


def test_every_line_of_the_log_carries_its_run_and_number_across_rotations(tmp_path: Path) -> None:
    log = BatchLog(NO_FILES, str(tmp_path), "r1", Ticking(), rotate_at_bytes=400)

    for number in range(30):
        log.write({"event": "batch", "batch": number})

    found = lines_in(tmp_path)
    assert [(one["run"], one["line"], one["batch"]) for one in found] == [("r1", n + 1, n) for n in range(30)]
    assert all(path.stat().st_size < 600 for path in tmp_path.glob("*.jsonl"))
    assert len(list(tmp_path.glob("stream-r1-*.jsonl"))) > 3


def test_a_line_torn_by_a_kill_does_not_swallow_the_next(tmp_path: Path) -> None:
    (tmp_path / "stream.jsonl").write_text('{"run": "r0", "line": 1, "at": "2026-03-0')

    BatchLog(NO_FILES, str(tmp_path), "r1", Ticking()).write({"event": "started"})

    torn, whole = (tmp_path / "stream.jsonl").read_text().splitlines()
    assert row_of(torn) is None
    assert json.loads(whole)["line"] == 1


def test_a_log_that_cannot_be_written_complains_once_and_never_raises(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    log = BatchLog(NO_FILES, str(tmp_path / "file" / "logs"), "r1", Ticking())

    with caplog.at_level(logging.WARNING):
        log.write({"event": "started"})
        log.write({"event": "ended"})

    assert [record.message.partition(":")[2][:30] for record in caplog.records] == [" a line could not be written ("]


class Copies:
    """Stands for the remote file system: what was copied where, by content at that time."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}

    def put(self, local: str, path: str) -> None:
        self.found.setdefault(path, []).append(Path(local).read_text())


def test_logs_of_a_remote_folder_are_written_locally_and_copied_every_minute_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    clock, copies = Ticking(), Copies()
    files: Any = copies
    log = BatchLog(files, "s3a://bucket/logs/", "r1", clock)

    for seconds in (0, 10, 61, 62):
        clock.now = NOW + timedelta(seconds=seconds)
        log.write({"event": "batch"})
    log.close()

    (address,) = copies.found
    assert address == "s3a://bucket/logs/stream-r1.jsonl"
    assert [text.count("\n") for text in copies.found[address]] == [1, 3, 4]
    assert lines_in(tmp_path / "tickhouse-r1")[-1]["line"] == 4
    assert (is_remote("s3a://b/l"), is_remote("/l"), is_remote("file:///l")) == (True, False, False)
    assert local_folder("file:///var/l", "r") == Path("/var/l")


def test_folding_takes_each_line_once_whatever_copies_hold_it_and_whatever_is_known() -> None:
    lines = [json.dumps({"at": NOW.isoformat(), "run": "a", "line": n, "event": "batch"}) for n in (1, 2, 3)]
    other = json.dumps({"at": NOW.isoformat(), "run": "b", "line": 1, "event": "ended", "error": "boom"})

    found = list(new_rows([lines[2], *lines, other, "garbage", "[]", '{"run": 1}'], {"a": 1}))

    assert [(one["run"], one["line"], one["detail"]) for one in found] == [
        ("a", 2, None), ("a", 3, None), ("b", 1, "boom"),
    ]  # fmt: skip


def stubbed(answer: Callable[[Stubber], None]) -> tuple[CloudWatch, Stubber]:
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
    stub = Stubber(client)
    answer(stub)
    stub.activate()
    return CloudWatch(client, "Tickhouse"), stub


def test_figures_of_many_batches_go_to_cloudwatch_in_one_call() -> None:
    sent: dict[str, Any] = {}

    def answer(stub: Stubber) -> None:
        stub.add_response("put_metric_data", {}, {"Namespace": "Tickhouse", "MetricData": ANY})
        stub.client.meta.events.register(
            "provide-client-params.*.PutMetricData", lambda params, **_: sent.update(params)
        )

    figures, stub = stubbed(answer)
    for batch in range(3):
        figures.add(report(batch=batch, rows=batch * 100))
    figures.add(report("bars", lag_ms=None))

    figures.send()
    figures.send()

    stub.assert_no_pending_responses()
    data = {(one["Dimensions"][0]["Value"], one["MetricName"]): one for one in sent["MetricData"]}
    assert data[("refine", "rows")]["Values"] == [0.0, 100.0, 200.0]
    assert data[("refine", "lag_ms")]["Unit"] == "Milliseconds"
    assert ("bars", "lag_ms") not in data
    assert len(data) == 8 + 7


def test_more_values_than_a_datum_takes_are_split() -> None:
    def answer(stub: Stubber) -> None:
        stub.add_response("put_metric_data", {}, {"Namespace": ANY, "MetricData": [ANY] * 16})

    figures, stub = stubbed(answer)
    for _ in range(VALUES_AT_MOST + 1):
        figures.add(report())

    figures.send()

    stub.assert_no_pending_responses()


def test_a_refusal_of_cloudwatch_is_logged_and_let_go(caplog: pytest.LogCaptureFixture) -> None:
    figures, stub = stubbed(lambda stub: stub.add_client_error("put_metric_data", "Throttling", "slow down", 400))
    figures.add(report())

    with caplog.at_level(logging.WARNING):
        figures.send()
        figures.send()

    stub.assert_no_pending_responses()
    assert ["slow down" in record.message for record in caplog.records] == [True]
