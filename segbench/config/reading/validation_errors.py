"""Converts pydantic's errors to dotted keys with helpful messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from segbench.errors import did_you_mean

_UNION_MEMBER = re.compile(
    r"(int|float|str|bool|none|any|nullable|is-instance|constrained-(int|float|str)"
    r"|(list|tuple|dict|literal|json-or-python|function-\w+|lax-or-strict)\[.*)"
)
"""Pattern of pydantic's location parts for members of a union; no suite key looks like this."""


_TEXTS = {
    "missing": "is required and missing",
    "too_short": "needs at least 1 entry",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "string_type": "should be text; numbers, and what YAML reads as true or false (yes, no, on, off), need quotes",
}
"""Messages by pydantic's error type, for those whose own messages mention Python types."""


class Mistake(NamedTuple):
    """One validation error.

    Attributes:
        key: The dotted key, such as ``models[2].width``; empty for the whole.
        problem: The problem and the given value.
    """

    key: str
    problem: str


def line_error(title: str, location: tuple[str | int, ...], text: str, given: Any) -> ValidationError:
    """Return an error at a location below the validated value."""
    return _lines(title, [(location, text, given)])


def unknown_keys(
    title: str, unknown: Iterable[Any], given: Mapping[Any, Any], *, known: Iterable[str], what: str
) -> ValidationError:
    """Return an error that lists all unknown keys with the most similar known ones."""
    names = list(known)
    return _lines(
        title, [((str(key),), f"unknown {what}{did_you_mean(str(key), names)}", given[key]) for key in unknown]
    )


def check_keys(model: type[BaseModel], given: Mapping[Any, Any]) -> None:
    """Refuse unknown keys of a section, and booleans in place of numbers.

    Raises:
        ValidationError: Lists all unknown keys with the most similar known ones, or all misplaced booleans.
    """
    unknown = [key for key in given if key not in model.model_fields]
    if unknown:
        raise unknown_keys(model.__name__, unknown, given, known=model.model_fields, what="key")
    refuse_misplaced_booleans(model.__name__, given, model.model_fields)


def refuse_misplaced_booleans(title: str, given: Mapping[Any, Any], fields: Mapping[str, FieldInfo]) -> None:
    """Refuse booleans in place of numbers or text: YAML's ``yes`` must not mean one epoch.

    Raises:
        ValidationError: A boolean is given for a field of another type.
    """
    misplaced = [
        ((name,), f"expected {_instead_of_boolean(field.annotation)}", given[name])
        for name, field in fields.items()
        if _holds_boolean(given.get(name)) and not _takes_boolean(field.annotation)
    ]
    if misplaced:
        raise _lines(title, misplaced)


def mistakes(error: ValidationError) -> list[Mistake]:
    """Return the errors, one per key, without errors caused by others."""
    details = error.errors()
    problems: dict[str, list[str]] = {}
    given: dict[str, str] = {}
    for detail in details:
        if detail["type"] == "too_short" and any(_is_below(other["loc"], detail["loc"]) for other in details):
            continue
        key = _dotted(detail["loc"])
        problem = _problem(detail)
        if problem not in problems.setdefault(key, []):
            problems[key].append(problem)
        given.setdefault(key, _given(detail))
    return [Mistake(key, ", or ".join(texts) + given[key]) for key, texts in problems.items()]


def _is_below(location: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    return len(location) > len(other) and location[: len(other)] == other


def _lines(title: str, lines: Sequence[tuple[tuple[str | int, ...], str, Any]]) -> ValidationError:
    return ValidationError.from_exception_data(
        title,
        [
            InitErrorDetails(type=PydanticCustomError("suite", "{text}", {"text": text}), loc=location, input=given)
            for location, text, given in lines
        ],
    )


def _dotted(location: tuple[str | int, ...]) -> str:
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        elif not _UNION_MEMBER.fullmatch(part):
            key += f".{part}" if key else part
    return key


def _problem(detail: ErrorDetails) -> str:
    if detail["type"] in _TEXTS:
        return _TEXTS[detail["type"]]
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _given(detail: ErrorDetails) -> str:
    """Return the given value in brackets if it is short and not in the message already."""
    given = detail.get("input")
    if detail["type"] == "missing" or not isinstance(given, str | int | float | list | tuple | None):
        return ""
    if isinstance(given, str) and repr(given) in detail["msg"]:
        return ""
    text = "null" if given is None else repr(given)
    return f" (given {text})" if len(text) <= 80 else ""


def _instead_of_boolean(annotation: Any) -> str:
    """Return the expected type; for text, with a hint about YAML's boolean words."""
    if _takes_text(annotation):
        return "text, not true or false: YAML reads yes, no, on and off as these, unless they are in quotes"
    return "a number, not true or false"


def _takes_text(annotation: Any) -> bool:
    parts = get_args(annotation)
    if get_origin(annotation) in (dict, Mapping):
        parts = parts[1:]  # keys of mappings are text; only values matter
    return annotation is str or any(_takes_text(part) for part in parts)


def _holds_boolean(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_holds_boolean, value)))


def _takes_boolean(annotation: Any) -> bool:
    if annotation in (bool, Any, dict):
        return True
    return any(_takes_boolean(part) for part in get_args(annotation) if not isinstance(part, str | int | float))
