"""Write the generated pages of docs/ (data dictionary, settings), or check that they are up to date.

With --check nothing is written, and the exit code is 3 if a page differs from what would be generated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs import cli
from lakehouse.dictionary import DOCS, pages


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check."""
    parser = cli.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 3 if a page is out of date")
    parser.add_argument("--folder", type=Path, default=DOCS, help="where the pages lie (default docs/)")
    return cli.run(body, parser, argv)


def body(args: argparse.Namespace) -> int:
    """Say for each page whether it changed."""
    changed = {name: text for name, text in pages().items() if _current(args.folder / name) != text}
    if not args.check:
        args.folder.mkdir(parents=True, exist_ok=True)
        for name, text in changed.items():
            (args.folder / name).write_text(text, encoding="utf-8")
    if args.json:
        cli.print_json({"changed": sorted(changed), "written": not args.check})
    else:
        said = "out of date" if args.check else "written"
        for name in pages():
            print(f"{args.folder / name}: {said if name in changed else 'up to date'}")
    return cli.DIFFERENT if changed and args.check else cli.OK


def _current(page: Path) -> str | None:
    return page.read_text(encoding="utf-8") if page.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
