"""No request passes that does not know the token, or that a foreign page could have made."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmgrid.live.guard import HEADERS, Guard

TOKEN = "a-token"


def asked(
    query: str = f"token={TOKEN}", host: str = "127.0.0.1:8000", method: str = "GET", **more: Any
) -> tuple[int, dict[str, str], bool]:
    """The status and the headers of the answer, and whether the application was asked."""
    passed, messages = [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope)
        start = {"type": "http.response.start", "status": 200, "headers": [(b"server", b"x")]}
        await send(start)
        await send({"type": "http.response.body", "body": b"secret"})

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [(b"host", host.encode("latin-1", "replace"))]
    headers += [(k.encode(), v.encode()) for k, v in more.items()]
    scope = {"type": "http", "method": method, "headers": headers,
             "query_string": query.encode("latin-1", "replace")}  # fmt: skip
    asyncio.run(Guard(app, more.pop("token", TOKEN), "127.0.0.1")(scope, None, send))
    start, *bodies = messages
    assert bool(passed) == any(b"secret" in body["body"] for body in bodies)
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, bool(passed)


@pytest.mark.parametrize(
    ("given_query", "status"),
    [
        (f"token={TOKEN}", 200),
        (f"grid=1&token={TOKEN}", 200),
        ("token=", 403),
        ("", 403),
        ("token=a-toke", 403),
        ("token=a-token1", 403),
        ("Token=a-token", 403),
        ("token=b&token=a-token", 403),
    ],
)
def test_the_token_is_asked_for(given_query: str, status: int) -> None:
    assert asked(given_query)[::2] == (status, status == 200)


def test_a_bearer_token_is_one_too() -> None:
    assert asked("", authorization=f"Bearer {TOKEN}")[0] == 200
    assert asked(authorization="Bearer wrong")[0] == 403
    assert asked("", authorization=f"Basic {TOKEN}")[0] == 403


@given(st.text())
def test_no_other_token_passes(text: str) -> None:
    assert asked(f"token={text}")[2] is False or text == TOKEN


OURS = ["127.0.0.1", "localhost:1", "[::1]:80", "10.0.0.1:9", "LOCALHOST", socket.gethostname()]
FOREIGN = ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "localhost.evil", "0"]


@pytest.mark.parametrize("host", OURS)
def test_this_machine_has_these_names(host: str) -> None:
    assert asked(host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "localhost.evil", "0"],
)
def test_a_name_that_others_can_give_this_machine_is_refused(host: str) -> None:
    assert asked(host=host)[::2] == (421, False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_but_reading_is_possible(method: str) -> None:
    assert asked(method=method)[::2] == (405, False)


@pytest.mark.parametrize("query", ["", f"token={TOKEN}"])
def test_every_answer_says_what_a_page_may_do(query: str) -> None:
    _, headers, _ = asked(query)
    assert HEADERS.items() <= headers.items()
    assert "server" not in headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert not any(
        "unsafe" in value or "http" in value or "*" in value for value in policy.values()
    )
