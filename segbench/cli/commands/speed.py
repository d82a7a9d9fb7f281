"""The command that measures speed: speed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segbench.cli.support import options
from segbench.cli.support.speed_jobs import DEFAULT_CLASSES, batches, measure_work, work_of
from segbench.cli.terminal.completion import complete_models, complete_suite
from segbench.cli.terminal.output import byte_count, write_json, write_table
from segbench.report.text import printable, rate
from segbench.results.speed.record import SpeedRecord

_Row = dict[Hashable, Any]
"""A row of ``speed_frame``; None for a missing figure."""


def speed(  # noqa: PLR0913 - the options of one command
    suite: Annotated[
        Path | None,
        typer.Argument(metavar="[SUITE]", help="A suite; or give --models.", autocompletion=complete_suite),
    ] = None,
    *,
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="A,B",
            help="Models by name or label; 'all' without a suite.",
            autocompletion=complete_models,
        ),
    ] = None,
    image_size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Height and width of images.")] = None,
    classes: Annotated[int, typer.Option("--classes", metavar="N", min=1, help="Without a suite.")] = DEFAULT_CLASSES,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="1,8|sweep", help="Batches of inference; 'sweep' doubles.")
    ] = None,
    precision: options.Precisions = None,
    casting: options.Casting = None,
    mode: options.Modes = None,
    output: options.Outputs = None,
    task: options.Tasks = None,
    channels_last: options.MemoryLayout = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads on the processor.")] = None,
    restarts: Annotated[int | None, typer.Option("--restarts", min=1, help="Fresh processes for each case.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.01, help="Sampling time of a restart.")] = None,
    energy: options.Energy = None,
    overrides: options.Overrides = None,
    device: options.Device = "auto",
    results: options.Results = Path("results"),
    as_json: options.AsJson = False,
) -> None:
    """Measure how fast networks are, and what that costs.

    Every case is measured in several fresh processes, after a warm-up that is judged; every sample is stored under
    RESULTS/<suite>/speed/. Out of memory is a row, never a smaller batch.
    """
    changes = {
        "size": options.size(image_size) if image_size else None,
        "batch_sizes": batches(batch),
        "precisions": options.names(precision, option="--precision"),
        "casting": options.names(casting, option="--casting"),
        "modes": options.names(mode, option="--mode"),
        "outputs": options.names(output, option="--output"),
        "tasks": options.names(task, option="--task"),
        "channels_last": None if channels_last is None else [channels_last],
        "threads": threads,
        "restarts": restarts,
        "seconds": seconds,
        "energy": energy,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    work = work_of(suite, models, given, classes=classes, overrides=overrides, device=device)
    records = measure_work(work, results)
    _show(records, as_json=as_json)
    if all(record.status != "measured" for record in records):
        raise typer.Exit(1)


def _show(records: Sequence[SpeedRecord], *, as_json: bool) -> None:
    from segbench.report.ranking.speed_summary import speed_frame

    frame = speed_frame(records)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    if as_json:
        write_json(rows)
        return
    for position, task in enumerate(dict.fromkeys(row["task"] for row in rows)):
        if position:
            typer.echo()
        _show_task([row for row in rows if row["task"] == task])


def _show_task(rows: Sequence[_Row]) -> None:
    """Write a table of one task; conditions shared by all cases are written above it."""
    shown = {title: [show(row) for row in rows] for title, show in _COLUMNS.items()}
    columns = {title: cells for title, cells in shown.items() if set(cells) != {"-"} or title == "img/s"}
    same = [title for title in _CONDITIONS if len(set(columns[title])) == 1]
    conditions = [_CONDITIONS[title].format(columns.pop(title)[0]) for title in same]
    typer.echo(printable(", ".join([rows[0]["task"], *conditions])))
    write_table(
        list(columns),
        list(zip(*columns.values(), strict=True)),
        right=_FIGURES,
        whole=["model", "size"],
        drop=["p99 ms", "p90 ms", "spread", "size", "how"],
    )
    for note, cases in _notes(rows).items():
        typer.echo(printable(f"{note}: {'; '.join(cases)}"))
    if note := _loading_note(rows):
        typer.echo(note)


def _how(row: _Row) -> str:
    layout = "channels-last" if row["channels_last"] else None
    parts = [row["precision"], row["casting"], row["mode"], row["output"], layout]
    return " ".join(part for part in parts if part)


def _rate(row: _Row) -> str:
    return rate(row["images_per_second"]) if _measured(row) else "-"


def _spread(row: _Row) -> str:
    """Return half the range over restarts relative to the throughput; one restart has none."""
    if not _measured(row) or row["restarts"] < 2:
        return "-"
    low, high = float(row["images_per_second_low"]), float(row["images_per_second_high"])
    return f"±{(high - low) / 2 / float(row['images_per_second']):.1%}"


def _milliseconds(name: str) -> Callable[[_Row], str]:
    return lambda row: rate(row[name]) or "-"


def _measured(row: _Row) -> bool:
    return bool(row["status"] == "measured")


_COLUMNS: dict[str, Callable[[_Row], str]] = {
    "model": lambda row: row["model"],
    "size": lambda row: row["size"],
    "batch": lambda row: str(row["batch_size"]),
    "how": _how,
    "img/s": _rate,
    "spread": _spread,
    "p50 ms": _milliseconds("latency_p50_ms"),
    "p90 ms": _milliseconds("latency_p90_ms"),
    "p99 ms": _milliseconds("latency_p99_ms"),
    "memory": lambda row: byte_count(row["peak_memory_bytes"]),
}
"""By heading: the function that formats a cell."""

_FIGURES = ["batch", "img/s", "spread", "p50 ms", "p90 ms", "p99 ms", "memory"]

_CONDITIONS = {"size": "images of {}", "batch": "batches of {}", "how": "{}"}
"""By heading: the text above the table if all rows have the same value."""


def _notes(rows: Sequence[_Row]) -> dict[str, list[str]]:
    """Return the cases of each note."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        if note := _note(row):
            notes.setdefault(note, []).append(f"{row['model']}, batch {row['batch_size']}")
    return notes


def _note(row: _Row) -> str:
    """Return why nothing was measured, or why the figures may be unreliable."""
    if not _measured(row):
        return f"{row['status']}: {row['reason']}"
    doubts = [] if row["steady"] else ["not steady"]
    if row["throttled"] is True:
        doubts.append("throttled")
    if row["graph_breaks"]:
        doubts.append(f"{row['graph_breaks']:.0f} graph breaks")
    ratio = row["loading_ratio"]
    if ratio is not None and ratio < 1:
        doubts.append(f"input-bound: images load at {ratio:.2g} times the speed of the steps")
    return ", ".join(doubts)


def _loading_note(rows: Sequence[_Row]) -> str:
    """Describe how much faster images load than steps use them; empty if not measured."""
    ratios = [row["loading_ratio"] for row in rows if row["loading_ratio"] is not None and row["loading_ratio"] >= 1]
    if not ratios:
        return ""
    ends = list(dict.fromkeys(f"{ratio:.2g}" for ratio in (min(ratios), max(ratios))))
    return f"images load {' to '.join(ends)} times as fast as the steps take them"
