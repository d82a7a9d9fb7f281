"""Commands about data sets: data check, data download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from segbench.cli.support.checked_data import asked_for, check_splits
from segbench.cli.support.options import AsJson
from segbench.cli.terminal.completion import complete_dataset
from segbench.cli.terminal.fold_table import fold_facts, show_folds
from segbench.cli.terminal.output import counted, shown, tell, write_facts, write_json, write_table
from segbench.cli.terminal.progress import counting
from segbench.config.component import DatasetEntry
from segbench.data.datasets import download as downloads
from segbench.data.datasets.pool import create_pool, names_in_splits
from segbench.data.folds.folds import cut
from segbench.data.validation.check import DatasetReport
from segbench.data.validation.facts import facts_of
from segbench.data.validation.findings import Finding, notes_among, problems_among
from segbench.data.validation.folds import check_folds, judge_folds
from segbench.errors import UsageError

app = typer.Typer(help="Check and fetch data sets.", no_args_is_help=True)

_PROBLEMS_SHOWN = 100

MEGABYTE = 10**6


@app.command()
def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A data set ('segbench list datasets'), or a suite file for its own.",
            autocompletion=complete_dataset,
        ),
    ],
    *,
    splits: Annotated[
        list[str] | None,
        typer.Option("--split", metavar="SPLIT", help="A split; may be repeated. All usual ones by default."),
    ] = None,
    root: Annotated[str | None, typer.Option("--root", metavar="DIR", help="The data set's folder.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set another option of the data set; may be repeated."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="KIND",
            help="What is no problem, as dataset.allow has it: one-class, absent-class, void, same-picture, "
            "lossy; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every image and label, and report what there is.

    A cross-validation is reported fold by fold. The exit code is 2 if there is a problem: something is wrong with the
    files, or the labels are probably not what is meant, such as a split of one class. 'segbench run' refuses the same.
    What is only unusual is noted.
    """
    asked = asked_for(name, root, options, allow)
    if asked.entry.folds is not None and not splits:
        _check_folds(asked.entry, as_json=as_json)
        return
    found = check_splits(asked, list(dict.fromkeys(splits or asked.splits)), chosen=bool(splits))
    if as_json:
        facts = {split: _facts(report, found.of(split)) for split, report in found.reports.items()}
        write_json({"dataset": asked.entry.name, "splits": facts})
    else:
        for split, report in found.reports.items():
            _show(split, report, found.of(split))
    _end_with(found.findings, asked.entry)


@app.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="voc2012, sbd or nuclei.")],
    *,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Where to put it; the folder where it is looked for by default."),
    ] = None,
) -> None:
    """Fetch a data set, or what is left of it, and verify it."""
    with counting(f"downloading {name}", "MB") as advance:

        def tell_progress(received: int, total: int | None) -> None:
            title = f"checking and unpacking {name}" if received == total else None
            advance(received // MEGABYTE, None if total is None else total // MEGABYTE, title=title)

        place = downloads.download(name, root=root, progress=tell_progress)
    typer.echo(place)


def _check_folds(entry: DatasetEntry, *, as_json: bool) -> None:
    """Read the pooled images of a cross-validation, and report them as a whole and by fold.

    Raises:
        DataError: They cannot be divided into folds.
        UsageError: There are problems, which were reported.
    """
    pool = create_pool(entry)
    folds = cut(pool, entry, own_names=names_in_splits(pool))
    tests = {fold: folds.test(fold) for fold in range(1, folds.count + 1)}
    with counting("checking folds", "images") as advance:
        reports = check_folds(folds, tests.values(), progress=advance)
    whole = reports[folds.pool.cache_key()]
    by_fold = {fold: reports[split.cache_key()] for fold, split in tests.items()}
    pixels = {fold: dict(zip(report.classes, report.class_pixels, strict=True)) for fold, report in by_fold.items()}
    findings, facts = judge_folds(folds, facts_of(whole), pixels, entry), fold_facts(folds, pixels)
    if as_json:
        splits = {f"fold {fold}": _facts(report, []) for fold, report in by_fold.items()}
        notes, problems = notes_among(findings), problems_among(findings)
        told = {"notes": _messages(notes), "problems": _messages(problems), "findings": list(map(asdict, findings))}
        write_json({"dataset": entry.name, "splits": splits, "folds": list(map(asdict, facts)), **told})
    else:
        _show(f"{folds.count} folds", whole, findings)
        show_folds(facts)
    _end_with(findings, entry)


def _messages(findings: Sequence[Finding]) -> list[str]:
    return [finding.message for finding in findings]


def _end_with(findings: Sequence[Finding], entry: DatasetEntry) -> None:
    """End with exit code 2 if there are problems.

    Raises:
        UsageError: There are problems; names their number.
    """
    if count := len(problems_among(findings)):
        raise UsageError(f"{entry.name}: {counted(count, 'problem')} found")


def _facts(report: DatasetReport, findings: Sequence[Finding]) -> dict[str, Any]:
    classes = [
        {"class": name, "pixels": pixels, "frequency": frequency, "images": images}
        for name, pixels, frequency, images in zip(
            report.classes, report.class_pixels, report.class_frequencies, report.class_images, strict=True
        )
    ]
    return {
        "images": report.images,
        "sizes": {f"{height}x{width}": count for (height, width), count in sorted(report.sizes.items())},
        "void_pixels": report.void_pixels,
        "pixel_digest": report.pixel_digest,
        "classes": classes,
        "notes": _messages(notes_among(findings)),
        "problems": _messages(problems_among(findings)),
        "findings": [{"kind": one.kind, "level": one.level, "message": one.message} for one in findings],
    }


def _show(split: str, report: DatasetReport, findings: Sequence[Finding]) -> None:
    facts = _facts(report, findings)
    problems = problems_among(findings)
    sizes = [f"{size} ({count})" for size, count in facts["sizes"].items()]
    more = f" and {counted(len(sizes) - 5, 'other size')}" if len(sizes) > 5 else ""
    typer.echo(f"{report.name}, {split}")
    write_facts(
        {
            "  images": report.images,
            "  height x width": ", ".join(sizes[:5]) + more or None,
            "  void pixels": report.void_pixels,
            "  pixel digest": report.pixel_digest,
            "  problems": len(problems),
        }
    )
    rows = [[shown(value) for value in row.values()] for row in facts["classes"]]
    if rows:
        write_table(["class", "pixels", "frequency", "images"], rows, right=["pixels", "frequency", "images"])
    typer.echo()
    for note in notes_among(findings):
        tell(f"note: {note}")
    for problem in problems[:_PROBLEMS_SHOWN]:
        tell(f"problem: {problem}")
    if len(problems) > _PROBLEMS_SHOWN:
        tell(f"and {len(problems) - _PROBLEMS_SHOWN} more; --json lists all")
