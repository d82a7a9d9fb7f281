"""Selects stored runs that are comparable: one protocol, the same test data."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from segbench.errors import UnknownNameError, UsageError
from segbench.report.runs.network_identity import disambiguate_labels, drop_copies
from segbench.report.runs.protocols import comparisons
from segbench.report.text import name_of_test_data, short_id
from segbench.results.record import Status


class TableRuns(NamedTuple):
    """The runs of one table of a leaderboard.

    Attributes:
        all: Every run, completed or not, each once.
        completed: Those that are completed, in the order of the leaderboard.
    """

    all: pd.DataFrame
    completed: pd.DataFrame


def one_table(runs: pd.DataFrame) -> TableRuns:
    """Return the rows of ``load_results`` that can be read, if all of them belong to one table of a leaderboard.

    Raises:
        UsageError: They belong to several, so that their scores must not be put together; or none is completed.
    """
    groups = [group for group in comparisons(disambiguate_labels(runs)) if group.protocol is not None]
    groups = [group for group in groups if (group.runs["status"] == Status.COMPLETED).any()]
    if not groups:
        raise UsageError("none of these runs is completed; 'reason' says of each why not")
    if len(groups) > 1:
        named = "; ".join(f"{short_id(group.protocol)}, {name_of_test_data(group.test_data)}" for group in groups)
        raise UsageError(
            f"these runs are of several protocols or test data, which do not compare ({named}); choose some, such as "
            f"runs[runs.protocol == {groups[0].protocol!r}], or by runs.test_digest"
        )
    found = drop_copies(groups[0].runs)
    completed = found[found["status"] == Status.COMPLETED]
    means = completed.groupby("model", sort=False)["mean_iou"].transform("mean")
    return TableRuns(found, completed.iloc[(-means).argsort(kind="stable")])


def runs_of_network(completed: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the runs of a network.

    Raises:
        UnknownNameError: There are none; the message suggests the nearest name.
    """
    found = completed[completed["model"] == model]
    if found.empty:
        raise UnknownNameError("network of these runs:", model, dict.fromkeys(completed["model"]))
    return found
