"""The command that runs a suite: all of it, or what ends within a time limit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer

from segbench.cli.commands.plan import statuses_of
from segbench.cli.support.launch_options import (
    Address,
    CpusPerRun,
    GpusPerRun,
    InProcess,
    Jobs,
    LauncherName,
    LauncherOption,
    Launching,
    SharedResults,
)
from segbench.cli.support.options import (
    Device,
    EventsFile,
    MLflowAddress,
    Models,
    NoEstimate,
    NoReport,
    NoSpeed,
    OnlyRuns,
    Order,
    OrderOption,
    Overrides,
    PerClass,
    Reports,
    Results,
    Seeds,
    SuiteFile,
    TensorBoardFolder,
    TimeLimit,
    names,
    numbers,
    seconds_of,
)
from segbench.cli.support.speed_jobs import extent_of, measure_block
from segbench.cli.support.suite_file import load, naming
from segbench.cli.terminal.estimate import announce
from segbench.cli.terminal.output import counted, tell
from segbench.errors import SegbenchError

if TYPE_CHECKING:
    from segbench.config.plan import Run
    from segbench.config.suite import Suite
    from segbench.engine.estimate.estimate import SuiteEstimate
    from segbench.engine.stopping import Stop
    from segbench.engine.suite.run_suite import SuiteOutcome
    from segbench.results.store import Store

SOMETHING_LEFT = 3
"""Exit code when it was time to stop before all was done: the same command goes on."""

MOST_NAMED = 10
"""Runs that are named of those that were left."""


class Wanted(NamedTuple):
    """The runs that a command is about; None stands for all.

    Attributes:
        models: Labels or names of their models.
        seeds: Their seeds.
        ids: Their ids, or the beginnings of these.
    """

    models: list[str] | None
    seeds: list[int] | None
    ids: list[str] | None


def run(  # noqa: PLR0913 - the options of one command
    suite: SuiteFile,
    *,
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    overrides: Overrides = None,
    models: Models = None,
    seeds: Seeds = None,
    device: Device = "auto",
    in_process: InProcess = False,
    only: OnlyRuns = None,
    order: OrderOption = Order.SUITE,
    time_limit: TimeLimit = None,
    jobs: Jobs = None,
    launcher: LauncherOption = LauncherName.LOCAL,
    address: Address = None,
    cpus_per_run: CpusPerRun = None,
    gpus_per_run: GpusPerRun = None,
    shared_results: SharedResults = False,
    no_estimate: NoEstimate = False,
    no_speed: NoSpeed = False,
    no_report: NoReport = False,
    per_class: PerClass = False,
    events: EventsFile = None,
    tensorboard: TensorBoardFolder = None,
    mlflow: MLflowAddress = None,
) -> None:
    """Train and evaluate what a suite names, and rank it.

    What is done already is kept; the leaderboard and the report are written from all of it. What it will take is
    estimated first, by a few steps of each network. What a speed block names is measured when the runs are done.

    With a time limit, and on SIGTERM, runs under way save where they are, what is done is ranked, and the exit code is
    3: the same command goes on.
    """
    launching = Launching(
        launcher=launcher,
        device=device,
        in_process=in_process,
        jobs=jobs,
        address=address,
        cpus_per_run=cpus_per_run,
        gpus_per_run=gpus_per_run,
        shared_results=shared_results,
    )
    launching.check()
    limit = seconds_of(time_limit, option="--time-limit")
    wanted = Wanted(names(models, option="--models"), numbers(seeds, option="--seeds"), names(only, option="--only"))
    checked = load(suite, overrides, seeds=wanted.seeds)
    from segbench.cli.commands.report import rank_and_report
    from segbench.cli.terminal.progress import observing
    from segbench.cli.terminal.trackers import tracking
    from segbench.engine.processes import terminate_calls
    from segbench.engine.stopping import Stop
    from segbench.engine.suite.run_suite import run_suite
    from segbench.engine.suite.selection import RunOrder
    from segbench.results.store import Store

    store, stop, here = Store(results, checked.name), Stop.after(limit), launching.can_be_tried_here
    with stop.on_sigterm(), stop.telling(terminate_calls):
        with naming(suite):
            tried = here and not no_estimate
            todo = _todo(checked, wanted, store) if here else []
            estimate = _estimate(todo, device=device, stop=stop, order=order) if tried else None
            at_once = launching.jobs_for(len(todo), threads=checked.threads, estimate=estimate)
        if order is Order.CHEAPEST and estimate is None:
            tell("--order cheapest: nothing is estimated, so runs are done in the suite's order")
        with (
            launching.launcher_into(store, stop=stop, jobs=at_once, threads=checked.threads) as doing,
            naming(suite),
            observing() as shown,
            tracking(shown, suite=checked.name, events=events, tensorboard=tensorboard, mlflow=mlflow) as observer,
        ):
            outcome = run_suite(
                checked,
                results=results,
                models=wanted.models,
                seeds=wanted.seeds,
                only=wanted.ids,
                device=device,
                in_process=launching.here,
                launcher=doing,
                order=RunOrder(order),
                stop=stop,
                estimate=estimate,
                observer=observer,
            )
        _tell_done(outcome)
        measured = no_speed or _measure_speed(
            checked, wanted.models, outcome, stop=stop, here=here, device=device, results=results
        )
        if outcome.records:
            rank_and_report(outcome.store.folder, None if no_report else reports, per_class=per_class)
    if code := _exit_code(outcome, measured=measured):
        raise typer.Exit(code)


def _exit_code(outcome: SuiteOutcome, *, measured: bool | None) -> int:
    """Return 3 when something was left, 1 when something failed, else 0."""
    if outcome.left or measured is None:
        return SOMETHING_LEFT
    return 0 if outcome.complete and measured else 1


def _tell_done(outcome: SuiteOutcome) -> None:
    """Tell how many runs were done, now and before, and which were left."""
    before = len(outcome.done_before)
    was = "was" if before == 1 else "were"
    tell(f"{counted(len(outcome.records) - before, 'run')} done, {before} {was} done before")
    if outcome.left:
        left = [f"{run.title}, seed {run.seed}" for run in outcome.left[:MOST_NAMED]]
        more = len(outcome.left) - len(left)
        tell(
            f"{counted(len(outcome.left), 'run')} left, the same command goes on: {'; '.join(left)}"
            f"{f'; and {more} more' if more else ''}"
        )


def _measure_speed(
    suite: Suite,
    models: list[str] | None,
    outcome: SuiteOutcome,
    *,
    stop: Stop,
    here: bool,
    device: str,
    results: Path,
) -> bool | None:
    """Measure the suite's speed block; what goes wrong is told, since the runs are done and want their leaderboard.

    Where the runs were done elsewhere, or in this process, it is left to another command.

    Returns:
        Whether it is measured, as far as it is to be measured here; None when it was left for want of time.
    """
    if suite.speed is None:
        return True
    if not here:
        tell("the speed block is not measured here; 'segbench speed', on the machine that is meant, does that")
        return True
    try:
        if outcome.left or not _in_time(suite, outcome, stop=stop, device=device):
            tell("the speed block is left, too")
            return None
        measure_block(suite, models=models, device=device, results=results, stop=stop)
    except SegbenchError as error:
        tell(f"the speed was not measured: {error}")
        return None if stop.due else False
    return True


def _in_time(suite: Suite, outcome: SuiteOutcome, *, stop: Stop, device: str) -> bool:
    """Tell whether the speed block may begin: it is measured in one piece.

    Where it would not end in time, it is begun by a command that has nothing else to do: its cases are kept as they are
    measured, so that this comes to an end too.
    """
    if stop.due:
        return False
    nothing_else = len(outcome.records) == len(outcome.done_before)
    extent = extent_of(suite, device=device)
    return nothing_else or extent is None or stop.seconds_left is None or extent.least_seconds <= stop.seconds_left


def _estimate(todo: Sequence[Run], *, device: str, stop: Stop, order: Order) -> SuiteEstimate | None:
    """Tell what runs will take, and return it."""
    few = stop.seconds_left is not None or order is Order.CHEAPEST
    return announce(todo, device=device, stop=stop, few=few)


def _todo(suite: Suite, wanted: Wanted, store: Store) -> list[Run]:
    """Return the wanted runs that are not done.

    Raises:
        UsageError: The suite has no such run.
    """
    from segbench.engine.suite.planning import planned
    from segbench.engine.suite.selection import chosen, named

    known = planned(suite, store)
    runs = named(chosen((*known.runs, *known.pending), wanted.models, wanted.seeds), wanted.ids)
    statuses = statuses_of(runs, store)
    return [run for run in runs if statuses[run.id] != "done"]
