"""The encodings of functions and of what is made from them: partials, methods, descriptors.

The user's functions are encoded by their source, defaults, closures, attributes and the globals
they use, which are encoded in turn; the functions of installed libraries by their names.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from swarmgrid.identity import classes, reached, source
from swarmgrid.identity.closed import is_closed
from swarmgrid.identity.encode import Called, Spot, exactly, family, frame
from swarmgrid.identity.namespaces import narrowed
from swarmgrid.user_code.lookups import looks_up
from swarmgrid.user_code.ownership import (
    frame_of_walk,
    is_importable,
    is_own_function,
    is_own_module,
    is_users,
    label,
    qualname,
    type_name,
    unwrapped,
)


@exactly(FunctionType)
def _function(func: FunctionType, spot: Spot) -> bytes:
    if hasattr(func, "__swarmgrid_function__"):
        return spot.child(func.__swarmgrid_function__)
    if is_own_function(func, spot.walk.home):
        return _with_annotations(spot.refer(func, _describe_function), func, spot)
    registry = getattr(func, "registry", {}) if hasattr(func, "dispatch") else {}
    if registry and any(map(is_users, registry.values())):
        return spot.refer(func, _describe_dispatch)
    if is_importable(func, spot.walk.home):
        return frame("name", label(func).encode())
    if registry:
        return spot.refer(func, _describe_dispatch)
    return spot.refer(func, _describe_library_function)


@exactly(Called)
def _called(value: Called, spot: Spot) -> bytes:
    func = unwrapped(value.func)
    if spot.walk.is_strict:
        return spot.child(func)
    if isinstance(func, FunctionType) and is_own_function(func, spot.walk.home):
        return spot.refer(func, _describe_function)
    if isinstance(func, type):
        return spot.refer(spot.walk.closed.setdefault(id(func), value), classes.describe_closed)
    if type(func) in _DESCRIPTORS:
        return _of_functions(func, spot, classes.as_called)
    return spot.child(func)


def _with_annotations(encoding: bytes, func: FunctionType, spot: Spot) -> bytes:
    """Encode what a library may read of a function that is passed on, stored or decorated."""
    try:
        notes = inspect.get_annotations(func)
    except NameError:  # from Python 3.14 on they are evaluated late
        notes = {}
    if not notes or frame_of_walk() is not None:  # what travels to workers goes without
        return encoding
    whole, place = qualname(func), "annotation {!r} of {}".format
    told = spot.attributes(notes, lambda name: place(name, whole))
    named = dict(sorted(_named_in_texts(notes, func, spot.walk.home).items()))
    return frame(
        "annotated",
        encoding,
        told,
        spot.attributes(named, lambda n: place(n, whole)),
    )


def _named_in_texts(
    notes: Mapping[str, Any], func: FunctionType, home: str | None
) -> dict[str, Any]:
    """Return the values of the names in annotations that are texts, ``"Positive | None"``."""
    found: dict[str, Any] = {}
    pending = list(notes.values())
    while pending:
        text = pending.pop()
        if isinstance(text, str):
            try:
                code = compile(text, "<annotation>", "eval", dont_inherit=True)
            except (SyntaxError, ValueError):  # for people
                continue
            found |= reached.used_values(code, func.__globals__, {}, home)
            pending += code.co_consts  # "list['Positive']"
    return found


def _describe_function(func: FunctionType, spot: Spot) -> bytes:
    whole, module = qualname(func), str(func.__globals__.get("__name__", ""))
    inner = reached.cells(func)
    outer = reached.used_values(func.__code__, func.__globals__, inner, spot.walk.home)
    # Of a module of the user's only what is taken counts, as if it were a global.
    inner = {name: one for name, one in inner.items() if not is_own_module(one, spot.walk.home)}
    if not spot.walk.is_strict:
        spot.walk.looks_up |= looks_up(func.__code__, (*inner.values(), *outer.values()))
        inner, outer = (_as_read(one, func.__code__, spot.walk.home) for one in (inner, outer))
    spot.walk.codes.append((f"code of {whole}", func.__code__))
    return frame(
        "function",
        source.own_text(func.__code__),
        spot.named(_defaults(func), lambda name: f"default {name!r} of {whole}", module),
        spot.named(inner, lambda name: f"closure variable {name!r} of {whole}", module),
        spot.named(outer, lambda name: f"global {name!r} of {whole}", module),
        spot.named(vars(func), lambda name: f"attribute {name!r} of {whole}", module),
    )


def _as_read(values: Mapping[str, Any], code: CodeType, home: str | None) -> dict[str, Any]:
    """Return named values, marked where code can read but a part of them."""
    called, kept = source.only_called(code), source.kept(code)
    return _marked(narrowed(values, code), called, kept, home)


def _marked(
    values: Mapping[str, Any],
    called: frozenset[str],
    kept: Mapping[str, frozenset[str]],
    home: str | None,
) -> dict[str, Any]:
    """Return named values, those marked whose annotations nothing can read.

    They are functions that the code does nothing but call, and classes whose objects it keeps.
    """

    def is_unread(name: str, one: Any) -> bool:
        if isinstance(one, type):
            return name in kept and is_closed(one, kept[name], home)
        return name in called and isinstance(unwrapped(one), FunctionType)

    return {name: Called(one) if is_unread(name, one) else one for name, one in values.items()}


def _defaults(func: FunctionType) -> dict[str, Any]:
    code, values = func.__code__, func.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return dict(zip(names, values, strict=True)) | (func.__kwdefaults__ or {})


def _describe_library_function(func: FunctionType, spot: Spot) -> bytes:
    """Encode a function that a library made on the spot: its name, and what it was made from."""
    whole = qualname(func)
    return frame(
        "closure",
        label(func).encode(),
        spot.named(_defaults(func), lambda name: f"default {name!r} of {whole}"),
        spot.named(reached.cells(func), lambda name: f"closure variable {name!r} of {whole}"),
    )


def _describe_dispatch(func: Any, spot: Spot) -> bytes:
    """Encode a function of ``functools.singledispatch``; its closure holds a cache of calls."""
    return frame("dispatch", spot.child(dict(func.registry), ".registry"))


@exactly(functools.partial)
def _partial(value: functools.partial[Any], spot: Spot) -> bytes:
    func, args = spot.child(value.func, ".func"), spot.child(value.args, ".args")
    place = spot.place
    keywords = spot.named(value.keywords, lambda name: f"{place}.keywords[{name!r}]")
    order = spot.child([name for name in value.keywords if not spot.walk.leaves_out(name)])
    held = spot.attributes(vars(value), lambda name: f"{place}.{name}")
    return frame("partial", func, args, keywords, order, held)


@exactly(MethodType)
def _method(value: MethodType, spot: Spot) -> bytes:
    owner = spot.child(value.__self__, ".__self__")
    return frame("method", spot.child(value.__func__), owner)


@exactly(BuiltinFunctionType, MethodWrapperType)
def _builtin(value: Any, spot: Spot) -> bytes:
    if value.__self__ is None or isinstance(value.__self__, ModuleType):
        return frame("name", label(value).encode())
    owner = spot.child(value.__self__, ".__self__")
    return frame("method", value.__name__.encode(), owner)


@exactly(
    ClassMethodDescriptorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
def _of_type(value: Any, spot: Spot) -> bytes:
    owner = spot.child(value.__objclass__)
    return frame("of type", type_name(type(value)).encode(), owner, value.__name__.encode())


_DESCRIPTORS = (property, classmethod, staticmethod, functools.cached_property)


@family(lambda value: isinstance(value, _DESCRIPTORS))
def _descriptor(value: Any, spot: Spot) -> bytes:
    if type(value) in _DESCRIPTORS:
        return _of_functions(value, spot, lambda function: function)
    functions = [spot.child(getattr(value, name, None)) for name in _FUNCTIONS]
    place = spot.place
    held = spot.attributes(getattr(value, "__dict__", {}), lambda name: f"{place}.{name}")
    return frame("own descriptor", spot.child(type(value)), held, *functions)


_FUNCTIONS = ("fget", "fset", "fdel", "func", "__func__", "attrname")


def _of_functions(value: Any, spot: Spot, marked: Callable[[Any], Any]) -> bytes:
    functions = [spot.child(marked(getattr(value, name, None))) for name in _FUNCTIONS]
    return frame("descriptor", type_name(type(value)).encode(), *functions)


@exactly(CodeType)
def _code(value: CodeType, _spot: Spot) -> bytes:
    return frame("code", source.own_text(value))
