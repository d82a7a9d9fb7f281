"""Runs a suite: what is missing is done, each run in its own process; what is done is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from segbench.config.keys import Named, matching
from segbench.config.plan import Run, plan
from segbench.config.suite import Suite
from segbench.engine.events import Notice, Observer, ignore
from segbench.engine.launchers import Job, Launcher, OneByOne, Place, announce
from segbench.engine.processes import ProcessDied, call_here, call_in_process
from segbench.engine.records import record_death, record_outcome, tell_end
from segbench.errors import DataError, ModelRefusal, StoreError, UnknownNameError, UsageError
from segbench.results.checks import add_checks, read_checks
from segbench.results.gallery import GALLERY_FOLDER
from segbench.results.record import Outcome, RunRecord, Status
from segbench.results.store import Store

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
    only: Sequence[str] | None = None,
    device: str = "auto",
    in_process: bool = False,
    launcher: Launcher | None = None,
    observer: Observer = ignore,
) -> SuiteOutcome:
    """Do all runs of a suite that are not done yet.

    Args:
        suite: The suite.
        results: Folder of all results; the suite's own folder is made in it.
        models: Labels of the models to run; all by default.
        seeds: Seeds to run; all of the suite's by default.
        only: Ids of the runs to do, or their beginnings; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether runs share this process, for debugging.
        launcher: Who does the runs; one after the other on ``device`` by default.
        observer: Told of everything that happens.

    Returns:
        The records of the chosen runs; failed and skipped ones among them.

    Raises:
        UsageError: The suite or its data is wrong; nothing that was done is lost.
    """
    runs = named(chosen(plan(suite), models, seeds), only)
    store = Store(Path(results), suite.name)
    store.clean()
    call = call_here if in_process else call_in_process
    finished = finished_records(runs, store)
    found = call(_preflight, runs, read_checks(store.folder), device, frozenset(finished), observer=observer)
    write_plan(suite, store)
    add_checks(store.folder, found.splits)
    done = unchanged(finished, found.fingerprints, observer)
    name_stale(store, plan(suite), observer)
    drop_states(store, [run for run in runs if run.id in done])
    todo = [run for run in runs if run.id not in done]
    jobs = [Job(run, number, len(todo)) for number, run in enumerate(todo, 1)]
    refused = [job for job in jobs if job.run.id in found.refusals]
    records = dict(done) | {job.run.id: refuse(job, store, found.refusals[job.run.id], observer) for job in refused}

    def do(job: Job, place: Place, told: Observer) -> RunRecord:
        announce(job, told)
        return launch(job.run, store, place=place, call=call, observer=told)

    for record in (launcher or OneByOne(device))([job for job in jobs if job not in refused], do, observer):
        records[record.id] = record
    if todo or not (store.folder / GALLERY_FOLDER).is_dir():
        _hang_pictures(plan(suite), store, call=call, observer=observer)
    return SuiteOutcome(store, tuple(records[run.id] for run in runs), frozenset(done))


def launch(run: Run, store: Store, *, place: Place, call: Call, observer: Observer) -> RunRecord:
    """Do one run; a process that dies leaves a record that says so."""
    started = time.perf_counter()
    try:
        record: RunRecord = call(_perform, run, store, place, observer=observer)
    except ProcessDied as death:
        store.clean()
        seconds = time.perf_counter() - started
        record = record_death(run, store, str(death), traceback=death.traceback, seconds=seconds)
    tell_end(record, store, observer)
    return record


def refuse(job: Job, store: Store, reason: str, observer: Observer) -> RunRecord:
    """Store a Skipped record for a run whose network cannot take the images; nothing is trained."""
    announce(job, observer)
    outcome = Outcome(status=Status.SKIPPED, reason=reason, error=ModelRefusal.__name__)
    record = record_outcome(job.run, store, outcome, seconds=0.0)
    tell_end(record, store, observer)
    return record


def chosen(runs: Sequence[Run], models: Sequence[str] | None, seeds: Sequence[int] | None) -> tuple[Run, ...]:
    """Return the runs of the given models and seeds.

    Raises:
        UnknownNameError: No model of the suite has this label or name.
        UsageError: The name is that of several models, or the suite has no such seed.
    """
    entries = list(dict.fromkeys(Named(run.model.label, run.model.name) for run in runs))
    labels = [entry.label for entry in entries]
    wanted = set()
    for model in models or ():
        found = {labels[index] for index in matching(model, entries)}
        if not found:
            raise UnknownNameError("model of this suite:", model, {name for entry in entries for name in entry})
        if len(found) > 1:
            several = ", ".join(sorted(found))
            raise UsageError(f"--models: {model!r} is the name of several models; give a label: {several}")
        wanted |= found
    known_seeds = {run.seed for run in runs}
    for seed in seeds or ():
        if seed not in known_seeds:
            raise UsageError(f"--seeds: the suite has no seed {seed}; it has {sorted(known_seeds)}")
    return tuple(
        run for run in runs if (models is None or run.model.label in wanted) and (seeds is None or run.seed in seeds)
    )


def named(runs: Sequence[Run], only: Sequence[str] | None) -> tuple[Run, ...]:
    """Return the runs whose ids are given, or begin as given.

    Raises:
        UnknownNameError: No run has such an id.
    """
    if only is None:
        return tuple(runs)
    for wanted in only:
        if not any(run.id.startswith(wanted) for run in runs):
            raise UnknownNameError("run of this suite:", wanted, [run.id for run in runs])
    return tuple(run for run in runs if run.id.startswith(tuple(only)))


def finished_records(runs: Sequence[Run], store: Store) -> dict[str, RunRecord]:
    """Return the records of completed runs by id; failed and skipped runs are tried again."""
    found = store.find_all({run.id: run.identity for run in runs})
    return {run_id: record for run_id, record in found.items() if record.outcome.status is Status.COMPLETED}


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


def _hang_pictures(runs: Sequence[Run], store: Store, *, call: Call, observer: Observer) -> None:
    """Make the suite's gallery of all its completed runs; without one, the results are whole all the same."""
    try:
        call(_make_gallery, runs, list(finished_records(runs, store).values()), store, observer=observer)
    except (ProcessDied, DataError, StoreError) as error:  # the disk may be full, or another command at it
        observer(Notice(f"the gallery of test images was not made: {error}"))


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


def _perform(run: Run, store: Store, place: Place, *, observer: Observer) -> RunRecord:
    """Import torch only in the process that needs it."""
    from segbench.engine.run import perform
    from segbench.engine.team import ALONE

    team = place.team or ALONE
    return perform(run, store, device=place.device, threads=place.threads, team=team, observer=observer)


def _preflight(
    runs: Sequence[Run], known: dict[str, Any], device: str, finished: frozenset[str], *, observer: Observer
) -> Any:
    from segbench.engine.preflight import preflight

    return preflight(runs, known=known, device=device, finished=finished, observer=observer)


def _make_gallery(runs: Sequence[Run], records: Sequence[RunRecord], store: Store, *, observer: Observer) -> None:
    from segbench.engine.gallery import make_gallery

    del observer
    make_gallery(runs, records, store)
