"""The application of the live page: pages, events and metrics of one store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from swarmgrid.errors import SwarmgridError
from swarmgrid.following.sight import WORKING
from swarmgrid.live import metrics
from swarmgrid.live.catalog_follow import CatalogFollower
from swarmgrid.live.channel import MAX_PAUSE, Channel
from swarmgrid.live.feed import CatalogFeed, GridFeed, Message, encoded
from swarmgrid.live.follow import GridFollower, GridView
from swarmgrid.live.guard import Guard
from swarmgrid.live.page import page
from swarmgrid.pictures.report_style import STYLE
from swarmgrid.pictures.section import cut
from swarmgrid.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.requests import Request

    from swarmgrid.live.guard import App
    from swarmgrid.store.layout import GridPath
    from swarmgrid.store.location import Location

STATIC = Path(__file__).parent / "static"
BYTES_PER_SECOND = 4500
"""A viewer gets at most so many bytes a second, after the first messages."""
_SIGN_SECONDS = 15.0
"""So often a viewer gets an empty line at least: a connection that is gone is found so."""


class Live:
    """The pages of one store, and those that look at them.

    Parameters
    ----------
    location : Location
        The store. It is only read.
    find : callable
        The grid that an id names; raises InputError if there is none.
    interval : float
        The shortest pause between two looks at the store, in seconds.
    tracebacks : bool
        Whether to show tracebacks.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        location: Location,
        find: Callable[[str], GridPath],
        *,
        interval: float,
        tracebacks: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._location = location
        self._find = find
        self._interval = interval
        self._tracebacks = tracebacks
        self._clock = clock
        self._catalog = self._channel(CatalogFollower(location, clock))
        self._grids: dict[str, Channel] = {}
        self._ending = asyncio.Event()

    def app(self, token: str, host: str) -> App:
        """The application, behind its guard."""
        routes = [
            Route("/", self._page),
            Route("/grid/{grid}", self._page),
            Route("/events", self._events),
            Route("/metrics", self._metrics),
            Route("/static/{name}", _static),
        ]
        return Guard(Starlette(routes=routes), token, host)

    def end(self) -> None:
        """End all streams of events; call it in the event loop."""
        self._ending.set()

    def _channel(self, follower: CatalogFollower | GridFollower) -> Channel:
        return Channel(follower.look, _is_same, self._interval, _longest)

    async def _page(self, request: Request) -> Response:
        grid = request.path_params.get("grid", "")
        text = page(self._location.url, grid, request.query_params.get("token", ""))
        return Response(text, media_type="text/html")

    async def _metrics(self, _: Request) -> Response:
        async with self._catalog as channel:
            rows = await channel.next(channel.number)
        if isinstance(rows, SwarmgridError):
            return PlainTextResponse(f"{cut(str(rows))}\n", 503)
        return Response(metrics.metrics(rows), media_type=metrics.CONTENT_TYPE)

    async def _events(self, request: Request) -> Response:
        """The stream of all grids, or with ``?grid=`` of one."""
        name = request.query_params.get("grid", "")
        if not name:
            return self._stream(request, self._catalog, CatalogFeed().messages)
        try:
            path = await in_thread(self._find, name)
        except SwarmgridError as error:
            return PlainTextResponse(f"{cut(str(error))}\n", 404)
        channel = self._grids.get(path.grid)
        if channel is None:
            follower = GridFollower(self._location.open(), path, self._clock, self._location)
            channel = self._grids[path.grid] = self._channel(follower)
        feed = GridFeed(tracebacks=self._tracebacks)
        return self._stream(request, channel, lambda view: feed.messages(view, self._clock()))

    def _stream(
        self, request: Request, channel: Channel, messages: Callable[[Any], Iterator[Message]]
    ) -> Response:
        return StreamingResponse(
            self._lines(request, channel, messages),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def _lines(
        self, request: Request, channel: Channel, messages: Callable[[Any], Iterator[Message]]
    ) -> AsyncIterator[bytes]:
        leaving = asyncio.create_task(_left(request))
        ending = asyncio.create_task(self._ending.wait())
        coming: asyncio.Task[Any] | None = None
        try:
            async with channel:
                number = -1 if channel.number else 0
                is_first = True
                while True:
                    coming = asyncio.create_task(channel.next(number))
                    done, _ = await asyncio.wait(
                        {coming, leaving, ending},
                        timeout=_SIGN_SECONDS,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    if leaving in done or ending in done:
                        return
                    if coming not in done:
                        coming.cancel()
                        yield b":\n\n"
                        continue
                    number, seen = channel.number, coming.result()
                    data = b"".join(map(encoded, _shown(seen, messages)))
                    if data:
                        yield data
                    # no more than so many bytes a second: what comes meanwhile is joined
                    pause = 0.0 if is_first else len(data) / BYTES_PER_SECOND
                    is_first = False
                    if pause:
                        await asyncio.wait(
                            {leaving, ending}, timeout=pause, return_when=asyncio.FIRST_COMPLETED
                        )
        finally:
            for task in filter(None, (leaving, ending, coming)):
                task.cancel()
            for grid, one in list(self._grids.items()):  # or the rows stay in memory
                if not one.n_viewers:
                    del self._grids[grid]


def _shown(seen: Any, messages: Callable[[Any], Iterator[Message]]) -> Iterator[Message]:
    if isinstance(seen, SwarmgridError):
        yield "problem", {"text": cut(str(seen))}
    elif seen is None:
        yield "problem", {"text": "nothing is stored of this grid yet, or it was deleted"}
    else:
        yield from messages(seen)


def _is_same(before: Any, after: Any) -> bool:
    """Whether two looks have shown the same, but for the pace."""
    if isinstance(before, GridView) and isinstance(after, GridView):
        return (before.revision, before.holder.state) == (after.revision, after.holder.state)
    return bool(before == after) or (
        isinstance(before, SwarmgridError) and isinstance(after, SwarmgridError)
    )


def _longest(seen: Any) -> float:
    """The longest pause: the death of a process is to be seen before its lease is over."""
    record = seen.holder.record if isinstance(seen, GridView) else None
    is_working = record is not None and seen.holder.state == WORKING
    if record is not None and is_working:
        return float(record.seconds / 8)
    if isinstance(seen, list) and any(row["state"] == WORKING for row in seen):
        return MAX_PAUSE / 8
    return MAX_PAUSE


async def _left(request: Request) -> None:
    """Wait until the viewer has gone."""
    with contextlib.suppress(Exception):
        while (await request.receive())["type"] != "http.disconnect":
            pass


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name == "live.js":
        return FileResponse(STATIC / name, media_type="text/javascript")
    if name == "live.css":  # the report's style, and what only this page has
        return Response(STYLE + (STATIC / name).read_text(), media_type="text/css")
    return PlainTextResponse("there is no such file\n", 404)
