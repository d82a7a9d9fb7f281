"""Builds the label tables of labels and predictions from the options of ``score``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from segbench.cli.support.options import names as parts_of
from segbench.data.base import IGNORE_INDEX
from segbench.data.masks.label_maps import LABEL_MAPS, label_map
from segbench.data.masks.label_table import VOID, LabelTable
from segbench.data.masks.options import OTHERS, label_table
from segbench.data.masks.palettes import differing_palettes, permuted_palettes
from segbench.data.masks.terms import MaskTerms
from segbench.errors import DataError, UsageError

TERMS = MaskTerms(
    classes="--classes",
    values="--values",
    palette="--palette",
    ignore="--ignore-index",
    ignore_color="--ignore-color",
    nothing="none",
)
"""Names of the options, for messages about masks."""


@dataclass(frozen=True)
class Tables:
    """How masks are read.

    Attributes:
        labels: Meaning of the numbers and colours of labels.
        predictions: The same for predictions.
        names: The classes' names; empty if they are only numbered.
        left_out: Classes whose numbers are all ignored in the labels.
        ignored: The ignored numbers, for messages.
        ignoring_is_chosen: Whether the user gave them, rather than the default 255.
    """

    labels: LabelTable
    predictions: LabelTable
    names: tuple[str, ...] = ()
    left_out: tuple[int, ...] = ()
    ignored: str = ""
    ignoring_is_chosen: bool = False

    def refuse_differing_palettes(self, pairs: Sequence[tuple[Path, Path]]) -> None:
        """Refuse palette images whose numbers differ in meaning between files.

        Raises:
            DataError: Palettes differ among labels, among predictions or between them, and no palette is given.
        """
        if self.labels.colors is not None:
            return
        for files in zip(*pairs, strict=True):
            problem = differing_palettes(files, terms=TERMS)
            if problem:
                raise DataError(problem)
        predictions, labels = zip(*pairs, strict=True)
        if problem := permuted_palettes(labels, predictions, terms=TERMS):
            raise DataError(problem)


def tables(
    *,
    classes: int | None,
    values: str | None,
    prediction_values: str | None,
    palette: str | None,
    ignore_index: Sequence[str] | None,
    ignore_color: str | None,
    most: int,
) -> Tables:
    """Return how to read masks, from the options of the command line.

    Raises:
        UsageError: An option is invalid, or the number of classes is unknown.
        DataError: The options contradict each other.
    """
    known = label_map(values) if values in LABEL_MAPS else None
    own = list(known.values) if known else _list(values, "--values")
    colors = _list(_text(palette), "--palette")
    count = _count(classes, own, colors, most)
    given, others = _ignored(ignore_index)
    usual = list(known.ignore) if known else _usual(range(count) if own is None else own)
    void = usual if ignore_index is None else given
    named = known.classes if known else tuple(map(str, range(count)))
    everything: dict[str, Any] = {
        "palette": colors,
        "ignore_color": OTHERS if ignore_color == OTHERS else _list(ignore_color, "--ignore-color"),
    }
    plain = label_table(named, values=own, ignore=None, source="score", terms=TERMS, **everything)
    of_classes = [number for number in void if number in plain.class_numbers]
    free = [number for number in void if number not in of_classes]
    complete = label_table(named, values=own, ignore=free, source="score", terms=TERMS, **everything)
    return Tables(
        replace(
            complete,
            numbers=dict(complete.numbers) | dict.fromkeys(of_classes, VOID),
            other_number=VOID if others else complete.other_number,
        ),
        _of_predictions(complete, named, prediction_values, free, everything),
        names=known.classes if known else (),
        left_out=tuple(
            label
            for label in range(count)
            if all(number in of_classes for number, of in plain.class_numbers.items() if of == label)
        ),
        ignored=_in_words(void, others=others, color=ignore_color),
        ignoring_is_chosen=ignore_index is not None or known is not None or ignore_color is not None,
    )


def _of_predictions(
    labels: LabelTable, named: Sequence[str], values: str | None, void: list[int], everything: dict[str, Any]
) -> LabelTable:
    if values is None:
        return labels
    own, terms = _list(values, "--prediction-values"), replace(TERMS, values="--prediction-values")
    taken = label_table(named, values=own, ignore=None, source="score", terms=terms).class_numbers
    free = [number for number in void if number not in taken]
    return label_table(named, values=own, ignore=free, source="score", terms=terms, **everything)


def _count(classes: int | None, values: list[Any] | None, palette: list[Any] | None, most: int) -> int:
    lengths = {"--classes": classes, "--values": values and len(values), "--palette": palette and len(palette)}
    given = {option: length for option, length in lengths.items() if length}
    if not given:
        raise UsageError("how many classes there are is not known; give --classes, --values or --palette")
    if len(set(given.values())) > 1:
        told = ", ".join(f"{length} by {option}" for option, length in given.items())
        raise UsageError(f"the number of classes is not clear: {told}")
    count = next(iter(given.values()))
    if count > most:
        raise UsageError(f"{count} classes; there can be at most {most}")
    return count


def _in_words(void: Sequence[int], *, others: bool, color: str | None) -> str:
    numbers = ", ".join(map(str, void)) if not others else "numbers of no class"
    return " and ".join(part for part in (numbers, f"colour {color}" if color else "") if part)


def _usual(values: Sequence[Any]) -> list[int]:
    """Return the number ignored by default: 255, unless a class has it."""
    taken = [number for given in values for number in (given if isinstance(given, list) else [given])]
    return [] if IGNORE_INDEX in taken else [IGNORE_INDEX]


def _ignored(given: Sequence[str] | None) -> tuple[list[int], bool]:
    """Return the ignored numbers, and whether all other numbers are ignored as well."""
    parts = [part for text in given or () for part in parts_of(text, option="--ignore-index") or ()]
    try:
        numbers = [int(part) for part in parts if part not in (OTHERS, "none")]
    except ValueError:
        raise UsageError(
            f"--ignore-index {','.join(parts)}: expected whole numbers separated by commas, others or none"
        ) from None
    if "none" in parts and len(parts) > 1:
        raise UsageError(f"--ignore-index {','.join(parts)}: none stands alone")
    return list(dict.fromkeys(numbers)), OTHERS in parts


def _list(text: str | None, option: str) -> list[Any] | None:
    """Parse a list as in a suite, with or without the outer brackets."""
    if text is None:
        return None
    for written in (text, f"[{text}]"):
        try:
            found = yaml.safe_load(written)
        except yaml.YAMLError:
            continue
        if isinstance(found, list) and found and all(map(_numeric, found)):
            return found
    known = f", or one of {', '.join(LABEL_MAPS)}" if option == "--values" else ""
    raise UsageError(f"{option} {text}: expected a list for each class, such as {_EXAMPLES[option]}{known}")


_EXAMPLES = {
    "--values": "0,255 or [7,8],11",
    "--prediction-values": "0,1",
    "--palette": "[0,0,0],[255,0,0], or a file of such a list",
    "--ignore-color": "[255,255,255]",
}


def _numeric(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_numeric, value))
    return isinstance(value, int) and not isinstance(value, bool)


def _text(given: str | None) -> str | None:
    """Return the content of a named file, else the text itself.

    Raises:
        UsageError: The file cannot be read.
    """
    if given is None or "[" in given:
        return given
    try:
        return Path(given).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--palette {given}: is neither a list of colours nor a file that can be read: {error}"
        ) from None
