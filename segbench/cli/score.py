"""The command that scores masks made by any tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.options import AsJson
from segbench.cli.output import counted, shown, tell, write_facts, write_json, write_table
from segbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segbench.metrics.confusion import PixelCounts
    from segbench.metrics.scores import Scores

MOST_CLASSES = 4096
"""More would need gigabytes for their confusion matrix."""

_MODES = ("P", "L", "1", "I", "I;16", "I;16B", "I;16L")
"""Pillow's modes whose pixels are single whole numbers."""


def score(
    *,
    predictions: Annotated[Path, typer.Option("--predictions", metavar="DIR", help="Folder of predicted PNG masks.")],
    labels: Annotated[
        Path, typer.Option("--labels", metavar="DIR", help="Folder of true PNG masks of the same names.")
    ],
    classes: Annotated[
        int, typer.Option("--classes", metavar="N", min=1, max=MOST_CLASSES, help="How many classes there are.")
    ],
    ignore_index: Annotated[
        int, typer.Option("--ignore-index", metavar="I", help="Label of pixels that count nowhere; -1 for none.")
    ] = 255,
    as_json: AsJson = False,
) -> None:
    """Score PNG masks made by any tool against true ones.

    Masks hold class indices, grey or palette; files are paired by name.
    """
    pairs = paired(predictions, labels)
    counts = _count(pairs, classes=classes, ignore_index=ignore_index if ignore_index >= 0 else None)
    write_scores(counts, {"images": len(pairs)}, as_json=as_json)


def write_scores(
    counts: PixelCounts, facts: Mapping[str, Any], *, classes: Sequence[str] = (), as_json: bool = False
) -> None:
    """Write the scores of a confusion matrix to standard output, and what void counted as error would make of mIoU.

    Args:
        counts: The matrix with its void row.
        facts: What to write before them.
        classes: The classes' names, if they have any.
        as_json: Whether to write JSON.
    """
    from segbench.metrics.conventions import void_as_error
    from segbench.metrics.scores import score as scores_of

    found = scores_of(counts.confusion)
    void = void_as_error(counts.confusion[None], counts.void_predicted[None])
    summary = {**facts, **_summary(found), "mean_iou_void_as_error": void.mean_iou}
    rows = _per_class(found, counts.void_predicted, classes)
    if as_json:
        write_json({**summary, "per_class": rows})
        return
    write_facts(summary)
    typer.echo()
    titles = list(rows[0])
    write_table(titles, [[shown(row[title]) for title in titles] for row in rows], right=titles)
    if found.predicted_but_unlabelled:
        named = ", ".join(str(rows[index]["class"]) for index in found.predicted_but_unlabelled)
        tell(f"note: predicted but in no label, so with an IoU of 0: {named}")
    if found.never_predicted:
        named = ", ".join(str(rows[index]["class"]) for index in found.never_predicted)
        tell(f"note: in a label but never predicted, so left out of the mean precision: {named}")


def paired(predictions: Path, labels: Path) -> list[tuple[Path, Path]]:
    """Return (prediction, label) files of the same name, in the order of names.

    Raises:
        DataError: A folder is missing or empty, or a file has no partner; it is named.
    """
    predicted, labelled = _masks(predictions), _masks(labels)
    for here, there, folder in ((predicted, labelled, labels), (labelled, predicted, predictions)):
        alone = sorted(here.keys() - there.keys())
        if alone:
            more = f", nor for {counted(len(alone) - 1, 'other')}" if len(alone) > 1 else ""
            raise DataError(f"{here[alone[0]]}: there is no {alone[0]}.png in {folder}{more}")
    return [(predicted[name], labelled[name]) for name in sorted(predicted)]


def read_mask(file: Path) -> NDArray[np.integer[Any]]:
    """Read a grey or palette PNG as (H, W) class indices.

    Raises:
        DataError: The file cannot be read or holds colours; it is named.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if picture.mode not in _MODES:
                raise DataError(
                    f"{file}: is a picture of mode {picture.mode}; expected class indices (grey or palette PNG)"
                )
            pixels: NDArray[np.integer[Any]] = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from None
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def compare(label: Path, prediction: Path, *, classes: int, ignore_index: int | None) -> PixelCounts:
    """Return the counts of one label file against its prediction.

    Raises:
        DataError: A file cannot be read, or holds what is no class; the one at fault is named.
    """
    from segbench.metrics.confusion import count_pixels

    labels, predicted = read_mask(label), read_mask(prediction)
    try:
        return count_pixels(labels, predicted, num_classes=classes, ignore_index=ignore_index, name=str(prediction))
    except DataError:
        # against itself, a label fails only by its own fault
        count_pixels(labels, labels, num_classes=classes, ignore_index=ignore_index, name=str(label))
        raise


def _masks(folder: Path) -> dict[str, Path]:
    from segbench.data.image_folder import image_files, same_name

    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    found = {same_name(file.stem): file for file in image_files(folder) if file.suffix.lower() == ".png"}
    if not found:
        raise DataError(f"{folder}: holds no PNG files")
    return found


def _count(pairs: list[tuple[Path, Path]], *, classes: int, ignore_index: int | None) -> PixelCounts:
    import numpy as np

    from segbench.cli.progress import counting
    from segbench.metrics.confusion import PixelCounts

    total = PixelCounts(np.zeros((classes, classes), np.int64), np.zeros(classes, np.int64))
    with counting("scoring", "images") as advance:
        for done, (prediction, label) in enumerate(pairs, 1):
            counts = compare(label, prediction, classes=classes, ignore_index=ignore_index)
            total = PixelCounts(total.confusion + counts.confusion, total.void_predicted + counts.void_predicted)
            advance(done, len(pairs))
    return total


def _summary(found: Scores) -> dict[str, Any]:
    """Return the scores that are single numbers."""
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def _per_class(found: Scores, void_predicted: NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    columns = {
        "iou": found.iou,
        "recall": found.recall,
        "precision": found.precision,
        "dice": found.dice,
        "label_pixels": found.label_pixels,
        "void_predicted": void_predicted,
    }
    return [
        {"class": names[index] if names else index, **{name: values[index].item() for name, values in columns.items()}}
        for index in range(len(found.iou))
    ]
