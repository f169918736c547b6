"""A real browser for tests of pages: Debian's Chromium, led through a pipe by its own protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE, DESKTOP = (390, 844), (1280, 900)


class Browser:
    """One page of a browser."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self._process = process
        self._write, self._read = write, read
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        """What the browser has told, since the last `clear`."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        found = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the page's."""
        return self._call(method, self._session, **parameters)

    def _call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (found := self._next()).get("id") != self._number:
            self.events.append(found)
        assert "error" not in found, found
        return found["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._read, 2**16)
            assert data, "the browser has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def show(self, size: tuple[int, int], *, is_dark: bool = False) -> None:
        """Give the page a size, and a light or dark system around it."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self.events.clear()
        found = self.call("Page.navigate", url=url)
        assert "errorText" not in found, found
        self._until("Page.loadEventFired")

    def _until(self, method: str) -> None:
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._next())

    def value(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def screenshot(self, path: Path, *, is_whole: bool = False) -> None:
        """Write a picture of the page."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=is_whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def requested(self) -> list[str]:
        """The addresses that the page has asked for, since it was opened."""
        self.value("1")
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """The errors of the page's console, and what its security policy refused."""
        self.value("1")
        return [
            json.dumps(event["params"])
            for event in self.events
            if event.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}
            and event["params"].get("entry", {}).get("level") != "warning"
        ]


@contextlib.contextmanager
def started(command: str) -> Iterator[Browser]:
    """A browser that ends with the block."""
    folder = tempfile.mkdtemp(prefix="browser-")
    read_there, write_here = os.pipe()
    read_here, write_there = os.pipe()

    def set_pipes() -> None:  # the browser reads from 3 and writes to 4
        os.dup2(read_there, 63)
        os.dup2(write_there, 62)
        os.dup2(63, 3)
        os.dup2(62, 4)

    arguments = [
        *(command, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        *("--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run"),
        *("--disable-background-networking", "--disable-dev-shm-usage", "about:blank"),
    ]
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=set_pipes,  # noqa: PLW1509  # no other thread holds a lock here
        env={**os.environ, "HOME": folder},
    )
    os.close(read_there)
    os.close(write_there)
    try:
        yield Browser(process, write_here, read_here)
    finally:
        os.close(write_here)  # the browser ends when its pipe is closed
        os.close(read_here)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A browser; the test is skipped where none is installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with started(found) as one:
        yield one
