"""The command about speed: speed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segbench.cli.support.options import AsJson, Device, Overrides, Results, names, size
from segbench.cli.support.speed_jobs import DEFAULT_CLASSES, batches, measure_work, work_of
from segbench.cli.support.speed_options import Casting, ChannelsLast, Energy, Modes, Outputs, Precisions, Tasks
from segbench.cli.terminal.output import figure, write_json, write_table
from segbench.results.speed.record import SpeedRecord


def speed(  # noqa: PLR0913 - the options of one command
    suite: Annotated[Path | None, typer.Argument(metavar="[SUITE]", help="A suite; or give --models.")] = None,
    *,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Models by name or label; 'all' without a suite.")
    ] = None,
    image_size: Annotated[str | None, typer.Option("--size", metavar="HxW", help="Height and width of images.")] = None,
    classes: Annotated[int, typer.Option("--classes", metavar="N", min=1, help="Without a suite.")] = DEFAULT_CLASSES,
    batch: Annotated[
        str | None, typer.Option("--batch", metavar="1,8|sweep", help="Batches of inference; 'sweep' doubles.")
    ] = None,
    precision: Precisions = None,
    casting: Casting = None,
    mode: Modes = None,
    output: Outputs = None,
    task: Tasks = None,
    channels_last: ChannelsLast = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads on the processor.")] = None,
    restarts: Annotated[int | None, typer.Option("--restarts", min=1, help="Fresh processes for each case.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.01, help="Sampling time of a restart.")] = None,
    energy: Energy = None,
    overrides: Overrides = None,
    device: Device = "auto",
    results: Results = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Measure how fast networks are, and what that costs.

    Every case is measured in several fresh processes, after a warm-up that is judged; every sample is stored under
    RESULTS/<suite>/speed/. Out of memory is a row, never a smaller batch.
    """
    changes = {
        "size": size(image_size) if image_size else None,
        "batch_sizes": batches(batch),
        "precisions": names(precision, option="--precision"),
        "casting": names(casting, option="--casting"),
        "modes": names(mode, option="--mode"),
        "outputs": names(output, option="--output"),
        "tasks": names(task, option="--task"),
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
    titles = [
        "task",
        "model",
        "size",
        "batch",
        "how",
        "img/s",
        "spread",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "memory",
        "note",
    ]
    write_table(titles, [_cells(row) for row in rows], right=titles[5:11], whole=["model"])


def _cells(row: dict[Hashable, Any]) -> list[str | None]:
    measured = row["status"] == "measured"
    layout = "channels-last" if row["channels_last"] else None
    how = [row["precision"], row["casting"], row["mode"], row["output"], layout]
    return [
        row["task"],
        row["model"],
        row["size"],
        str(row["batch_size"]),
        " ".join(part for part in how if part),
        figure(row["images_per_second"]) if measured else "-",
        f"±{_spread(row):.1%}" if measured else "-",
        *(_milliseconds(row[name]) for name in ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms")),
        _bytes(row["peak_memory_bytes"]),
        _note(row),
    ]


def _spread(row: dict[Hashable, Any]) -> float:
    """Return half the range of the restarts as a share of the figure."""
    low, high = float(row["images_per_second_low"]), float(row["images_per_second_high"])
    return (high - low) / 2 / float(row["images_per_second"])


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _bytes(value: float | None) -> str:
    return "-" if value is None else f"{value / 2**20:,.0f} MiB"


def _note(row: dict[Hashable, Any]) -> str:
    """Return what a reader has to know: why nothing was measured, or why the figures may not be trusted."""
    if row["status"] != "measured":
        return f"{row['status']}: {row['reason']}"
    doubts = [] if row["steady"] else ["not_steady"]
    if row["throttled"] is True:
        doubts.append("throttled")
    if row["graph_breaks"]:
        doubts.append(f"{row['graph_breaks']:.0f} graph breaks")
    ratio = row["loading_ratio"]
    if ratio is not None:
        doubts.append(f"loading is {ratio:.2g}x as fast" + (": input-bound" if ratio < 1 else ""))
    return ", ".join(doubts)
