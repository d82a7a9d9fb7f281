"""Commands about data sets: data check, data download."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.options import AsJson
from segbench.cli.output import shown, tell, write_facts, write_json, write_table
from segbench.errors import UsageError

if TYPE_CHECKING:
    from segbench.config.component import DatasetEntry
    from segbench.data.check import DatasetReport

app = typer.Typer(help="Check and fetch data sets.", no_args_is_help=True)

_USUAL_SPLITS = ("train", "val", "test")
_SUITE_SUFFIXES = (".yaml", ".yml")
_PROBLEMS_SHOWN = 100


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A data set ('segbench list datasets'), or a suite file for its own.")
    ],
    *,
    splits: Annotated[
        list[str] | None, typer.Option("--split", help="A split; may be repeated. All usual ones by default.")
    ] = None,
    root: Annotated[str | None, typer.Option("--root", help="The data set's folder.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set another option of the data set; may be repeated."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every image and label, report what there is, and exit with 2 if anything is wrong."""
    entry = _entry(name, root, options)
    chosen = splits or (_suite_splits(entry) if name.endswith(_SUITE_SUFFIXES) else _known_splits(entry.name))
    reports = {split: _report(entry, split) for split in dict.fromkeys(chosen)}
    if as_json:
        write_json({"dataset": entry.name, "splits": {split: _facts(report) for split, report in reports.items()}})
    else:
        for split, report in reports.items():
            _show(split, report)
    count = sum(len(report.problems) for report in reports.values())
    if count:
        raise UsageError(f"{entry.name}: {count} problem{'s' if count != 1 else ''} found")


@app.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="voc2012 or sbd.")],
    *,
    root: Annotated[
        Path | None, typer.Option("--root", help="Where to put it; the folder where it is looked for by default.")
    ] = None,
) -> None:
    """Fetch a data set that may be fetched, with its checksum verified."""
    from segbench.cli.progress import counting
    from segbench.data.download import download as fetch

    with counting(f"downloading {name}", "MB") as advance:
        place = fetch(
            name,
            root=root,
            progress=lambda received, total: advance(received // 10**6, None if total is None else total // 10**6),
        )
    typer.echo(place)


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
    return check_part(DatasetEntry, document, key="dataset")


def _suite_splits(entry: DatasetEntry) -> list[str]:
    return [split for split in (entry.train_split, entry.validation_split, entry.test_split) if split is not None]


def _known_splits(name: str) -> list[str]:
    """Return the usual ones among the splits that a data set's module names, or train and test if it names none."""
    from segbench.registry import DATASETS

    module = importlib.import_module(DATASETS.find(name)[0].reference.partition(":")[0])
    known = getattr(module, "SPLITS", ("train", "test"))
    return [split for split in _USUAL_SPLITS if split in known] or list(known)


def _report(entry: DatasetEntry, split: str) -> DatasetReport:
    from segbench.cli.progress import counting
    from segbench.data.check import check_dataset
    from segbench.data.open import create_dataset

    dataset = create_dataset(entry, split)
    with counting(f"checking {split}", "images") as advance:
        return check_dataset(dataset, progress=advance)


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
        "classes": classes,
        "problems": report.problems,
    }


def _show(split: str, report: DatasetReport) -> None:
    facts = _facts(report)
    sizes = [f"{size} ({count})" for size, count in facts["sizes"].items()]
    more = f" and {len(sizes) - 5} other sizes" if len(sizes) > 5 else ""
    typer.echo(f"{report.name}, {split}")
    write_facts(
        {
            "  images": report.images,
            "  height x width": ", ".join(sizes[:5]) + more or None,
            "  void pixels": report.void_pixels,
            "  problems": len(report.problems),
        }
    )
    rows = [[shown(value) for value in row.values()] for row in facts["classes"]]
    write_table(["class", "pixels", "frequency", "images"], rows, right=["pixels", "frequency", "images"])
    typer.echo()
    for problem in report.problems[:_PROBLEMS_SHOWN]:
        tell(f"problem: {problem}")
    if len(report.problems) > _PROBLEMS_SHOWN:
        tell(f"and {len(report.problems) - _PROBLEMS_SHOWN} more; --json lists all")
