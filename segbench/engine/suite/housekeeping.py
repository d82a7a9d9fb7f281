"""Maintains a suite's folder: its plan, leftover training states, stale runs, and the gallery."""

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
"""Calls a function, here or in a separate process."""


def drop_states(store: Store, done: Sequence[Run]) -> None:
    """Remove training states of finished runs, left if a run was killed at its very end."""
    saved = set(store.saved())
    for run in done:
        if run.id in saved and not run.resume.keep:
            store.states_of(run.id).remove()


def report_stale(store: Store, runs: Sequence[Run], observer: Observer) -> None:
    """Report stored runs that the suite no longer names; they are kept."""
    stale = store.stale([run.id for run in runs])
    if stale:
        names = ", ".join(sorted(record.id for record in stale))
        observer(Notice(f"{len(stale)} stored runs come from an earlier version of the suite and are kept: {names}"))
    ids = {run.id for run in runs}
    unfinished = [run_id for run_id in store.saved() if run_id not in ids]
    if unfinished:
        named_ones = ", ".join(unfinished)
        observer(
            Notice(f"training states of runs that the suite no longer has are kept in {store.folder}: {named_ones}")
        )


def renew_gallery(
    runs: Sequence[Run], records: Mapping[str, RunRecord], store: Store, *, call: Call, observer: Observer
) -> None:
    """Rebuild the suite's gallery from all completed runs; errors are only reported, since results do not need it.

    Args:
        runs: The suite's runs.
        records: By id, those that are read already.
        store: Where all of them are.
        call: Calls what needs torch.
        observer: Told where there is no gallery.
    """
    try:
        found = {**store.find_all({run.id: run.identity for run in runs if run.id not in records}), **records}
        call(_make_gallery, runs, list(filter(is_finished, found.values())), store)
    except (ProcessDied, DataError, StoreError) as error:  # the disk may be full, or another command may be writing it
        observer(Notice(f"the gallery of test images was not written: {error}"))


def write_plan(suite: Suite, runs: Sequence[Run], store: Store) -> None:
    """Store the suite with all defaults and overrides, and its plan, spelled as the suite's file."""
    document = suite.as_written(suite.model_dump(mode="json"), folder=store.folder)
    lock = suite.as_written({"suite": suite.name, "runs": [_lock_line(run) for run in runs]}, folder=store.folder)
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


def _make_gallery(runs: Sequence[Run], records: Sequence[RunRecord], store: Store) -> None:
    from segbench.engine.suite.gallery import make_gallery

    make_gallery(runs, records, store)
