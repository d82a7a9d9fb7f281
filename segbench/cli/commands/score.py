"""The command that scores masks of any tool: score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from segbench.cli.support import score_options
from segbench.cli.support.options import AsJson, names
from segbench.cli.support.score_masks import PROBLEMS, Counted, compare, refuse_ignored
from segbench.cli.support.score_pairs import note_on_turned, paired
from segbench.cli.support.score_tables import Tables, tables
from segbench.cli.terminal.output import shown, tell, write_facts, write_json, write_table
from segbench.cli.terminal.progress import counting
from segbench.errors import UsageError
from segbench.metrics.confusion import PixelCounts
from segbench.metrics.conventions import void_as_error
from segbench.metrics.scores import Scores
from segbench.metrics.scores import score as scores_of


def score(  # noqa: PLR0913 - each is an option
    *,
    predictions: score_options.Predictions,
    labels: score_options.Labels,
    classes: score_options.ClassCount = None,
    values: score_options.Values = None,
    prediction_values: score_options.PredictionValues = None,
    palette: score_options.Palette = None,
    ignore_index: score_options.IgnoreIndex = None,
    ignore_color: score_options.IgnoreColor = None,
    prediction_suffix: score_options.PredictionSuffix = "",
    label_suffix: score_options.LabelSuffix = "",
    recursive: score_options.Recursive = False,
    allow: score_options.Allow = None,
    as_json: AsJson = False,
) -> None:
    """Score masks made by any tool against true ones.

    Masks hold class numbers (PNG, TIFF or another lossless file), the numbers of --values, or the colours of --palette;
    files are paired by name.
    """
    allowed = [problem for given in allow or () for problem in names(given, option="--allow") or ()]
    if unknown := [problem for problem in allowed if problem not in PROBLEMS]:
        raise UsageError(f"--allow {unknown[0]}: expected {' or '.join(PROBLEMS)}")

    read_as = tables(
        classes=classes,
        values=values,
        prediction_values=prediction_values,
        palette=palette,
        ignore_index=ignore_index,
        ignore_color=ignore_color,
        most=score_options.MOST_CLASSES,
    )
    pairs = paired(
        predictions, labels, prediction_suffix=prediction_suffix, label_suffix=label_suffix, recursive=recursive
    )
    read_as.refuse_differing_palettes(pairs)
    if (turned := note_on_turned(pairs)) is not None:
        tell(f"note: {turned}")
    found = _count(pairs, read_as)
    refuse_ignored(found, ignored=read_as.ignored, chosen=read_as.ignoring_is_chosen, allowed=allowed)
    facts = {"images": len(pairs), "ignored_pixels": found.ignored, "ignored_share": found.ignored_share}
    write_scores(found.counts, facts, classes=read_as.names, left_out=read_as.left_out, as_json=as_json)


def write_scores(
    counts: PixelCounts,
    facts: Mapping[str, Any],
    *,
    classes: Sequence[str] = (),
    left_out: Sequence[int] = (),
    as_json: bool = False,
) -> None:
    """Write the scores of a confusion matrix to standard output, including mIoU with void counted as error.

    Args:
        counts: The matrix with its void row.
        facts: Written before the scores.
        classes: The classes' names, if they have any.
        left_out: Classes ignored in the labels, which no mean includes.
        as_json: Whether to write JSON.
    """
    found = scores_of(counts.confusion, left_out=left_out)
    void = void_as_error(counts.confusion[None], counts.void_predicted[None])
    summary = {**facts, **_summary(found), "mean_iou_void_as_error": None if left_out else void.mean_iou}
    rows = _per_class(found, counts.void_predicted, classes)
    if as_json:
        write_json({**summary, "per_class": rows})
    else:
        write_facts(summary)
        typer.echo()
        titles = list(rows[0])
        write_table(titles, [[shown(row[title]) for title in titles] for row in rows], right=titles)
    notes = {
        "ignored in the labels, so in no mean": left_out,
        "predicted but in no label, so with an IoU of 0": found.predicted_but_unlabelled,
        "in a label but never predicted, so left out of the mean precision": found.never_predicted,
    }
    for note, concerned in notes.items() if not as_json else ():
        if concerned:
            tell(f"note: {note}: {', '.join(str(rows[index]['class']) for index in concerned)}")


def _count(pairs: list[tuple[Path, Path]], read_as: Tables) -> Counted:
    classes = read_as.labels.num_classes
    total = Counted(PixelCounts(np.zeros((classes, classes), np.int64), np.zeros(classes, np.int64)))
    with counting("scoring", "images") as advance:
        for done, (prediction, label) in enumerate(pairs, 1):
            total += compare(label, prediction, labels=read_as.labels, predictions=read_as.predictions)
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
