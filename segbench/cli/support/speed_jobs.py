"""Plans, measures and stores speed cases, from options or a suite's speed block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segbench.cli.support.options import names, numbers
from segbench.cli.terminal.output import counted, tell
from segbench.cli.terminal.progress import counting
from segbench.config.component import ModelEntry
from segbench.config.load import check_part, load_suite
from segbench.config.suite import Speed, Suite, Train
from segbench.engine.processes import call_in_process
from segbench.engine.stopping import Stop
from segbench.errors import RunInterrupted, UsageError
from segbench.registry import MODELS
from segbench.results.speed.record import SpeedRecord
from segbench.results.speed.store import scan_speeds, speed_folder, write_speed

if TYPE_CHECKING:
    from segbench.speed.cases import PlannedCase
    from segbench.speed.run_cases import Settings

DEFAULT_CLASSES = 21
DEFAULT_SIZE = (360, 480)
WITHOUT_SUITE = "speed"
"""Folder under ``results/`` for networks measured without a suite."""


@dataclass(frozen=True)
class Work:
    """Cases to measure, the settings, and the name of the results folder."""

    name: str
    planned: list[PlannedCase]
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
    """Plan the cases of a suite's networks, or of named networks.

    Args:
        suite: The suite's file.
        models: Names separated by commas; of a suite's models, labels too.
        block: Keys of a ``speed:`` block that override the suite's.
        classes: Number of classes of networks without a suite.
        device: auto, cpu, cuda, cuda:N or mps.
        overrides: Dotted keys of the suite with values.

    Raises:
        UsageError: An option or the suite is invalid.
    """
    if suite is not None:
        return _of_suite(suite, block, overrides=overrides, models=names(models, option="--models"), device=device)
    if overrides:
        raise UsageError("--set changes a suite; without one, use --size, --batch, --precision, --mode, …")
    return _of_models(models, block, classes=classes, device=device)


def measure_block(suite: Suite, *, models: Sequence[str] | None, device: str, results: Path, stop: Stop) -> None:
    """Measure the cases of a suite's speed block that this machine has not measured yet.

    Raises:
        UsageError: The block or the data is invalid.
        RunInterrupted: It was time to stop; unfinished cases will be measured again.
    """
    from segbench.speed.cases import suite_cases
    from segbench.speed.run_cases import Settings

    if suite.speed is None:
        return
    settings = Settings.of(suite.speed, device=device)
    planned = suite_cases(suite, device=settings.kind, models=models)
    open_cases = _missing(suite.name, planned, settings, results)
    if open_cases:
        tell(f"measuring the speed of {counted(len(open_cases), 'case')} …")
        measure_work(Work(suite.name, open_cases, settings), results, stop=stop)


@dataclass(frozen=True)
class Extent:
    """Amount of work of a suite's speed block.

    Attributes:
        cases: Number of cases; a sweep counts as one.
        processes: Fresh processes in total.
        least_seconds: Time of the samples alone.
    """

    cases: int
    processes: int
    least_seconds: float


def extent_of(suite: Suite, *, device: str) -> Extent | None:
    """Return the amount of work of the speed block; None without one.

    Raises:
        UsageError: The block or the data is invalid.
    """
    from segbench.speed.cases import suite_cases
    from segbench.speed.run_cases import Settings

    if suite.speed is None:
        return None
    settings = Settings.of(suite.speed, device=device)
    cases = len(suite_cases(suite, device=settings.kind))
    processes = cases * settings.restarts
    return Extent(cases, processes, processes * settings.seconds)


def _missing(name: str, planned: list[PlannedCase], settings: Settings, results: Path) -> list[PlannedCase]:
    from segbench.speed.measure.case import fingerprint
    from segbench.speed.missing import missing

    stored = scan_speeds(speed_folder(results, name)).records
    if not stored:
        return planned
    threads = {one.case.threads for one in planned}
    machines = {number: call_in_process(fingerprint, settings.device, number) for number in threads}
    return missing(planned, stored, settings=settings, machines=machines)


def _of_suite(
    file: Path, given: dict[str, Any], *, overrides: list[str] | None, models: list[str] | None, device: str
) -> Work:
    from segbench.speed.cases import suite_cases
    from segbench.speed.run_cases import Settings

    suite = load_suite(file, overrides=overrides or ())
    written = suite.speed.model_dump(mode="json") if suite.speed else {}
    block = check_part(Speed, written | given, file=file, key="speed")
    settings = Settings.of(block, device=device)
    suite = suite.model_copy(update={"speed": block})
    return Work(suite.name, suite_cases(suite, device=settings.kind, models=models), settings)


def _of_models(models: str | None, given: dict[str, Any], *, classes: int, device: str) -> Work:
    from segbench.speed.cases import Inputs, model_cases
    from segbench.speed.run_cases import Settings

    wanted = names(models, option="--models")
    if not wanted:
        raise UsageError("give a suite, or --models A,B (or --models all)")
    block = check_part(Speed, {"tasks": ["inference"], **given}, key="speed")
    settings = Settings.of(block, device=device)
    wanted = MODELS.complete_names() if wanted == ["all"] else wanted
    entries = [check_part(ModelEntry, {"name": name}) for name in wanted]
    height, width = block.size or DEFAULT_SIZE
    inputs = Inputs(classes, 3, (height, width), (height, width), (height, width))
    train = Train(steps=1, batch_size=block.batch_sizes[0] if isinstance(block.batch_sizes, tuple) else 1)
    return Work(WITHOUT_SUITE, model_cases(entries, block, inputs, device=settings.kind, train=train), settings)


def measure_work(work: Work, results: Path, *, stop: Stop | None = None) -> list[SpeedRecord]:
    """Measure every case; each is stored as soon as it is measured.

    Raises:
        UsageError: There is no case, or one is invalid.
        RunInterrupted: It was time to stop; unfinished cases are not stored.
    """
    from segbench.speed.run_cases import measure_cases

    if not work.planned:
        raise UsageError("there is nothing to measure: training and loading need a suite with a training recipe")
    folder = speed_folder(results, work.name)
    records: list[SpeedRecord] = []

    def go_on() -> None:
        if stop is not None and (stop.terminated or (stop.due and records)):  # else no command would get any further
            raise RunInterrupted("it was time to stop; the cases that were under way are measured again")

    with counting("measuring", "restarts") as advance:

        def begins(done: int, total: int, title: str) -> None:
            del title
            go_on()
            advance(done, total)

        for record in measure_cases(work.planned, work.settings, tell=begins):
            go_on()
            write_speed(folder, record)
            records.append(record)
    tell(f"samples: {folder}")
    return records


def batches(text: str | None) -> list[int] | str | None:
    """Return batch sizes, or ``sweep``."""
    return text if text == "sweep" else numbers(text, option="--batch")
