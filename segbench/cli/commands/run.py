"""The command that runs a suite: run."""

from __future__ import annotations

from pathlib import Path

import typer

from segbench.cli.commands.stored.report import rank_and_report
from segbench.cli.support.options import (
    Address,
    CpusPerRun,
    Device,
    EventsFile,
    GpusPerRun,
    InProcess,
    Jobs,
    LauncherName,
    LauncherOption,
    MLflowAddress,
    Models,
    NoCode,
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
    SharedResults,
    SuiteFile,
    TensorBoardFolder,
    TimeLimit,
    seconds_of,
    selection_of,
)
from segbench.engine.suite.selection import RunOrder


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
    no_code: NoCode = False,
    no_report: NoReport = False,
    per_class: PerClass = False,
    events: EventsFile = None,
    tensorboard: TensorBoardFolder = None,
    mlflow: MLflowAddress = None,
) -> None:
    """Train and evaluate what a suite names, and rank it.

    Finished runs are kept. Time and memory are estimated first; speed, robustness and deploy blocks follow. At a limit,
    SIGTERM or Ctrl-C (twice: at once) runs save their state, exit code 3 or 130; the same command then continues.
    """
    from segbench.cli.support.launch_options import LaunchOptions
    from segbench.cli.support.suite_command import SuiteCommand, exit_code
    from segbench.cli.support.suite_file import load

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
    selection = selection_of(models, seeds, only)
    checked = load(suite, overrides, seeds=selection.seeds)
    seconds = seconds_of(time_limit, option="--time-limit")
    command = SuiteCommand(checked, selection, launching, results=results, order=order, seconds=seconds)
    command.check(no_code=no_code)
    with command.stopping():
        trackers = {"events": events, "tensorboard": tensorboard, "mlflow": mlflow}
        outcome = command.run(suite, estimated=not no_estimate, trackers=trackers)
        measured = command.measure(outcome, speed=not no_speed)
        if outcome.records:
            rank_and_report(outcome.store.folder, None if no_report else reports, per_class=per_class)
    raise typer.Exit(exit_code(outcome, measured=measured, stop=command.stop))
