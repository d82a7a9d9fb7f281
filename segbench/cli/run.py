"""Commands about suites: run, plan, validate, schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.estimate import PENDING, announce, estimate_facts, estimated, show_estimate
from segbench.cli.launching import (
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
from segbench.cli.options import (
    AsJson,
    Device,
    EventsFile,
    MLflowAddress,
    Models,
    NoSpeed,
    OnlyRuns,
    Overrides,
    Reports,
    Results,
    Seeds,
    SuiteFile,
    TensorBoardFolder,
    names,
    numbers,
)
from segbench.cli.output import counted, duration, tell, write_json, write_table
from segbench.cli.speed_work import Extent, extent_of, measure_block
from segbench.errors import DataError, SegbenchError, StoreError, SuiteError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from segbench.config.plan import Run
    from segbench.config.suite import Suite
    from segbench.engine.estimate import SuiteEstimate
    from segbench.engine.launch import SuiteOutcome
    from segbench.engine.tuning import Planned
    from segbench.results.record import RunRecord
    from segbench.results.store import Store


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
    jobs: Jobs = None,
    launcher: LauncherOption = LauncherName.LOCAL,
    address: Address = None,
    cpus_per_run: CpusPerRun = None,
    gpus_per_run: GpusPerRun = None,
    shared_results: SharedResults = False,
    no_speed: NoSpeed = False,
    events: EventsFile = None,
    tensorboard: TensorBoardFolder = None,
    mlflow: MLflowAddress = None,
) -> None:
    """Train and evaluate what a suite names, and rank it.

    What is done already is kept; the leaderboard and the report are written from all of it. What it will take is
    estimated first, by a few steps of each network. What a speed block names is measured when the runs are done.
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
    checked = _load(suite, overrides)
    chosen_models, chosen_seeds, chosen_ids = names(models), numbers(seeds, option="--seeds"), names(only)
    from segbench.cli.progress import observing
    from segbench.cli.report import rank_and_report
    from segbench.cli.trackers import tracking
    from segbench.engine.launch import run_suite
    from segbench.engine.selection import chosen, named
    from segbench.engine.tuning import planned
    from segbench.results.store import Store

    store = Store(results, checked.name)
    if launching.can_be_tried_here:
        with _naming(suite):
            known = planned(checked, store)
            todo = named(chosen((*known.runs, *known.pending), chosen_models, chosen_seeds), chosen_ids)
            _announce(todo, store, device=device)
    with (
        launching.launcher_into(store) as doing,
        _naming(suite),
        observing() as shown,
        tracking(shown, suite=checked.name, events=events, tensorboard=tensorboard, mlflow=mlflow) as observer,
    ):
        outcome = run_suite(
            checked,
            results=results,
            models=chosen_models,
            seeds=chosen_seeds,
            only=chosen_ids,
            device=device,
            in_process=launching.here,
            launcher=doing,
            observer=observer,
        )
    _tell_done(outcome)
    here = launching.can_be_tried_here
    measured = no_speed or _measure_speed(checked, chosen_models, here=here, device=device, results=results)
    rank_and_report(outcome.store.folder, reports)
    if not (outcome.complete and measured):
        raise typer.Exit(1)


