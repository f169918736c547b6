"""The grid that ``run``, ``plan`` and ``why`` are about: from arguments, and from a file."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from swarmgrid.cli.flags import compute_options, to_depends, to_options
from swarmgrid.cli.stores import (
    VARIABLE,
    default_store,
    json_option,
    store_options,
    to_storage_options,
)
from swarmgrid.errors import AxisError, InputError
from swarmgrid.notation.functions import load_function
from swarmgrid.notation.kinds import annotations_of, converted, converter
from swarmgrid.notation.sweeps import Sweep, is_sweep, read_mapping, read_sweep
from swarmgrid.notation.values import from_json, read_text, to_typed, to_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from swarmgrid.api.evaluation import Call

AnyFunction = TypeVar("AnyFunction", bound="Callable[..., Any]")


@dataclass(frozen=True)
class GridRequest:
    """A grid as the shell asks for it."""

    function: Callable[..., Any]
    params: dict[str, Any]
    axes: dict[str, Any]
    options: dict[str, Any]
    where: Any = None

    def call(self, *, needs_key: bool = True) -> Call:
        """The call of `compute`, checked; reads the store, and computes nothing.

        ``needs_key``: an encrypted grid needs its key, since values will be read or written.
        """
        from swarmgrid.api.evaluation import Call
        from swarmgrid.options import current_options

        options = current_options().updated({**self.options, "func": self.function})
        return Call(options, self.params, self.axes, self.where, needs_key=needs_key)


def grid_options(function: AnyFunction) -> AnyFunction:
    """Add the options that say which grid, and how it is computed."""
    for add in (
        compute_options,
        json_option,
        store_options("that of the sweep's file, or of the decorated function, or"),
        click.option(
            "--points",
            "where",
            metavar="FUNCTION",
            help="Only the points at which a function, module:function, is true.",
        ),
        click.option(
            "-p",
            "--param",
            "param",
            multiple=True,
            metavar="NAME=VALUE",
            help="A fixed value. May be repeated.",
        ),
        click.option("--params", metavar="JSON|@FILE", help="The fixed values, as a JSON object."),
        click.option(
            "-a",
            "--axis",
            "axis",
            multiple=True,
            metavar="NAME=VALUES",
            help="Swept values: a,b,c; a range start:stop:step without its stop; JSON; or "
            "@file (.txt, .json, .csv, .npy). May be repeated.",
        ),
    ):
        function = add(function)
    return function


def to_request(target: str, given: Mapping[str, Any], *, needs_axes: bool = True) -> GridRequest:
    """The grid that the arguments of a command describe.

    Parameters
    ----------
    target : str
        The function, or the file of a sweep.
    given : mapping
        The options of the command, by name.
    needs_axes : bool
        Whether the axes must be given: else those that are not are the function's free parameters.

    Raises
    ------
    InputError
        If they describe none.
    """
    here = Path.cwd()
    sweep = read_sweep(target) if is_sweep(target) else Sweep(here / "-", function=target)
    if sweep.function is None:
        raise InputError(
            f"{str(sweep.path)!r} names no function; add: function = 'module:function'"
        )
    folder = sweep.path.parent
    function = load_function(sweep.function, folder)
    annotations = annotations_of(function)
    params = _params(sweep, given, annotations)
    axes = _axes(sweep, given["axis"], annotations, params)
    if not needs_axes:
        axes = _with_free(function, axes, params)
    return GridRequest(
        function, params, axes, _options(sweep, given, function), _where(sweep, given, folder)
    )


def _where(sweep: Sweep, given: Mapping[str, Any], folder: Path) -> Any:
    if given.get("where"):
        return load_function(given["where"], Path.cwd())
    return load_function(sweep.where, folder) if sweep.where else None


def _options(sweep: Sweep, given: Mapping[str, Any], function: Any) -> dict[str, Any]:
    options = dict(sweep.options)
    if "depends" in options:
        options["depends"] = to_depends(options["depends"], sweep.path.parent)
    flags = to_options(given, Path.cwd())
    if "tags" in flags and isinstance(options.get("tags"), dict):
        flags["tags"] = {**options["tags"], **flags["tags"]}
    options |= flags
    bound = getattr(function, "__swarmgrid_options__", {})
    store = given["store"] or sweep.store or (default_store() if "store" not in bound else None)
    if store is not None:
        options["store"] = store
    elif "store" not in bound:
        raise click.UsageError(
            f"which store? Name it as --store, in a sweep's file, or by the variable {VARIABLE}"
        )
    storage = to_storage_options(given["storage"]) or sweep.storage_options
    if storage:
        options["storage_options"] = storage
    return options


def _params(
    sweep: Sweep, given: Mapping[str, Any], annotations: Mapping[str, Any]
) -> dict[str, Any]:
    """The fixed values: of the file, then of ``--params``, then of each ``--param``."""
    params = dict(sweep.params)
    if given["params"] is not None:
        text, what = given["params"], "--params"
        if text.startswith("@"):
            path = Path(text[1:]).expanduser().absolute()
            found = _read_params(path)
        else:
            found = from_json(what, text)
        if not isinstance(found, dict):
            raise InputError(f"--params is {text!r}; expected a JSON object, '{{\"alpha\": 0.4}}'")
        params |= found
    params = {
        name: _typed(f"param {name!r}", value, annotations.get(name))
        for name, value in params.items()
    }
    for text in given["param"]:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise InputError(f"--param is {text!r}; expected NAME=VALUE")
        params[name] = _of_text(name, value, annotations.get(name))
    return params


def _read_params(path: Path) -> Any:
    """Read params from a file of JSON, TOML or YAML."""
    if is_sweep(path.name):
        return read_mapping(path)
    return from_json("--params", read_text("--params", path))


def _typed(what: str, value: Any, annotation: Any) -> Any:
    convert = converter(annotation)
    return value if convert is None else converted(what, value, convert)


def _of_text(name: str, text: str, annotation: Any) -> Any:
    """A param's value: as its annotation says, else as JSON, else the text."""
    from swarmgrid.notation.conditions import to_value

    convert = converter(annotation)
    return to_value(text) if convert is None else converted(f"param {name!r}", text, convert)


