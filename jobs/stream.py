"""Stream trades from the source into bronze, silver and gold.

Runs three queries in one driver: ingest (source to bronze), refine (bronze to silver and quarantine) and bars (silver
to gold.bars). Holds the lease of the owner `stream` meanwhile. SIGTERM and Ctrl-C stop it between batches with exit
code 0.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

from pyspark.sql import SparkSession

from jobs.cli import console, parser, run, settings_of
from lakehouse.clock import system_clock
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.maintenance import Packer
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from streaming.listener import Listener
from streaming.progress import Show, shown_on
from streaming.queries import Stream, start_bars, start_ingest, start_refine
from streaming.rules import LiveRules
from streaming.supervise import Start, run_one_by_one, run_side_by_side
from streaming.turns import Turns

QUERIES = ("ingest", "refine", "bars")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = parser(__doc__)
    flags.add_argument("--drain", action="store_true", help="read what is there, then end")
    flags.add_argument("--queries", nargs="+", choices=QUERIES, default=QUERIES, help="run only these")
    flags.add_argument(
        "--allow-replay",
        action="store_true",
        help="a lost checkpoint: read everything again into the same tables, doubling nothing",
    )
    return run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, queries."""
    settings = settings_of(args)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    progress = nullcontext() if args.json else shown_on(console())
    with spark_session(settings, app_name="tickhouse-stream") as spark, progress as show:
        stream_until(
            spark, settings, stop, drain=args.drain, queries=args.queries, allow_replay=args.allow_replay, show=show
        )


def stream_until(
    spark: SparkSession,
    settings: Settings,
    stop: threading.Event,
    *,
    drain: bool,
    queries: Sequence[str] = QUERIES,
    allow_replay: bool = False,
    show: Show | None = None,
) -> None:
    """Run the queries under the owner's lease until `stop` is set, or until everything is read."""
    lake = Lake(spark, settings.paths.warehouse)
    lake.create_all()
    seconds = settings.stream.lease_seconds
    with lease(
        lake.files, lake.root, "stream", purpose="tickhouse stream", seconds=seconds, clock=system_clock
    ) as lost:
        rules = LiveRules(lake, settings, system_clock)
        with (
            Listener(spark, settings, system_clock, show=show) as listener,
            Packer(lake, every=settings.stream.optimize_every_batches) as packer,
        ):
            stream = Stream(
                lake,
                settings,
                rules.judgement,
                rules.bars,
                system_clock,
                listener.batch_done,
                allow_replay=allow_replay,
                packer=packer,
                turns=Turns() if settings.stream.take_turns and not drain and set(queries) == set(QUERIES) else None,
            )
            starts = _starts(stream, queries, drain=drain)
            (run_one_by_one if drain else run_side_by_side)(starts, stop=stop, lost=lost)


def _starts(stream: Stream, queries: Sequence[str], *, drain: bool) -> list[Start]:
    starts: dict[str, Start] = {
        "ingest": partial(start_ingest, stream, drain=drain),
        "refine": partial(start_refine, stream, drain=drain),
        "bars": partial(start_bars, stream, drain=drain),
    }
    return [starts[name] for name in QUERIES if name in queries]


if __name__ == "__main__":
    sys.exit(main())
