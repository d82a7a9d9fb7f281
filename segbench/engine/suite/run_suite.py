"""Runs a suite: executes missing runs, each in its own process, and keeps finished ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.config.plan import Run
from segbench.config.suite import Suite
from segbench.engine.estimate.estimate import RunEstimate, SuiteEstimate
from segbench.engine.events import Notice, Observer, ignore
from segbench.engine.launchers.local import Launcher, Sequential
from segbench.engine.processes import call_here, call_in_process
from segbench.engine.stopping import NEVER, Stop
from segbench.engine.suite.planning import PlannedRuns, WantedRuns, wanted_runs
from segbench.engine.suite.runner import SuiteRunner
from segbench.engine.suite.selection import RunOrder, Selection
from segbench.results.record import RunRecord, Status
from segbench.results.store import Store


@dataclass(frozen=True, repr=False)
class SuiteOutcome:
    """The outcome of running a suite.

    Attributes:
        store: The store of the results.
        records: The records of finished runs, in the plan's order.
        done_before: Ids of the runs that were finished before.
        left: The runs that were not executed because of a deadline or signal.
    """

    store: Store
    records: tuple[RunRecord, ...]
    done_before: frozenset[str]
    left: tuple[Run, ...] = ()

    def __repr__(self) -> str:  # short, since notebooks show it
        before = len(self.done_before)
        counts = f"{len(self.records) - before} runs done, {before} done before, {len(self.left)} left"
        return f"<{type(self).__name__} of {self.store.folder}: {counts}>"

    @property
    def complete(self) -> bool:
        """Whether all runs were completed; trials may fail if each network has one with a score."""
        if self.left:
            return False
        reported = [record for record in self.records if record.tuning is None or record.tuning.role != "trial"]
        return all(record.outcome.status is Status.COMPLETED for record in reported)


def run_suite(  # noqa: PLR0913 - what is done, where, by whom, in which order, until when
    suite: Suite,
    *,
    results: Path | str = "results",
    models: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] | None = None,
    device: str = "auto",
    in_process: bool = False,
    launcher: Launcher | None = None,
    order: RunOrder = RunOrder.SUITE,
    stop: Stop = NEVER,
    estimate: SuiteEstimate | None = None,
    observer: Observer = ignore,
) -> SuiteOutcome:
    """Execute all runs of a suite that are not finished yet, or those that will end in time.

    Args:
        suite: The suite.
        results: Folder of all results; the suite's folder is created in it.
        models: Labels of the models to run; all by default.
        seeds: Seeds to run; all of the suite's by default.
        only: Ids of the runs to execute, or prefixes of ids; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether runs share this process, for debugging.
        launcher: Executes the runs; by default one after another on ``device``.
        order: The order of the runs.
        stop: When to stop. Running runs then save their state. Runs that would not end in time are not started.
        estimate: Estimated durations; runs without one are started as long as time is left.
        observer: Receives all events.

    Returns:
        The records of the selected runs, including failed and skipped ones, and the runs not executed.

    Raises:
        UsageError: The suite or its data is invalid; finished runs are kept.
    """
    return do_runs(
        wanted_runs(suite, Store(Path(results), suite.name), Selection(models, seeds, only)),
        device=device,
        in_process=in_process,
        launcher=launcher,
        order=order,
        stop=stop,
        estimate=estimate,
        observer=observer,
    )


def do_runs(
    wanted: WantedRuns,
    *,
    device: str,
    in_process: bool,
    launcher: Launcher | None,
    order: RunOrder,
    stop: Stop,
    estimate: SuiteEstimate | None,
    observer: Observer,
) -> SuiteOutcome:
    """Do the wanted runs of a suite that are not done; arguments, result and errors are those of ``run_suite``."""
    wanted.store.clean()
    runner = SuiteRunner(
        suite=wanted.suite,
        store=wanted.store,
        device=device,
        call=call_here if in_process else call_in_process,
        launcher=launcher or Sequential(device),
        observer=observer,
        order=order,
        stop=stop,
        estimates=_estimates(estimate),
    )
    runner.run_missing(wanted)
    if wanted.suite.tuning is not None and not stop.due:
        wanted = wanted.planned_again()
        runner.run_missing(wanted.without(runner.records))
        report_pending(wanted.known, observer)
    runner.finish(wanted.known)
    unknown = wanted.known.pending if stop.due and wanted.selection.ids is None else ()
    return _outcome(runner, wanted.runs, unknown)


def _outcome(runner: SuiteRunner, runs: Sequence[Run], unknown: Sequence[Run]) -> SuiteOutcome:
    """Return the outcome; tuned runs whose trials were not executed count as left."""
    left = [run for run in runs if run.id not in runner.records]
    left += [run for run in unknown if run.model.label in {other.model.label for other in runs}]
    return SuiteOutcome(
        runner.store,
        records=tuple(runner.records[run.id] for run in runs if run.id in runner.records),
        done_before=frozenset(runner.done_before),
        left=tuple(left),
    )


def _estimates(estimate: SuiteEstimate | None) -> dict[str, RunEstimate]:
    """Return the estimates of runs by id."""
    return {run.run_id: run for run in (estimate.runs if estimate else ()) if run.problem is None}


def report_pending(known: PlannedRuns, observer: Observer) -> None:
    """Report tuned runs that cannot be executed yet."""
    if known.pending:
        observer(Notice(f"{known.outlook}; the same command without --only, or with these trials, continues"))
