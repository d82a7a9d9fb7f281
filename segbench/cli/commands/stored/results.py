"""Commands that manage stored results: results list, pack, merge, recount, verify."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segbench.cli.commands.stored.verify import verify
from segbench.cli.support.options import AsJson
from segbench.cli.support.outputs import check_output
from segbench.cli.terminal.output import byte_count, counted, tell, write_json, write_table
from segbench.cli.terminal.progress import counting
from segbench.config.load import set_data_options
from segbench.errors import UsageError
from segbench.metrics.scores import score
from segbench.report.text import printable, short_id
from segbench.results.archive.further_tests import FURTHER_TESTS, packed_files
from segbench.results.archive.inventory import HeldRun, held_runs, size_of, suite_folders
from segbench.results.archive.members import Kind
from segbench.results.archive.merge import Merged
from segbench.results.archive.merge import merge as merge_results
from segbench.results.archive.pack import Packed
from segbench.results.archive.pack import pack as pack_results
from segbench.results.archive.placing import Fate, Placed, Side
from segbench.results.archive.units import Extra
from segbench.results.arrays.matrices import load_matrices
from segbench.results.find_runs import scan
from segbench.results.run_files import CONFUSION_FILE
from segbench.results.speed.store import SPEED_FOLDER

app = typer.Typer(help="List, pack, merge, recount and verify stored results.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="A folder of results: of all suites, or of one.")]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_DIFFERENCES_SHOWN = 5


@app.command("list")
def list_results(results: Folder, *, as_json: AsJson = False) -> None:
    """Show which runs a folder holds, how they ended, and what is kept of them."""
    suites = suite_folders(results)
    found = {suite.absolute().name: held_runs(suite) for suite in suites}
    if as_json:
        write_json({"suites": {name: [_facts(run) for run in runs] for name, runs in found.items()}})
        return
    if not any(found.values()):
        tell(f"{results}: holds no runs")
    for suite, (name, runs) in zip(suites, found.items(), strict=True):
        _show_suite(suite, name, runs)


@app.command()
def pack(
    results: Folder,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The archive, such as voc.tar.xz; several get numbers.")
    ],
    max_size: Annotated[
        str | None,
        typer.Option("--max-size", metavar="SIZE", help="How large an archive may be: 15M, 500K, 2G or bytes."),
    ] = None,
    predictions: Annotated[
        bool, typer.Option("--predictions", help="Pack the prediction of every test image, too.")
    ] = False,
    states: Annotated[
        bool, typer.Option("--states", help="Pack the newest state of each unfinished run, to go on elsewhere.")
    ] = False,
) -> None:
    """Pack the facts of runs into one archive, or several below a size, with checksums; weights stay.

    Damaged runs are named and left out, and make the exit code 1.
    """
    check_output(out, ".tar.xz")
    wanted = {Extra.PREDICTIONS: predictions, Extra.STATES: states}
    extras = {extra for extra, chosen in wanted.items() if chosen}
    _tell_packed(pack_results(results, out, max_bytes=_bytes(max_size), extras=extras))


@app.command()
def merge(
    archives: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="Archives of 'segbench results pack', in any order.")
    ],
    *,
    into: Annotated[
        Path, typer.Option("--into", metavar="RESULTS", help="The folder of results to merge into; made if needed.")
    ],
) -> None:
    """Merge archives into a folder of results, once all of them are verified.

    What is there stays; a run that the archive has another result of is named, and makes the exit code 1.
    """
    _tell_merged(merge_results(archives, into), into)


@app.command()
def recount(
    results: Folder,
    *,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Where the data set lies here, such as root=DIR, for all runs of RESULTS.",
        ),
    ] = None,
) -> None:
    """Add the void row to runs of earlier versions whose predictions were kept (predictions.zip).

    Predictions are counted against the test labels. A run where they do not give the stored matrices bit for bit,
    whose data is missing, or whose record is damaged, is named and stays as it is, and makes the exit code 1.
    """
    from segbench.engine.evaluation.recount import Recounter

    given: dict[str, Any] = {}
    set_data_options(given, options)
    recounter, refused = Recounter(given), False
    for found in scan(results):
        with counting(found.folder.name, "images") as advance:
            done = recounter.recount(found, progress=advance)
        typer.echo(f"{printable(done.run)}: {'void row added' if done.counted else printable(done.reason)}")
        refused |= done.refused
    if refused:
        raise typer.Exit(1)


app.command()(verify)


def _bytes(text: str | None) -> int | None:
    """Parse a number of bytes, such as ``15M``.

    Raises:
        UsageError: The text has another form.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMG]?)B?", text.strip().upper())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if not size:
        raise UsageError(f"--max-size {text!r}: expected a size such as 15M, 500K, 2G or a number of bytes")
    return size


def _facts(run: HeldRun) -> dict[str, Any]:
    record = run.record
    return {
        "id": run.id,
        "label": record.label if record else None,
        "seed": record.seed if record else None,
        "status": run.status,
        "reason": run.problem or (record.outcome.reason if record else None),
        "mean_iou": _mean_iou(run),
        "started": record.timings.started if record else None,
        "bytes": run.size,
        "has": run.has,
        "protocol_id": record.protocol_id if record else None,
    }


