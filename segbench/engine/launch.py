"""Runs a suite: what is missing is done, each run in its own process; what is done is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from segbench.config.plan import Run
from segbench.config.suite import Suite
from segbench.engine.events import Notice, Observer, ignore
from segbench.engine.launchers import Job, Launcher, OneByOne, Place, announce
from segbench.engine.processes import ProcessDied, call_here, call_in_process
from segbench.engine.records import record_death, record_outcome, tell_end
from segbench.engine.selection import chosen, named, starting_with
from segbench.engine.tuning import Planned, planned
from segbench.engine.twins import Twin, take_over, twins_of
from segbench.errors import DataError, ModelRefusal, StoreError
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
        """Whether every run was completed; trials may fail, as long as each network has one that gives a score."""
        reported = [record for record in self.records if record.tuning is None or record.tuning.role != "trial"]
        return all(record.outcome.status is Status.COMPLETED for record in reported)


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
    store = Store(Path(results), suite.name)
    known = planned(suite, store)
    runs = named(chosen(known.runs, models, seeds), only)
    store.clean()
    work = _Work(suite, store, device, call_here if in_process else call_in_process, launcher, observer)
    work.do(runs, known)
    if suite.tuning is not None:
        known = planned(suite, store)
        runs = starting_with(chosen(known.runs, models, seeds), only)
        work.do([run for run in runs if run.id not in work.records], known)
        tell_pending(known, observer)
    work.finish(known)
    return SuiteOutcome(store, tuple(work.records[run.id] for run in runs), frozenset(work.done_before))


@dataclass
class _Work:
    """What a command does of a suite.

    Attributes:
        records: Of the runs that are done by now, by id.
        done_before: Ids of those that were done before the command.
    """

    suite: Suite
    store: Store
    device: str
    call: Call
    launcher: Launcher | None
    observer: Observer
    records: dict[str, RunRecord] = field(default_factory=dict)
    done_before: set[str] = field(default_factory=set)

    def do(self, runs: Sequence[Run], known: Planned) -> None:
        """Do those of some runs that are not done; tuned ones wait as long as there are trials to do."""
        if not runs:
            return
        store, observer = self.store, self.observer
        finished = finished_records(runs, store)
        # A process for runs imports what all of them need; where none is to be done, this one looks at the data.
        call = call_here if len(finished) == len(runs) else self.call
        found = call(_preflight, runs, read_checks(store.folder), self.device, frozenset(finished), observer=observer)
        write_plan(self.suite, known.runs, store)
        add_checks(store.folder, found.splits)
        done = unchanged(finished, found.fingerprints, observer)
        if any(run.role == "trial" and run.id not in done for run in runs):
            runs = [run for run in runs if run.role != "tuned"]
        elif not known.pending:
            name_stale(store, known.runs, observer)
        done = {run.id: done[run.id] for run in runs if run.id in done}
        todo = [run for run in runs if run.id not in done]
        drop_states(store, [run for run in runs if run.id in done])
        self.records |= done
        self.done_before |= set(done)
        refusals = known.refusals | {run_id: skipped(reason) for run_id, reason in found.refusals.items()}
        twins = twins_of(todo, known.runs, store, found.fingerprints)
        jobs = [Job(run, number, len(todo)) for number, run in enumerate(todo, 1)]
        for job in jobs:
            if job.run.id in refusals:
                self.records[job.run.id] = refuse(job, self.store, refusals[job.run.id], self.observer)
            elif job.run.id in twins:
                self.records[job.run.id] = repeat(job, twins[job.run.id], store, observer)
        self._do([job for job in jobs if job.run.id not in self.records])

    def _do(self, jobs: Sequence[Job]) -> None:
        """Have runs done by the launcher."""

        def do(job: Job, place: Place, told: Observer) -> RunRecord:
            announce(job, told)
            return launch(job.run, self.store, place=place, call=self.call, observer=told)

        for record in (self.launcher or OneByOne(self.device))(jobs, do, self.observer):
            self.records[record.id] = record

    def finish(self, known: Planned) -> None:
        """Make the gallery anew where anything was done."""
        anything = len(self.records) > len(self.done_before)
        if anything or not (self.store.folder / GALLERY_FOLDER).is_dir():
            _hang_pictures(known.shown, self.store, call=self.call, observer=self.observer)


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


def skipped(reason: str) -> Outcome:
    """Return how a run ends whose network cannot take the images."""
    return Outcome(status=Status.SKIPPED, reason=reason, error=ModelRefusal.__name__)


def refuse(job: Job, store: Store, outcome: Outcome, observer: Observer) -> RunRecord:
    """Store the record of a run that cannot be done; nothing is trained."""
    announce(job, observer)
    record = record_outcome(job.run, store, outcome, seconds=0.0)
    tell_end(record, store, observer)
    return record


def repeat(job: Job, twin: Twin, store: Store, observer: Observer) -> RunRecord:
    """Store what a twin came to as what a run came to; nothing is trained."""
    announce(job, observer)
    record = take_over(job.run, twin, store)
    observer(Notice(f"{job.run.title}: was chosen as the recipe has it; the results of {twin.run.id} are taken over"))
    tell_end(record, store, observer)
    return record


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


def tell_pending(known: Planned, observer: Observer) -> None:
    """Tell of tuned runs that cannot be done yet."""
    if known.pending:
        observer(Notice(f"{known.outlook}; the same command without --only, or these trials, goes on"))


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
    return line | {"tuning": {"role": run.tuning.role, "values": run.tuning.values}} if run.tuning else line


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
