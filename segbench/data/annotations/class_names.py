"""Numbers the classes of annotations, and refuses labels that a list of classes does not name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.annotations.choices import Others
from segbench.data.base import IGNORE_INDEX
from segbench.errors import DataError

BACKGROUND = "background"
_BACKGROUNDS = ("background", "_background_", "__background__")
_VOID = ("__ignore__", "_ignore_")
"""LabelMe's names for pixels that count nowhere."""
_MOST_CLASSES = IGNORE_INDEX
_SHOWN = 8


@dataclass(frozen=True)
class ClassNumbers:
    """The classes of converted masks.

    Attributes:
        names: The names of the classes 0, 1, ...
        numbers: The class number of each label; ``IGNORE_INDEX`` for void.
        rest: What pixels of no region are.
        others: Labels that no class is named for.
    """

    names: tuple[str, ...]
    numbers: Mapping[str, int]
    rest: int
    others: tuple[str, ...] = ()


def number_classes(
    labels: Iterable[str],
    *,
    has_background: bool,
    listed: Sequence[str] | None = None,
    others: Others | None = None,
) -> ClassNumbers:
    """Number classes from 0.

    Args:
        labels: The labels of the annotations, in the order of their classes.
        has_background: Whether pixels of no region are a class, the first one unless a label is called so; they are
            void otherwise.
        listed: The classes in order, where a person lists them.
        others: What other labels become then.

    Raises:
        DataError: A label is not listed, or there are more classes than a mask can hold.
    """
    labels = list(dict.fromkeys(labels))
    void = [label for label in (*labels, *(listed or ())) if label in _VOID]
    names = [name for name in (labels if listed is None else listed) if name not in void]
    unknown = [label for label in labels if label not in (*names, *void) and not _is_background(label)]
    if unknown and others is None:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise DataError(
            f"annotations have labels that the list of classes does not name: {', '.join(unknown[:_SHOWN])}{more}; add "
            "them to the list, or say what they become: --others background, or void"
        )
    if has_background and not any(map(_is_background, names)):
        names.insert(0, BACKGROUND)
    if len(names) > _MOST_CLASSES:
        raise DataError(
            f"annotations have {len(names):,} classes; a mask holds at most {_MOST_CLASSES}: list those to keep in a "
            "file of --classes, and give --others"
        )
    numbers = {name: index for index, name in enumerate(names)}
    background = next((numbers[name] for name in names if _is_background(name)), None)
    rest = background if has_background and background is not None else IGNORE_INDEX
    if others is Others.BACKGROUND and unknown and background is None:
        raise DataError("--others background: these annotations have no background class; give --others void")
    fallback = background if others is Others.BACKGROUND and background is not None else IGNORE_INDEX
    numbers |= dict.fromkeys(unknown, fallback) | dict.fromkeys(void, IGNORE_INDEX)
    if background is not None:
        numbers |= {label: background for label in labels if _is_background(label)}
    return ClassNumbers(tuple(map(_plain, names)), numbers, rest, tuple(unknown))


def read_names(file: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line; empty lines are skipped.

    Raises:
        DataError: It cannot be read, is empty, or names a class twice.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list of classes, one a line: {error}") from None
    names = [line for line in lines if line]
    if not names or len(set(names)) < len(names):
        raise DataError(f"{file}: {'names a class twice' if names else 'is empty'}; one class a line is expected")
    return tuple(names)


def _is_background(label: str) -> bool:
    return label.lower() in _BACKGROUNDS


def _plain(name: str) -> str:
    return BACKGROUND if _is_background(name) else name
