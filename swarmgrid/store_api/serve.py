"""The live page of a store, from a call."""

from __future__ import annotations

import ipaddress
import math
import numbers
import operator
import secrets
from typing import TYPE_CHECKING, Any

from swarmgrid.errors import InputError, brief
from swarmgrid.finding.resolve import location_of, named_ref
from swarmgrid.options import current_options
from swarmgrid.quantities import check_flags, is_number
from swarmgrid.store.scoping import check_no_scope
from swarmgrid.tracebacks import UserFrames

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from swarmgrid.live.server import LiveServer
    from swarmgrid.store.layout import GridPath


def serve(
    store: str | os.PathLike[str] | Any = None,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    token: str | None = None,
    interval: float = 1.0,
    tracebacks: bool = True,
    storage_options: Mapping[str, Any] | None = None,
) -> LiveServer:
    """Serve a page that shows a store while other processes compute.

    It shows all grids, and of each a map that fills up, the pace, the time that is left, the
    failures, and which process computes. It only reads the store, so it follows runs on other
    machines, too. It reads nothing while no page is open. Needs the extra ``web``.

    Parameters
    ----------
    store : str, path or zarr.abc.store.Store, optional
        The store. Default: what `set_options` says.
    host : str, default "127.0.0.1"
        The address to listen at. The default is reached from this machine only.
    port : int, default 0
        The port; 0: any that is free.
    token : str, optional
        The text that a request must know. Default: a random one, part of the URL. "": none, which
        is refused at any address that others can reach.
    interval : float, default 1.0
        The shortest pause between two looks at the store, in seconds. Pauses grow to 30 seconds
        while nothing changes.
    tracebacks : bool, default True
        Whether to show the tracebacks of failures, which may hold what is secret.
    storage_options : mapping, optional
        Options with which obstore opens a URL; no response holds them.

    Returns
    -------
    LiveServer
        The running server: ``url`` is the page's address, ``close()`` ends it, ``wait()`` waits
        for Ctrl-C. It ends with the process.

    Raises
    ------
    InputError
        If an argument is wrong, the address cannot be used, or the extra ``web`` is missing.

    Examples
    --------
    >>> import swarmgrid
    >>> server = swarmgrid.serve("memory://serve")
    >>> "token=" in server.url
    True
    >>> server.close()
    """
    __tracebackhide__ = True
    with UserFrames():
        _check(host, port, token, interval, tracebacks)
        given = {"storage_options": storage_options} | ({} if store is None else {"store": store})
        location = location_of(current_options().updated(given))
        check_no_scope("the live page", location)
        try:
            from swarmgrid.live.app import Live
            from swarmgrid.live.server import LiveServer
        except ImportError as error:
            raise InputError(
                f"the live page needs {error.name}, which the extra 'web' installs: "
                "pip install 'swarmgrid-zarr[web]'"
            ) from None

        def find(name: str) -> GridPath:
            return named_ref(location, name).path

        live = Live(location, find, interval=float(interval), tracebacks=tracebacks)
        secret = secrets.token_urlsafe(18) if token is None else token
        return LiveServer(live, host, operator.index(port), secret)


def _check(host: Any, port: Any, token: Any, interval: Any, tracebacks: Any) -> None:
    if not isinstance(host, str) or not host:
        raise InputError(f"host is {brief(host)}; expected a name or an address: '127.0.0.1'")
    is_whole = isinstance(port, numbers.Integral) and not isinstance(port, bool)
    if not is_whole or not 0 <= port < 2**16:
        raise InputError(f"port is {brief(port)}; expected 0 (any that is free) to 65535")
    if token is not None and not isinstance(token, str):
        raise InputError(f"token is {brief(token)}; expected a text, or None for a random one")
    if token == "" and not _is_loopback(host):
        raise InputError(
            f"token is '' and host {host!r}: everyone in the network could read the store; leave "
            "token out, or listen at 127.0.0.1"
        )
    if not is_number(interval) or not 0 < interval < math.inf:
        raise InputError(f"interval is {brief(interval)}; expected seconds, more than 0")
    check_flags(tracebacks=tracebacks)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


serve.__module__ = "swarmgrid"
