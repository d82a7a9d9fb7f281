"""Finds finished runs whose data has changed since, without decoding images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segbench.config.plan import Run
from segbench.engine.robustness.conditions import splits_of
from segbench.engine.suite.planning import is_finished
from segbench.errors import SegbenchError
from segbench.results.data_identity import DataIdentity
from segbench.results.record import RunRecord


def runs_on_changed_data(runs: Sequence[Run], stored: Mapping[str, RunRecord]) -> frozenset[str]:
    """Return the ids of finished runs whose files are not those of now; of data that is not here nothing is known.

    ``segbench run`` does them again, unless all images and labels decode to the same pixels.

    Args:
        runs: The planned runs.
        stored: Their records by id.
    """
    now: dict[Any, DataIdentity | None] = {}
    changed = set()
    for run in runs:
        record = stored.get(run.id)
        if record is None or record.data is None or not is_finished(record):
            continue
        key = _data_of(run)
        if key not in now:
            now[key] = _identity(run)
        found = now[key]
        if found is not None and not found.same_files(record.data.identity):
            changed.add(run.id)
    return frozenset(changed)


def _data_of(run: Run) -> tuple[Any, ...]:
    """Return what decides which splits a run opens."""
    train = run.recipe.train
    return run.recipe.dataset.model_dump_json(), run.fold, run.role == "trial", train is not None and train.validates


def _identity(run: Run) -> DataIdentity | None:
    try:
        return splits_of(run).identity({})
    except SegbenchError:
        return None
