"""Follow the stream: indicators, signals, anomalies and alerts of what has become complete.

Reads the prints of silver.trades that gold.bars holds and brings gold.indicators, gold.signals, gold.anomalies and
gold.alerts up to date, step by step; alerts of the rules in conf/alerts.yaml go into the outbox, which `tickhouse
deliver` empties. Alerts of the fast lane are folded into gold.alerts too. A bar is looked at once its grace is over by
the clock of the data; when nothing comes for detect.idle_seconds that clock runs on with the wall's.

Runs beside `tickhouse stream`, under the lease of `detect`. SIGTERM and Ctrl-C stop it between steps with exit code 0.
With --drain it sees what is there, closes the newest date and ends.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext

from pyspark.sql import SparkSession

from jobs._alerting import alerts_in, outbox_of, publisher, read_conf, trust_of
from jobs._learned import learned_detectors
from jobs.cli import console, parser, run, settings_of
from lakehouse.alerts.lifecycle import Alert
from lakehouse.anomalies.build import Scorer
from lakehouse.anomalies.rules import AnomalyRules
from lakehouse.clock import Clock, system_clock
from lakehouse.indicators.parameters import load_indicators
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.watchlist import load_watchlist
from lakehouse.session import spark_session
from lakehouse.settings import CONF, Settings
from lakehouse.tables.gold import ALERTS
from streaming.detect.flags import Judgement
from streaming.detect.memory import Steps
from streaming.detect.report import QUERY, Reporter, log_of
from streaming.detect.run import Detector
from streaming.detect.series import Parameters
from streaming.detect.step import Work
from streaming.detect.watch import Publish, Watch
from streaming.identity import claim, record
from streaming.progress import Show, shown_on
from streaming.rules import read_sessions


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = parser(__doc__)
    flags.add_argument(
        "--learned", action="store_true", help="flags of the learned detectors, too (mlflow.tracking_uri)"
    )
    flags.add_argument("--drain", action="store_true", help="see what is there, close the newest date, then end")
    flags.add_argument("--keep-open", action="store_true", help="drain: more of the newest date is to come")
    flags.add_argument(
        "--allow-replay",
        action="store_true",
        help="a lost checkpoint: see everything again from the first print on, doubling nothing",
    )
    return run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, lease, steps."""
    settings = settings_of(args)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    outbox = outbox_of(settings)
    publish = publisher(outbox, read_conf(settings))
    scorer = learned_detectors(settings) if args.learned else None
    progress = nullcontext() if args.json else shown_on(console())
    with spark_session(settings, app_name="tickhouse-detect") as spark, progress as show:
        detect_until(
            spark, settings, stop, publish=publish, told=lambda: alerts_in(outbox), drain=args.drain,
            keep_open=args.keep_open, allow_replay=args.allow_replay, show=show, scorer=scorer,
        )  # fmt: skip


def detect_until(
    spark: SparkSession,
    settings: Settings,
    stop: threading.Event,
    *,
    publish: Publish,
    told: Callable[[], Iterable[Alert]] = tuple,
    drain: bool = False,
    keep_open: bool = False,
    allow_replay: bool = False,
    show: Show | None = None,
    scorer: Scorer | None = None,
    clock: Clock = system_clock,
) -> None:
    """Run steps under the owner's lease until `stop` is set, or until everything is seen.

    `scorer` is one more detector of anomalies over the same bars, such as a trained model.
    """
    lake = Lake(spark, settings.paths.warehouse)
    lake.create_all()
    seconds, checkpoint = settings.stream.lease_seconds, settings.checkpoint(QUERY)
    with lease(
        lake.files, lake.root, ALERTS.owner, purpose="tickhouse detect", seconds=seconds, clock=clock
    ) as lost, closing(log_of(lake.files, settings.paths.logs, clock)) as log:  # fmt: skip
        claimed = claim(lake, ALERTS, QUERY, checkpoint, allow_replay=allow_replay)
        record(lake, ALERTS, checkpoint, claimed.identity)
        detector = Detector(
            work_of(lake, settings, publish, claimed.identity.generation, scorer),
            Steps(lake.files, checkpoint),
            settings.detect,
            clock,
            Reporter(log, clock, show),
            told,
            stop,
            lost,
        )
        if drain:
            detector.drain(keep_open=keep_open)
        else:
            detector.run()


def work_of(lake: Lake, settings: Settings, publish: Publish, generation: int, scorer: Scorer | None) -> Work:
    """What every step needs, from conf and the reference tables."""
    file = load_indicators(CONF / settings.reference.indicators)
    hours = settings.detect.tell_hours
    tell_ms = None if hours is None else round(hours * 3_600_000)
    sessions = read_sessions(lake, settings.reference.exchange)
    return Work(
        lake=lake,
        parameters=Parameters(file, {name: load_watchlist(CONF / name).tickers for name in file.watchlists}),
        judgement=Judgement(AnomalyRules(), sessions, settings.spark.shuffle_partitions, scorer),
        watch=Watch(read_conf(settings), trust_of(settings), publish, tell_ms),
        grace_ms=round(settings.stream.grace_seconds * 1000),
        generation=generation,
    )


if __name__ == "__main__":
    sys.exit(main())
