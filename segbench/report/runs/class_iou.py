"""The IoU of every class: of each network over its seeds, and as columns of a leaderboard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from segbench.report.text import is_absent
from segbench.results.record import Status


def class_iou(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU over seeds of every class (columns) and network (rows) among completed runs."""
    return class_iou_by_run(runs).groupby(level="model", sort=False).mean()


def class_iou_by_run(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the IoU of every class (columns) in each completed run (rows, by ``model`` and ``seed``)."""
    completed = runs[(runs["status"] == Status.COMPLETED) & runs["class_iou"].notna()]
    columns = (completed[name] for name in ("classes", "class_iou"))
    scores = [dict(zip(distinct_names(classes), iou, strict=True)) for classes, iou in zip(*columns, strict=True)]
    index = pd.MultiIndex.from_frame(completed[["model", "seed"]])
    return pd.DataFrame(scores, index=index, dtype=float)


def class_scores(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the columns ``class_iou`` and ``class_iou_std`` of one network from its completed runs, one a seed.

    A class that is in no label and no prediction has no IoU; if only some seeds have a value, the mean is over these.
    """
    table = class_iou_by_run(runs)
    if table.empty:
        return {"class_iou": None, "class_iou_std": None}
    return {"class_iou": table.mean().to_dict(), "class_iou_std": table.std(ddof=1).to_dict()}


def with_class_columns(board: pd.DataFrame) -> pd.DataFrame:
    """Return a leaderboard in which each class has two columns, ``iou_<class>`` and ``iou_<class>_std``.

    A table without the scores of classes is returned as it is.
    """
    if "class_iou" not in board:
        return board
    flat: dict[str, list[float]] = {}
    names = dict.fromkeys(name for given in board["class_iou"] if not is_absent(given) for name in given)
    for name in names:
        flat[f"iou_{name}"] = [class_value(given, name) for given in board["class_iou"]]
        flat[f"iou_{name}_std"] = [class_value(given, name) for given in board["class_iou_std"]]
    rest = board.drop(columns=["class_iou", "class_iou_std"])
    return pd.concat([rest, pd.DataFrame(flat, index=board.index)], axis=1)


def class_value(given: Any, name: str) -> float:
    """Return one class's value from a leaderboard's ``class_iou`` or ``class_iou_std``; NaN if it is missing."""
    return float(given.get(name, np.nan)) if isinstance(given, Mapping) else np.nan


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return class names, numbered where two are equal."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