def plan(
    suite: SuiteFile,
    *,
    results: Results = Path("results"),
    overrides: Overrides = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Try each network for a few steps; show time, memory and disk.")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show the runs of a suite, and which of them are done.

    With --estimate, also what each of them and all together will take on this machine: time, peak memory and disk.
    """
    checked = _load(suite, overrides)
    from segbench.engine.tuning import planned
    from segbench.results.store import Store

    store = Store(results, checked.name)
    with _naming(suite):
        known = planned(checked, store)
    statuses = _statuses(known.runs, store)
    rows = [_row(run, statuses[run.id]) for run in known.runs]
    if estimate:
        with _naming(suite):
            found, extent = estimated(known, device=device), extent_of(checked, device=device)
        _answer_with_estimate(checked.name, rows, found, extent, as_json=as_json)
    elif as_json:
        write_json({"suite": checked.name, "runs": rows, **_pending(known)})
    else:
        _show_plan(rows)
        done = sum(row["status"] == "done" for row in rows)
        tell(f"{counted(len(rows), 'run')}, {done} done, {len(rows) - done} to do")
    if known.pending and not as_json:
        tell(known.outlook)


def validate(suite: SuiteFile, *, overrides: Overrides = None) -> None:
    """Check a suite without touching its data.

    Keys, values, names, files of weights, and the grid are looked at.
    """
    checked = _load(suite, overrides)
    from segbench.config.plan import plan as runs_of

    with _naming(suite):
        runs = runs_of(checked)
        _check_files(checked)
    tuned = _extent_of_tuning(checked)
    typer.echo(f"{suite}: ok, {counted(len(runs), 'run')} of {counted(len(checked.models), 'model')}{tuned}")


def schema() -> None:
    """Write the JSON Schema of suites, for editors."""
    from segbench.config.schema import suite_schema

    write_json(suite_schema())


def _load(file: Path, overrides: Sequence[str] | None) -> Suite:
    from segbench.config.load import load_suite

    return load_suite(file, overrides=overrides or ())


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Add the file, and the key where it is known, to errors about the suite that do not name them."""
    try:
        yield
    except StoreError:  # names the results' own file
        raise
    except UsageError as error:
        problem, key = (error.problem, error.key) if isinstance(error, SuiteError) else (str(error), _key(error))
        if (isinstance(error, SuiteError) and error.file is not None) or problem.startswith(f"{file}:"):
            raise
        raise SuiteError(problem, file=file, key=key) from None


def _key(error: UsageError) -> str:
    """Return the key, or the option, that an error is about."""
    if isinstance(error, UnknownNameError):
        return "--models"
    return "dataset" if isinstance(error, DataError) and not str(error).startswith("dataset") else ""


def _check_files(suite: Suite) -> None:
    for index, model in enumerate(suite.models):
        for key, path in (("weights", model.weights), ("pretrained", model.options.get("pretrained"))):
            if isinstance(path, str) and _names_file(path) and not Path(path).is_file():
                raise SuiteError(f"there is no file {path!r}", key=f"models[{index}].{key}")


def _names_file(text: str) -> bool:
    """Tell a path from a name such as torchvision's IMAGENET1K_V1."""
    return bool(Path(text).suffix) or "/" in text or "\\" in text


def _statuses(runs: Sequence[Run], store: Store) -> dict[str, str]:
    """Return by id whether runs are done."""
    found = store.find_all({run.id: run.identity for run in runs})
    return {run.id: _status(found.get(run.id)) for run in runs}


def _status(record: RunRecord | None) -> str:
    from segbench.results.record import Status

    if record is None:
        return "to do"
    return "done" if record.outcome.status is Status.COMPLETED else f"to do again ({record.outcome.status})"


def _row(planned: Run, status: str) -> dict[str, Any]:
    row = {
        "id": planned.id,
        "model": planned.label,
        "seed": planned.seed,
        "point": planned.point,
        "status": status,
        "protocol_id": planned.protocol_id,
    }
    return row | {"tuning": {"role": planned.role, "values": planned.tuning.values}} if planned.tuning else row


def _pending(known: Planned) -> dict[str, Any]:
    """Return, for programs, how many tuned runs are not known yet; nothing where there are none."""
    return {"pending_tuned_runs": len(known.pending)} if known.pending else {}


def _extent_of_tuning(suite: Suite) -> str:
    """Return in words what a tuning adds to a suite."""
    from segbench.config.trials import families, trials

    tuned = {run.id for family in families(suite) for run in family.tuned(None)}
    return f"; {counted(len(trials(suite)), 'trial')} and {counted(len(tuned), 'tuned run')} beside" if tuned else ""


def _tell_done(outcome: SuiteOutcome) -> None:
    """Tell how many runs were done, now and before."""
    before = len(outcome.done_before)
    was = "was" if before == 1 else "were"
    tell(f"{counted(len(outcome.records) - before, 'run')} done, {before} {was} done before")


def _measure_speed(suite: Suite, models: list[str] | None, *, here: bool, device: str, results: Path) -> bool:
    """Measure the suite's speed block; what goes wrong is told, since the runs are done and want their leaderboard.

    Where the runs were done elsewhere, or in this process, it is left to another command.
    """
    if not here:
        if suite.speed is not None:
            tell("the speed block is not measured here; 'segbench speed', on the machine that is meant, does that")
        return True
    try:
        measure_block(suite, models=models, device=device, results=results)
    except SegbenchError as error:
        tell(f"the speed was not measured: {error}")
        return False
    return True


def _announce(runs: Sequence[Run], store: Store, *, device: str) -> None:
    """Tell what the runs that are not done will take."""
    statuses = _statuses(runs, store)
    announce([run for run in runs if statuses[run.id] != "done"], device=device)


def _answer_with_estimate(
    suite: str, rows: Sequence[Mapping[str, Any]], estimate: SuiteEstimate, extent: Extent | None, *, as_json: bool
) -> None:
    if as_json:
        pairs = zip(rows, estimate.runs[: len(rows)], strict=True)
        described = [{**row, "estimate": estimate_facts(run)} for row, run in pairs]
        more: dict[str, Any] = {"speed": asdict(extent)} if extent else {}
        if pending := len(estimate.runs) - len(rows):
            more["pending_tuned_runs"] = pending
        write_json({"suite": suite, "runs": described, "estimate": estimate_facts(estimate), **more})
        return
    statuses = {run.run_id: PENDING for run in estimate.runs} | {row["id"]: row["status"] for row in rows}
    show_estimate(estimate, statuses)
    if extent is not None:
        cases, processes = counted(extent.cases, "case"), counted(extent.processes, "process", "processes")
        tell(f"then the speed of {cases} in {processes}, at least {duration(extent.least_seconds)} more")


def _show_plan(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = {"id": "run", "model": "model", "seed": "seed", "point": "grid", "tuning": "tuning", "status": "status"}
    if not any(row["point"] for row in rows):
        del columns["point"]
    if not any("tuning" in row for row in rows):
        del columns["tuning"]
    words = [{**row, "point": _point(row["point"]), "tuning": _part(row.get("tuning"))} for row in rows]
    table = [[row[key] for key in columns] for row in words]
    write_table(list(columns.values()), table, right=["seed"], whole=["run"])


def _point(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in point.items())


def _part(tuning: Mapping[str, Any] | None) -> str:
    """Return the part that a run has in a tuning, such as ``trial lr=0.1``."""
    from segbench.config.plan import in_words

    return f"{tuning['role']} {in_words(tuning['values'] or {})}".strip() if tuning else ""
