"""A server like Finnhub's websocket and REST, on this machine, that misbehaves on demand."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Script = Callable[[ServerConnection, "Visit"], Awaitable[None]]


@dataclass(frozen=True)
class Refusal:
    """An HTTP answer; `missing` bytes of it are announced and never come, and a dropped line brings none at all."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    missing: int = 0
    drops: bool = False


@dataclass
class Visit:
    """One connection: what it asked for, and what it subscribed to so far."""

    path: str
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def subscribed(self) -> set[str]:
        """The symbols subscribed to and not unsubscribed from."""
        now: set[str] = set()
        for kind, symbol in self.asked:
            (now.add if kind == "subscribe" else now.discard)(symbol)
        return now


@dataclass
class WebsocketDouble:
    """Each connection is served by the next step; the last one serves all that follow."""

    steps: Sequence[Script | Refusal]
    visits: list[Visit] = field(default_factory=list)
    address: str = ""

    def step(self, number: int) -> Script | Refusal:
        """What serves a connection."""
        return self.steps[min(number, len(self.steps) - 1)]

    def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse, or let the handshake go on."""
        self.visits.append(Visit(request.path))
        step = self.step(len(self.visits) - 1)
        connection.visit_number = len(self.visits) - 1  # type: ignore[attr-defined]
        if isinstance(step, Refusal):
            headers = Headers([("Content-Length", str(len(step.body))), *step.headers])
            return Response(step.status, "Refused", headers, step.body)
        return None

    async def handle(self, connection: ServerConnection) -> None:
        """Note subscriptions while the script runs."""
        number: int = connection.visit_number  # type: ignore[attr-defined]
        visit, step = self.visits[number], self.step(number)
        assert not isinstance(step, Refusal)

        async def listen() -> None:
            async for text in connection:
                message = json.loads(text)
                visit.asked.append((message["type"], message["symbol"]))

        listening = asyncio.create_task(listen())
        try:
            await step(connection, visit)
        finally:
            listening.cancel()


@contextmanager
def websocket_double(*steps: Script | Refusal) -> Iterator[WebsocketDouble]:
    """Serve in a thread of its own."""
    double, ready, loop = WebsocketDouble(steps), threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        async with serve(
            double.handle, "127.0.0.1", 0, process_request=double.process_request, ping_interval=None, close_timeout=0.1
        ) as server:
            double.address = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield double
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


def sends(*frames: bytes | str, then: Script | None = None, pause: float = 0.0) -> Script:
    """Wait for a subscription, send frames as text, and go on with another script, by default by staying silent."""

    async def script(connection: ServerConnection, visit: Visit) -> None:
        while not visit.asked:
            await asyncio.sleep(0.005)
        for one in frames:
            await connection.send(one if isinstance(one, str) else one.decode())
            await asyncio.sleep(pause)
        await (then or silent)(connection, visit)

    return script


async def silent(connection: ServerConnection, visit: Visit) -> None:
    """Keep the connection open and say nothing: what is left of a server whose network is gone."""
    await connection.wait_closed()


async def closes(connection: ServerConnection, visit: Visit) -> None:
    """Close politely."""
    await connection.close()


async def drops(connection: ServerConnection, visit: Visit) -> None:
    """Cut the line without a word."""
    connection.transport.abort()


def trades(symbol: str, first: int, count: int, *, at_ms: int = 1_740_000_000_000) -> bytes:
    """A frame of trades whose sizes are `first`, `first + 1` and so on."""
    prints = [{"s": symbol, "p": 10.5, "t": at_ms + n, "v": n, "c": ["1"]} for n in range(first, first + count)]
    return json.dumps({"data": prints, "type": "trade"}).encode()


@contextmanager
def rest_double(answer: Callable[[str, dict[str, str]], Refusal]) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server whose answers a function gives, by path and headers; yields its address and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            given = answer(self.path, dict(self.headers))
            if given.drops:
                at_once = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                self.connection.close()
                return
            self.send_response(given.status)
            for name, value in (("Content-Length", str(len(given.body) + given.missing)), *given.headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(given.body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
