"""Kinds of option values with bounds, checked when a suite is read. A factory names them in its annotations.

The other kinds of options are Python's own, such as ``int`` or ``list[str]``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat
from pydantic_core import PydanticCustomError

__all__ = ["ClassNames", "PositiveFloat", "Probability", "Size"]


def _checked_size(size: list[int]) -> list[int]:
    if len(size) != 2 or min(size) < 1:
        raise PydanticCustomError("size", "expected [height, width] in pixels, both above 0")
    return size


def _checked_names(names: list[str] | str) -> list[str] | str:
    if isinstance(names, str):
        return names
    twice = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if twice is not None:
        raise PydanticCustomError("names", "names the class {name} twice", {"name": repr(twice)})
    return names


Size = Annotated[list[int], AfterValidator(_checked_size)]
"""[height, width] in pixels."""

Probability = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1."""

ClassNames = Annotated[list[str] | str, AfterValidator(_checked_names)]
"""Names of classes, all different; or the name of a predefined map of classes."""
