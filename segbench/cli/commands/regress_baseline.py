"""Commands that compare speed with a stored baseline: regress save, regress check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.commands.regress import app, crashes_told, save_text
from segbench.cli.support.options import Casting, Device, Modes, Overrides, Precisions, names, size
from segbench.cli.support.outputs import check_output
from segbench.cli.support.speed_jobs import DEFAULT_CLASSES, Work, batches, work_of
from segbench.cli.terminal.completion import complete_models, complete_suite
from segbench.cli.terminal.output import json_text, tell, write_table
from segbench.cli.terminal.progress import counting
from segbench.engine.processes import call_in_process
from segbench.errors import UsageError
from segbench.report.text import escape_markdown
from segbench.results.speed.baseline import read_baseline, write_baseline
from segbench.results.speed.record import SpeedCase, SpeedRecord
from segbench.results.wording import markdown_table

if TYPE_CHECKING:
    from segbench.speed.gate.baseline_check import Checked, CheckResult

TITLES = ["case", "baseline ms", "now ms", "change", "interval", "restarts", "verdict"]
Baselines = Annotated[
    list[Path], typer.Option("--baseline", metavar="FILE", help="Saved before; several files are put together.")
]


@app.command()
def save(  # noqa: PLR0913 - the options of one command
    suite: Annotated[
        Path | None,
        typer.Argument(metavar="[SUITE]", help="A suite; or give --models.", autocompletion=complete_suite),
    ] = None,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the baseline.")],
    models: Annotated[
        str | None,
        typer.Option("--models", metavar="A,B", help="Models by name or label.", autocompletion=complete_models),
    ] = None,
    image_size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Height and width of images.")] = None,
    classes: Annotated[int, typer.Option("--classes", metavar="N", min=1, help="Without a suite.")] = DEFAULT_CLASSES,
    batch: Annotated[str | None, typer.Option("--batch", metavar="1,8", help="Batches of inference.")] = None,
    task: Annotated[str, typer.Option("--task", metavar="inference,training", help="What is timed.")] = "inference",
    precision: Precisions = None,
    casting: Casting = None,
    mode: Modes = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads on the processor.")] = None,
    restarts: Annotated[int, typer.Option("--restarts", min=2, help="Fresh processes for each case.")] = 12,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="Sampling time of a restart.")] = 2.0,
    overrides: Overrides = None,
    device: Device = "auto",
) -> None:
    """Measure networks and save the samples as a baseline.

    'segbench regress check' compares with it, on the same machine only.
    """
    given: dict[str, Any] = {
        "size": size(image_size) if image_size else None,
        "batch_sizes": batches(batch),
        "precisions": names(precision, option="--precision"),
        "casting": names(casting, option="--casting"),
        "modes": names(mode, option="--mode"),
        "threads": threads,
    }
    block: dict[str, Any] = {"tasks": names(task, option="--task"), "restarts": restarts, "seconds": seconds}
    block |= {key: value for key, value in given.items() if value is not None}
    with crashes_told():
        check_output(out, ".json")
        _save(work_of(suite, models, block, classes=classes, overrides=overrides, device=device), out)


def _save(work: Work, out: Path) -> None:
    from segbench.speed.run_cases import measure_cases

    if not work.planned:
        raise UsageError("there is nothing to measure: training needs a suite with a training recipe")
    settings = replace(work.settings, energy=False, slow_restarts=None)
    with counting("measuring", "restarts") as advance:
        told = measure_cases(work.planned, settings, tell=lambda done, total, _: advance(done, total))
        records = list(told)
    lost = [record for record in records if record.status != "measured"]
    if lost:
        raise UsageError(f"{lost[0].case.key}: {lost[0].status}: {lost[0].restarts[0].reason}; no baseline was written")
    write_baseline(out, records)
    tell(f"baseline of {len(records)} cases, {settings.restarts} restarts each: {out}")


@app.command()
def check(
    *,
    baseline: Baselines,
    current: Annotated[
        list[Path] | None,
        typer.Option("--current", metavar="FILE", help="Compare this instead of measuring; may be repeated."),
    ] = None,
    threshold: Annotated[float, typer.Option("--threshold", metavar="SHARE", help="The slowdown to find.")] = 0.1,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="Sampling time of a restart.")] = 2.0,
    device: Device = "auto",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every restart and the verdicts as JSON.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write Markdown, for a pull request.")
    ] = None,
) -> None:
    """Decide whether networks are slower than a baseline.

    Baselines and --current files are those of 'regress save' or of pytest-benchmark (--benchmark-json). Exit codes: 0
    passed, 1 regressed, 2 usage or crash, 3 inconclusive, 4 not comparable or a baseline case missing.
    """
    with crashes_told():
        check_output(json_file, ".json")
        check_output(markdown_file, ".md")
        from segbench.speed.gate.baseline_check import check as decide
        from segbench.speed.gate.decision import Rule

        stored = read_baseline(baseline)
        rule = Rule(threshold=threshold)
        if current:
            result = decide(stored, current=read_baseline(current, apart_from=stored), rule=rule)
        else:
            result = _measured(stored, rule, seconds=seconds, device=device)
        save_text(json_file, json_text(_document(result)))
        save_text(markdown_file, _markdown(result))
        _show(result)
    raise typer.Exit(int(result.exit_code))


def _show(result: CheckResult) -> None:
    write_table(TITLES, [_row(checked) for checked in result.cases], right=TITLES[1:6], whole=["case"])
    for note in _notes(result):
        tell(f"note: {note}")


def _markdown(result: CheckResult) -> str:
    """Return a check as Markdown: the table and the notes."""
    rows = [[escape_markdown(cell) for cell in _row(checked)] for checked in result.cases]
    notes = "\n".join(f"- {escape_markdown(note)}" for note in _notes(result))
    title = f"### Speed against the baseline: {result.exit_code.name.lower().replace('_', ' ')}"
    return "\n\n".join(part for part in (title, markdown_table(TITLES, rows, ":-----:"), notes) if part) + "\n"


def _notes(result: CheckResult) -> list[str]:
    reasons = [f"{checked.case.key}: {checked.decision.reason}" for checked in result.cases if checked.decision.reason]
    return [*reasons, *result.notes]


def _measured(stored: Sequence[SpeedRecord], rule: Any, *, seconds: float, device: str) -> CheckResult:
    from segbench.engine.device import choose_device
    from segbench.speed.cases import PlannedCase
    from segbench.speed.gate.baseline_check import check as decide
    from segbench.speed.measure.case import fingerprint
    from segbench.speed.run_cases import Settings, measure_cases

    settings = Settings(str(choose_device(device)), 1, seconds, energy=False)
    machine = call_in_process(fingerprint, settings.device, _threads(stored))

    def measure(cases: Sequence[SpeedCase], restarts: int) -> list[SpeedRecord]:
        tell(f"measuring {len(cases)} cases, {restarts} restarts each")
        return list(measure_cases([PlannedCase(case) for case in cases], replace(settings, restarts=restarts)))

    return decide(stored, machine=machine, measure=measure, rule=rule)


def _threads(stored: Sequence[SpeedRecord]) -> int | None:
    """Return the threads of the baseline.

    Raises:
        UsageError: It mixes several, or includes data loading, which needs the suite.
    """
    if any(record.case.task == "loading" for record in stored):
        raise UsageError("the baseline times the loading of data, which only its suite can: leave --task loading out")
    found = {record.case.threads for record in stored}
    if len(found) > 1:
        raise UsageError(f"the baseline mixes cases of {sorted(map(str, found))} threads; save one baseline for each")
    return found.pop()


def _row(checked: Checked) -> list[str]:
    from segbench.speed.gate.report import verdict_row

    base, head = checked.base_seconds, checked.head_seconds
    return verdict_row(checked.case.key, checked.decision, base_seconds=base, head_seconds=head, restarts=len(head))


def _document(result: CheckResult) -> dict[str, Any]:
    """Return a check as JSON types, with the median of every restart."""
    return {
        "kind": "segbench regress check",
        "schema_version": 1,
        "exit_code": int(result.exit_code),
        "threshold": result.rule.threshold,
        "notes": list(result.notes),
        "cases": [
            {
                "key": checked.case.key,
                "case": checked.case.model_dump(mode="json"),
                "decision": asdict(checked.decision),
                "base_seconds": list(checked.base_seconds),
                "head_seconds": list(checked.head_seconds),
            }
            for checked in result.cases
        ],
    }