def _axes(
    sweep: Sweep, texts: Sequence[str], annotations: Mapping[str, Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    axes: dict[str, Any] = {}
    for name, values in sweep.axes.items():
        convert = converter(annotations.get(name))
        axes[name] = (
            to_values(name, values, convert, sweep.path.parent)
            if isinstance(values, str)
            else to_typed(name, values, convert)
        )
    given: set[str] = set()
    for text in texts:
        name, separator, values = text.partition("=")
        if not separator or not name:
            raise AxisError(f"--axis is {text!r}; expected NAME=VALUES, such as s=0:200")
        if name in given:
            raise AxisError(f"--axis names {name!r} twice; write its values in one, with commas")
        given.add(name)
        if sweep.axes:
            _check_narrows(sweep, name, params)
            axes[name] = _narrowed(sweep, name, axes[name], values, annotations)
        else:
            convert = converter(annotations.get(name))
            axes[name] = to_values(name, values, convert, Path.cwd())
    return axes


def _check_narrows(sweep: Sweep, name: str, params: Mapping[str, Any]) -> None:
    """Raise AxisError if a file has no such axis: the grid would be another than the file's."""
    if name in sweep.axes:
        return
    close = get_close_matches(name, sweep.axes, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    what = "a param" if name in params else "no axis"
    raise AxisError(
        f"{name!r} is {what} in {str(sweep.path)!r}, whose axes are {', '.join(sweep.axes)}{hint} "
        "Another axis would make another grid: add it to the file"
    )


def _narrowed(
    sweep: Sweep, name: str, whole: Any, text: str, annotations: Mapping[str, Any]
) -> Any:
    """Some of the values that a file gives an axis; AxisError if one is none of them."""
    if isinstance(whole, dict):  # labels
        chosen = to_values(name, text, converter(str), Path.cwd())
        _check_known(sweep, name, list(chosen), list(whole))
        return {label: whole[label] for label in chosen}
    values = list(whole)
    convert = converter(annotations.get(name))
    if convert is None and values:
        convert = converter(type(values[0]))
    chosen = to_values(name, text, convert, Path.cwd())
    if isinstance(chosen, dict):
        raise AxisError(f"--axis {name} has labels; expected some of the values in the file")
    _check_known(sweep, name, list(chosen), values)
    return chosen


def _check_known(sweep: Sweep, name: str, chosen: list[Any], values: list[Any]) -> None:
    known = {str(value) for value in values}
    for value in chosen:
        if str(value) not in known:
            close = get_close_matches(str(value), known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            shown = ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")
            raise AxisError(
                f"{str(value)!r} is no value of axis {name!r} in {str(sweep.path)!r}, which has "
                f"{shown}{hint} To compute more than the file says, edit the file"
            )


def _with_free(function: Any, axes: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The axes, and those parameters of a function that nothing gives a value."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return axes
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    free = [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
    return {**{name: [] for name in free if name not in params}, **axes}
