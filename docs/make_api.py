"""Write ``docs/reference/api.md`` from the docstrings: ``python docs/make_api.py``."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import swarmgrid
from swarmgrid.handle.summary import GridSummary
from swarmgrid.options import CallOptions, Options, OptionTypes
from swarmgrid.run_options import RunOptions

PAGE = Path(__file__).parent / "reference" / "api.md"
HEAD = """\
# API

Every public name of `swarmgrid`. This page is generated from the docstrings by
`python docs/make_api.py`; the tests fail when it is out of date.

`compute`, `run`, `stream`, `plan`, `open`, `grid` and `set_options`, and the methods of a
`GridFunction`, take the same keyword arguments: the [options](#options).
"""


def _is_method(cls: str, name: str) -> bool:
    return callable(getattr(getattr(swarmgrid, cls), name))


METHODS = {
    cls: [m for m in dir(getattr(swarmgrid, cls)) if m[0] != "_" and _is_method(cls, m)]
    for cls in ("Catalog", "Grid", "GridFunction", "GridIndex", "Scope")
}


def page() -> str:
    """Return the whole page."""
    names = {
        "Functions": [n for n in dir(swarmgrid) if not _is_class(n) or n == "set_options"],
        "Classes": [n for n in dir(swarmgrid) if _is_class(n) and not _is_error(n)],
        "Errors": [n for n in dir(swarmgrid) if _is_error(n)],
    }
    for name in ("set_options", "CallOptions", "Report", "Problem"):  # described elsewhere
        names["Classes"].remove(name)
    parts = [HEAD]
    for title, members in names.items():
        parts.append(f"## {title}\n")
        if title == "Errors":
            parts.append(_error_tree())
        parts += [_entry(name) for name in members]
        if title == "Functions":
            parts.append(_options())
        elif title == "Classes":
            parts += [_state(), _report()]
            parts += ["## Stores\n", *map(_store, swarmgrid.stores.__all__)]
    return "\n".join(parts)


def _options() -> str:
    defaults, texts = Options(), {**dict(_fields(Options)), **dict(_fields(RunOptions))}
    lines = [
        f"- **`{name}`** = `{getattr(defaults, name)!r}`: {texts[name]}"
        for name in ("func", *OptionTypes.__annotations__)
    ]
    note = "The type of all options, a `TypedDict` for annotations:\n"
    return "\n".join(["## Options\n", "### CallOptions\n", note, *lines, ""])


def _state() -> str:
    """What `Grid.state` gives: a class without a public constructor, and so no public name."""
    lines = [f"- **`{name}`**: {text}" for name, text in _fields(GridSummary)]
    return "\n".join(["`Grid.state` returns a `GridSummary`.\n", *lines, ""])


def _report() -> str:
    """What `Grid.verify` gives: classes without a public constructor."""
    head = "`Grid.verify` and `Grid.repair` return a `Report`. Printed, it is a line per problem."
    fields = dict(_fields(swarmgrid.Report)) | {
        "problems": "A `Problem` for each object that is damaged, missing or left over.",
        "is_clean": "Whether nothing is wrong; there may be notes.",
        "notes": "A `Note` for each thing that killed processes left. It does no harm.",
    }
    lines = [f"- **`{name}`**: {text}" for name, text in fields.items()]
    of_problem = dict(_fields(swarmgrid.Problem)) | {"reason": "What is wrong with it."}
    more = [f"- **`{name}`**: {text}" for name, text in of_problem.items()]
    more.append("\nA `Note` has a `key` and a `reason`.")
    return "\n".join(
        [
            "### Report\n",
            f"{head}\n",
            *lines,
            "\n### Problem\n\nIn `Report.problems`:\n",
            *more,
            "",
        ]
    )


def _store(name: str) -> str:
    """An entry of a name of `swarmgrid.stores`."""
    value = getattr(swarmgrid.stores, name)
    text = "\n".join(_markdown(inspect.getdoc(value) or ""))
    return f"### stores.{name}\n\n```text\n{_signature(name, value)}\n```\n\n{text}\n"


def _is_class(name: str) -> bool:
    return inspect.isclass(getattr(swarmgrid, name))


def _is_error(name: str) -> bool:
    return _is_class(name) and issubclass(getattr(swarmgrid, name), Exception)


def _error_tree() -> str:
    import swarmgrid.errors

    tree = (inspect.getdoc(swarmgrid.errors) or "").split("::")[1].split("Every error")[0]
    return f"```text\n{inspect.cleandoc(tree)}\n```\n"


def _entry(name: str) -> str:
    value = getattr(swarmgrid, name)
    parts = [f"### {name}\n"]
    if not _is_error(name):
        parts.append(f"```text\n{_signature(name, value)}\n```\n")
    text = "\n".join(_markdown(inspect.getdoc(value) or "")) + "\n"
    parts.append(re.sub(r"^See docs/(\S+)$", _link, text, flags=re.MULTILINE))
    lines = [f"- **`{field}`**: {text}" for field, text in _fields(value)]
    lines += [
        f"- `{_signature(m, getattr(value, m))}`: {_first_line(value, m)}"
        for m in METHODS.get(name, ())
    ]
    parts += [*lines, ""] if lines else []
    return "\n".join(parts)


def _link(page: re.Match[str]) -> str:
    """A link to a page that a docstring names, with the page's title."""
    file, _, anchor = page[1].partition("#")
    title = (PAGE.parents[1] / file).read_text().partition("\n")[0].removeprefix("# ")
    return f"See [{title}](../{file}{'#' * bool(anchor)}{anchor})."


def _first_line(cls: type, method: str) -> str:
    return (inspect.getdoc(getattr(cls, method)) or "").partition("\n")[0]


def _signature(name: str, value: Any) -> str:
    """Return a call's parameters and defaults; types are in the text."""
    parameters = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(value).parameters.values()
        if p.name != "self"
    ]
    if len(parameters) > len(OptionTypes.__annotations__):  # they have a section of their own
        parameters = [p for p in parameters if p.name not in CallOptions.__annotations__]
        parameters.append(inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD))
    shown = str(inspect.Signature(parameters))
    return name + re.sub(r"<factory>|<class 'dict'>", "{}", shown)


