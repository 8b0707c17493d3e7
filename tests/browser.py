"""A headless Chromium, spoken to by its own protocol: what a page shows, asks for and complains of."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HARMLESS = ("log", "info", "debug", "verbose")
COMPLAINTS = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")


def browser_name() -> str | None:
    """The first Chromium of this machine."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page: commands to it, and the events it sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self._number = 0

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            told = json.loads(self.socket.recv(timeout=60))
            if told.get("id") == self._number:
                assert "error" not in told, told
                return dict(told["result"])
            self.events.append(told)

    def run(self, script: str) -> Any:
        told = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait_until(self, script: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < until, f"{script} did not come true in {seconds} s"
            time.sleep(0.1)

    def open(self, file: Path, *, width: int, height: int, dark: bool = False, phone: bool = False) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.send("Emulation.setTouchEmulationEnabled", enabled=phone)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)
        self.send("Page.navigate", url=file.resolve().as_uri())
        self.wait_until("document.readyState === 'complete'")

    def complaints(self) -> list[str]:
        """Errors and warnings of the console, and what was thrown."""
        self.run("1")
        told = [event for event in self.events if event.get("method") in COMPLAINTS]
        return [json.dumps(event["params"]) for event in told if _level(event["params"]) not in HARMLESS]

    def requests(self) -> list[str]:
        """Every address the page asked for, but files and data in itself."""
        asked = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]

    def picture(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))


def _level(told: dict[str, Any]) -> str:
    return str(told["entry"]["level"] if "entry" in told else told.get("type", "exception"))


@contextmanager
def chromium(name: str) -> Iterator[Page]:
    """A browser with one empty page; it is ended, and its profile thrown away, at the end."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={profile}",
        ]  # fmt: skip
        process = subprocess.Popen([name, *flags, "about:blank"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            with connect(_address(Path(profile), process), max_size=None) as socket:
                yield Page(socket)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    port, until = profile / "DevToolsActivePort", time.monotonic() + 60
    while not port.is_file() or not port.read_text().strip():
        assert process.poll() is None, "the browser ended before it listened"
        assert time.monotonic() < until, "the browser did not listen in time"
        time.sleep(0.1)
    listening = port.read_text().splitlines()[0]
    with urlopen(f"http://127.0.0.1:{listening}/json/list") as answer:
        pages = [one for one in json.load(answer) if one["type"] == "page"]
    return str(pages[0]["webSocketDebuggerUrl"])
