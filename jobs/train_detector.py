"""Train the learned anomaly detector from gold.bars: `tickhouse train-detector --from 2024-01-02 --to 2024-03-28`.

For 1-second and 1-minute bars each: learns from the earlier sessions of these dates, chooses its threshold on the later
ones, and registers the model in MLflow (mlflow.tracking_uri) with its figures and a model card. It becomes `champion`
if it finds more of what is planted into the later sessions than the champion before, else `challenger`. Writes no
table; `tickhouse anomalies build --learned` applies the champions.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from jobs import cli
from lakehouse.anomalies.build import days_with_bars, keep_judged
from lakehouse.anomalies.rules import WINDOWS
from lakehouse.lake import Lake
from lakehouse.session import spark_session
from lakehouse.settings import Settings
from lakehouse.tables.gold import BARS
from lakehouse.tables.silver import CORPORATE_ACTIONS
from ml.anomaly_detector.card import card
from ml.anomaly_detector.examples import Plan, examples, plan_of
from ml.anomaly_detector.features import FEATURES, HISTORY
from ml.anomaly_detector.model import ModelError, scorer
from ml.anomaly_detector.registry import (
    CHALLENGER,
    CHAMPION,
    Report,
    client_of,
    give_alias,
    has_alias,
    load,
    register,
)
from ml.anomaly_detector.train import Recipe, Trained, Validation, measure, split_examples, train
from streaming.rules import read_sessions

if TYPE_CHECKING:
    from mlflow import MlflowClient

LEAST_DATES = 3


@dataclass(frozen=True)
class Order:
    """What is asked for: dates, how many examples of each part, the share of the dates that validates, and the seed."""

    first: date = date.min
    last: date = date.max
    sample: int = 200_000
    validation_share: float = 0.3
    seed: int = Recipe().seed


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last exchange date")
    flags.add_argument("--sample", type=int, default=Order.sample, help="examples of each part that come to the driver")
    flags.add_argument(
        "--validation-share", type=float, default=Order.validation_share, help="share of the dates, the last ones"
    )
    flags.add_argument("--seed", type=int, default=Order.seed, help="seed of sample and planting")
    flags.add_argument("--interval", action="append", choices=list(WINDOWS), help="only this one; repeatable")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> None:
    """Session, training of each interval, report."""
    settings = cli.settings_of(args)
    with spark_session(settings, app_name="tickhouse-train-detector") as spark:
        lake = Lake(spark, settings.paths.warehouse)
        intervals = args.interval or list(WINDOWS)
        order = Order(args.first, args.last, args.sample, args.validation_share, args.seed)
        done = [train_interval(lake, settings, one, order) for one in intervals]
    if args.json:
        cli.print_json({"models": done})
    for one in () if args.json else done:
        recall, naive = (f"{one['metrics'][name]:.3f}" for name in ("recall", "naive_recall"))
        print(f"{one['model']} is {one['alias']}: recall {recall} of what was planted, naive score {naive}")


def train_interval(lake: Lake, settings: Settings, interval: str, order: Order) -> dict[str, Any]:
    """Train and register the detector of one interval; its name, alias, parameters and figures."""
    known = days_with_bars(lake)
    days, history = chosen_days(known, order.first, order.last)
    versions_read = {table.full_name: lake.version(table) for table in (BARS, CORPORATE_ACTIONS)}
    sessions = read_sessions(lake, settings.reference.exchange)
    plan = plan_of(lake, days, sessions, validation_share=order.validation_share, sample=order.sample, seed=order.seed)
    bars = keep_judged(lake.read(BARS, version=versions_read[BARS.full_name]))
    wanted = bars.where(bars["session_date"].between(history, days[-1]))
    learned, validation = split_examples(
        examples(wanted, plan, interval, tasks=settings.spark.shuffle_partitions), interval
    )
    recipe = Recipe(seed=order.seed)
    trained = train(learned, validation, interval, recipe)
    params = params_of(days, plan, recipe, versions_read)
    client = client_of(settings.mlflow)
    alias = alias_of(client, settings, trained, validation, recipe)
    report = Report(params, trained.metrics, card(interval, params, trained.metrics))
    detector = register(client, settings.mlflow, trained.detector, report)
    give_alias(client, detector, alias)
    return {"model": detector.name, "alias": alias, "params": params, "metrics": trained.metrics}


def chosen_days(known: Sequence[date], first: date, last: date) -> tuple[list[date], date]:
    """The dates to train and validate by, and the first one that is history to them."""
    days = [day for day in known if first <= day <= last]
    if len(days) < LEAST_DATES:
        raise ModelError(
            f"anomaly detector: expected {LEAST_DATES} exchange dates with bars or more from {first} to {last}, found "
            f"{len(days)}. Nothing was registered. Widen --from and --to, or build bars first."
        )
    before = [day for day in known if day < days[0]][-HISTORY.sessions :]
    return days, [*before, *days][0]


def params_of(days: Sequence[date], plan: Plan, recipe: Recipe, read: dict[str, int]) -> dict[str, object]:
    """What a training was made of, as MLflow keeps it."""
    return {
        "first_date": days[0], "last_date": days[-1], "dates": len(days), "sample": plan.sample, **asdict(recipe),
        "features": ", ".join(FEATURES), **{f"version of {name}": number for name, number in read.items()},
    }  # fmt: skip


def alias_of(client: MlflowClient, settings: Settings, trained: Trained, validation: Validation, recipe: Recipe) -> str:
    """champion if the new one finds more than the naive score and than the champion before, of the same part.

    A champion that cannot be loaded is no rival.
    """
    interval = trained.detector.interval
    if trained.metrics["recall"] <= trained.metrics["naive_recall"]:
        return CHALLENGER
    if not has_alias(client, settings.mlflow, interval):
        return CHAMPION
    try:
        before = load(settings.mlflow, interval)
    except ModelError as error:
        print(f"the champion before is no rival: {error}", file=sys.stderr)
        return CHAMPION
    old = measure(scorer(before), validation, recipe)["recall"]
    return CHAMPION if trained.metrics["recall"] > old else CHALLENGER


if __name__ == "__main__":
    sys.exit(main())
