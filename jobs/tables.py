"""Create, compare or migrate the declared tables: `tickhouse tables create|diff|migrate [TABLE...]`.

create    make the tables that are not there yet
diff      show what differs from the declarations; with --check exit code 3 if anything does
migrate   print the SQL that settles the differences; with --apply run it under the owner's lease

A change that would lose data or break readers is refused with the statement it would need.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from rich.table import Table as Grid

from jobs import cli
from lakehouse.clock import system_clock
from lakehouse.errors import TableError
from lakehouse.lake import Lake
from lakehouse.leases import lease
from lakehouse.migrations import Plan, apply, plan, refusal
from lakehouse.session import spark_session
from lakehouse.tables import ALL_TABLES, Table, table_named

LEASE_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> int:
    """Create, compare or migrate."""
    parser = cli.parser(__doc__)
    parser.add_argument("action", choices=["create", "diff", "migrate"])
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help="layer.name; all declared tables where none is given"
    )
    parser.add_argument("--check", action="store_true", help="diff: exit with 3 if anything differs")
    parser.add_argument("--apply", action="store_true", help="migrate: run the statements")
    return cli.run(body, parser, argv)


def body(args: argparse.Namespace) -> int:
    """One session, one action over the tables asked for."""
    actions: dict[str, Callable[[Lake, list[Table], argparse.Namespace], int]] = {
        "create": create,
        "diff": diff,
        "migrate": migrate,
    }
    tables = declared(args.tables)
    settings = cli.settings_of(args)
    with spark_session(settings, app_name=f"tickhouse-tables-{args.action}") as spark:
        return actions[args.action](Lake(spark, settings.paths.warehouse), tables, args)


def declared(names: Sequence[str]) -> list[Table]:
    """The declarations of the tables named, or of all."""
    try:
        return [table_named(name) for name in names] or list(ALL_TABLES)
    except KeyError as error:
        raise TableError(f"{error.args[0]} Nothing was done.") from error


def create(lake: Lake, tables: list[Table], args: argparse.Namespace) -> int:
    """Make what is missing; say so where nothing is."""
    missing = [table for table in tables if not lake.exists(table)]
    for table in missing:
        lake.create(table)
    if args.json:
        cli.print_json({"created": [table.full_name for table in missing], "tables": len(tables)})
        return cli.OK
    for table in missing:
        print(f"created {table.full_name} at {lake.path(table)}")
    print(f"{len(missing)} created, {len(tables) - len(missing)} were there")
    return cli.OK


def diff(lake: Lake, tables: list[Table], args: argparse.Namespace) -> int:
    """Show every difference, one row each."""
    plans = [plan(lake, table) for table in tables]
    different = [one for one in plans if one.differences]
    if args.json:
        cli.print_json([as_json(one) for one in different])
    elif different:
        cli.console().print(as_grid(different))
    if not args.json:
        print(f"{len(different)} of {len(plans)} tables differ from their declaration")
    return cli.DIFFERENT if different and args.check else cli.OK


def migrate(lake: Lake, tables: list[Table], args: argparse.Namespace) -> int:
    """Print the safe statements, and run them with --apply; where one table is refused, nothing runs at all."""
    plans = [plan(lake, table) for table in tables]
    for missing in (one for one in plans if not one.exists):
        print(f"-- {missing.table.full_name} is not there: run `tickhouse tables create {missing.table.full_name}`")
    for statement in (statement for one in plans for statement in one.statements):
        print(f"{statement};")
    refused = [one for one in plans if one.refused]
    if refused:
        raise TableError("\n".join(refusal(lake, one) for one in refused))
    total = sum(len(one.statements) for one in plans)
    if not total:
        print("-- nothing to do: the tables are as declared")
    elif not args.apply:
        print(f"-- dry run: {total} statements, none was run; add --apply to run them")
    else:
        for one in plans:
            _apply_under_lease(lake, one)
        print(f"-- {total} statements were run")
    return cli.OK


def _apply_under_lease(lake: Lake, one: Plan) -> None:
    if one.statements:
        owner = one.table.owner
        with lease(lake.files, lake.root, owner, purpose="tickhouse tables", seconds=LEASE_SECONDS, clock=system_clock):
            apply(lake, one)


def as_grid(plans: Sequence[Plan]) -> Grid:
    """Differences for people."""
    grid = Grid("table", "what", "declared", "actual", "migrate", show_lines=True)
    for one in plans:
        for difference in one.differences:
            verdict = f"refused: {difference.refused}" if difference.refused else "would settle it"
            grid.add_row(
                one.table.full_name,
                difference.what,
                difference.declared or "-",
                difference.actual or "-",
                verdict if one.exists else "run `tickhouse tables create`",
            )
    return grid


def as_json(one: Plan) -> dict[str, object]:
    """Differences for programs."""
    return {
        "table": one.table.full_name,
        "exists": one.exists,
        "differences": [vars(difference) for difference in one.differences],
        "statements": one.statements,
        "rewrite": one.rewrite if one.refused else None,
    }


if __name__ == "__main__":
    sys.exit(main())
