"""The watchlist as a feed follows it: read again when the file changes, the old one kept while the new one is wrong."""

from __future__ import annotations

import logging
from pathlib import Path

from lakehouse.errors import SettingsError
from lakehouse.reference.watchlist import load_watchlist

LOGGER = logging.getLogger("tickhouse.feeds")


class WatchedList:
    """The tickers of a watchlist file. A file that is wrong at the start is an error, later a warning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = self._read()
        self.tickers = load_watchlist(path).tickers

    def look(self) -> bool:
        """Read the file if it changed; returns whether the tickers did."""
        content = self._read()
        if content == self._content:
            return False
        before, self._content = self.tickers, content
        try:
            self.tickers = load_watchlist(self._path).tickers
        except SettingsError as error:
            LOGGER.warning("%s The feed goes on with the %d tickers it has.", error, len(before))
        return self.tickers != before

    def newest(self) -> tuple[str, ...]:
        """The tickers as the file has them now."""
        self.look()
        return self.tickers

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:  # gone, or just being replaced: the loader says what is wrong
            return None
