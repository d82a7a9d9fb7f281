"""Commands that inspect suites without running them: plan, validate, schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from segbench.cli.support.options import AsJson, Device, Overrides, Results, SuiteFile
from segbench.cli.support.speed_jobs import Extent, extent_of
from segbench.cli.support.suite_file import load, naming
from segbench.cli.terminal.estimate import (
    PENDING,
    estimate_facts,
    estimated,
    retests_estimated,
    retests_in_words,
    show_estimate,
)
from segbench.cli.terminal.fold_table import show_folds_of_plan
from segbench.cli.terminal.output import counted, duration, tell, write_json, write_table
from segbench.config.json_schema import suite_schema
from segbench.config.plan import Run, variants
from segbench.config.plan import plan as runs_of
from segbench.config.sections.channels import given_channels
from segbench.config.suite import Suite
from segbench.config.titles import component_in_words, in_words
from segbench.config.trials import families, trials
from segbench.engine.estimate.estimate import SuiteEstimate
from segbench.engine.suite.planning import PlannedRuns, is_finished, wanted_runs
from segbench.engine.suite.preflight_recipe import check_recipes
from segbench.errors import SuiteError
from segbench.results.data_checks import read_checks
from segbench.results.record import RunRecord
from segbench.results.store import Store

if TYPE_CHECKING:
    from segbench.engine.estimate.robustness import RobustnessEstimate


class Beside(NamedTuple):
    """What a suite asks for beside its runs.

    Attributes:
        speed: How much of speed is measured; None without a speed block.
        robustness: What the further tests take; None without a robustness block.
        deployments: How many deployments a deploy block names; 0 without one.
    """

    speed: Extent | None
    robustness: RobustnessEstimate | None
    deployments: int

    def facts(self) -> dict[str, Any]:
        """Return what there is, for programs."""
        found = {name: asdict(one) for name, one in (("speed", self.speed), ("robustness", self.robustness)) if one}
        return {**found, **({"deployments": self.deployments} if self.deployments else {})}


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

    With --estimate, also what each of them and all together will take on this machine: time, peak memory and disk; and
    what the suite asks for beside them. Of a cross-validation, also its folds, where the data is here.
    """
    from segbench.engine.suite.changed_data import runs_on_changed_data

    checked = load(suite, overrides)
    store = Store(results, checked.name)
    with naming(suite):
        wanted = wanted_runs(checked, store)
    known = wanted.known
    changed = runs_on_changed_data(known.runs, wanted.stored)
    rows = [_row(run, _status(wanted.stored.get(run.id), changed=run.id in changed)) for run in known.runs]
    if estimate:
        with naming(suite):
            found, extent = estimated(known, device=device), extent_of(checked, device=device)
            retests = retests_estimated(checked.robustness, known, found)
        _answer_with_estimate(
            checked.name, rows, found, Beside(extent, retests, _deployments(checked, known)), as_json=as_json
        )
    elif as_json:
        write_json({"suite": checked.name, "runs": rows, **_pending(known)})
    else:
        _show_plan(rows)
        with naming(suite):
            _show_folds(known.runs, store)
        done = sum(row["status"] == "done" for row in rows)
        tell(f"{counted(len(rows), 'run')}, {done} done, {len(rows) - done} to do")
    if known.pending and not as_json:
        tell(known.outlook)


def validate(suite: SuiteFile, *, overrides: Overrides = None) -> None:
    """Check a suite without reading its images.

    Keys, values, names, the grid and files of weights are looked at: what these are and, by names and shapes, whether
    they fit their networks. Losses, optimizers and schedules that are not built in, or have options of their own, are
    made and tried.
    """
    checked = load(suite, overrides)

    with naming(suite):
        runs = runs_of(checked)
        _check_files(checked)
        _check_checkpoints(runs)
        told = [*_check_recipes(runs), *_check_groups(checked)]
    tuned = _extent_of_tuning(checked)
    typer.echo(f"{suite}: ok, {counted(len(runs), 'run')} of {counted(len(checked.models), 'model')}{tuned}")
    for line in told:
        tell(line)


def schema() -> None:
    """Write the JSON Schema of suites, for editors."""
    write_json(suite_schema())


def _check_recipes(runs: Sequence[Run]) -> list[str]:
    """Try losses, optimizers and schedules; imports nothing if all are built in with default options.

    Raises:
        SuiteError: One of them cannot be created, or fails.
    """
    return [f"note: {line}" for line in check_recipes(runs)]


def _check_groups(suite: Suite) -> list[str]:
    """Check that every parameter group matches a network, and describe the matches; builds nothing without groups."""
    if any(train.optimizer.groups for _, variant in variants(suite) for train in variant.recipes):
        from segbench.engine.suite.preflight_parts import check_groups

        return check_groups(suite, classes=2, channels=given_channels(suite.dataset) or 3)
    return []


def _check_files(suite: Suite) -> None:
    for index, model in enumerate(suite.models):
        for key, path in (("weights", model.weights), ("pretrained", model.options.get("pretrained"))):
            if isinstance(path, str) and (key == "weights" or _names_file(path)) and not Path(path).is_file():
                folder = ": it is a folder; name a file in it" if Path(path).is_dir() else ""
                raise SuiteError(f"there is no file {path!r}{folder}", key=f"models[{index}].{key}")


