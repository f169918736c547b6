"""The store and the grids that a command is about: its arguments, options and completion."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from click.shell_completion import CompletionItem

from swarmgrid.errors import InputError
from swarmgrid.notation.conditions import to_query
from swarmgrid.terminal.endings import NothingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarmgrid.handle.grid import Grid
    from swarmgrid.inventory.row import GridRow
    from swarmgrid.store.location import Location

VARIABLE = "SWARMGRID_STORE"
"""The environment variable that names the store where no argument does."""
_SHOWN = 8
_MAX_COMPLETED = 1000
AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Place:
    """A store, and the names of grids in it."""

    location: Location
    names: tuple[str, ...] = ()
    """Grid ids or their first digits, alone or as ``function/id``; or names of functions."""
    query: dict[str, Any] = field(default_factory=dict)
    """A condition on the grids."""
    function: str | None = None
    """The only function whose grids are meant."""

    @property
    def is_selecting(self) -> bool:
        """Whether the options select some of the grids."""
        return bool(self.query or self.function)

    def rows(self, *, check: bool = False, keeps: bool = True) -> list[GridRow]:
        """The grids that are named, or all, as far as they are selected.

        ``keeps`` says whether the inventory gets what is found; else nothing is written.

        Raises
        ------
        NothingError
            If a name is of none.
        """
        from swarmgrid.inventory.keeping import stored_rows
        from swarmgrid.inventory.row import ROOTS, rows_named

        holds = None
        if self.query:
            from swarmgrid.inventory.query import to_condition

            holds = to_condition(self.query, ROOTS)
        stored = stored_rows(self.location, check=check, keeps=keeps)
        found = stored
        if self.names:
            chosen = {row.grid for name in self.names for row in self._named(stored, name)}
            found = [row for row in stored if row.grid in chosen]
        if self.function is not None:
            of_function = {row.grid for row in rows_named(found, f"{self.function}/")}
            found = [row for row in found if row.grid in of_function]
        return [row for row in found if holds is None or holds(row.document)]

    def some_rows(self) -> list[GridRow]:
        """The same, but `NothingError` if there are none."""
        found = self.rows()
        if not found:
            what = "no grid fits" if self.is_selecting or self.names else "there is no grid"
            raise NothingError(f"{what} in {self.location.url!r}")
        return found

    def row(self) -> GridRow:
        """The one grid that is meant.

        Raises
        ------
        NothingError
            If there is none.
        InputError
            If there are several.
        """
        found = self.some_rows()
        if len(found) > 1:
            raise InputError(
                f"{len(found)} grids in {self.location.url!r} fit; name one of them: "
                f"{_listed(found)}"
            )
        return found[0]

    def grid(self, row: GridRow) -> Grid:
        """The handle of a grid."""
        from swarmgrid.handle.grid import Grid
        from swarmgrid.store.grid_ref import GridRef
        from swarmgrid.store.layout import GridPath

        return Grid(GridRef(self.location, GridPath(row.function or row.folder, row.grid)))

    def check_exists(self) -> None:
        """Raise InputError for a folder that does not exist."""
        if self.location.is_directory and not Path(self.location.url).is_dir():
            url = self.location.url
            raise InputError(f"there is no folder {url!r}; is the path of the store right?")

    def _named(self, stored: list[GridRow], name: str) -> list[GridRow]:
        """The grids that one name means: one grid, or all of a function."""
        from swarmgrid.inventory.row import rows_named

        if not name:
            raise InputError("the name of a grid is empty")
        found, of_function = rows_named(stored, name), rows_named(stored, f"{name}/")
        if found and of_function:
            raise InputError(
                f"{name!r} may be the id of {_listed(found)}, or a function: write '{name}/' for "
                "the function, or more digits of the id"
            )
        found = found or of_function
        if not found:
            hint = f"; there are {_listed(stored)}" if stored else "; it is empty"
            raise NothingError(f"no grid in {self.location.url!r} is named {name!r}{hint}")
        return found


def place_argument(
    metavar: str, *, selects: bool = False, must_exist: bool = True, last: str | None = None
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Give a command the `Place` that its arguments mean, which are added.

    Parameters
    ----------
    metavar : str
        The arguments in the help. Where none is a ``GRID``, the names of grids are an error.
    selects : bool
        Whether to add the options that select grids.
    must_exist : bool
        Whether a folder must exist.
    last : str, optional
        The parameter that gets the last argument, which is neither a store nor a grid.
    """

    def add(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def with_place(
            names: Sequence[str],
            store: str | None,
            storage: Sequence[str],
            where: Sequence[str] = (),
            tags: Sequence[str] = (),
            function: str | None = None,
            **given: Any,
        ) -> int:
            if last is not None:
                *names, given[last] = names
            place = to_place(names, store, storage, where, tags, function, must_exist=must_exist)
            if place.names and "GRID" not in metavar:
                _refuse(place.names, metavar)
            return command(place, **given)

        own = vars(with_place).pop("__click_params__", [])
        store_options("the first argument, or")(with_place)
        vars(with_place)["__click_params__"] += own  # the last ones are the first in the help
        if selects:
            selection_options(with_place)
        return names_argument(metavar, required=last is not None)(with_place)

    return add


def store_options(default: str) -> Callable[[AnyFunction], AnyFunction]:
    """Add the options that say which store, and with which settings; ``default`` is for help."""

    def add(function: AnyFunction) -> AnyFunction:
        storage = click.option(
            "--storage-option",
            "storage",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting of the store's URL, such as region=eu-west-1; may be repeated.",
        )
        text = f"The store: a folder or URL. Default: {default} ${VARIABLE}."
        return click.option("-S", "--store", metavar="STORE", help=text)(storage(function))

    return add


def selection_options(function: AnyFunction) -> AnyFunction:
    """Add the options that select grids by what the catalog knows of them."""
    for add in (
        click.option(
            "--tag", "tags", multiple=True, metavar="NAME[=VALUE]", help="Only grids with a tag."
        ),
        click.option("--function", metavar="NAME", help="Only grids of a function."),
        click.option(
            "--where",
            multiple=True,
            metavar="CONDITION",
            help="Only grids that fulfil a condition, such as 'params.alpha>=0.3' or "
            "'points.failed>0'; operators are = != > >= < <= and ~ (a pattern). A query as JSON "
            "works, too. May be repeated: all must hold.",
        ),
    ):
        function = add(function)
    return function


def json_option(function: AnyFunction) -> AnyFunction:
    """Add the option for JSON."""
    add = click.option("--json", "as_json", is_flag=True, help="Write one JSON document.")
    return add(function)


def names_argument(metavar: str, **kwargs: Any) -> Callable[[AnyFunction], AnyFunction]:
    """Add the arguments: the store, and what follows it."""
    return click.argument("names", nargs=-1, metavar=metavar, shell_complete=_completed, **kwargs)


def to_place(
    names: Sequence[str],
    store: str | None,
    storage: Sequence[str],
    where: Sequence[str] = (),
    tags: Sequence[str] = (),
    function: str | None = None,
    *,
    must_exist: bool = True,
) -> Place:
    """The store and the grids that the arguments of a command mean.

    The first argument is the store unless ``--store`` is given. Where the environment names one,
    the first argument is the store only if it is a URL or a folder.

    Raises
    ------
    UsageError
        If no store is given.
    InputError
        If it is none, or a folder that does not exist.
    """
    from swarmgrid.store.location import to_location

    found, rest = _split(names, store)
    if found is None:
        raise click.UsageError(
            f"which store? Name it as the first argument, as --store, or by ${VARIABLE}"
        )
    location = to_location(found, to_storage_options(storage))
    place = Place(location, tuple(rest), to_query(where, tags), function)
    if must_exist:
        place.check_exists()
    return place


def to_storage_options(storage: Sequence[str]) -> dict[str, Any] | None:
    """The settings of a URL; texts but for ``true``, ``false`` and JSON objects."""
    found: dict[str, Any] = {}
    for text in storage:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise InputError(f"--storage-option is {name!r}; expected KEY=VALUE")
        found[name] = {"true": True, "false": False}.get(value.lower(), value)
        if value.startswith("{"):
            try:
                found[name] = json.loads(value)
            except ValueError as error:
                raise InputError(f"the storage option {name!r} is no JSON: {error}") from None
    return found or None


def default_store() -> str | None:
    """The store that the environment names."""
    return os.environ.get(VARIABLE) or None


def _split(names: Sequence[str], store: str | None) -> tuple[str | None, list[str]]:
    if store is not None:
        return store, list(names)
    usual = default_store()
    if names and (usual is None or is_store(names[0])):
        return names[0], list(names[1:])
    return usual, list(names)


def is_store(text: str) -> bool:
    """Whether a text means a store, and no grid: a URL, or a folder that exists."""
    try:
        return "://" in text or text.startswith(("./", "../", "~/", "/")) or Path(text).is_dir()
    except (OSError, ValueError):
        return False


def _refuse(names: Sequence[str], metavar: str) -> NoReturn:
    command = click.get_current_context().info_name
    raise InputError(
        f"{command} was given {', '.join(map(repr, names))}, too; expected {metavar} only"
    )


def _listed(rows: Sequence[GridRow]) -> str:
    from swarmgrid.inventory.table import SHOWN_DIGITS

    shown = ", ".join(
        f"{row.function or row.folder}/{row.grid[:SHOWN_DIGITS]}" for row in rows[:_SHOWN]
    )
    more = len(rows) - _SHOWN
    return shown + (f" and {more:,} more" if more > 0 else "")


def _completed(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The completions of an argument: folders for the store, then the grids in it."""
    from swarmgrid.inventory.table import SHOWN_DIGITS

    names = list(ctx.params.get("names") or ())
    try:
        place = to_place(names, ctx.params.get("store"), ctx.params.get("storage") or ())
        rows = place.rows()[:_MAX_COMPLETED]
    except Exception:  # noqa: BLE001  # a completion never fails: it is then of folders
        return [CompletionItem(incomplete, type="dir")]
    ids = [(row.grid[:SHOWN_DIGITS], f"{row.function} {row.params_text}") for row in rows]
    found = [CompletionItem(one, help=text) for one, text in ids if one.startswith(incomplete)]
    return found or [CompletionItem(incomplete, type="dir")]
