"""Alerts and attempts to deliver them as rows of gold, merged so that folding the same again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lakehouse.alerts.lifecycle import Alert, Change, State
from lakehouse.lake import Lake
from lakehouse.tables import Table
from lakehouse.tables.gold import ALERT_DELIVERIES, ALERTS

PROGRESS = (State.FIRED, State.COOLING, State.REARMED, State.EXPIRED)
LATER_STATE = (
    "new.state_at > old.state_at OR (new.state_at = old.state_at AND "
    "array_position(array('fired', 'cooling', 'rearmed', 'expired'), new.state) > "
    "array_position(array('fired', 'cooling', 'rearmed', 'expired'), old.state))"
)


def merge_alerts(lake: Lake, alerts: Iterable[Alert], changes: Iterable[Change]) -> int:
    """Merge alerts, each in the newest state its changes show; a state never goes back. Returns the alerts offered.

    For the owner of gold.alerts. Changes of alerts that are not among `alerts` move rows that are there already.
    """
    newest: dict[str, Change] = {}
    for change in changes:
        before = newest.get(change.alert_id)
        if before is None or _place(change) > _place(before):
            newest[change.alert_id] = change
    rows = {alert.alert_id: _alert_row(alert, newest.get(alert.alert_id)) for alert in alerts}
    _merge(lake, ALERTS, list(rows.values()), update=LATER_STATE)
    _move(lake, [change for alert_id, change in newest.items() if alert_id not in rows])
    return len(rows)


def merge_deliveries(lake: Lake, attempts: Sequence[Mapping[str, Any]]) -> int:
    """Merge attempts as the outbox records them; one that had no outcome yet gets it. Returns the attempts offered."""
    rows = [_attempt_row(attempt) for attempt in attempts]
    no_outcome = "old.accepted_at IS NULL AND old.failed_at IS NULL"
    _merge(lake, ALERT_DELIVERIES, rows, update=no_outcome)
    return len(rows)


def _place(change: Change) -> tuple[int, int]:
    return change.at_ms, PROGRESS.index(change.state)


def _alert_row(alert: Alert, change: Change | None) -> tuple[Any, ...]:
    state, at_ms = (change.state, change.at_ms) if change else (State.FIRED, alert.fired_ms)
    return (
        alert.alert_id, alert.rule, alert.rule_version, alert.kind, alert.subject, alert.side, alert.session,
        alert.crossing, _instant(alert.fired_ms), alert.value, alert.text, state.value, _instant(at_ms),
    )  # fmt: skip


def _attempt_row(attempt: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        attempt["pk"], attempt["user"], attempt["channel"], attempt["attempt"], _instant(attempt["started_ms"]),
        _instant(attempt.get("accepted_ms")), _instant(attempt.get("failed_ms")), attempt.get("receipt"),
        attempt.get("error"), attempt["possible_copy"],
    )  # fmt: skip


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def _merge(lake: Lake, table: Table, rows: list[tuple[Any, ...]], *, update: str) -> None:
    if not rows:
        return
    new = lake.spark.createDataFrame(rows, table.schema).alias("new")
    same_key = " AND ".join(f"old.{name} = new.{name}" for name in table.key)
    merge = lake.delta(table).alias("old").merge(new, same_key)
    merge.whenMatchedUpdateAll(condition=update).whenNotMatchedInsertAll().execute()


def _move(lake: Lake, changes: list[Change]) -> None:
    """Bring rows that are there already into a later state."""
    if not changes:
        return
    rows = [(change.alert_id, change.state.value, _instant(change.at_ms)) for change in changes]
    new = lake.spark.createDataFrame(rows, "alert_id string, state string, state_at timestamp").alias("new")
    merge = lake.delta(ALERTS).alias("old").merge(new, "old.alert_id = new.alert_id")
    merge.whenMatchedUpdate(condition=LATER_STATE, set={"state": "new.state", "state_at": "new.state_at"}).execute()
