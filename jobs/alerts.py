"""Test rules on the past, and see to alerts: `tickhouse alerts test|list|ack|snooze|retry`.

test RULE     how often and when a rule would have fired between --from and --to; nothing is sent
list          what is in the outbox, the newest first; with --dead only what was given up
ack ID        an alert is seen: its deliveries that still wait are dropped
snooze RULE   put off a rule until now + --hours, on --subject or on all; what it has to say then comes as a summary
retry ID      give the dead deliveries of an alert as many attempts again
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rich.table import Table as Grid

from jobs import cli
from jobs._alerting import outbox_of, read_conf, trust_of
from lakehouse.alert_history import READERS, bars, splits
from lakehouse.alerts.conf import AlertConf
from lakehouse.alerts.engine import Engine
from lakehouse.alerts.lifecycle import Alert
from lakehouse.alerts.observations import Bar, Row
from lakehouse.clock import system_clock, to_ms
from lakehouse.errors import SettingsError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import exchange_zone
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.thin_feeds import Trust, read_thin_feeds
from serving.delivery.outbox import Status
from serving.delivery.snoozes import EVERY_SUBJECT, Listed, acknowledge, listed, revive, snooze

SHOWN = 40
ACTIONS = ("test", "list", "ack", "snooze", "retry")
VOUCH = "Run `tickhouse feed-health` for these dates, with a vendor's volume: docs/detect.md."
NEEDS_A_NAME = ("test", "ack", "snooze", "retry")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("action", choices=ACTIONS)
    flags.add_argument("name", nargs="?", default="", help="a rule of conf/alerts.yaml, or the id of an alert")
    flags.add_argument("--from", dest="first", type=date.fromisoformat, help="test: first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, help="test: last exchange date (default: --from)")
    flags.add_argument("--user", default="", help="ack, snooze: who (default: the first user of conf/alerts.yaml)")
    flags.add_argument("--subject", default=EVERY_SUBJECT, help="snooze: one symbol or portfolio (default: all)")
    flags.add_argument("--hours", type=float, default=1.0, help="snooze: for how long (default 1)")
    flags.add_argument("--dead", action="store_true", help="list: only alerts with a delivery that was given up")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """One action."""
    if args.action in NEEDS_A_NAME and not args.name:
        what = "a rule" if args.action in ("test", "snooze") else "the id of an alert"
        raise SettingsError(f"alerts {args.action}: expected {what} behind it, found nothing. Nothing was done.")
    actions: dict[str, Callable[[argparse.Namespace, Settings], None]] = {
        "test": test,
        "list": show_list,
        "ack": ack,
        "snooze": put_off,
        "retry": retry,
    }
    actions[args.action](args, cli.settings_of(args))


def test(args: argparse.Namespace, settings: Settings) -> None:
    """Run one rule over the past and say when it would have fired."""
    if args.first is None or (args.last or args.first) < args.first:
        raise SettingsError("alerts test: expected --from DATE, and --to no earlier. Nothing was tested.")
    conf, last = read_conf(settings), args.last or args.first
    conf.rule(args.name)  # an unknown name is told before Spark starts
    with spark_session(settings, app_name="tickhouse-alerts-test") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        fired, rows, thin = dry_run(lake, conf, args.name, args.first, last, trust_of(settings))
    zone = ZoneInfo(exchange_zone(settings.reference.exchange))
    if args.json:
        cli.print_json({"rule": args.name, "rows": rows, "thin": thin, "alerts": [vars(alert) for alert in fired]})
        return
    cli.console().print(as_grid(fired, zone))
    days = Counter(alert.session[:10] for alert in fired)
    most = f"; most on {max(days, key=lambda day: days[day])}: {max(days.values())}" if days else ""
    print(f"{args.name} would have fired {len(fired):,} times on {rows:,} rows, {args.first} to {last}{most}")
    if thin:
        print(f"{thin:,} of them are bars of feeds that nobody vouches for: no rule believes their volume. {VOUCH}")


class DryRun(NamedTuple):
    """What a rule would have done: its alerts, the rows it saw, and how many of them its feeds make it doubt."""

    fired: list[Alert]
    rows: int
    thin: int


def dry_run(lake: Lake, conf: AlertConf, name: str, first: date, last: date, trust: Trust | None = None) -> DryRun:
    """One rule over the tables it reads."""
    trust = trust or Trust()
    engine = Engine([conf.rule(name)], conf, splits(lake))
    fired: list[Alert] = []
    rows = thin = 0
    for kind in engine.reads:
        for row in rows_of(lake, kind, first, last, trust):
            rows += 1
            thin += isinstance(row, Bar) and row.is_thin
            fired += engine.see([row])
    return DryRun(fired, rows, thin)


def rows_of(lake: Lake, kind: type, first: date, last: date, trust: Trust) -> Iterator[Row]:
    """The rows a rule reads, bars of thin feeds marked as `detect` marks them."""
    if kind is Bar:
        return read_thin_feeds(lake, first, last, trust).marked(bars(lake, first, last))
    return READERS[kind](lake, first, last)


def as_grid(alerts: Sequence[Alert], zone: ZoneInfo) -> Grid:
    """Alerts for people, in the exchange's zone."""
    grid = Grid("fired", "subject", "what", "id")
    for alert in alerts[:SHOWN]:
        grid.add_row(_time(alert.fired_ms, zone), alert.subject, alert.text, alert.alert_id)
    if len(alerts) > SHOWN:
        grid.add_row("", "", f"and {len(alerts) - SHOWN:,} more", "")
    return grid


