"""Object stores by obstore: Zarr's own ``ObjectStore``, opened from a URL."""

from __future__ import annotations

from typing import Any

from swarmgrid.errors import InputError


def open_url(url: str, **options: Any) -> Any:
    """Open the store of an ``s3://``, ``gs://`` or ``az://`` URL."""
    import obstore.store
    from zarr.storage import ObjectStore

    if "allow_http" in options:  # obstore takes it for the client only, and panics elsewhere
        client = options.get("client_options", {})
        options["client_options"] = {**client, "allow_http": options.pop("allow_http")}
    try:
        return ObjectStore(obstore.store.from_url(url, **options))
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"store {url!r} cannot be opened with the storage options {sorted(options)}: {reason}"
        ) from error
