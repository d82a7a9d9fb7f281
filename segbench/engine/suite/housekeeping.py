"""Keeps a suite's folder in order: its plan, the states that runs left, what the suite no longer names, its gallery."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from segbench.config.plan import Run
from segbench.config.suite import Suite
from segbench.engine.events import Notice, Observer
from segbench.engine.processes import ProcessDied
from segbench.engine.suite.planning import is_finished
from segbench.errors import DataError, StoreError
from segbench.results.record import RunRecord
from segbench.results.store import Store

Call = Callable[..., Any]
"""Calls a function, here or in a process of its own."""


def drop_states(store: Store, done: Sequence[Run]) -> None:
    """Remove the states that finished runs left when they were killed at their very end."""
    saved = set(store.saved())
    for run in done:
        if run.id in saved and not run.resume.keep:
            store.states_of(run.id).remove()


def name_stale(store: Store, runs: Sequence[Run], observer: Observer) -> None:
    """Tell of stored runs that the suite no longer names; they are kept."""
    stale = store.stale([run.id for run in runs])
    if stale:
        names = ", ".join(sorted(record.id for record in stale))
        observer(
            Notice(f"{len(stale)} stored runs come from an earlier form of the suite and stay as they are: {names}")
        )
    ids = {run.id for run in runs}
    unfinished = [run_id for run_id in store.saved() if run_id not in ids]
    if unfinished:
        named_ones = ", ".join(unfinished)
        observer(Notice(f"saved states of runs that the suite no longer names stay in {store.folder}: {named_ones}"))


def renew_gallery(
    runs: Sequence[Run], records: Mapping[str, RunRecord], store: Store, *, call: Call, observer: Observer
) -> None:
    """Make the suite's gallery of all its completed runs anew; without one, the results are whole all the same.

    Args:
        runs: The suite's runs.
        records: By id, those that are read already.
        store: Where all of them are.
        call: Calls what needs torch.
        observer: Told where there is no gallery.
    """
    try:
        found = {**store.find_all({run.id: run.identity for run in runs if run.id not in records}), **records}
        call(_make_gallery, runs, list(filter(is_finished, found.values())), store, observer=observer)
    except (ProcessDied, DataError, StoreError) as error:  # the disk may be full, or another command at it
        observer(Notice(f"the gallery of test images was not made: {error}"))


def write_plan(suite: Suite, runs: Sequence[Run], store: Store) -> None:
    """Store the suite as it is run, defaults and overrides included, and the plan that it becomes."""
    document = suite.model_dump(mode="json")
    lock = {"suite": suite.name, "runs": [_lock_line(run) for run in runs]}
    store.write_suite(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), lock)


def _lock_line(run: Run) -> dict[str, Any]:
    line = {
        "id": run.id,
        "identity": run.identity,
        "protocol_id": run.protocol_id,
        "model": run.model.model_dump(mode="json"),
        "seed": run.seed,
        "point": run.point,
    }
    line |= {"fold": run.fold} if run.fold is not None else {}
    return line | {"tuning": {"role": run.tuning.role, "values": run.tuning.values}} if run.tuning else line


def _make_gallery(runs: Sequence[Run], records: Sequence[RunRecord], store: Store, *, observer: Observer) -> None:
    from segbench.engine.suite.gallery import make_gallery

    del observer
    make_gallery(runs, records, store)
