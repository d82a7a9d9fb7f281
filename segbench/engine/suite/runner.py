"""Executes the missing runs of a suite within the time limit and collects their records."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from segbench.config.plan import Run, variants
from segbench.config.suite import Suite
from segbench.data.validation.findings import Finding
from segbench.engine.estimate.estimate import RunEstimate
from segbench.engine.events import Notice, Observer, RunStopped
from segbench.engine.launchers.local import Job, Launcher, Place, announce
from segbench.engine.launchers.time_limit import TimeLimit, ending_calls
from segbench.engine.processes import CallStopped, Limit, ProcessDied, call_here
from segbench.engine.run.record import raise_if_out_of_sync, record_death, record_outcome, report_outcome
from segbench.engine.stopping import NEVER, Stop
from segbench.engine.suite.elsewhere import Elsewhere
from segbench.engine.suite.housekeeping import Call, drop_states, renew_gallery, report_stale, write_plan
from segbench.engine.suite.planning import PlannedRuns, WantedRuns
from segbench.engine.suite.preflight_outputs import output_refusals
from segbench.engine.suite.reuse import Twin, take_over, twins_of
from segbench.engine.suite.selection import RunOrder, ordered
from segbench.engine.suite.teachers import check_weights, generations, teacher_problem
from segbench.errors import ModelRefusal, RunInterrupted
from segbench.results.arrays.gallery import GALLERY_FOLDER
from segbench.results.data_checks import add_checks, read_checks
from segbench.results.data_identity import DataIdentity
from segbench.results.record import Outcome, RunRecord, Status
from segbench.results.store import Store

if TYPE_CHECKING:
    from segbench.config.sections.robustness import Robustness
    from segbench.engine.suite.preflight import Preflight


@dataclass(kw_only=True)
class SuiteRunner:
    """Executes the runs of a suite for one command.

    Attributes:
        suite: The suite.
        store: The store of its runs.
        device: The device of the preflight checks, and of the runs unless the launcher chooses others.
        call: Calls functions that need torch, here or in a separate process.
        launcher: Executes the runs.
        observer: Receives all events.
        order: The order of the runs.
        stop: When to stop.
        estimates: Estimates of runs by id, if known.
        records: Records of the finished runs, by id.
        done_before: Ids of the runs finished before this command.
        told: Messages about the data that were reported already.
    """

    suite: Suite
    store: Store
    device: str
    call: Call
    launcher: Launcher
    observer: Observer
    order: RunOrder = RunOrder.SUITE
    stop: Stop = NEVER
    estimates: Mapping[str, RunEstimate] = field(default_factory=dict)
    records: dict[str, RunRecord] = field(default_factory=dict)
    done_before: set[str] = field(default_factory=set)
    told: list[Finding] = field(default_factory=list)

    def run_missing(self, wanted: WantedRuns) -> None:
        """Execute wanted runs; tuned runs wait until all others are finished.

        Runs that would not end in time are left.
        """
        if not wanted.runs:
            return
        with ending_calls(self.stop):
            try:
                self._check_and_launch(wanted)
            except (ProcessDied, CallStopped):
                if not self.stop.due:
                    raise

    def _check_and_launch(self, wanted: WantedRuns) -> None:
        runs, known, finished = wanted.runs, wanted.known, wanted.finished
        if self.stop.due:
            self._keep([run for run in runs if run.id in finished], finished)
            return
        found = self._run_preflight(runs, finished)
        write_plan(self.suite, known.runs, self.store)
        done = unchanged(finished, found.data, self.observer)
        others_first = any(run.role != "tuned" and run.id not in done for run in runs)
        waiting = {run.id for run in runs if run.role == "tuned"} if others_first else set()
        runs = tuple(run for run in runs if run.id not in waiting)
        if not (waiting or known.pending):
            report_stale(self.store, known.runs, self.observer)
        self._keep([run for run in runs if run.id in done], done)
        todo = [run for run in runs if run.id not in done]
        failed = wanted.stored.keys() - finished.keys()
        seconds = {run_id: estimate.seconds for run_id, estimate in self.estimates.items()}
        todo = ordered(todo, self.order, seconds=seconds, begun=self.store.saved(), failed=failed)
        check_weights(todo, self.store)
        self._launch(self._settled(todo, known, found), found.data, Elsewhere(self.store, wanted.stored))

    def finish(self, known: PlannedRuns) -> None:
        """Rebuild the gallery if any run was executed; a stopped command leaves it to the next one."""
        if self.stop.terminated:
            return
        anything = len(self.records) > len(self.done_before)
        if anything or not (self.store.folder / GALLERY_FOLDER).is_dir():
            renew_gallery(known.shown, self.records, self.store, call=self.call, observer=self.observer)

    def _run_preflight(self, runs: Sequence[Run], finished: Mapping[str, RunRecord]) -> Preflight:
        """Run the preflight checks and store the findings about the data.

        They run in the process that later runs are forked from; if no run is left, in this process.
        """
        call = call_here if len(finished) == len(runs) else self.call
        known = read_checks(self.store.folder)
        device = self.device if self.launcher.here else None
        found: Preflight = call(_preflight, runs, known, device, frozenset(finished), observer=self.observer)
        add_checks(self.store.folder, found.splits)
        for finding in found.findings:
            if finding not in self.told:
                self.told.append(finding)
                self.observer(Notice(str(finding)))
        if len(finished) < len(runs):
            self._check_suite_parts(call, found)
            if self.suite.robustness is not None and self.launcher.here:
                call(_check_conditions, runs, self.suite.robustness)
        refusals = output_refusals(runs, found, call=call)
        return replace(found, refusals=found.refusals | refusals)

    def _check_suite_parts(self, call: Call, found: Preflight) -> None:
        """Check the suite's own metrics, and the parameter groups over all networks."""
        own = bool(self.suite.metrics) or any(
            train.optimizer.groups for _, variant in variants(self.suite) for train in variant.recipes
        )
        if own:
            seen = dict.fromkeys((inputs.classes, inputs.channels) for inputs in found.inputs.values())
            for classes, channels in seen:
                call(_check_parts, self.suite, classes, channels, observer=self.observer)

    def _keep(self, runs: Sequence[Run], records: Mapping[str, RunRecord]) -> None:
        """Keep the records of runs finished before."""
        drop_states(self.store, runs)
        self.records |= {run.id: records[run.id] for run in runs}
        self.done_before |= {run.id for run in runs}

    def _settled(self, todo: Sequence[Run], known: PlannedRuns, found: Preflight) -> list[Job]:
        """Store the records of runs that need no training; return the remaining runs."""
        refusals = known.refusals | {run_id: skipped(reason) for run_id, reason in found.refusals.items()}
        twins = twins_of(todo, known.runs, self.store, found.data)
        jobs = [Job(run, number, len(todo)) for number, run in enumerate(todo, 1)]
        for job in jobs:
            if job.run.id in refusals:
                self.records[job.run.id] = refuse(job, refusals[job.run.id], store=self.store, observer=self.observer)
            elif job.run.id in twins:
                self.records[job.run.id] = repeat(job, twins[job.run.id], store=self.store, observer=self.observer)
        return [job for job in jobs if job.run.id not in self.records]

    def _launch(self, jobs: Sequence[Job], data: Mapping[str, DataIdentity], elsewhere: Elsewhere) -> None:
        """Let the launcher execute the runs that will end in time, students after their teachers."""
        limit = TimeLimit(self.stop, self._left_of(jobs), at_once=self.launcher.sharing)
        todo = {job.run.id for job in jobs}
        for generation in generations(jobs):
            if ready := [job for job in generation if self._has_teacher(job, todo, data.get(job.run.id))]:
                self._launch_together(ready, limit, elsewhere)

    def _has_teacher(self, job: Job, todo: Collection[str], data: DataIdentity | None) -> bool:
        """Return whether a run can start; if its teacher cannot teach it, its record is stored."""
        teacher = job.run.teacher
        if teacher is None:
            return True
        record = self.records.get(teacher.id)
        if record is None and teacher.id in todo:
            return False  # it was stopped or postponed, and its students with it
        record = record or self.store.find(teacher.id, teacher.identity)
        problem = teacher_problem(job.run, record, data)
        if problem is not None:
            self.records[job.run.id] = refuse(job, problem, store=self.store, observer=self.observer)
        return problem is None

    def _launch_together(self, jobs: Sequence[Job], limit: TimeLimit, elsewhere: Elsewhere) -> None:
        """Let the launcher execute runs that do not wait for each other, then those that another command had begun."""
        limit.expect(job.run.id for job in jobs)

        def run_job(job: Job, place: Place, told: Observer) -> RunRecord | None:
            with elsewhere.claiming(job.run, told) as mine:
                if not mine:
                    return None
                if (record := elsewhere.record_of(job.run)) is not None:
                    report_outcome(record, self.store, told)
                    return record
                return self._execute(job, place, told) if limit.try_start(job.run.id) else None

        while jobs:
            with self._claimed(jobs, elsewhere) as claimed:
                for record in self.launcher(claimed, run_job, limit.watching(self.observer)):
                    self.records[record.id] = record
            jobs = [job for job in jobs if job.run.id in elsewhere.held]
            elsewhere.wait(self.stop)
            if self.stop.due:
                return

    @contextmanager
    def _claimed(self, jobs: Sequence[Job], elsewhere: Elsewhere) -> Iterator[list[Job]]:
        """Claim all jobs of a launcher that executes them on other machines; else each is claimed as it begins."""
        if self.launcher.here:
            yield list(jobs)
            return
        with ExitStack() as claims:
            mine = [job for job in jobs if claims.enter_context(elsewhere.claiming(job.run, self.observer))]
            done = {job.run.id: record for job in mine if (record := elsewhere.record_of(job.run)) is not None}
            for record in done.values():
                report_outcome(record, self.store, self.observer)
            self.records |= done
            yield [job for job in mine if job.run.id not in done]

    def _execute(self, job: Job, place: Place, told: Observer) -> RunRecord | None:
        """Execute one run; None if it was stopped."""
        announce(job, told)
        place = replace(place, deadline=self.stop.deadline)
        try:
            return execute_in_process(job.run, self.store, place=place, call=self.call, stop=self.stop, observer=told)
        except RunInterrupted as stopped:
            told(RunStopped(job.run.id, job.run.title, str(stopped)))
            return None

    def _left_of(self, jobs: Sequence[Job]) -> dict[str, RunEstimate]:
        """Return the estimated rest of each run after its stored training state, if known."""
        saved = {run_id: self.store.states_of(run_id).files() for run_id in self.store.saved()}
        steps = {run_id: files[0].step for run_id, files in saved.items() if files}
        ids = [job.run.id for job in jobs if job.run.id in self.estimates]
        return {run_id: self.estimates[run_id].after(steps.get(run_id, 0)) for run_id in ids}


