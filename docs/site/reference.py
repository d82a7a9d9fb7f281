"""The reference, written from the code: every command, every key of a suite, every part, every public name."""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    NoneType: "null",
    Any: "anything",
    dict: "mapping",
    Mapping: "mapping",
}


def pages():
    """Return the text of every page of the reference, by its name."""
    return {
        "reference/commands.md": commands(),
        "reference/suite.md": suite(),
        "reference/parts.md": parts(),
        "reference/python.md": python(),
    }


def commands():
    """Describe every command with its arguments and options."""
    import typer.main

    from segbench.cli.app import app

    root = typer.main.get_command(app)
    lines = ["# Commands", "", "What `segbench COMMAND --help` shows, of every command.", ""]
    for name, command in root.commands.items():
        lines += _command(f"segbench {name}", command)
    return "\n".join(lines) + "\n"


def _command(path, command):
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.name != "help"]
    usage = " ".join([path, *(one.metavar or one.name.upper() for one in arguments)])
    lines = [f"## {path}", "", f"`{usage}{' [OPTIONS]' if options else ''}`", "", _plain(command.help), ""]
    rows = [[f"`{one.metavar}`", _plain(getattr(one, "help", ""))] for one in arguments]
    rows += [[_option(one), _plain(one.help) + _default(one)] for one in options]
    if rows:
        lines += [*_table(["argument or option", "what it is"], rows), ""]
    for name, below in getattr(command, "commands", {}).items():
        lines += _command(f"{path} {name}", below)
    return lines


def _option(option):
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} `{option.metavar or 'VALUE'}`"


def _default(option):
    default = option.default
    if callable(default) or default in (None, False, "", ()) or option.is_flag:
        return ""
    return f" Default: `{getattr(default, 'value', default)}`."


def suite():
    """Describe every key of a suite, section by section."""
    from segbench.config.suite import Suite

    about = "Made from the schema that checks suites; [Suites](../suites.md) explains them."
    lines = ["# Keys of a suite", "", about, ""]
    seen = set()
    waiting = [("a suite", Suite)]
    while waiting:
        title, section = waiting.pop(0)
        if section in seen:
            continue
        seen.add(section)
        rows = []
        for name, field in section.model_fields.items():
            rows.append([f"`{name}`", _type(field.annotation), _field_default(field), _plain(field.description)])
            path = name if section is Suite else f"{title}.{name}"
            waiting += [(path, kind) for kind in _sections(field.annotation)]
        lines += [f"## {title}", "", *_table(["key", "type", "default", "what it is"], rows), ""]
    return "\n".join(lines) + "\n"


def parts():
    """Describe what a suite can name: every member of every catalogue with its options."""
    from segbench.registry import CATALOGS

    lines = ["# Networks, data sets and other parts", "", "What `segbench list KIND` shows, with the options.", ""]
    for kind, catalogue in CATALOGS.items():
        lines += [f"## {kind}", ""]
        for name, entry in catalogue.entries().items():
            signature = entry.signature
            shown = f"{name}NAME" if name.endswith(":") else name
            lines += [f"### {kind}: {shown}", "", _plain(signature.summary), ""]
            rows = [
                [
                    f"`{one.name}`",
                    f"`{one.annotation}`" if one.annotation else "",
                    "required" if one.default is ... else f"`{one.default}`",
                    _plain(one.help),
                ]
                for one in signature.parameters
            ]
            if rows:
                lines += [*_table(["option", "type", "default", "what it is"], rows), ""]
    return "\n".join(lines) + "\n"


def python():
    """List the public names; mkdocstrings writes what they are."""
    import segbench

    lines = ["# Python", "", "The names of `segbench`; [Python](../python.md) shows them in use.", ""]
    for name, home in segbench._HOMES.items():
        lines += [f"## segbench.{name}", "", f"::: {home}.{name}", ""]
    lines += ["## Errors", "", "::: segbench.errors", "    options:", "      heading_level: 3", ""]
    return "\n".join(lines) + "\n"


def _table(titles, rows):
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (titles, ["---"] * len(titles), *escaped)]


def _plain(text):
    """Return help on one line; what stands between quotes is a command or a value."""
    line = " ".join((text or "").split()).replace("``", "`")
    return re.sub(r"'(segbench [^']*)'", r"`\1`", line).replace("<", "&lt;")


def _type(annotation):
    """Return a type as a reader of YAML knows it, such as ``list of text`` or ``number or null``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    members = list(dict.fromkeys(_type(one) for one in inner if one is not ... and origin is not Literal))
    if word := _WORDS.get(annotation) or _WORDS.get(origin):
        return word
    if origin is Annotated:
        return members[0]
    if origin in (Union, UnionType):
        return " or ".join(members)
    if origin in (tuple, list, frozenset):
        return f"list of {' and '.join(members)}"
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, StrEnum)):
        return " or ".join(f"`{value}`" for value in inner or annotation)
    return getattr(annotation, "__name__", str(annotation))


def _field_default(field):
    if field.is_required():
        return "required"
    default = field.default if field.default_factory is None else field.default_factory()
    if isinstance(default, BaseModel):
        return "see below"
    return f"`{'null' if default is None else default}`" if default != "" else "empty"


def _sections(annotation):
    """Return the classes of keys that an annotation leads to."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in getattr(annotation, "__args__", ()) for kind in _sections(part)]
