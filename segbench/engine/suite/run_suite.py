"""Runs a suite: what is missing is done, each run in its own process; what is done is left alone."""

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
    """What running a suite came to.

    Attributes:
        store: Where the results are.
        records: The records of its runs that are done, in the plan's order.
        done_before: Ids of the runs that were not done again.
        left: The runs that were left for another time, when the work had to stop.
    """

    store: Store
    records: tuple[RunRecord, ...]
    done_before: frozenset[str]
    left: tuple[Run, ...] = ()

    def __repr__(self) -> str:  # a notebook shows it: no screens of records
        before = len(self.done_before)
        counts = f"{len(self.records) - before} runs done, {before} done before, {len(self.left)} left"
        return f"<{type(self).__name__} of {self.store.folder}: {counts}>"

    @property
    def complete(self) -> bool:
        """Whether every run was completed; trials may fail, as long as each network has one that gives a score."""
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
    """Do all runs of a suite that are not done yet, or those that end in time.

    Args:
        suite: The suite.
        results: Folder of all results; the suite's own folder is made in it.
        models: Labels of the models to run; all by default.
        seeds: Seeds to run; all of the suite's by default.
        only: Ids of the runs to do, or their beginnings; all by default.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether runs share this process, for debugging.
        launcher: Who does the runs; one after the other on ``device`` by default.
        order: In which order they are done.
        stop: When to stop. Runs under way save where they are then, and those that would not end in time are not begun.
        estimate: What runs take; the others are begun as long as time is left.
        observer: Told of everything that happens.

    Returns:
        The records of the chosen runs, failed and skipped ones among them, and the runs that were left.

    Raises:
        UsageError: The suite or its data is wrong; nothing that was done is lost.
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
    work = SuiteRunner(
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
    work.do(wanted)
    if wanted.suite.tuning is not None and not stop.due:
        wanted = wanted.planned_again()
        work.do(wanted.without(work.records))
        tell_pending(wanted.known, observer)
    work.finish(wanted.known)
    unknown = wanted.known.pending if stop.due and wanted.selection.ids is None else ()
    return _outcome(work, wanted.runs, unknown)


def _outcome(work: SuiteRunner, runs: Sequence[Run], unknown: Sequence[Run]) -> SuiteOutcome:
    """Return what was done and what is left, with tuned runs whose trials were left for want of time."""
    left = [run for run in runs if run.id not in work.records]
    left += [run for run in unknown if run.model.label in {other.model.label for other in runs}]
    return SuiteOutcome(
        work.store,
        records=tuple(work.records[run.id] for run in runs if run.id in work.records),
        done_before=frozenset(work.done_before),
        left=tuple(left),
    )


def _estimates(estimate: SuiteEstimate | None) -> dict[str, RunEstimate]:
    """Return what is known of runs by their ids."""
    return {run.run_id: run for run in (estimate.runs if estimate else ()) if run.problem is None}


def tell_pending(known: PlannedRuns, observer: Observer) -> None:
    """Tell of tuned runs that cannot be done yet."""
    if known.pending:
        observer(Notice(f"{known.outlook}; the same command without --only, or these trials, goes on"))
