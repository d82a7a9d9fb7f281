"""IoU of each class and confusion matrices of stored runs, as DataFrames whose labels are the classes' names."""

from __future__ import annotations

import numpy as np
import pandas as pd

from segbench.errors import UsageError
from segbench.report.runs.class_iou import class_iou_by_run, distinct_names
from segbench.report.runs.one_table import one_table, runs_of_network


def class_iou(runs: pd.DataFrame, *, per_seed: bool = False) -> pd.DataFrame:
    """Return the IoU of each class.

    Args:
        runs: Rows of ``load_results``, of one protocol and test data.
        per_seed: Whether each training has a row of its own.

    Returns:
        Fractions of 1: one row a network, the best first, with the means over its seeds, or one a network and seed;
        one column a class. NaN where a class is in no label and no prediction of the test split.

    Raises:
        UsageError: No run is completed, or they are of several protocols or test data.
    """
    table = class_iou_by_run(one_table(runs).completed).rename_axis(columns="class")
    return table if per_seed else table.groupby(level="model", sort=False).mean()


def confusion_matrix(runs: pd.DataFrame, model: str, *, seed: int | None = None) -> pd.DataFrame:
    """Return the confusion matrix of a network over the test split, in pixels.

    Args:
        runs: Rows of ``load_results``, of one protocol and test data.
        model: The network's label, as in the leaderboard.
        seed: The training; by default the matrices of all its seeds are added up.

    Returns:
        Numbers of pixels: one row a class that the label has, one column a class that was predicted.

    Raises:
        UsageError: There is no such network or seed, or the runs are of several protocols or test data.
    """
    found = runs_of_network(one_table(runs).completed, model)
    if seed is not None:
        there = sorted(map(int, found["seed"]))
        if seed not in there:
            raise UsageError(f"{model} has no completed run of seed {seed}; there are {there}")
        found = found[found["seed"] == seed]
    names = distinct_names(found["classes"].iloc[0])
    total = np.sum(np.stack(found["confusion"].tolist()), axis=0)
    return pd.DataFrame(total, index=pd.Index(names, name="label"), columns=pd.Index(names, name="prediction"))
