"""Compute gold.indicators and gold.signals, or certify them: `tickhouse indicators build|certify`.

build     replace the rows of a range of dates by what gold.bars says, with as much history as they depend on; doing it
          again changes nothing but the time of writing. Takes the lease of `detect`: run it while that is stopped
certify   compare with TA-Lib's own output over the real tapes below reference.lean_folder, and cold starts with long
          runs; writes indicator-parity.md of docs/, and ends with 1 if anything is off by more than 1e-9 relative

Parameters are sets in conf/indicators.yaml.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.dictionary import DOCS
from lakehouse.errors import SettingsError
from lakehouse.indicators.build import Built, build, read_plan
from lakehouse.indicators.certify import Certificate, certify
from lakehouse.indicators.parameters import IndicatorsFile, load_indicators
from lakehouse.indicators.parity_page import parity_page
from lakehouse.indicators.tapes import read_tapes
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.reference.watchlist import load_watchlist
from lakehouse.session import spark_session
from lakehouse.settings import CONF, Settings
from lakehouse.tables.gold import INDICATORS

PAGE = "indicator-parity.md"
TAPE_INDEX = "QQQ"  # the one index among Lean's daily tapes


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and answer with an honest exit code."""
    flags = cli.parser(__doc__)
    flags.add_argument("action", choices=("build", "certify"))
    flags.add_argument("--from", dest="first", type=date.fromisoformat, default=date.min, help="first exchange date")
    flags.add_argument("--to", dest="last", type=date.fromisoformat, default=date.max, help="last exchange date")
    flags.add_argument("--folder", type=Path, default=DOCS, help="certify: where the page lies (default docs/)")
    return cli.run(body, flags, argv)


def body(args: argparse.Namespace) -> int:
    """One action."""
    settings = cli.settings_of(args)
    file = load_indicators(CONF / settings.reference.indicators)
    return build_range(args, settings, file) if args.action == "build" else write_certificate(args, settings, file)


def build_range(args: argparse.Namespace, settings: Settings, file: IndicatorsFile) -> int:
    """Session, lease, build, report."""
    if args.first > args.last:
        raise SettingsError(
            f"--from {args.first} --to {args.last}: expected a range of dates, found its end before its start. Nothing "
            f"was written. Swap them."
        )
    with spark_session(settings, app_name="tickhouse-indicators") as spark:
        built = build_all(Lake(spark, settings.paths.warehouse), settings, file, args.first, args.last)
    if args.json:
        cli.print_json(vars(built))
    else:
        print(
            f"{built.indicators:,} rows of gold.indicators and {built.signals:,} of gold.signals were written from "
            f"version {built.bars_version} of gold.bars"
        )
    return cli.OK


def build_all(lake: Lake, settings: Settings, file: IndicatorsFile, first: date, last: date) -> Built:
    """Build a range of dates under the lease of the tables' owner."""
    seconds, purpose = settings.stream.lease_seconds, "tickhouse indicators build"
    tickers = {name: load_watchlist(CONF / name).tickers for name in file.watchlists}
    with lease(
        lake.files, lake.root, INDICATORS.owner, purpose=purpose, seconds=seconds, clock=system_clock
    ):  # fmt: skip
        return build(lake, read_plan(lake, file, tickers, first, last, system_clock()))


def write_certificate(args: argparse.Namespace, settings: Settings, file: IndicatorsFile) -> int:
    """Tapes, comparison, page, verdict."""
    if settings.reference.lean_folder is None:
        raise SettingsError(
            "reference.lean_folder: expected the folder of the real tapes, found null. Nothing was certified. Set it "
            "with --set reference.lean_folder=FOLDER."
        )
    parameters = file.sets[file.default]
    certificate = certify(read_tapes(Path(settings.reference.lean_folder), TAPE_INDEX, system_clock()), parameters)
    args.folder.mkdir(parents=True, exist_ok=True)
    page = parity_page(certificate, parameters, file.label(file.default), version("TA-Lib"))
    (args.folder / PAGE).write_text(page, encoding="utf-8")
    report(certificate, args.folder / PAGE, as_json=args.json)
    return cli.FAILED if certificate.failing else cli.OK


def report(certificate: Certificate, page: Path, *, as_json: bool) -> None:
    """The outcome, for people or for programs."""
    if as_json:
        found = {name: vars(one) for name, one in certificate.parities.items()}
        cli.print_json({"page": str(page), "failing": certificate.failing, "indicators": found})
        return
    compared = sum(one.compared for one in certificate.parities.values())
    worst = max((max(one.relative, one.cold), name) for name, one in certificate.parities.items())
    print(
        f"{compared:,} values of {len(certificate.tapes)} tapes compared; the largest relative error is {worst[0]:.1e} "
        f"({worst[1]}); see {page}"
    )
    if certificate.failing:
        print(f"above the tolerance: {', '.join(certificate.failing)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
