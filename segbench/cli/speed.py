"""The command about speed: speed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segbench.cli.options import AsJson, Device, Overrides, Results, names, numbers, size
from segbench.cli.output import figure, tell, write_json, write_table
from segbench.errors import UsageError

if TYPE_CHECKING:
    from segbench.results.speed_record import SpeedRecord
    from segbench.speed.cases import Planned
    from segbench.speed.launch import Settings

DEFAULT_CLASSES = 21
DEFAULT_SIZE = (360, 480)
WITHOUT_SUITE = "speed"
"""Folder under ``results/`` for the figures of networks that no suite names."""


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
    precision: Annotated[str | None, typer.Option("--precision", metavar="fp32,bf16", help="Arithmetics.")] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="eager,compile", help="eager, compile, compile:MODE, cuda_graph.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="logits,labels", help="logits, classes, labels.")
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="inference,training", help="Also loading, with a suite.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads on the processor.")] = None,
    restarts: Annotated[int | None, typer.Option("--restarts", min=1, help="Fresh processes for each case.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.01, help="Sampling time of a restart.")] = None,
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
        "precisions": names(precision),
        "modes": names(mode),
        "outputs": names(output),
        "tasks": names(task),
        "threads": threads,
        "restarts": restarts,
        "seconds": seconds,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    work = work_of(suite, models, given, classes=classes, overrides=overrides, device=device)
    records = _measure(work, results)
    _show(records, as_json=as_json)
    if all(record.status != "measured" for record in records):
        raise typer.Exit(1)


@dataclass(frozen=True)
class Work:
    """What is to be measured, how, and under which folder of the results."""

    name: str
    planned: list[Planned]
    settings: Settings


def work_of(
    suite: Path | None,
    models: str | None,
    block: dict[str, Any],
    *,
    classes: int,
    device: str,
    overrides: list[str] | None = None,
) -> Work:
    """Return what to measure: a suite's networks, or those that are named.

    Args:
        suite: The suite's file.
        models: Names separated by commas; of a suite's models, labels too.
        block: Keys of a ``speed:`` block that win over the suite's.
        classes: How many classes networks without a suite tell apart.
        device: auto, cpu, cuda, cuda:N or mps.
        overrides: Dotted keys of the suite with values.

    Raises:
        UsageError: Something is wrong with what was given.
    """
    if suite is not None:
        return _of_suite(suite, block, overrides=overrides, models=names(models), device=device)
    if overrides:
        raise UsageError("--set changes a suite; without one, use --size, --batch, --precision, --mode, …")
    return _of_models(models, block, classes=classes, device=device)


def _of_suite(
    file: Path, given: dict[str, Any], *, overrides: list[str] | None, models: list[str] | None, device: str
) -> Work:
    from segbench.config.load import check_part, load_suite
    from segbench.config.suite import Speed
    from segbench.speed.cases import suite_cases
    from segbench.speed.launch import Settings

    suite = load_suite(file, overrides=overrides or ())
    written = suite.speed.model_dump(mode="json") if suite.speed else {}
    block = check_part(Speed, written | given, file=file, key="speed")
    settings = Settings.of(block, device=device)
    suite = suite.model_copy(update={"speed": block})
    return Work(suite.name, suite_cases(suite, device=settings.kind, models=models), settings)


def _of_models(models: str | None, given: dict[str, Any], *, classes: int, device: str) -> Work:
    from segbench.config.component import ModelEntry
    from segbench.config.load import check_part
    from segbench.config.suite import Speed, Train
    from segbench.speed.cases import Inputs, model_cases
    from segbench.speed.launch import Settings

    wanted = names(models)
    if not wanted:
        raise UsageError("give a suite, or --models A,B (or --models all)")
    block = check_part(Speed, {"tasks": ["inference"], **given}, key="speed")
    settings = Settings.of(block, device=device)
    entries = [check_part(ModelEntry, {"name": name}) for name in (_every_model() if wanted == ["all"] else wanted)]
    height, width = block.size or DEFAULT_SIZE
    inputs = Inputs(classes, 3, (height, width), (height, width), (height, width))
    train = Train(steps=1, batch_size=block.batch_sizes[0] if isinstance(block.batch_sizes, tuple) else 1)
    return Work(WITHOUT_SUITE, model_cases(entries, block, inputs, device=settings.kind, train=train), settings)


def _every_model() -> list[str]:
    """Return the networks that need no further name and no option."""
    from segbench.registry import MODELS

    return [
        name
        for name, entry in MODELS.entries().items()
        if not name.endswith(":") and all(parameter.default is not ... for parameter in entry.signature.parameters)
    ]


def _measure(work: Work, results: Path) -> list[SpeedRecord]:
    """Measure and store every case; what is stored stays when the command is interrupted."""
    from segbench.cli.progress import counting
    from segbench.results.speed_store import speed_folder, write_speed
    from segbench.speed.launch import measure_cases

    if not work.planned:
        raise UsageError("there is nothing to measure: training and loading need a suite with a training recipe")
    folder, records = speed_folder(results, work.name), []
    with counting("measuring", "restarts") as advance:
        for record in measure_cases(work.planned, work.settings, tell=lambda done, total, _: advance(done, total)):
            write_speed(folder, record)
            records.append(record)
    tell(f"samples: {folder}")
    return records


def _show(records: Sequence[SpeedRecord], *, as_json: bool) -> None:
    from segbench.report.speed import speed_frame

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
    how = [row["precision"], row["mode"], row["output"], "channels-last" if row["channels_last"] else None]
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
    return ", ".join(doubts)


def batches(text: str | None) -> list[int] | str | None:
    """Return batch sizes, or ``sweep``."""
    return text if text == "sweep" else numbers(text, option="--batch")