def execute_in_process(
    run: Run, store: Store, *, place: Place, call: Call, stop: Stop, observer: Observer
) -> RunRecord:
    """Execute one run; if its process dies, store a Failed record.

    Raises:
        BrokenExchangeError: One of several processes was stopped during an exchange of gradients.
        RunInterrupted: It was time to stop.
    """
    started = time.perf_counter()
    try:
        record: RunRecord = call(_execute_run, run, store, place, observer=observer, limit=limit_of(run))
    except (ProcessDied, CallStopped) as death:
        store.clean()
        if stop.due:
            raise RunInterrupted("ended before it could save where it is; it goes on from where it last did") from None
        if isinstance(death, CallStopped):
            raise
        seconds = time.perf_counter() - started
        record = record_death(run, store, str(death), traceback=death.traceback, seconds=seconds)
    report_outcome(record, store, observer)
    raise_if_out_of_sync(record.outcome)
    return record


def limit_of(run: Run) -> Limit:
    """Return how long a run's process may take, and how long without progress."""
    minutes = (run.run_timeout.minutes, run.run_timeout.silent_minutes)
    total, silent = (None if value is None else 60 * value for value in minutes)
    return Limit(total, silent, ("run_timeout.minutes", "run_timeout.silent_minutes"))


def skipped(reason: str) -> Outcome:
    """Return the outcome of a run whose network does not support the images."""
    return Outcome(status=Status.SKIPPED, reason=reason, error=ModelRefusal.__name__)


