"""A Zarr store on a Redis or Valkey server."""

from __future__ import annotations

import functools
import re
import weakref
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from swarmgrid.errors import InputError, UnsafeStoreError
from swarmgrid.stores.extras import importing_for
from swarmgrid.stores.key_value import Condition, KeyValueStore
from swarmgrid.stores.per_process import PerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PREFIX = "swarmgrid"
"""The name of a store on a server, where a URL says none."""
_PAGE = 1000
_TRIES = 9
"""The further tries of a request that does not reach the server: about ten seconds."""
_AT_ONCE = 32
"""Objects of one request."""
_WRITE = """
local is_there = redis.call('EXISTS', KEYS[3]) == 1
if ARGV[3] == 'present' and not is_there then return 0 end
if ARGV[3] == 'absent' and is_there then return 0 end
if ARGV[3] == 'equal' and redis.call('GET', KEYS[3]) ~= ARGV[4] then return 0 end
if ARGV[2] == 'delete' then
    redis.call('DEL', KEYS[2])
    redis.call('ZREM', KEYS[1], ARGV[1])
else
    redis.call('SET', KEYS[2], ARGV[5])
    redis.call('ZADD', KEYS[1], 0, ARGV[1])
end
if KEYS[4] then
    redis.pcall('XADD', KEYS[4], 'NOMKSTREAM', 'MAXLEN', '~', '1000', '*', 'key', ARGV[1])
end
return 1
"""
"""Checks the condition and writes the object and its name in the index, as one step. In the same
step it adds a hint to the stream of hints, if some watcher has made one."""
_HINTS = "!hints"
"""The name of the stream; it is not in the index, and so no object of the store."""
_HINTED = ("manifest/", "locks/")
"""The prefixes of keys that watchers are interested in."""
_HINTS_SECONDS = 120
"""A stream that no watcher has used for so long is gone, and writers add nothing."""


class Redis(KeyValueStore):
    """A Zarr store on a Redis or Valkey server, in its memory.

    Objects are strings ``{prefix}key``; the sorted set ``{prefix}`` has their keys. The settings
    of the server say what survives its restart (``appendonly yes``, ``appendfsync always``).
    A server that deletes keys when its memory is full (``maxmemory-policy allkeys-...``) is
    refused. Needs the extra ``redis``.

    Parameters
    ----------
    url : str
        The server and the number of its database, ``redis://host:6379/0``; ``rediss://`` is TLS.
        After a ``?`` it may have the prefix.
    prefix : str
        The name of the store on the server.
    read_only : bool
        Whether the store refuses to be written.
    **options
        Options of ``redis.Redis``: ``password``, ``username``, ``socket_timeout``, ...
    """

    __module__ = "swarmgrid.stores"

    max_nbytes = 2**29 - 2**20

    def __init__(
        self, url: str, *, prefix: str = PREFIX, read_only: bool = False, **options: Any
    ) -> None:
        with importing_for("Redis", "redis"):
            import redis  # noqa: F401
        url, prefix = with_prefix(url, prefix)
        _check_url(url)
        if not prefix or re.search(r"[{}]", prefix):
            raise InputError(f"prefix is {prefix!r}; expected text without braces")
        if options.get("decode_responses"):
            raise InputError("decode_responses is True; expected False: stored values are bytes")
        self._url, self._prefix, self._options = url, prefix, options
        super().__init__({"url": url, "prefix": prefix, **options}, read_only=read_only)
        connect = functools.partial(_connect, url, options, str(self))
        self._client: PerProcess[Any] = PerProcess(connect, lambda client: client.close())
        weakref.finalize(self, self._client.close)

    def __str__(self) -> str:
        return f"{_shown(self._url)}?{self._prefix}"

    def read_many(
        self, keys: Sequence[str], start: int = 0, stop: int | None = None
    ) -> list[bytes | None]:
        client = self._client.get()
        names = list(map(self._name, keys))
        found: list[bytes | None] = []
        for at in range(0, len(names), _AT_ONCE):
            some = names[at : at + _AT_ONCE]
            if start == 0 and (stop is None or stop > 2**29):  # Redis has no larger strings
                found += client.mget(some)
            else:
                found += self._parts(client, some, start, stop)
        return found

    @staticmethod
    def _parts(
        client: Any, names: Sequence[str], start: int, stop: int | None
    ) -> list[bytes | None]:
        with client.pipeline(transaction=True) as pipeline:
            for name in names:
                pipeline.exists(name)
                # its last byte counts; of nothing, and of no object, a range is empty
                pipeline.getrange(name, start, -1 if stop is None else max(stop, 1) - 1)
            answers = pipeline.execute()
        pairs = zip(answers[::2], answers[1::2], strict=True)
        return [(b"" if stop == 0 else data) if is_there else None for is_there, data in pairs]

    def write_if(self, key: str, data: bytes | None, condition: Condition | None = None) -> bool:
        self._check_writable()
        if not key:  # it would be the index
            raise ValueError("the key of an object is empty")
        write = self._client.get().register_script(_WRITE)
        kind, value = "", b""
        if condition is not None:
            if isinstance(condition.value, bytes):
                kind, value = "equal", condition.value
            else:
                kind = "present" if condition.value else "absent"
        name = self._name(key)
        on = name if condition is None else self._name(condition.key)
        act = "delete" if data is None else "set"
        keys = [self._name(""), name, on]
        keys += [self._name(_HINTS)] if key.startswith(_HINTED) else []
        return bool(write(keys=keys, args=[key, act, kind, value, data or b""]))

    def keys(self, first: str, end: str) -> Iterator[str]:
        client = self._client.get()
        # ZRANGEBYLEX: `[` includes its bound, `(` leaves it out
        start, stop, n = b"[" + first.encode(), b"(" + end.encode(), 16
        while True:
            page = client.zrangebylex(self._name(""), start, stop, 0, n)
            yield from map(bytes.decode, page)
            if len(page) < n:
                return
            start, n = b"(" + page[-1], _PAGE

    def wait_for_hint(self, last: str, seconds: float) -> str:
        """Wait until a process writes something that a watcher is interested in, or for so long.

        Parameters
        ----------
        last : str
            The result of the call before; "": from now on, without waiting.
        seconds : float
            The longest wait.
        """
        client, stream = self._client.get(), self._name(_HINTS)
        if not last or not client.expire(stream, _HINTS_SECONDS):
            with client.pipeline(transaction=True) as pipeline:
                pipeline.xadd(stream, {"key": ""}, maxlen=1000, approximate=True)
                pipeline.expire(stream, _HINTS_SECONDS)
                return str(pipeline.execute()[0].decode())
        # a block of 0 would wait for ever
        found = client.xread({stream: last}, block=max(1, int(seconds * 1000)))
        return str(found[0][1][-1][0].decode()) if found else last

    def close(self) -> None:
        self._client.close()
        super().close()

    def _name(self, key: str) -> str:
        # in braces: the servers of a cluster keep all that has the same text there together
        return f"{{{self._prefix}}}{key}"


