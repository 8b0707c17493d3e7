"""From the spool to the sink: in order, as long as it takes, and nothing is let go of before the sink has it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lakehouse.crashpoints import crashpoint
from lakehouse.errors import FeedError
from streaming.feeds.pack import Record
from streaming.feeds.patience import Backoff
from streaming.feeds.sinks import Sink
from streaming.feeds.spool import Spool

LOGGER = logging.getLogger("tickhouse.feeds")
LOOK_SECONDS = 0.5
GATHER_SECONDS = 0.05  # what comes within it travels together; a sink of files gathers for longer


class Forwarder:
    """Reads the spool and writes to a sink, in a thread of its own. A sink that fails is asked again, for ever.

    What a sink took and we did not note, because either died, is sent again: with the same ids, so silver drops it.
    """

    def __init__(self, spool: Spool, open_sink: Callable[[], Sink], backoff: Backoff) -> None:
        self.sent = 0
        self.failures = 0
        self.trouble: str | None = None  # why the sink takes nothing at the moment
        self.died: BaseException | None = None
        self._spool, self._open_sink, self._backoff = spool, open_sink, backoff
        self._sink: Sink | None = None
        self._stop, self._drained = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Send what is left, for at most so many seconds, then end; returns whether everything was sent."""
        self._drained.set()
        self._thread.join(seconds)
        self._stop.set()
        self._thread.join(LOOK_SECONDS * 2)
        return self._spool.waiting == 0

    def _run(self) -> None:
        try:
            self._forward()
        except BaseException as error:  # noqa: BLE001 - the thread has nobody above it: the collector looks at `died`
            self.died = error
        finally:
            if self._sink is not None:
                self._sink.close()

    def _forward(self) -> None:
        place = self._spool.acknowledged
        while not self._stop.is_set():
            self._gather()
            records, after = self._spool.read(place, self._sink.batch_records if self._sink else 1)
            if not records:
                if self._drained.is_set():
                    return
                self._spool.wait(place, LOOK_SECONDS)
                continue
            if self._put(records):
                place = after
                self._spool.acknowledge(place, len(records))

    def _gather(self) -> None:
        """Let company come, unless there is no time for it."""
        if self._sink is not None and not self._drained.is_set():
            self._drained.wait(max(GATHER_SECONDS, self._sink.step_seconds))

    def _put(self, records: list[Record]) -> bool:
        """Whether the sink took the records; where it did not, that was told and waited for."""
        try:
            if self._sink is None:
                self._sink = self._open_sink()
            self._sink.put(records)
        except FeedError as error:
            self._complain(error)
            self._stop.wait(self._backoff.after_failure())
            return False
        crashpoint("spool.after_put")
        self.sent += len(records)
        self._backoff.succeeded()
        if self.trouble is not None:
            LOGGER.warning("The stream takes records again; %d wait in the spool.", self._spool.waiting)
            self.trouble = None
        return True

    def _complain(self, error: FeedError) -> None:
        """Once for each trouble: a stream that is down for an hour is one line, not thousands."""
        self.failures += 1
        if self.trouble is None:
            LOGGER.warning("%s They stay in the spool and are sent when the stream is back.", error)
        self.trouble = str(error)
