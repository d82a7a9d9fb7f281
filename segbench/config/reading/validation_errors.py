"""What pydantic finds wrong, as dotted keys with problems a person can act on."""

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
"""What pydantic puts into a location for the members of a union; no key of a suite looks like these."""


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
"""By pydantic's type of error: words for those whose own speak of Python."""


class Mistake(NamedTuple):
    """One thing that is wrong.

    Attributes:
        key: The dotted key, such as ``models[2].width``; empty for the whole.
        problem: What is wrong, and what was given.
    """

    key: str
    problem: str


def line_error(title: str, location: tuple[str | int, ...], text: str, given: Any) -> ValidationError:
    """Return one error at a place below the value under validation."""
    return _lines(title, [(location, text, given)])


def unknown_keys(
    title: str, unknown: Iterable[Any], given: Mapping[Any, Any], *, known: Iterable[str], what: str
) -> ValidationError:
    """Return one error that lists every unknown key with the nearest known one."""
    names = list(known)
    return _lines(
        title, [((str(key),), f"unknown {what}{did_you_mean(str(key), names)}", given[key]) for key in unknown]
    )


def check_keys(model: type[BaseModel], given: Mapping[Any, Any]) -> None:
    """Refuse keys that a section of a suite does not have, and booleans where it has numbers.

    Raises:
        ValidationError: Lists every unknown key with the nearest known one, or the misplaced booleans.
    """
    unknown = [key for key in given if key not in model.model_fields]
    if unknown:
        raise unknown_keys(model.__name__, unknown, given, known=model.model_fields, what="key")
    refuse_misplaced_booleans(model.__name__, given, model.model_fields)


def refuse_misplaced_booleans(title: str, given: Mapping[Any, Any], fields: Mapping[str, FieldInfo]) -> None:
    """Refuse true and false where a number or text is meant: YAML's ``yes`` must not become one epoch.

    Raises:
        ValidationError: A boolean stands where the field's type has none.
    """
    misplaced = [
        ((name,), f"expected {_instead_of_boolean(field.annotation)}", given[name])
        for name, field in fields.items()
        if _holds_boolean(given.get(name)) and not _takes_boolean(field.annotation)
    ]
    if misplaced:
        raise _lines(title, misplaced)


def mistakes(error: ValidationError) -> list[Mistake]:
    """Return what is wrong, one entry a key; what only follows from another mistake is left out."""
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
    """Return what was given in brackets, where it is short and not part of the problem already."""
    given = detail.get("input")
    if detail["type"] == "missing" or not isinstance(given, str | int | float | list | tuple | None):
        return ""
    if isinstance(given, str) and repr(given) in detail["msg"]:
        return ""
    text = "null" if given is None else repr(given)
    return f" (given {text})" if len(text) <= 80 else ""


def _instead_of_boolean(annotation: Any) -> str:
    """Return what is expected; where it is text, with what YAML makes of some words."""
    if _takes_text(annotation):
        return "text, not true or false: YAML reads yes, no, on and off as these, unless they are in quotes"
    return "a number, not true or false"


def _takes_text(annotation: Any) -> bool:
    parts = get_args(annotation)
    if get_origin(annotation) in (dict, Mapping):
        parts = parts[1:]  # its keys are text whatever stands under them
    return annotation is str or any(_takes_text(part) for part in parts)


def _holds_boolean(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_holds_boolean, value)))


def _takes_boolean(annotation: Any) -> bool:
    if annotation in (bool, Any, dict):
        return True
    return any(_takes_boolean(part) for part in get_args(annotation) if not isinstance(part, str | int | float))
