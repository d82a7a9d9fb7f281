"""Commands about data sets: data check, data download."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.options import AsJson
from segbench.cli.output import counted, shown, tell, write_facts, write_json, write_table
from segbench.errors import DataError, SuiteError, UsageError

if TYPE_CHECKING:
    from segbench.config.component import DatasetEntry
    from segbench.data.check import DatasetReport

app = typer.Typer(help="Check and fetch data sets.", no_args_is_help=True)

_USUAL_SPLITS = ("train", "val", "test")
_SUITE_SUFFIXES = (".yaml", ".yml")
_PROBLEMS_SHOWN = 100

MEGABYTE = 10**6


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A data set ('segbench list datasets'), or a suite file for its own.")
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
    as_json: AsJson = False,
) -> None:
    """Read every image and label, and report what there is.

    A cross-validation is reported fold by fold. The exit code is 2 if anything is wrong. What is only unusual, such as
    a class without pixels, is noted.
    """
    entry = _entry(name, root, options)
    if entry.folds is not None and not splits:
        _check_folds(entry, as_json=as_json)
        return
    chosen = splits or (_suite_splits(entry) if name.endswith(_SUITE_SUFFIXES) else _known_splits(entry.name))
    reports = _reports(entry, list(dict.fromkeys(chosen)))
    if as_json:
        write_json({"dataset": entry.name, "splits": {split: _facts(report) for split, report in reports.items()}})
    else:
        for split, report in reports.items():
            _show(split, report)
    count = sum(len(report.problems) for report in reports.values())
    if count:
        raise UsageError(f"{entry.name}: {counted(count, 'problem')} found")


@app.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="voc2012 or sbd.")],
    *,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Where to put it; the folder where it is looked for by default."),
    ] = None,
) -> None:
    """Fetch a data set and verify its checksum."""
    from segbench.cli.progress import counting
    from segbench.data.download import download as fetch

    with counting(f"downloading {name}", "MB") as advance:

        def tell_progress(received: int, total: int | None) -> None:
            title = f"checking and unpacking {name}" if received == total else None
            advance(received // MEGABYTE, None if total is None else total // MEGABYTE, title=title)

        place = fetch(name, root=root, progress=tell_progress)
    typer.echo(place)


def _check_folds(entry: DatasetEntry, *, as_json: bool) -> None:
    """Read the pooled images of a cross-validation, and report them as a whole and by fold.

    Raises:
        DataError: They cannot be cut into folds.
        UsageError: Something is wrong with them; it was reported.
    """
    from segbench.cli.fold_table import fold_facts, notes_on_folds, show_folds
    from segbench.cli.progress import counting
    from segbench.data.fold_check import check_folds
    from segbench.data.folds import cut
    from segbench.data.pool import create_pool

    folds = cut(create_pool(entry), entry)
    tests = {fold: folds.test(fold) for fold in range(1, folds.count + 1)}
    with counting("checking folds", "images") as advance:
        found = check_folds(folds, [folds.pool, *tests.values()], progress=advance)
    whole = found.reports[folds.pool.cache_key()]
    whole = replace(whole, problems=(*whole.problems, *found.shared))
    reports = {fold: found.reports[split.cache_key()] for fold, split in tests.items()}
    pixels = {fold: dict(zip(report.classes, report.class_pixels, strict=True)) for fold, report in reports.items()}
    facts = fold_facts(folds, pixels)
    if as_json:
        splits = {f"fold {fold}": _facts(report) for fold, report in reports.items()}
        told = {"notes": notes_on_folds(facts), "problems": whole.problems}
        write_json({"dataset": entry.name, "splits": splits, "folds": list(map(asdict, facts)), **told})
    else:
        _show(f"{folds.count} folds", whole)
        show_folds(facts)
        for note in notes_on_folds(facts):
            tell(f"note: {note}")
    if whole.problems:
        raise UsageError(f"{entry.name}: {counted(len(whole.problems), 'problem')} found")


def _entry(name: str, root: str | None, options: Sequence[str] | None) -> DatasetEntry:
    from segbench.config.component import DatasetEntry
    from segbench.config.load import check_part, load_suite, read_override, set_key

    document: dict[str, Any] = {"name": name}
    if name.endswith(_SUITE_SUFFIXES):
        document = load_suite(name).dataset.model_dump(mode="json")
    if root is not None:
        document["root"] = root
    for option in options or ():
        set_key(document, *read_override(option))
    try:
        return check_part(DatasetEntry, document, key="dataset")
    except SuiteError as error:
        if name.endswith(_SUITE_SUFFIXES) or not error.problem.startswith("is required"):
            raise
        option = error.key.rpartition(".")[2]
        value = "[...]" if option == "classes" else "..."
        problem = f"{error.problem}; give its suite file, or --set {option}={value}"
        raise SuiteError(problem, key=error.key) from None


def _suite_splits(entry: DatasetEntry) -> list[str]:
    return [split for split in (entry.train_split, entry.validation_split, entry.test_split) if split is not None]


def _known_splits(name: str) -> list[str]:
    """Return the usual ones among the splits that a data set's module names, or train and test if it names none."""
    from segbench.registry import DATASETS

    module = importlib.import_module(DATASETS.find(name)[0].reference.partition(":")[0])
    known = getattr(module, "SPLITS", ("train", "test"))
    return [split for split in _USUAL_SPLITS if split in known] or list(known)


