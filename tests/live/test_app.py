"""The live page as a client sees it: pages, events and metrics of a store that others write."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import swarmgrid
from swarmgrid import InputError
from swarmgrid.live.server import LiveServer
from swarmgrid.store.directory import FileBlobs
from tests import programs
from tests.browser import DESKTOP, PHONE, Browser
from tests.waiting import PATIENCE, wait_until

OPTIONS: dict[str, Any] = {"executor": "sync", "verbose": 0, "on_error": "record"}
NASTY = "<script>alert(1)</script>"
SLOW = """
import sys, time, swarmgrid
def slow(x, y):
    time.sleep(0.03)  # three minutes in all: no test takes so long
    if x == 1 and y > 3:
        raise ValueError("<b>no</b>")
    return x * y
axes = {"x": range(1000), "y": range(6)}
swarmgrid.stream(slow, {}, axes, store=sys.argv[1], executor="sync", on_error="record",
    chunks={"x": 4}, verbose=0, lease_seconds=10)
"""


def partly(x: int, note: str = "") -> float:
    if x == 3:
        raise ValueError(NASTY)
    return x / 2


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "cache"
    swarmgrid.stream(partly, {"note": NASTY}, {"x": range(6)}, store=store, **OPTIONS)
    return store


@contextlib.contextmanager
def asked(server: LiveServer, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request with the server's token."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    joined = f"{path}{'&' if '?' in path else '?'}{parts.query}"
    connection.request("GET", joined, headers=headers)
    try:
        yield connection.getresponse()
    finally:
        connection.close()


def events(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    """The events of a stream, as they come."""
    name = ""
    while line := response.readline().decode():
        if line.startswith("event: "):
            name = line[7:].strip()
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def grid_of(store: Path) -> str:
    return swarmgrid.catalog(store).rows[0].grid


def test_the_pages_are_small_whole_and_of_this_server_alone(store: Path) -> None:
    with swarmgrid.serve(store) as server:
        for path in ("/", f"/grid/{grid_of(store)}"):
            with asked(server, path) as response:
                html = response.read().decode()
                assert response.status == 200
            found = re.findall(r'(?:src|href)="([^"]*)"', html)
            assert all(url.startswith(("/", "data:,")) for url in found)
            assert not re.search(r"<script(?! src)|<style| on\w+=|style=", html)
            for url in found:
                if url.startswith("/static"):
                    with asked(server, url.partition("?")[0]) as response:
                        assert response.status == 200
                        content = response.read().decode()
                        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", content)
                        assert "innerHTML" not in content
                        assert "eval(" not in content
        for path in ("/static/../app.py", "/static/nothing", "/nothing", "/grid"):
            with asked(server, path) as response:
                assert response.status == 404


def test_without_the_token_nothing_is_shown(store: Path) -> None:
    with swarmgrid.serve(store) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        for path in ("/", "/events", "/metrics", "/static/live.js", "/?token=x"):
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 403
            assert b"cache" not in response.read()
        connection.close()
        with asked(server, "/", Host="evil.example") as response:
            assert response.status == 421


def test_the_stream_of_a_grid_begins_with_its_map_and_failures_are_text(store: Path) -> None:
    with swarmgrid.serve(store) as server:
        with asked(server, f"/events?grid={grid_of(store)}") as response:
            assert response.getheader("content-type", "").startswith("text/event-stream")
            found = {}
            for name, data in events(response):
                found[name] = data
                if name == "lanes":
                    break
        assert list(found) == ["grid", "numbers", "failures", "happened", "lanes"]
        texts = [row["text"].partition(", by")[0] for row in found["happened"]["rows"]]
        assert texts[:2] == ["grid created: x (6)", "joined"]
        assert texts[-2:] == ["run finished: 5 computed, 1 failed", "left: released"]
        assert found["numbers"]["computed"] == 5
        assert found["numbers"]["state"] == "idle"
        assert NASTY in found["failures"]["rows"][0]["reason"]
        assert "Traceback" in found["failures"]["rows"][0]["traceback"]
        with asked(server, "/events?grid=ffff") as response:
            assert response.status == 404
    with swarmgrid.serve(store, tracebacks=False) as server:
        with asked(server, f"/events?grid={grid_of(store)}") as response:
            failures = next(data for name, data in events(response) if name == "failures")
        assert "traceback" not in failures["rows"][0]


def test_the_metrics_are_those_of_the_grids(store: Path) -> None:
    with swarmgrid.serve(store) as server, asked(server, "/metrics") as response:
        text = response.read().decode()
        assert response.getheader("content-type", "").startswith("text/plain; version=0.0.4")
    assert f'swarmgrid_grid_points_computed{{function="partly",grid="{grid_of(store)}"}} 5' in text
    assert "swarmgrid_grids 1\n" in text


def test_nothing_is_read_without_viewers(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    grid = grid_of(store)
    plain = FileBlobs.names

    def counted(self: FileBlobs, prefix: str) -> list[str]:
        reads.append(prefix)
        return plain(self, prefix)

    monkeypatch.setattr(FileBlobs, "names", counted)
    with swarmgrid.serve(store, interval=0.01) as server:
        with asked(server, "/") as response:
            response.read()
        assert reads == []
        with asked(server, f"/events?grid={grid}") as response:
            wait_until(lambda: len(reads) > 12)
            response.read(1)
        live = server._live
        wait_until(lambda: not live._grids)  # the server has seen that the viewer left
        n = len(reads)
        time.sleep(0.1)  # ten intervals
        assert len(reads) <= n + 2  # a look that had begun may end


def test_no_option_of_the_store_is_in_any_answer(tmp_path: Path) -> None:
    options = {"secret_access_key": "hunter2", "endpoint": "http://127.0.0.1:1"}
    with swarmgrid.serve("s3://bucket/x", storage_options={**options, "region": "moon"}) as server:
        for path in ("/", "/metrics", "/events?grid=ab", "/static/live.js"):
            with asked(server, path) as response:
                text = response.read().decode()
            assert "hunter2" not in text
            assert "moon" not in text


@pytest.fixture
def computing(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """A store that another process is computing into."""
    store = tmp_path / "live"
    with programs.start([sys.executable, "-c", SLOW, str(store)]) as process:
        try:
            wait_until(lambda: store.exists() and len(swarmgrid.catalog(store)) == 1)
            yield store, process
        finally:
            process.kill()


@pytest.mark.long
def test_a_map_fills_while_another_process_computes_and_a_kill_is_seen(
    computing: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    store, process = computing
    with swarmgrid.serve(store, interval=0.1) as server:
        with asked(server, f"/events?grid={grid_of(store)}") as response:
            stream, seen = events(response), []
            for name, data in stream:
                seen.append((name, data))
                if name == "cells":
                    break
            numbers = [data for name, data in seen if name == "numbers"]
            assert numbers[-1]["state"] == "working"
            assert numbers[-1]["holder"].startswith(f"process {process.pid} on ")
            assert seen[0][0] == "grid"
            assert seen[-1][1]["runs"]
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed = time.monotonic()
            state = next(
                d["state"] for n, d in stream if n == "numbers" and d["state"] != "working"
            )
            print(f"the kill was seen after {time.monotonic() - killed:.2f} s")
            assert state == "killed"
        with asked(server, "/events") as response:
            _, catalog = next(events(response))
        assert [row["state"] for row in catalog["rows"]] == ["killed"]


def test_a_grid_that_is_dropped_is_said_to_be_gone(store: Path) -> None:
    grid = grid_of(store)
    with swarmgrid.serve(store, interval=0.02) as server:
        with asked(server, f"/events?grid={grid}") as response:
            stream = events(response)
            next(stream)
            swarmgrid.Grid.open(store, grid).drop()
            problem = next(data for name, data in stream if name == "problem")
        assert "deleted" in problem["text"]


@pytest.mark.long
def test_the_page_in_a_browser_shows_a_run_and_its_end(
    computing: tuple[Path, subprocess.Popen[bytes]], browser: Browser, tmp_path: Path
) -> None:
    store, process = computing
    text = "document.body?.innerText ?? ''"
    with swarmgrid.serve(store, interval=0.2) as server:
        browser.show(DESKTOP)
        browser.open(server.url)
        wait_until(lambda: "computing" in browser.value(text))
        browser.value("document.querySelector('td a').click()")
        wait_until(lambda: "held by process" in browser.value(text))
        wait_until(lambda: "Failures: 2" in browser.value(text))
        blue = """(() => { const c = document.querySelector("canvas"), d = c.getContext("2d")
            .getImageData(0, 0, c.width, c.height).data; let n = 0;
            for (let i = 2; i < d.length; i += 4) n += d[i] > 150; return n })()"""
        before = browser.value(blue)
        wait_until(lambda: browser.value(blue) > before)
        assert "<b>no</b>" in browser.value(text)
        for size in (PHONE, DESKTOP):
            browser.show(size, is_dark=size == PHONE)
            assert browser.value("document.documentElement.scrollWidth") <= size[0]
            browser.screenshot(tmp_path / "page.png", is_whole=True)
        process.kill()
        process.wait()
        wait_until(lambda: "was killed" in browser.value(text))
        assert browser.complaints() == []
        hosts = {
            urlsplit(url).netloc for url in browser.requested() if not url.startswith("data:")
        }
        assert hosts == {f"127.0.0.1:{server.port}"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": ""}, "host is ''"),
        ({"port": 70_000}, "port is 70000"),
        ({"port": "80"}, "port is '80'"),
        ({"token": 7}, "token is 7"),
        ({"host": "0.0.0.0", "token": ""}, "everyone in the network"),
        ({"interval": 0}, "interval is 0"),
        ({"interval": float("nan")}, "interval is nan"),
        ({"tracebacks": 1}, "tracebacks is 1"),
        ({"host": "198.51.100.7"}, "no server can listen at '198.51.100.7'"),
    ],
    ids=str,
)
def test_a_wrong_call_is_an_error_that_says_why(store: Path, options: Any, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        swarmgrid.serve(store, **options)


def test_without_the_extra_the_error_names_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith(("swarmgrid.live.app", "starlette"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(InputError, match=r"pip install 'swarmgrid-zarr\[web\]'"):
        swarmgrid.serve(store)
