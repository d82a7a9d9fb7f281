"""Runs a suite: what is missing is done, each run in its own process; what is done is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from segbench.config.plan import Run, plan
from segbench.config.suite import Suite
from segbench.engine.events import Notice, Observer, RunEnded, RunStarted, ignore
from segbench.engine.processes import ProcessDied, call_here, call_in_process
from segbench.errors import UnknownNameError, UsageError
from segbench.metrics.scores import score
from segbench.results.checks import add_checks, read_checks
from segbench.results.environment import capture
from segbench.results.matrices import load_matrices
from segbench.results.record import Outcome, RunRecord, Status, Timings
from segbench.results.store import Store, write_record

Call = Callable[..., Any]


@dataclass(frozen=True)
class SuiteOutcome:
    """What running a suite came to.

    Attributes:
        store: Where the results are.
        records: The records of all its runs, in the plan's order.
        done_before: Ids of the runs that were not done again.
    """

    store: Store
    records: tuple[RunRecord, ...]
    done_before: frozenset[str]

    @property
    def complete(self) -> bool:
        """Whether every run was completed."""
        return all(record.outcome.status is Status.COMPLETED for record in self.records)


def run_suite(
    suite: Suite,
    *,
    results: Path | str = "results",
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    device: str = "auto",
    in_process: bool = False,
    observer: Observer = ignore,
) -> SuiteOutcome:
    """Do all runs of a suite that are not done yet.

    Args:
        suite: The suite.
        results: Folder of all results; the suite's own folder is made in it.
        models: Labels of the models to run; all by default.
        seeds: Seeds to run; all of the suite's by default.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether runs share this process, for debugging.
        observer: Told of everything that happens.

    Returns:
        The records of the chosen runs; failed and skipped ones among them.

    Raises:
        UsageError: The suite or its data is wrong; nothing that was done is lost.
    """
    runs = chosen(plan(suite), models, seeds)
    store = Store(Path(results), suite.name)
    store.clean()
    call = call_here if in_process else call_in_process
    finished = finished_records(runs, store)
    known = frozenset(read_checks(store.folder))
    found = call(_preflight, runs, known, device, frozenset(finished), observer=observer)
    write_plan(suite, store)
    add_checks(store.folder, found.splits)
    done = unchanged(finished, found.fingerprints, observer)
    name_stale(store, plan(suite), observer)
    todo = [run for run in runs if run.id not in done]
    records = dict(done)
    for number, run in enumerate(todo, 1):
        observer(RunStarted(run.id, run.label, run.seed, number, len(todo)))
        records[run.id] = launch(run, store, device=device, call=call, observer=observer)
    return SuiteOutcome(store, tuple(records[run.id] for run in runs), frozenset(done))


def launch(run: Run, store: Store, *, device: str, call: Call, observer: Observer) -> RunRecord:
    """Do one run; a process that dies leaves a record that says so."""
    started = time.perf_counter()
    try:
        record: RunRecord = call(_perform, run, store, device, observer=observer)
    except ProcessDied as death:
        record = record_death(run, store, str(death), seconds=time.perf_counter() - started)
    observer(
        RunEnded(
            run.id,
            run.label,
            record.outcome.status,
            record.outcome.reason,
            record.timings.total_seconds,
            stored_mean_iou(record, store),
        )
    )
    return record


def chosen(runs: Sequence[Run], models: Sequence[str] | None, seeds: Sequence[int] | None) -> tuple[Run, ...]:
    """Return the runs of the given models and seeds.

    Raises:
        UnknownNameError: No model of the suite has this label.
        UsageError: The suite has no such seed.
    """
    labels = {run.model.label for run in runs}
    for label in models or ():
        if label not in labels:
            raise UnknownNameError("model of this suite:", label, labels)
    known_seeds = {run.seed for run in runs}
    for seed in seeds or ():
        if seed not in known_seeds:
            raise UsageError(f"--seeds: the suite has no seed {seed}; it has {sorted(known_seeds)}")
    return tuple(
        run for run in runs if (models is None or run.model.label in models) and (seeds is None or run.seed in seeds)
    )


def finished_records(runs: Sequence[Run], store: Store) -> dict[str, RunRecord]:
    """Return the records of completed runs by id; failed and skipped runs are tried again."""
    found = {run.id: store.find(run.id) for run in runs}
    return {
        run_id: record
        for run_id, record in found.items()
        if record is not None and record.outcome.status is Status.COMPLETED
    }


def unchanged(
    finished: Mapping[str, RunRecord], fingerprints: Mapping[str, Mapping[str, str]], observer: Observer
) -> dict[str, RunRecord]:
    """Return the finished runs whose data is still what it was; name the others."""
    kept = {}
    for run_id, record in finished.items():
        now = fingerprints.get(record.protocol_id)
        if now is None or record.data is None or dict(now) == record.data.fingerprints:
            kept[run_id] = record
        else:
            observer(Notice(f"{run_id}: the data has changed since this run; it is done again"))
    return kept


def name_stale(store: Store, runs: Sequence[Run], observer: Observer) -> None:
    """Tell of stored runs that the suite no longer names; they are kept."""
    stale = store.stale([run.id for run in runs])
    if stale:
        names = ", ".join(sorted(record.id for record in stale))
        observer(
            Notice(f"{len(stale)} stored runs come from an earlier form of the suite and stay as they are: {names}")
        )


def record_death(run: Run, store: Store, reason: str, *, seconds: float) -> RunRecord:
    """Store a Failed record for a run whose process died."""
    from segbench.engine.facts import record_of

    store.clean()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    record = record_of(
        run,
        Outcome(status=Status.FAILED, reason=reason, error=ProcessDied.__name__),
        timings=Timings(started=started, total_seconds=seconds),
        environment=capture(),
    )
    with store.writing(run.id) as folder:
        write_record(folder, record)
    return record


def stored_mean_iou(record: RunRecord, store: Store) -> float | None:
    """Return a completed run's mIoU."""
    if record.outcome.status is not Status.COMPLETED:
        return None
    return score(load_matrices(store.folder / record.id / "confusion.npz").total).mean_iou


def write_plan(suite: Suite, store: Store) -> None:
    """Store the suite as it is run, defaults and overrides included, and the plan that it becomes."""
    document = suite.model_dump(mode="json")
    lock = {"suite": suite.name, "runs": [_lock_line(run) for run in plan(suite)]}
    store.write_suite(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), lock)


def _lock_line(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "identity": run.identity,
        "protocol_id": run.recipe.protocol_id,
        "model": run.model.model_dump(mode="json"),
        "seed": run.seed,
        "point": run.point,
    }


def _perform(run: Run, store: Store, device: str, *, observer: Observer) -> RunRecord:
    """Import torch only in the process that needs it."""
    from segbench.engine.run import perform

    return perform(run, store, device=device, observer=observer)


def _preflight(*arguments: Any, observer: Observer) -> Any:
    from segbench.engine.preflight import preflight

    return preflight(*arguments, observer=observer)
