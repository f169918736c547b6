"""Google's XML API, as far as obstore speaks it: a server in a thread of this process.

fake-gcs-server refuses obstore's writes. This one follows Google's documentation: of the requests
(https://cloud.google.com/storage/docs/xml-api/reference-methods), of conditions on generations
(https://cloud.google.com/storage/docs/request-preconditions) and of uploads in parts
(https://cloud.google.com/storage/docs/multipart-uploads). What it was not told is an error.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "grid"
_CONDITION = "x-goog-if-generation-match"
_MAX_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: each write of a name makes a new generation of it."""

    data: bytes
    generation: int
    storage_class: str = "STANDARD"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": f'"{hashlib.md5(self.data, usedforsecurity=False).hexdigest()}"',
            "Last-Modified": formatdate(usegmt=True),
            "x-goog-generation": str(self.generation),
            "x-goog-storage-class": self.storage_class,
        }


Answer = tuple[int, dict[str, str], bytes]
"""The status, the headers and the body."""
Between = Callable[[str, str, Callable[[], Answer]], Answer]


@dataclass(slots=True)
class GoogleServer:
    """Address of one running server with the bucket `grid`, and what it has."""

    endpoint: str = ""
    objects: dict[str, Stored] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """The uploads in parts that are not complete."""
    between: Between = lambda _method, _key, act: act()
    """Is between each request and its answer: to count them, and to try out bad days."""
    lock: Any = field(default_factory=threading.Lock)
    generations: int = 0

    def place(self, name: str) -> tuple[str, dict[str, Any]]:
        """URL and options of a store of its own."""
        return f"gs://{BUCKET}/{name}", to_options(self.endpoint)

    @contextmanager
    def with_between(self, between: Between) -> Iterator[None]:
        """Let something be between requests and answers: ``act`` does it, and answers."""
        before, self.between = self.between, between
        try:
            yield
        finally:
            self.between = before

    def answer(
        self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes
    ) -> Answer:
        bucket, _, name = path.lstrip("/").partition("/")
        key = unquote(name)

        def act() -> Answer:
            if unquote(bucket) != BUCKET:
                return error(404, "NoSuchBucket", "The specified bucket does not exist.")
            match method, bool(key), set(query):
                case "GET", False, _:
                    return self._list(query)
                case (("GET" | "HEAD"), True, _):
                    return self._read(key, headers)
                case "PUT", True, names if not names:
                    return self._write(key, headers, body)
                case "DELETE", True, names if not names:
                    return _no_key() if self.objects.pop(key, None) is None else (204, {}, b"")
                case _, True, _:
                    return self._upload(method, key, query, headers, body)
            return error(405, "MethodNotAllowed", f"{method} {path}")

        with self.lock:
            return self.between(method, key, act)

    def _read(self, key: str, headers: Any) -> Answer:
        found = self.objects.get(key)
        if found is None:
            return _no_key()
        if "range" not in headers:
            return 200, found.headers, found.data
        first, _, last = headers["range"].removeprefix("bytes=").partition("-")
        n = len(found.data)
        start = int(first) if first else max(0, n - int(last))
        stop = min(n, int(last) + 1) if first and last else n
        if start >= n:
            return error(416, "InvalidRange", "The requested range cannot be satisfied.")
        of = {"Content-Range": f"bytes {start}-{stop - 1}/{n}"}
        return 206, found.headers | of, found.data[start:stop]

    def _write(self, key: str, headers: Any, data: bytes) -> Answer:
        found = self.objects.get(key)
        # of a name without an object, the condition that holds is 0
        have = "0" if found is None else str(found.generation)
        if headers.get(_CONDITION, have) != have:
            return error(412, "PreconditionFailed", "At least one of the pre-conditions ...")
        self.generations += 1
        kind = headers.get("x-goog-storage-class", "STANDARD")
        self.objects[key] = Stored(data, 1_700_000_000_000_000 + self.generations, kind)
        return 200, self.objects[key].headers, b""

    def _list(self, query: dict[str, str]) -> Answer:
        if query.get("list-type") != "2" or query.get("delimiter", "/") != "/":
            return error(400, "InvalidArgument", str(query))
        prefix = query.get("prefix", "")
        after = max(query.get("start-after", ""), query.get("continuation-token", ""))
        text, n, last, is_more = "", 0, "", False
        for key in sorted(self.objects):
            if not key.startswith(prefix) or key <= after:
                continue
            folder, slash, _ = key[len(prefix) :].partition("/")
            common = f"{prefix}{folder}/" if slash and "delimiter" in query else ""
            if common and (common == last or common <= after):
                continue
            if n == _MAX_KEYS:
                is_more = True
                break
            n, last = n + 1, common or key
            text += (
                f"<CommonPrefixes><Prefix>{escape(common)}</Prefix></CommonPrefixes>"
                if common
                else _listed(key, self.objects[key])
            )
        more = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if is_more else ""
        return _xml(
            "ListBucketResult", f"<IsTruncated>{str(is_more).lower()}</IsTruncated>{more}{text}"
        )

    def _upload(
        self, method: str, key: str, query: dict[str, str], headers: Any, body: bytes
    ) -> Answer:
        name = query.get("uploadId", "")
        match method, set(query):
            case "POST", names if names == {"uploads"}:
                self.generations += 1
                name = f"upload-{self.generations}"
                self.parts[name] = {}
                return _xml("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>")
            case "PUT", names if names == {"uploadId", "partNumber"} and name in self.parts:
                self.parts[name][int(query["partNumber"])] = body
                return 200, Stored(body, 0).headers, b""
            case "POST", names if names == {"uploadId"} and name in self.parts:
                parts = self.parts.pop(name)
                whole = b"".join(parts[number] for number in sorted(parts))
                status, made, _ = self._write(key, headers, whole)
                text = f"<ETag>{made['ETag']}</ETag>"
                return status, made, _xml("CompleteMultipartUploadResult", text)[2]
            case "DELETE", names if names == {"uploadId"} and name in self.parts:
                del self.parts[name]
                return 204, {}, b""
        return error(404, "NoSuchUpload", "The requested upload was not found.")


def to_options(endpoint: str) -> dict[str, Any]:
    """How obstore is told of a server that is not Google's."""
    account = {
        "gcs_base_url": endpoint,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    return {
        "service_account_key": json.dumps(account),
        "client_options": {"allow_http": True},
    }


def error(status: int, code: str, message: str) -> Answer:
    """An answer that says what went wrong."""
    text = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    return status, *_xml("Error", text)[1:]


def _no_key() -> Answer:
    return error(404, "NoSuchKey", "The specified key does not exist.")


def _xml(name: str, text: str) -> Answer:
    whole = f"<?xml version='1.0' encoding='UTF-8'?><{name}>{text}</{name}>"
    return 200, {"Content-Type": "application/xml; charset=UTF-8"}, whole.encode()


def _listed(key: str, found: Stored) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><Generation>{found.generation}</Generation>"
        f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>{found.headers['ETag']}</ETag><Size>{len(found.data)}</Size></Contents>"
    )


@contextmanager
def google() -> Iterator[GoogleServer]:
    """A server that keeps its data in memory."""
    server = GoogleServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or an answer's body waits 40 ms for its head
        wbufsize = -1

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            status, headers, data = server.answer(
                self.command, url.path, query, self.headers, body
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  # names of the library

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True  # clients keep connections open
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        server.endpoint = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