def show_list(args: argparse.Namespace, settings: Settings) -> None:
    """What is in the outbox."""
    found = [one for one in listed(outbox_of(settings).store) if not args.dead or one.statuses[Status.DEAD]]
    if args.json:
        cli.print_json([vars(one) | {"alert": vars(one.alert)} for one in found])
        return
    zone = ZoneInfo(exchange_zone(settings.reference.exchange))
    grid = Grid("fired", "what", "deliveries", "attempts", "possible copies", "seen by", "last error", "id")
    for one in found[:SHOWN]:
        grid.add_row(*_cells(one, zone))
    cli.console().print(grid)
    print(f"{len(found):,} alerts, {sum(one.possible_copies for one in found):,} deliveries that may have come twice")


def _cells(one: Listed, zone: ZoneInfo) -> tuple[str, ...]:
    deliveries = ", ".join(f"{status} {count}" for status, count in sorted(one.statuses.items()))
    fired, alert = _time(one.alert.fired_ms, zone), one.alert
    counts = (str(one.attempts), str(one.possible_copies or ""))
    return (fired, alert.text, deliveries, *counts, one.acknowledged_by, one.error[:60], alert.alert_id)


def ack(args: argparse.Namespace, settings: Settings) -> None:
    """An alert is seen."""
    user = _user(args, settings)
    dropped = acknowledge(outbox_of(settings).store, args.name, user, to_ms(system_clock()))
    print(f"{args.name} is acknowledged by {user}; {dropped} waiting deliveries were dropped")


def put_off(args: argparse.Namespace, settings: Settings) -> None:
    """A rule is not to be heard of for a while."""
    user, rule = _user(args, settings), read_conf(settings).rule(args.name).name
    until = system_clock() + timedelta(hours=args.hours)
    snooze(outbox_of(settings).store, user, rule, args.subject, to_ms(until))
    print(f"{rule} ({args.subject}) is snoozed for {user} until {until:%Y-%m-%d %H:%M:%S} UTC")


def retry(args: argparse.Namespace, settings: Settings) -> None:
    """Dead deliveries get new attempts."""
    revived = revive(outbox_of(settings).store, args.name, to_ms(system_clock()), settings.delivery.attempts)
    print(f"{args.name}: {revived} dead deliveries will be tried again")


def _user(args: argparse.Namespace, settings: Settings) -> str:
    users = read_conf(settings).users
    if args.user and args.user not in users:
        known = ", ".join(users)
        raise SettingsError(f"--user: expected one of {known}, found {args.user!r}. Nothing was changed.")
    return args.user or next(iter(users))


def _time(ms: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}"


if __name__ == "__main__":
    sys.exit(main())