def _connect(url: str, options: Mapping[str, Any], name: str) -> Any:
    """A client, which any thread may use, of a server that keeps what it is given."""
    import redis
    from redis.backoff import ExponentialBackoff
    from redis.retry import Retry

    waits = {"socket_connect_timeout": 10.0, "socket_timeout": 60.0}
    known = url.replace("valkey://", "redis://").replace("valkeys://", "rediss://")
    try:
        client = redis.Redis.from_url(known, **{**waits, **options})
        policy = str(client.info("memory").get("maxmemory_policy", ""))
    except TypeError as error:  # the options are looked at when the first connection is made
        raise InputError(
            f"store {name} cannot be opened with the options {sorted(options)}: {error}; "
            "expected those of redis.Redis"
        ) from error
    if policy.startswith("allkeys"):
        client.close()
        raise UnsafeStoreError(
            f"the server of {name} deletes objects when its memory is full (maxmemory-policy "
            f"{policy}), and with them computed values. Set maxmemory-policy to noeviction "
            "(CONFIG SET maxmemory-policy noeviction), or use another server"
        )
    if not {"retry", "retry_on_error"}.intersection(options):
        # the first connection has shown that the URL is right: from now on, a server that cannot
        # be reached is one that is started again, which takes seconds
        backoff = ExponentialBackoff(cap=2.0, base=0.05)
        client.set_retry(Retry(backoff, _TRIES, supported_errors=(redis.ConnectionError,)))
    return client


def open_url(url: str, **options: Any) -> Redis:
    """Open the store of a ``redis://host:port/db?prefix`` URL."""
    return Redis(url, **options)


def with_prefix(url: str, prefix: str) -> tuple[str, str]:
    """A URL without the name of a store, which it may have after a question mark; and the name."""
    server, _, query = url.partition("?")
    found = query.removeprefix("prefix=")
    if re.search("[=&#]", found):
        raise InputError(
            f"the URL of the store ends in ?{query}; expected the store's name on the server "
            "alone, as in redis://host:6379/0?name. Pass options as storage_options"
        )
    if found and prefix not in {found, PREFIX}:
        raise InputError(f"prefix is {prefix!r}, and the URL of the store ends in ?{query}")
    return server, found or prefix


def _check_url(url: str) -> None:
    """Raise InputError for a URL of which redis-py would pass over a part."""
    expected = "expected redis://host:6379/0?name, with a number of the server's database"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        text = f"store {_shown(url)!r} has a wrong host or port: {error}; {expected}"
        raise InputError(text) from None
    if not host or parts.scheme not in {"redis", "rediss", "valkey", "valkeys"} or port == 0:
        raise InputError(f"store {_shown(url)!r} names no host of a server; {expected}")
    if not re.fullmatch(r"/?[0-9]{0,9}", parts.path) or parts.fragment:
        # it would be database 0: the same one for every such path
        raise InputError(
            f"store {_shown(url)!r} has {parts.path or '#'!r} in place of a database's number; "
            f"{expected}. The name of a store stands after the ?"
        )


def _shown(url: str) -> str:
    """A URL without user and password."""
    return re.sub("//.*@", "//", url)