def _check_checkpoints(runs: Sequence[Run]) -> None:
    """Compare each checkpoint with its network; imports nothing without checkpoints.

    Raises:
        SuiteError: A file cannot be read or does not fit.
    """
    for run in {run.model.model_dump_json(): run for run in runs if run.model.weights is not None}.values():
        from segbench.engine.suite.preflight_parts import check_checkpoint

        if unknown := check_checkpoint(run):
            tell(f"note: {run.model.label}: {run.model.weights} can be read; whether it fits is not known: {unknown}")


def _names_file(text: str) -> bool:
    """Return whether a text is a path, unlike a name such as torchvision's IMAGENET1K_V1."""
    return bool(Path(text).suffix) or "/" in text or "\\" in text


def _status(record: RunRecord | None, *, changed: bool) -> str:
    if record is None:
        return "to do"
    if changed:
        return "to do again (the data has changed)"
    return "done" if is_finished(record) else f"to do again ({record.outcome.status})"


def _row(planned: Run, status: str) -> dict[str, Any]:
    row = {
        "id": planned.id,
        "model": planned.label,
        "seed": planned.seed,
        "point": planned.point,
        "status": status,
        "protocol_id": planned.protocol_id,
    }
    row |= {"fold": planned.fold} if planned.fold is not None else {}
    row |= {"pad_to": planned.model.pad_to} if planned.model.pad_to is not None else {}
    row |= {"teacher": planned.teacher.id} if planned.teacher is not None else {}
    return row | {"tuning": {"role": planned.role, "values": planned.tuning.values}} if planned.tuning else row


def _pending(known: PlannedRuns) -> dict[str, Any]:
    """Return the JSON entry with the number of pending tuned runs; empty if there are none."""
    return {"pending_tuned_runs": len(known.pending)} if known.pending else {}


def _extent_of_tuning(suite: Suite) -> str:
    """Describe the runs that a tuning adds to a suite."""
    tuned = {run.id for family in families(suite) for run in family.tuned(None)}
    return f"; {counted(len(trials(suite)), 'trial')} and {counted(len(tuned), 'tuned run')} beside" if tuned else ""


def _answer_with_estimate(
    suite: str, rows: Sequence[Mapping[str, Any]], estimate: SuiteEstimate, beside: Beside, *, as_json: bool
) -> None:
    if as_json:
        pairs = zip(rows, estimate.runs[: len(rows)], strict=True)
        described = [{**row, "estimate": estimate_facts(run)} for row, run in pairs]
        more: dict[str, Any] = beside.facts()
        if pending := len(estimate.runs) - len(rows):
            more["pending_tuned_runs"] = pending
        write_json({"suite": suite, "runs": described, "estimate": estimate_facts(estimate), **more})
        return
    statuses = {run.run_id: PENDING for run in estimate.runs} | {row["id"]: row["status"] for row in rows}
    show_estimate(estimate, statuses)
    if beside.speed is not None:
        cases, processes = counted(beside.speed.cases, "case"), counted(beside.speed.processes, "process", "processes")
        tell(f"then the speed of {cases} in {processes}, at least {duration(beside.speed.least_seconds)} more")
    if beside.robustness is not None:
        tell(retests_in_words(beside.robustness))
    if beside.deployments:
        networks = counted(len(estimate.runs), "network")
        tell(f"then {counted(beside.deployments, 'deployment')}: {networks} to each target")


def _deployments(suite: Suite, known: PlannedRuns) -> int:
    """Return how many deployments a suite's block asks for; none without one."""
    networks = len(known.runs) + len(known.pending)
    return networks * len(suite.deploy.targets) if suite.deploy is not None else 0


def _show_plan(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = {
        "id": "run",
        "model": "model",
        "seed": "seed",
        "fold": "fold",
        "pad_to": "padded to",
        "point": "grid",
        "teacher": "teacher",
        "tuning": "tuning",
        "status": "status",
    }
    words = [{**row, "point": _point(row["point"]), "tuning": _part(row.get("tuning"))} for row in rows]
    shown = [key for key in columns if any(str(row.get(key, "")) for row in words)]
    table = [[row.get(key, "") for key in shown] for row in words]
    titles = [columns[key] for key in shown]
    write_table(titles, table, right=["seed", "fold", "padded to"], whole=["run"])


def _show_folds(runs: Sequence[Run], store: Store) -> None:
    """Write the folds of each cross-validation among some runs."""
    entries = {run.recipe.dataset.model_dump_json(): run.recipe.dataset for run in runs if run.fold is not None}
    if not entries:
        return

    checks = read_checks(store.folder)
    for entry in entries.values():
        typer.echo()
        show_folds_of_plan(entry, checks)


def _point(point: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={component_in_words(value)}" for key, value in point.items())


def _part(tuning: Mapping[str, Any] | None) -> str:
    """Return the role of a run in a tuning, such as ``trial lr=0.1``."""
    return f"{tuning['role']} {in_words(tuning['values'] or {})}".strip() if tuning else ""
