"""Lets in requests that know the token and name this machine, and says what a page may do."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""The headers of every response."""


class Guard:
    """Answers a request that may not pass, before anything is read for it.

    Parameters
    ----------
    app : callable
        The application behind it.
    token : str
        The text that a request must have, as ``?token=`` or as a bearer token; empty: none.
    host : str
        The name or address that the server was told to listen at.
    """

    def __init__(self, app: App, token: str, host: str) -> None:
        self._app = app
        self._token = token.encode()
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                found = [(k, v) for k, v in message.get("headers", []) if k != b"server"]
                found += [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": found}
            await send(message)

        headers = {k.lower(): v for k, v in scope["headers"]}
        if not self._is_ours(headers.get(b"host", b"").decode("latin-1")):
            await _answer(send_with_headers, 421, "this server has another name")
        elif scope["method"] not in {"GET", "HEAD"}:
            await _answer(send_with_headers, 405, "this server only shows; use GET")
        elif not self._has_token(scope.get("query_string", b""), headers):
            await _answer(
                send_with_headers, 403, "the token is missing or wrong; open the whole URL"
            )
        else:
            await self._app(scope, receive, send_with_headers)

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header is none that a foreign page could have led here by its DNS."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _has_token(self, query: bytes, headers: dict[bytes, bytes]) -> bool:
        if not self._token:
            return True
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        bearer = headers.get(b"authorization", b"")
        if bearer[:7].lower() == b"bearer ":
            given = bearer[7:].decode("latin-1").strip()
        return hmac.compare_digest(given.encode(), self._token)


async def _answer(send: Send, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
