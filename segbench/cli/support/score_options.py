"""Options of ``score``: the content of masks, and the pairing of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segbench.cli.support.score_masks import PROBLEMS

MOST_CLASSES = 4096
"""Limit; the confusion matrix of more classes would need gigabytes."""

Predictions = Annotated[Path, typer.Option("--predictions", metavar="DIR", help="Folder of predicted masks.")]
Labels = Annotated[Path, typer.Option("--labels", metavar="DIR", help="Folder of true masks of the same names.")]
ClassCount = Annotated[
    int | None,
    typer.Option(
        "--classes",
        metavar="N",
        min=1,
        max=MOST_CLASSES,
        help="How many classes there are; needed without --values and --palette.",
    ),
]
Values = Annotated[
    str | None,
    typer.Option(
        "--values",
        metavar="V,V",
        help="The mask value of each class, such as 0,255 or [7,8],11; or a ready-made map, such as "
        "cityscapes-label-ids. 0, 1, ... by default.",
    ),
]
PredictionValues = Annotated[
    str | None,
    typer.Option("--prediction-values", metavar="V,V", help="Those of predictions, where they are others."),
]
Palette = Annotated[
    str | None,
    typer.Option(
        "--palette",
        metavar="COLORS",
        help="The colour of each class, such as [0,0,0],[255,0,0], or a YAML or JSON file of such a list; then "
        "colours decide.",
    ),
]
IgnoreIndex = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore-index",
        metavar="I",
        help="Values of label pixels that count nowhere, such as 255 or 0,1,4; others for all that are no "
        "class's; none. 255 by default, unless it is the value of a class.",
    ),
]
IgnoreColor = Annotated[
    str | None, typer.Option("--ignore-color", metavar="COLORS", help="Colours that count nowhere; or others.")
]
PredictionSuffix = Annotated[
    str, typer.Option("--prediction-suffix", metavar="TEXT", help="What ends the names of predictions.")
]
LabelSuffix = Annotated[
    str, typer.Option("--label-suffix", metavar="TEXT", help="What ends the names of labels, such as _gt.")
]
Recursive = Annotated[
    bool,
    typer.Option(
        "--recursive", help="Look into folders below as well; by itself where a folder holds no masks but folders."
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="PROBLEM", help=f"Score in spite of a problem: {', '.join(PROBLEMS)}."),
]
