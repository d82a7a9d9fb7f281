"""The command that runs a suite: all of it, or what ends within a time limit."""

from __future__ import annotations

from pathlib import Path

import typer

from segbench.cli.commands.deploy import deploy_block, refuse_what_cannot_be_deployed
from segbench.cli.commands.robustness import retest_block
from segbench.cli.commands.stored.report import rank_and_report
from segbench.cli.support.launch_options import (
    Address,
    CpusPerRun,
    GpusPerRun,
    InProcess,
    Jobs,
    LauncherName,
    LauncherOption,
    LaunchOptions,
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
from segbench.cli.support.suite_command import FurtherTests, SuiteCommand, exit_code
from segbench.cli.support.suite_file import load
from segbench.config.suite import Suite
from segbench.engine.suite.selection import RunOrder, Selection

FURTHER_TESTS = (
    FurtherTests("robustness", retest_block, "robustness was not tested"),
    FurtherTests("deploy", deploy_block, "networks were not deployed"),
)
"""What follows the runs, where the suite has its block."""


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
    order: OrderOption = RunOrder.SUITE,
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
    estimated first, by a few steps of each network. What a speed, robustness or deploy block names is done after that.

    With a time limit, and on SIGTERM, runs under way save where they are, what is done is ranked, and the exit code is
    3: the same command goes on.
    """
    launching = LaunchOptions(
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
    selection = Selection(
        names(models, option="--models"), numbers(seeds, option="--seeds"), names(only, option="--only")
    )
    checked = _checked(suite, overrides, selection, launching)
    seconds = seconds_of(time_limit, option="--time-limit")
    command = SuiteCommand(checked, selection, launching, results=results, order=order, seconds=seconds)
    with command.stopping():
        trackers = {"events": events, "tensorboard": tensorboard, "mlflow": mlflow}
        outcome = command.run(suite, estimated=not no_estimate, trackers=trackers)
        measured = command.measure(outcome, speed=not no_speed, further=FURTHER_TESTS)
        if outcome.records:
            rank_and_report(outcome.store.folder, None if no_report else reports, per_class=per_class)
    if code := exit_code(outcome, measured=measured):
        raise typer.Exit(code)


def _checked(suite: Path, overrides: list[str] | None, selection: Selection, launching: LaunchOptions) -> Suite:
    """Return the suite; packages that its deploy block needs must be here, if it is done here.

    Raises:
        UsageError: The suite is wrong, or a package is missing.
    """
    checked = load(suite, overrides, seeds=selection.seeds)
    if launching.can_be_tried_here:
        refuse_what_cannot_be_deployed(checked, device=launching.device)
    return checked
