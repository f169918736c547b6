"""The server of the live page: in a thread of this process, until it is closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import uvicorn

from swarmgrid.errors import InputError
from swarmgrid.readable import Html, page, table

if TYPE_CHECKING:
    from swarmgrid.live.app import Live


class LiveServer:
    """A running server; made by `swarmgrid.serve`.

    Examples
    --------
    >>> import swarmgrid
    >>> with swarmgrid.serve("memory://server") as server:
    ...     server.url.partition("?")[0].startswith("http://127.0.0.1:")
    True
    """

    __module__ = "swarmgrid"

    def __init__(self, live: Live, host: str, port: int, token: str) -> None:
        self._live = live
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise InputError(f"no server can listen at {host!r}, port {port}: {error}") from None
        self.port: int = self._socket.getsockname()[1]
        """The port, also where it was chosen."""
        shown = f"[{host}]" if ":" in host else host
        words = f"?token={quote(token, safe='')}" if token else ""
        self.url = f"http://{shown}:{self.port}/{words}"
        """The address of the page, with its token."""
        config = uvicorn.Config(
            live.app(token, host),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="swarmgrid-live", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve([self._socket])

        asyncio.run(serve())

    def wait(self) -> None:
        """Wait until the server is closed, or until Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            while self._thread.is_alive():
                self._thread.join(0.5)
        self.close()

    def close(self) -> None:
        """End the server, and all of its streams."""
        self._server.should_exit = True
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._live.end)
        self._thread.join(10)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<swarmgrid.LiveServer at {self.url}>"

    def _repr_html_(self) -> str:
        from swarmgrid.pictures.html import element

        link = element("a", self.url, href=self.url, target="_blank", rel="noopener")
        return page("LiveServer", "", table([("page", Html(link))]))
