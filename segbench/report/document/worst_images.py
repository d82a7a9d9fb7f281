"""The test images with the lowest scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from segbench.metrics.scores import ClassCounts, mean_iou
from segbench.report.blocks import Block, Cell, Heading, Paragraph, Table
from segbench.report.figures.captions import best
from segbench.report.text import with_spread
from segbench.results.record import Status

MOST_IMAGES = 10


def image_scores(board: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU of each test image (rows) by each of the best networks (columns), the mean over seeds.

    An image's own mean IoU is taken over the classes that are labelled or predicted in it. Images are ordered
    from the hardest to the easiest by their mean over networks; those without a labelled pixel are left out.
    """
    completed = runs[(runs["status"] == Status.COMPLETED) & runs["image_counts"].notna()]
    scores = {}
    for model in best(board)["model"]:
        seeds = completed[completed["model"] == model]
        by_seed = [
            pd.Series(mean_iou(ClassCounts(*counts)), index=list(names))
            for counts, names in zip(seeds["image_counts"], seeds["image_names"], strict=True)
        ]
        if by_seed:
            scores[model] = pd.concat(by_seed, axis=1).mean(axis=1)
    frame = pd.DataFrame(scores).dropna(how="all")
    return frame.iloc[np.argsort(frame.mean(axis=1).to_numpy(), kind="stable")]


def worst_cases(board: pd.DataFrame, runs: pd.DataFrame) -> list[Block]:
    """Return a table of the hardest test images; nothing without completed runs."""
    scores = image_scores(board, runs)
    if scores.empty:
        return []
    rows: list[list[Cell | str]] = []
    for name, row in scores.head(MOST_IMAGES).iterrows():
        known = row.dropna()
        top, low = int(known.argmax()), int(known.argmin())
        rows.append(
            [
                str(name),
                Cell(with_spread(known.mean(), None), float(known.mean())),
                f"{known.index[top]} ({known.iloc[top]:.3f})",
                f"{known.index[low]} ({known.iloc[low]:.3f})",
            ]
        )
    words = (
        f"The {len(rows)} hardest of {len(scores)} test images, by the mean over networks of each image's own mean IoU "
        "(over the classes labelled or predicted in it)."
    )
    titles = ["image", "mean IoU", "best network", "worst network"]
    return [Heading("Worst cases", 3), Paragraph.of(words), Table.of("worst-cases", titles, rows, ":-::")]
