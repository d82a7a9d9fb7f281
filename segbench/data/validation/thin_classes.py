"""Finds classes that may come from resizing masks with interpolation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from segbench.config.component import DatasetEntry
from segbench.data.masks.options import class_colors
from segbench.data.masks.thin_values import mixtures
from segbench.data.validation.findings import Finding, Level

if TYPE_CHECKING:
    from segbench.data.validation.judging import CheckedSplit

_SHOWN = 5


def thin_classes(splits: Iterable[CheckedSplit], entry: DatasetEntry) -> list[Finding]:
    """Return a note about classes that occur only as thin borders between two others, reported for the first split.

    Names only classes whose mask value or colour lies between those of other classes, in every split with them.
    """
    splits = [split for split in splits if split.facts.labelled_pixels]
    if not splits or not isinstance(entry.options.get("classes"), list | tuple):
        return []  # classes of built-in data sets are known to be real
    held = {
        name: [split for split in splits if split.facts.class_pixels.get(name)] for name in entry.options["classes"]
    }
    thin = [name for name, some in held.items() if some and all(name in one.facts.thin_classes for one in some)]
    present = [name for name, some in held.items() if some]
    values = _values(entry.options, entry.options["classes"])
    between = mixtures([values[name] for name in thin], [values[name] for name in present])
    named = [name for name in thin if values[name] in between]
    if not named:
        return []
    shown = ", ".join(named[:_SHOWN]) + (f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
    is_thin = "is nowhere more than a thin border" if len(named) == 1 else "are nowhere more than thin borders"
    text = (
        f"{shown} {is_thin} between two other classes: if the masks were resized or smoothed with interpolation, "
        "it invented such values; resize masks with nearest-neighbour interpolation"
    )
    return [Finding("thin-class", Level.NOTE, splits[0].title, text)]


def _values(options: Mapping[str, Any], classes: Iterable[str]) -> dict[str, Any]:
    """Return the (first) mask value or colour of each class."""
    if options.get("values"):
        first = [value if isinstance(value, int) else value[0] for value in options["values"]]
        return dict(zip(classes, first, strict=False))
    if options.get("palette"):
        return dict(zip(classes, class_colors(options["palette"]), strict=False))
    return {name: index for index, name in enumerate(classes)}
