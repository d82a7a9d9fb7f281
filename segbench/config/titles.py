"""Names of runs in tables and messages, and ends of their ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DISTILL_KEY = "train.distill"
"""Key of a suite's distillation, as it may stand in a grid."""


def titled(label: str, role: str, values: Mapping[str, Any] | None) -> str:
    """Return a row's name with its role in a tuning, such as ``unet (trial lr=0.1)``."""
    return f"{label} ({' '.join([role, *([in_words(values)] if values else [])])})"


def with_point(title: str, point: Mapping[str, Any]) -> str:
    """Return a run's title with the grid's values of its recipe, such as ``unet, lr=0.1``."""
    values = recipe_values(point)
    return f"{title}, {values}" if values else title


def recipe_values(point: Mapping[str, Any]) -> str:
    """Return the grid's values of a run's recipe in words; the teacher is left out, which stands in the title."""
    values: dict[str, Any] = {}
    for key, value in point.items():
        if key == DISTILL_KEY:
            values |= {name: part for name, part in (value or {}).items() if name != "teacher"}
        elif not concerns_model(key) and key != f"{DISTILL_KEY}.teacher":
            values[key] = value
    return recipe_in_words(values)


def with_teacher(title: str, teacher: str | None) -> str:
    """Return a run's title with the label of its teacher, such as ``cnn, distilled from unet``."""
    return title if teacher is None else f"{title}, distilled from {teacher}"


def with_fold(title: str, fold: int | None, folds: int | None) -> str:
    """Return a run's title with its test fold, such as ``unet, fold 2 of 5``."""
    return title if fold is None else f"{title}, fold {fold} of {folds}"


def id_start(label: str) -> str:
    """Return the start of a run's id: its network's label, in characters that file names may have."""
    return re.sub(r"[^\w.-]+", "-", label)[:80].strip("-.") or "model"


def id_end(seed: int, fold: int | None, identity: str) -> str:
    """Return the end of a run's id: seed, fold (if any) and the start of its identity."""
    return f"seed{seed}-{'' if fold is None else f'fold{fold}-'}{identity[:10]}"


def in_words(values: Mapping[str, Any]) -> str:
    """Return values with shortened keys, such as ``lr=0.1, weight_decay=0``."""
    return ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in values.items())


def recipe_in_words(values: Mapping[str, Any]) -> str:
    """Return values of a recipe as ``in_words`` does, with components as one writes them in a sentence."""
    return in_words({key: component_in_words(value) for key, value in values.items()})


def component_in_words(value: Any) -> Any:
    """Return a loss, an optimizer or a list of steps in short, such as ``resize(scale=0.5) + normalize``.

    Other values are returned unchanged.
    """
    if isinstance(value, Mapping) and "name" in value:
        options = ", ".join(f"{key}={option}" for key, option in value.items() if key != "name")
        return f"{value['name']}({options})" if options else str(value["name"])
    if isinstance(value, list | tuple) and value and all(isinstance(part, str | Mapping) for part in value):
        return " + ".join(str(component_in_words(part)) for part in value)
    return value


def concerns_model(key: str) -> bool:
    """Return whether a key of a grid changes the networks instead of the recipe."""
    return key.split(".", maxsplit=1)[0] in ("models", "defaults")
