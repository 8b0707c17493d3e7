"""Finnhub's websocket: connect, subscribe, and hand over each frame with the moment it was received.

The key travels in the address, so the address is never logged and never part of an error; texts of others that might
repeat it go through `Secret.hide`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from lakehouse.errors import FeedError
from streaming.feeds.patience import retry_after
from streaming.feeds.stamps import LARGEST_FRAME

MASK = "**********"
REFUSED = (401, 403)
TOO_MANY = 429
OPEN_SECONDS, CLOSE_SECONDS, PING_SECONDS = 10.0, 2.0, 20.0
FRAMES_IN_FLIGHT = 64  # frames kept in memory before the socket is no longer read, and the vendor has to wait
QUIET = logging.getLogger("tickhouse.feeds.websocket")
QUIET.setLevel(logging.WARNING)  # below it the library logs requests, and the address holds the key

Hear = Callable[[bytes], Awaitable[None]]


class Secret:
    """A key that shows only to whoever asks for it by name."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return MASK

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def hide(self, text: object) -> str:
        """A text of somebody else's without the key in it, plain or as part of an address."""
        hidden = str(text)
        for shape in {self._value, quote(self._value), quote(self._value, safe="")}:
            hidden = hidden.replace(shape, MASK) if shape else hidden
        return hidden

    def hide_bytes(self, frame: bytes) -> bytes:
        """A frame without the key in it, should a vendor repeat it: frames are kept for ever, and shown."""
        key = self._value.encode()
        return frame.replace(key, MASK.encode()) if key and key in frame else frame


class Dropped(Exception):
    """A connection failed or ended: why, in words without the key, and how long the server wants us to stay away."""

    def __init__(self, reason: str, stay_away_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.stay_away_seconds = stay_away_seconds


class Socket:
    """An open connection: what is subscribed to, and frames until it drops."""

    def __init__(self, connection: ClientConnection, secret: Secret, silence_seconds: float) -> None:
        self._connection, self._secret, self._silence_seconds = connection, secret, silence_seconds

    async def follow(self, kind: str, symbols: Iterable[str]) -> None:
        """Send `subscribe` or `unsubscribe` for each symbol."""
        try:
            for symbol in symbols:
                await self._connection.send(json.dumps({"type": kind, "symbol": symbol}))
        except ConnectionClosed as error:
            raise Dropped(self._words(error)) from None

    async def listen(self, hear: Hear) -> None:
        """Hand over every frame, verbatim. Ends by raising Dropped: closed, or silent for too long."""
        while True:
            try:
                async with asyncio.timeout(self._silence_seconds):
                    frame = await self._connection.recv(decode=False)
            except TimeoutError:
                raise Dropped(f"silent for {self._silence_seconds:g} s, not even a ping") from None
            except ConnectionClosed as error:
                raise Dropped(self._words(error)) from None
            await hear(self._secret.hide_bytes(frame))

    def _words(self, error: ConnectionClosed) -> str:
        return self._secret.hide(f"connection closed: {error}")


class Finnhub:
    """Opens connections to Finnhub."""

    name = "finnhub"

    def __init__(self, address: str, secret: Secret, *, silence_seconds: float, clock: Callable[[], datetime]) -> None:
        self.secret = secret
        self._address, self._silence_seconds, self._clock = address.rstrip("/"), silence_seconds, clock

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Socket]:
        """A connection, closed afterwards. Dropped where it may come later, FeedError where the key is refused."""
        try:
            connection = await connect(
                f"{self._address}?token={quote(self.secret.reveal(), safe='')}",
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                max_size=LARGEST_FRAME,
                max_queue=FRAMES_IN_FLIGHT,
                logger=QUIET,
            )
        except InvalidStatus as error:
            raise self._status(error) from None
        except (OSError, TimeoutError, EOFError, WebSocketException) as error:
            words = str(error) or "no answer"
            raise Dropped(self.secret.hide(f"no connection: {type(error).__name__}: {words}")) from None
        try:
            yield Socket(connection, self.secret, self._silence_seconds)
        finally:
            await connection.close()

    def _status(self, error: InvalidStatus) -> Exception:
        """What an HTTP answer instead of a websocket means."""
        code = error.response.status_code
        said = self.secret.hide((error.response.body or b"")[:200].decode("utf-8", "replace")).strip()
        if code in REFUSED:
            return refused(self._address, code, said)
        away = retry_after(error.response.headers.get("Retry-After"), self._clock()) if code == TOO_MANY else 0.0
        return Dropped(f"no connection: HTTP {code}{f' ({said})' if said else ''}", away)


def refused(address: str, code: int | str, said: str) -> FeedError:
    """The error of a key that is not accepted: trying again would change nothing."""
    return FeedError(
        f"{address}: expected that the key is accepted, found {code}{f' ({said})' if said else ''}. Nothing was "
        f"collected since; what was collected before is in the spool or in the stream. Set a valid key with "
        f"TICKHOUSE__FEEDS__FINNHUB__TOKEN (403: one whose plan includes this), and start again."
    )
