"""Deliver alerts from the outbox: SNS, webhooks, this terminal; each alert once, every attempt recorded.

Any number of these may run. SIGTERM and Ctrl-C end it after the message it is sending, with exit code 0; what it had
claimed and not sent is given back. A process that dies leaves its claims to the others when their lease is over.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence

from jobs import cli
from jobs._alerting import outbox_of, read_conf
from lakehouse.clock import system_clock, to_ms
from serving.delivery.connect import addresses
from serving.delivery.deliver import Deliverer, run
from serving.delivery.dynamo import DynamoStore


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--drain", action="store_true", help="end when nothing is left but what was put off")
    flags.add_argument("--create", action="store_true", help="make the outbox's table first, where there is none")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Conf, outbox, channels, rounds."""
    settings = cli.settings_of(args)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    conf, outbox = read_conf(settings), outbox_of(settings)
    if args.create and isinstance(outbox.store, DynamoStore):
        outbox.store.create()
    pace = conf.alerts.storm.messages_a_minute
    channels = addresses(conf, settings.delivery, os.environ)
    deliverer = Deliverer(outbox, channels, messages_a_minute=pace, clock=system_clock)
    reach_ms = round((settings.delivery.retry_cap_seconds + settings.delivery.lease_seconds) * 1000)
    handled = run(
        deliverer,
        stop,
        poll_seconds=settings.delivery.poll_seconds,
        until_empty=lambda: args.drain and outbox.is_empty(to_ms(system_clock()) + reach_ms),
    )
    if args.json:
        cli.print_json({"deliveries": handled})
    else:
        print(f"{handled:,} deliveries taken up")


if __name__ == "__main__":
    sys.exit(main())