def _mean_iou(run: HeldRun) -> float | None:
    if not run.completed or run.folder is None:
        return None
    return score(load_matrices(run.folder / CONFUSION_FILE).total).mean_iou


def _show_suite(suite: Path, name: str, runs: Sequence[HeldRun]) -> None:
    """Write a table of a suite's runs, and the totals."""
    typer.echo(f"{name}: {_totals(suite, runs)}")
    columns = _columns(list(map(_facts, runs)))
    if runs:
        rows = list(zip(*columns.values(), strict=True))
        write_table(list(columns), rows, right=["mIoU", "size"], whole=["status", "mIoU", "date", "size"])
    typer.echo()
    for run in runs:
        if run.problem:
            tell(f"damaged: {run.problem}")


def _columns(facts: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the columns of a table of runs, without empty ones and without a protocol shared by all."""
    columns = {
        "run": [one["id"] for one in facts],
        "status": [one["status"] for one in facts],
        "mIoU": ["" if one["mean_iou"] is None else f"{one['mean_iou']:.4f}" for one in facts],
        "date": [(one["started"] or "")[:10] for one in facts],
        "size": [byte_count(one["bytes"]) for one in facts],
        "protocol": [short_id(one["protocol_id"]) for one in facts],
        "beside facts": [", ".join(one["has"]) for one in facts],
    }
    if len(set(columns["protocol"]) - {""}) < 2:
        del columns["protocol"]  # the line above the table tells it
    return {title: cells for title, cells in columns.items() if title == "run" or any(cells)}


def _totals(suite: Path, runs: Sequence[HeldRun]) -> str:
    """Summarise the content of a suite's folder."""
    counts = Counter(run.status for run in runs)
    speeds = len(list((suite / SPEED_FOLDER).glob("*.json")))
    parts = [f"{count} {status}" for status, count in counts.items()]
    parts += [counted(speeds, "speed record")] if speeds else []
    tests = sum(len(packed_files(suite / kind)) for kind in FURTHER_TESTS)
    parts += [counted(tests, "further test")] if tests else []
    protocols = sorted({short_id(run.record.protocol_id) for run in runs if run.record})
    told = f", {'protocol' if len(protocols) == 1 else 'protocols'} {', '.join(protocols)}" if protocols else ""
    return f"{counted(len(runs), 'run')} ({', '.join(parts)}), {byte_count(size_of([suite]))}{told}"


def _tell_packed(packed: Packed) -> None:
    for file, manifest in packed.archives.items():
        holds = f"{counted(len(manifest.runs), 'run')}, {counted(len(manifest.files), 'file')}"
        typer.echo(f"{file}  {byte_count(file.stat().st_size)}, {holds}")
    for problem in packed.problems:
        tell(f"left out: {problem}")
    for file in packed.earlier:
        tell(f"note: {file} is of an earlier packing; delete it, so that it is not merged with these")
    if packed.problems:
        raise typer.Exit(1)


def _tell_merged(merged: Merged, into: Path) -> None:
    """Report the result of a merge: counts, and by name what was neither added nor present."""
    for kind in (Kind.RUN, Kind.RETEST, Kind.STATES, Kind.SPEED):
        counts = {fate: len(merged.of(fate, kind)) for fate in Fate}
        if any(counts.values()):
            told = ", ".join(f"{count:,} {fate}" for fate, count in counts.items() if count)
            typer.echo(f"{_PLURALS[kind]} merged into {into}: {told}")
    for fate in (Fate.EXTENDED, Fate.REPLACED, Fate.KEPT):
        for placed in merged.of(fate):
            tell(f"{fate}: {placed.name}: {placed.note}")
    for given, count in merged.absent:
        numbers = ", ".join(map(str, given))
        tell(f"note: only part {numbers} of {count} was given; merge the others, too")
    conflicts = merged.of(Fate.CONFLICT)
    for placed in conflicts:
        tell(_conflict(placed))
    if conflicts:
        raise typer.Exit(1)


_PLURALS = {"run": "runs", "states": "states", "speed record": "speed records", "further test": "further tests"}


def _conflict(placed: Placed) -> str:
    """Describe a conflict; for a run, with the differences of its two results."""
    text = f"conflict: {placed.name}: {placed.note}; what is here stays"
    if placed.here is None or placed.there is None:
        return text
    here, there = _side_facts(placed.here), _side_facts(placed.there)
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    lines = [
        printable(f"  {key}: {here.get(key)} here, {there.get(key)} in the archive")
        for key in keys[:_DIFFERENCES_SHOWN]
    ]
    more = len(keys) - _DIFFERENCES_SHOWN
    return "\n".join([text, *lines, *([f"  and {counted(more, 'other difference')}"] if more > 0 else [])])


def _side_facts(side: Side) -> dict[str, str]:
    """Return facts that differ between two results of a run, as text."""
    record = side.record
    facts = {"mIoU": f"{score(side.confusion).mean_iou:.4f}", "started": record.timings.started}
    return facts | _flat(record.environment)


def _flat(facts: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in facts.items():
        name = f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: str(value)}
    return found