def _reports(entry: DatasetEntry, splits: Sequence[str]) -> dict[str, DatasetReport]:
    """Return what is in each split; one that cannot be opened is a problem of its own, unless it is so for all.

    Raises:
        DataError: No split can be opened.
    """
    found: dict[str, DatasetReport] = {}
    faults: list[DataError] = []
    for split in splits:
        try:
            found[split] = _report(entry, split)
        except DataError as fault:
            faults.append(fault)
            found[split] = _nothing(entry, problem=str(fault))
    if faults and len(faults) == len(splits):
        raise faults[0]
    return found


def _nothing(entry: DatasetEntry, *, problem: str) -> DatasetReport:
    """Return the report of a split that cannot be opened."""
    from segbench.data.check import DatasetReport

    return DatasetReport(
        name=entry.name,
        classes=(),
        images=0,
        sizes={},
        class_pixels=(),
        class_image_pixels=(),
        class_images=(),
        void_pixels=0,
        problems=(problem,),
    )


def _report(entry: DatasetEntry, split: str) -> DatasetReport:
    from segbench.cli.progress import counting
    from segbench.data.check import check_dataset
    from segbench.data.open import create_dataset

    dataset = create_dataset(entry, split)
    with counting(f"checking {split}", "images") as advance:
        return check_dataset(dataset, progress=advance)


def _notes(report: DatasetReport) -> list[str]:
    """Return what is not wrong but probably not meant."""
    notes = []
    if len(report.classes) == 1:
        notes.append(f"there is one class only, {report.classes[0]}; every pixel that is not void is of it")
    empty = [name for name, pixels in zip(report.classes, report.class_pixels, strict=True) if not pixels]
    if empty and report.images:
        notes.append(f"no pixel is of {counted(len(empty), 'class', 'classes')}: {', '.join(empty)}")
    return notes


def _facts(report: DatasetReport) -> dict[str, Any]:
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
        "notes": _notes(report),
        "problems": report.problems,
    }


def _show(split: str, report: DatasetReport) -> None:
    facts = _facts(report)
    sizes = [f"{size} ({count})" for size, count in facts["sizes"].items()]
    more = f" and {counted(len(sizes) - 5, 'other size')}" if len(sizes) > 5 else ""
    typer.echo(f"{report.name}, {split}")
    write_facts(
        {
            "  images": report.images,
            "  height x width": ", ".join(sizes[:5]) + more or None,
            "  void pixels": report.void_pixels,
            "  pixel digest": report.pixel_digest,
            "  problems": len(report.problems),
        }
    )
    rows = [[shown(value) for value in row.values()] for row in facts["classes"]]
    if rows:
        write_table(["class", "pixels", "frequency", "images"], rows, right=["pixels", "frequency", "images"])
    typer.echo()
    for note in facts["notes"]:
        tell(f"note: {split}: {note}")
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        tell(f"problem: {problem}")
    if len(report.problems) > _PROBLEMS_SHOWN:
        tell(f"and {len(report.problems) - _PROBLEMS_SHOWN} more; --json lists all")
