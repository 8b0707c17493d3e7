"""A proxy before a Kinesis emulator that keeps Kinesis's budget, which emulators do not, and injects its faults."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

BYTES_PER_SECOND = 2_000_000
CALLS_PER_SECOND = 5


@dataclass
class Proxy:
    """What the test sees and sets: every nth GetRecords is answered with that error."""

    address: str = ""
    throttle_every: int = 0
    expire_every: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _shards: dict[str, str] = field(default_factory=dict)
    _recent: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _owed: dict[str, tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, action: str, body: dict[str, Any]) -> str | None:
        """The error this call gets, if any; a call that is over the budget of its shard is refused as Kinesis would."""
        with self._lock:
            self.calls[action] += 1
            if action != "GetRecords":
                return None
            found = self._budget(self._shards.get(body["ShardIterator"], "?"))
            if self.throttle_every and self.calls[action] % self.throttle_every == 0:
                found = "ProvisionedThroughputExceededException"
            elif self.expire_every and self.calls[action] % self.expire_every == 0:
                found = "ExpiredIteratorException"
            elif found:
                self.refused["budget"] += 1
            if found:
                self.refused[found] += 1
            return found

    def answered(self, action: str, body: dict[str, Any], answer: dict[str, Any]) -> None:
        """Learn which shard an iterator belongs to, and what was read of it."""
        with self._lock:
            if action == "GetShardIterator" and "ShardIterator" in answer:
                self._shards[answer["ShardIterator"]] = body["ShardId"]
            if action == "GetRecords" and "Records" in answer:
                shard = self._shards.get(body["ShardIterator"], "?")
                if answer.get("NextShardIterator"):
                    self._shards[answer["NextShardIterator"]] = shard
                size = sum(len(record["Data"]) * 3 // 4 for record in answer["Records"])
                self._owed[shard] = self._debt(shard) + size, time.monotonic()

    def _budget(self, shard: str) -> str | None:
        now, recent = time.monotonic(), self._recent[shard]
        while recent and recent[0] <= now - 1:
            recent.popleft()
        recent.append(now)
        over = len(recent) > CALLS_PER_SECOND or self._debt(shard) > BYTES_PER_SECOND
        return "ProvisionedThroughputExceededException" if over else None

    def _debt(self, shard: str) -> float:
        owed, since = self._owed.get(shard, (0.0, time.monotonic()))
        return max(0.0, owed - BYTES_PER_SECOND * (time.monotonic() - since))


@contextmanager
def kinesis_proxy(address: str) -> Iterator[Proxy]:
    """A proxy before the emulator at `address`."""
    proxy = Proxy()
    target = urlsplit(address).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            action, body = self.headers["X-Amz-Target"].split(".")[1], json.loads(raw)
            fault = proxy.fault(action, body)
            if fault:
                return self._say(400, json.dumps({"__type": fault, "message": "injected"}).encode(), None)
            upstream = HTTPConnection(target, timeout=30)
            upstream.request("POST", self.path, raw, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            proxy.answered(action, body, json.loads(content or b"{}"))
            return self._say(answer.status, content, answer.getheader("Date"))

        def _say(self, status: int, content: bytes, date: str | None) -> None:
            self.send_response_only(status)
            self.send_header("Date", date or self.date_time_string())
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
