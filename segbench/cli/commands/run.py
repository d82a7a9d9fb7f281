"""The command that runs a suite: run."""

from __future__ import annotations

from pathlib import Path

import typer

from segbench.cli.commands.stored.report import rank_and_report
from segbench.cli.support import options
from segbench.engine.suite.selection import RunOrder


def run(  # noqa: PLR0913 - the options of one command
    suite: options.SuiteFile,
    *,
    results: options.Results = Path("results"),
    reports: options.Reports = Path("reports"),
    overrides: options.Overrides = None,
    models: options.Models = None,
    seeds: options.Seeds = None,
    device: options.Device = "auto",
    in_process: options.InProcess = False,
    only: options.OnlyRuns = None,
    order: options.OrderOption = RunOrder.SUITE,
    time_limit: options.TimeLimit = None,
    jobs: options.Jobs = None,
    launcher: options.LauncherOption = options.LauncherName.LOCAL,
    address: options.Address = None,
    cpus_per_run: options.CpusPerRun = None,
    gpus_per_run: options.GpusPerRun = None,
    shared_results: options.SharedResults = False,
    no_estimate: options.NoEstimate = False,
    no_speed: options.NoSpeed = False,
    no_code: options.NoCode = False,
    no_report: options.NoReport = False,
    per_class: options.PerClass = False,
    events: options.EventsFile = None,
    tensorboard: options.TensorBoardFolder = None,
    mlflow: options.MLflowAddress = None,
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
    selection = options.selection_of(models, seeds, only)
    checked = load(suite, overrides, seeds=selection.seeds)
    seconds = options.seconds_of(time_limit, option="--time-limit")
    command = SuiteCommand(checked, selection, launching, results=results, order=order, seconds=seconds)
    command.check(no_code=no_code)
    with command.stopping():
        trackers = {"events": events, "tensorboard": tensorboard, "mlflow": mlflow}
        outcome = command.run(suite, estimated=not no_estimate, trackers=trackers)
        measured = command.measure(outcome, speed=not no_speed)
        if outcome.records:
            rank_and_report(outcome.store.folder, None if no_report else reports, per_class=per_class)
    raise typer.Exit(exit_code(outcome, measured=measured, stop=command.stop))
