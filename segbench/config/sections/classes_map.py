"""Maps outputs of a checkpoint to the classes of the data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from segbench.errors import UsageError, did_you_mean

Outputs: TypeAlias = tuple[int, ...]
"""Indices of a network's outputs, from 0."""

_FORM = "a list of output indices in the order of the data set's classes, or a mapping from class to index or indices"


def normalised(given: Any) -> dict[str, Outputs] | tuple[Outputs, ...] | None:
    """Return a map with a tuple of outputs for each class.

    Raises:
        ValueError: It is not a map, a class has no output, or an output is used for two classes.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        if unnamed := [name for name in given if not isinstance(name, str)]:
            raise ValueError(f"class names are texts: put quotes around {unnamed[0]!r}")
        by_name = {name: _outputs(name, one) for name, one in given.items()}
        found: dict[str, Outputs] | tuple[Outputs, ...] = by_name
        outputs = list(by_name.values())
    elif isinstance(given, list | tuple):
        found = tuple(_outputs(f"number {place}", one) for place, one in enumerate(given))
        outputs = list(found)
    else:
        raise ValueError(f"expected {_FORM}")
    if not outputs:
        raise ValueError(f"is empty: expected {_FORM}")
    every = [index for one in outputs for index in one]
    if twice := sorted({index for index in every if every.count(index) > 1}):
        raise ValueError(f"output {twice[0]} stands for two classes")
    return found


def in_order(given: Mapping[str, Outputs] | Sequence[Outputs], classes: Sequence[str]) -> tuple[Outputs, ...]:
    """Return the outputs of each class of a data set, in order.

    Args:
        given: The map, as ``normalised`` returns it.
        classes: The data set's classes.

    Raises:
        UsageError: A class has no outputs, or the map names an unknown class.
    """
    if not isinstance(given, Mapping):
        if len(given) != len(classes):
            raise UsageError(
                f"classes_map: has {len(given)} entries; the data set has {len(classes)} classes: {_all(classes)}"
            )
        return tuple(tuple(one) for one in given)
    for name in given:
        if name not in classes:
            raise UsageError(f"classes_map: the data set has no class {name!r}{did_you_mean(name, classes)}")
    if lacking := [name for name in classes if name not in given]:
        raise UsageError(
            f"classes_map: needs an output for each class of the data set; there is none for {_all(lacking)}"
        )
    return tuple(tuple(given[name]) for name in classes)


def mapped_by_name(given: Any, classes: Sequence[str]) -> dict[str, list[int]] | None:
    """Return the outputs of each class by its name, for a record; None without a map."""
    if given is None:
        return None
    return {name: list(outputs) for name, outputs in zip(classes, given, strict=True)}


def _outputs(name: str, given: Any) -> Outputs:
    indices = tuple(given) if isinstance(given, list | tuple) else (given,)
    if not indices:
        raise ValueError(f"{name}: needs at least one output")
    for index in indices:
        if isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise ValueError(f"{name}: an output is a whole number from 0 (given {index!r})")
    return indices


def _all(names: Sequence[str]) -> str:
    return ", ".join(names)