def _fields(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the documented attributes of a class: a string below each says what it is."""
    if not inspect.isclass(value) or not hasattr(value, "__dataclass_fields__"):
        return
    pattern = r'^    (\w+): [^\n]+\n    """(.*?)"""'
    for match in re.finditer(pattern, _source_of(value), re.DOTALL | re.MULTILINE):
        yield match[1], " ".join(match[2].split())


def _source_of(cls: type) -> str:
    """The source of a public class, which does not say in which module it lies."""
    files = sorted(Path(swarmgrid.__file__).parent.rglob("*.py"))
    found = (
        re.search(
            rf"^class {cls.__name__}\b.*?(?=^[@\w]|\Z)", p.read_text(), re.MULTILINE | re.DOTALL
        )
        for p in files
    )
    return next(match[0] for match in found if match)


def _markdown(doc: str) -> Iterator[str]:
    """Yield a numpydoc docstring line by line as Markdown."""
    lines = doc.splitlines()
    section = ""
    for line, following in itertools.zip_longest(lines, lines[1:], fillvalue=""):
        if following and set(following) == {"-"}:
            section = line
            yield f"**{line}**"
        elif line and set(line) == {"-"}:
            yield from ("", "```pycon") if section == "Examples" else ("",)
        elif section in {"Parameters", "Returns", "Raises"} and line and line[0] != " ":
            name, _, kind = line.partition(" : ")
            bold = f"`{name}`" if name.startswith("*") else f"**`{name}`**"
            yield f"- {bold}" + (f" : *{kind}*" if kind else "")
        else:
            yield line
    if section == "Examples":
        yield "```"


if __name__ == "__main__":
    PAGE.write_text(page())
