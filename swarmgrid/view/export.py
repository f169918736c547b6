"""A grid as one file of another format, written beside its place and then renamed into it."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from swarmgrid.errors import InputError, StoreError, brief
from swarmgrid.view.status import COMPUTED

if TYPE_CHECKING:
    from collections.abc import Callable

_NETCDF: dict[str, Any] = {"netCDF4": "netcdf4", "h5netcdf": "h5netcdf"}
"""The packages that write netCDF 4, and xarray's names for them."""
SUFFIXES = (".nc", ".parquet", ".csv", ".zarr")
"""The formats, by the suffix of the file."""


def export(ds: xr.Dataset, status: xr.DataArray, target: object, *, overwrite: bool) -> Path:
    """Write a grid as one file, or as a Zarr group: its place.

    Raises
    ------
    InputError
        If the format is none of those that are known, needs a package that is not installed, or
        cannot hold the values; or if there is such a file already.
    StoreError
        If the file cannot be written.
    """
    path = _checked(target, overwrite=overwrite)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        if path.suffix == ".nc":
            _to_netcdf(ds.load(), partial)
        elif path.suffix == ".zarr":
            _to_zarr(ds.load(), partial)
        else:
            _to_table(ds.load(), status, partial, path.suffix)
        if path.is_dir() and not path.is_symlink():  # a folder cannot be replaced by a rename
            shutil.rmtree(path)
        partial.replace(path)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)
    return path


def _checked(target: object, *, overwrite: bool) -> Path:
    """The absolute path of a target; InputError if nothing can be written there."""
    if not isinstance(target, (str, os.PathLike)) or "://" in str(target):
        raise InputError(
            f"the target is {brief(target)}; expected the path of a file that ends in one of "
            f"{', '.join(SUFFIXES)}"
        )
    path = Path(target).expanduser().absolute()
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"the target is {str(target)!r}; expected a path that ends in one of "
            f"{', '.join(SUFFIXES)}"
        )
    if not path.parent.is_dir():
        raise InputError(f"{str(path.parent)!r} is no folder; make it first")
    if path.exists() and not overwrite:
        raise InputError(f"{str(path)!r} is there already; pass overwrite=True to replace it")
    if path.is_dir() and not (path.suffix == ".zarr" and (path / "zarr.json").exists()):
        raise InputError(f"{str(path)!r} is a folder that no export has made")
    return path


def _to_netcdf(ds: xr.Dataset, path: Path) -> None:
    wrong = [name for name, array in ds.variables.items() if array.dtype.kind == "c"]
    if wrong:
        raise InputError(f"netCDF holds no complex numbers such as {wrong[0]!r}; export to .zarr")
    found = [name for name in _NETCDF if importlib.util.find_spec(name) is not None]
    engine: Any = _NETCDF[found[0]] if found else "netcdf4"
    _needing("netCDF4", "netCDF", lambda: _plain(ds).to_netcdf(path, engine=engine))


def _to_zarr(ds: xr.Dataset, path: Path) -> None:
    plain = _plain(ds)
    texts = {name: a.astype(object) for name, a in plain.variables.items() if a.dtype.kind == "U"}
    plain = plain.assign_coords(
        {n: (a.dims, a.values) for n, a in texts.items() if n in ds.coords}
    )
    plain = plain.assign({n: (a.dims, a.values) for n, a in texts.items() if n in ds.data_vars})
    plain.to_zarr(path, zarr_format=3, consolidated=False)


def _plain(ds: xr.Dataset) -> xr.Dataset:
    """A Dataset that says nothing of its store; bools with points that are missing are floats."""
    plain = ds.drop_encoding()
    for name, array in ds.data_vars.items():
        if array.dtype == object and not any(isinstance(v, str) for v in np.ravel(array.values)):
            plain[name] = array.astype("float32").drop_encoding()
    return plain


def _to_table(ds: xr.Dataset, status: xr.DataArray, path: Path, suffix: str) -> None:
    """A row for each computed point, and for each place of the outputs' own dims."""
    if ds.dims:
        is_computed = (status == COMPUTED).broadcast_like(xr.Dataset(coords=ds.coords))
        table = ds.assign({"__computed": is_computed}).to_dataframe().reset_index()
        table = table[table.pop("__computed").astype(bool)].reset_index(drop=True)
    else:
        table = ds.expand_dims("point").to_dataframe().reset_index(drop=True)
    if suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        _needing("pyarrow", "Parquet", lambda: table.to_parquet(path, index=False))


def _needing(package: str, what: str, write: Callable[[], object]) -> None:
    """Write a file by an optional package; InputError that names it if it is not installed."""
    try:
        write()
    except ImportError:
        pass
    except ValueError as error:
        if "engine" not in str(error).lower():
            raise InputError(f"{what} cannot hold this grid: {error}") from error
    else:
        return
    raise InputError(f"{what} files need {package}: pip install {package}")