def refuse(job: Job, outcome: Outcome, *, store: Store, observer: Observer) -> RunRecord:
    """Store the record of a run that cannot be executed."""
    announce(job, observer)
    record = record_outcome(job.run, store, outcome, seconds=0.0)
    report_outcome(record, store, observer)
    return record


def repeat(job: Job, twin: Twin, *, store: Store, observer: Observer) -> RunRecord:
    """Store a copy of a twin's result for a run, without training."""
    announce(job, observer)
    record = take_over(job.run, twin, store)
    observer(Notice(f"{job.run.title}: the trials chose the shared recipe; the results of {twin.run.id} are copied"))
    report_outcome(record, store, observer)
    return record


def unchanged(
    finished: Mapping[str, RunRecord], data: Mapping[str, DataIdentity], observer: Observer
) -> dict[str, RunRecord]:
    """Return the finished runs whose data is unchanged; report the others."""
    kept, encoded_anew = {}, 0
    for run_id, record in finished.items():
        now = data.get(run_id)
        if now is None or record.data is None or now.same_files(record.data.identity):
            kept[run_id] = record
        elif now.same_data(record.data.identity):
            kept[run_id] = record
            encoded_anew += 1
        else:
            observer(Notice(f"{run_id}: the data has changed since this run; it is executed again"))
    if encoded_anew:
        runs = "1 finished run is" if encoded_anew == 1 else f"{encoded_anew} finished runs are"
        observer(Notice(f"the data's files differ but decode to the same pixels: {runs} kept"))
    return kept


def _execute_run(run: Run, store: Store, place: Place, *, observer: Observer) -> RunRecord:
    """Import torch only in the process that needs it."""
    from segbench.engine.distributed import ALONE
    from segbench.engine.run.execute import execute_run

    group = place.group or ALONE
    store.folder = store.folder.absolute()  # a network may change the working directory
    group.broadcast(run)  # the other processes wait for a run
    return execute_run(
        run,
        store,
        device=place.device,
        cores=place.cores,
        group=group,
        stop=Stop(place.deadline),
        runs_at_once=place.runs_at_once,
        observer=observer,
    )


def _check_parts(suite: Suite, classes: int, channels: int, *, observer: Observer) -> None:
    from segbench.engine.suite.preflight_parts import check_groups, check_metrics

    check_metrics(suite.metrics, classes=classes)
    for line in check_groups(suite, classes=classes, channels=channels):
        observer(Notice(line))


def _check_conditions(runs: Sequence[Run], block: Robustness) -> None:
    from segbench.engine.robustness.conditions import check_conditions

    check_conditions(runs, block)


def _preflight(
    runs: Sequence[Run], known: dict[str, Any], device: str | None, finished: frozenset[str], *, observer: Observer
) -> Any:
    from segbench.engine.suite.preflight import preflight

    return preflight(runs, known=known, device=device, finished=finished, observer=observer)
