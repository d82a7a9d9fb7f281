"""Tells where the mask value 255 is void in more than borders between classes, so that it may be an unnamed class."""

from __future__ import annotations

from dataclasses import dataclass

from segbench.config.component import DatasetEntry
from segbench.data.base import IGNORE_INDEX
from segbench.data.masks.void_borders import BORDER_WIDTH, between_classes, only_borders
from segbench.data.validation.facts import SplitFacts


@dataclass(frozen=True)
class WideVoid:
    """Void that is no border.

    Attributes:
        text: What was found.
        remedy: What to do where 255 is a class.
        is_chosen: Whether the suite itself says that 255 is ignored, and does not leave it to the default.
    """

    text: str
    remedy: str
    is_chosen: bool


def wide_void(facts: SplitFacts, entry: DatasetEntry) -> WideVoid | None:
    """Return what is void of a split beyond thin borders; None where that can be no class, or is not known.

    Thin lines within one class are no borders: where the suite does not say that 255 is ignored, they may be a class of
    thin objects, such as roads or cracks.

    Args:
        facts: What the split holds.
        entry: The suite's data set.
    """
    void, thick = facts.void_pixels, facts.thick_void_pixels
    pixels = void + facts.labelled_pixels
    if thick is None or not _may_be_a_class(entry):
        return None
    if only_borders(pixels=pixels, void=void, thick=thick):
        return _thin_lines(facts, entry)
    text = (
        f"255 is ignored, and {void / pixels:.1%} of the pixels are void, more than thin borders "
        f"({thick / void:.0%} of them in places wider than {BORDER_WIDTH} pixels)"
    )
    return WideVoid(text, _remedy(facts, entry), is_chosen="ignore" not in entry.unwritten)


def _thin_lines(facts: SplitFacts, entry: DatasetEntry) -> WideVoid | None:
    """Return that thin lines lie within one class, where nobody chose that 255 is ignored."""
    void, enclosed = facts.void_pixels, facts.enclosed_void_pixels
    is_chosen = "ignore" not in entry.unwritten
    if is_chosen or enclosed is None or between_classes(void=void, enclosed=enclosed):
        return None
    text = (
        f"255 is ignored by default, and fills thin lines of which {enclosed / void:.0%} lie within one class, as thin "
        "objects do, and not between two, as void borders do"
    )
    return WideVoid(text, _remedy(facts, entry), is_chosen=False)


def _may_be_a_class(entry: DatasetEntry) -> bool:
    """Whether 255 alone is void, and the suite does not say what all other values and colours are as well."""
    options = entry.options
    by_number = "values" in options and options.get("palette") is None and options.get("ignore_color") is None
    is_stated = options.get("values") is not None and "ignore" not in entry.unwritten
    is_map = isinstance(options.get("classes"), str)
    return by_number and not is_stated and not is_map and options.get("ignore") in (IGNORE_INDEX, [IGNORE_INDEX])


def _remedy(facts: SplitFacts, entry: DatasetEntry) -> str:
    values = "its number among values"
    if len(facts.class_pixels) == 2 and entry.options["values"] is None:
        both = all(facts.class_pixels.values())  # some masks hold 1, and some 255
        values = "values: [0, [1, 255]]" if both else "values: [0, 255]"
    return f"If 255 is a class, give {values} and ignore: null"
