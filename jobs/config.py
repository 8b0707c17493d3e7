"""Show the settings in force and where each value came from: `tickhouse config show`.

Later wins: defaults, conf/ENV.yaml, environment variables TICKHOUSE__SECTION__KEY, `--set section.key=value`.
Secrets are masked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.table import Table

from jobs import cli
from lakehouse.configuration import InForce


def main(argv: Sequence[str] | None = None) -> int:
    """Print what is in force."""
    parser = cli.parser(__doc__)
    parser.add_argument("action", choices=["show"], help="show: print every setting in force")
    parser.add_argument("key", nargs="?", default="", help="only keys that start with this, as in `source.kinesis`")
    return cli.run(show, parser, argv)


def show(args: argparse.Namespace) -> int | None:
    """One row for each setting: key, value, origin."""
    rows = [row for row in cli.loaded_settings(args).rows() if row.key.startswith(args.key)]
    if args.json:
        cli.print_json([vars(row) for row in rows])
    else:
        cli.console().print(as_table(rows))
    return None


def as_table(rows: Sequence[InForce]) -> Table:
    """The settings as a table for people; what is not a default stands out."""
    table = Table("setting", "value in force", "where it came from")
    for row in rows:
        table.add_row(row.key, _text(row.value), row.origin, style="dim" if row.origin == "default" else "")
    return table


def _text(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
