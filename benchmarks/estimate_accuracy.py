"""Compares what `segbench plan --estimate` says with what the runs of a suite then take.

    python benchmarks/estimate_accuracy.py suites/quickstart.yaml [--models A,B] [--device cpu] [--set KEY=VALUE]
        [--results DIR]

Trains and evaluates every run in a temporary folder, or in one that is kept and holds none of them yet; prints the
estimated and the real seconds, peak memory and disk of each; and ends with 1 if less than 80% of the completed runs
took within 30% of the estimate.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from segbench.cli.terminal.output import byte_count, duration, write_table
from segbench.config.load import load_suite
from segbench.config.plan import plan
from segbench.engine.estimate.estimate import RunEstimate, estimate_runs, survey_runs
from segbench.engine.events import Event, RunEnded, RunStarted
from segbench.engine.suite.run_suite import run_suite
from segbench.engine.suite.selection import chosen
from segbench.results.record import Status

TOLERANCE = 0.30
SHARE = 0.80


@dataclass(frozen=True)
class Comparison:
    """One completed run beside its estimate.

    Attributes:
        estimate: What was expected.
        seconds: Wall time from the start of the run's process to its end.
        peak_memory_bytes: The largest of its history; None when nothing was trained.
        disk_bytes: What lies in its folder.
    """

    estimate: RunEstimate
    seconds: float
    peak_memory_bytes: int | None
    disk_bytes: int

    @property
    def ratio(self) -> float:
        """Real over estimated seconds."""
        return self.seconds / self.estimate.seconds

    @property
    def close(self) -> bool:
        """Whether the estimate lies within the tolerance of the real time."""
        return abs(self.estimate.seconds - self.seconds) <= TOLERANCE * self.seconds


class Stopwatch:
    """Times runs from start to end, their processes included."""

    def __init__(self) -> None:
        self.started = 0.0
        self.seconds: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.started = time.perf_counter()
        elif isinstance(event, RunEnded):
            self.seconds[event.run_id] = time.perf_counter() - self.started


def main() -> int:
    arguments = _arguments()
    suite = load_suite(arguments.suite, overrides=arguments.set)
    models = arguments.models.split(",") if arguments.models else None
    runs = chosen(plan(suite), models, None)
    estimates = estimate_runs(runs, survey_runs(runs), device=arguments.device).runs
    print(f"estimated: {duration(sum(run.seconds for run in estimates))}", file=sys.stderr, flush=True)
    watch = Stopwatch()
    with contextlib.ExitStack() as kept:
        results = arguments.results or kept.enter_context(tempfile.TemporaryDirectory())
        outcome = run_suite(suite, results=results, models=models, device=arguments.device, observer=watch)
        pairs = zip(estimates, outcome.records, strict=True)
        compared = [
            compare(estimate, watch.seconds[record.id], outcome.store.folder / record.id)
            for estimate, record in pairs
            if record.id in watch.seconds and record.outcome.status is Status.COMPLETED and estimate.problem is None
        ]
    return report(compared, left_out=len(runs) - len(compared))


def compare(estimate: RunEstimate, seconds: float, folder: Path) -> Comparison:
    written = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Comparison(estimate, seconds, _peak(folder / "history.csv"), written)


def report(compared: list[Comparison], *, left_out: int) -> int:
    titles = ["run", "estimated s", "real s", "real/estimated", "memory", "real memory", "disk", "real disk", "close"]
    write_table(titles, [_cells(one) for one in compared], right=titles[1:-1], whole=["run"])
    close = sum(one.close for one in compared)
    share = close / len(compared) if compared else 0.0
    print(
        f"{close} of {len(compared)} runs ({share:.0%}) within {TOLERANCE:.0%} of the real time, at least {SHARE:.0%} "
        f"wanted; {left_out} runs without a figure"
    )
    total = sum(one.estimate.seconds for one in compared)
    print(f"all of them: estimated {duration(total)}, real {duration(sum(one.seconds for one in compared))}")
    return 0 if share >= SHARE else 1


def _cells(one: Comparison) -> list[str]:
    return [
        one.estimate.run_id,
        f"{one.estimate.seconds:.1f}",
        f"{one.seconds:.1f}",
        f"{one.ratio:.2f}",
        byte_count(one.estimate.peak_memory_bytes),
        byte_count(one.peak_memory_bytes),
        byte_count(one.estimate.disk_bytes),
        byte_count(one.disk_bytes),
        "yes" if one.close else "no",
    ]


def _peak(history: Path) -> int | None:
    if not history.is_file():
        return None
    with history.open(newline="") as stream:
        return max(int(float(line["peak_memory_bytes"])) for line in csv.DictReader(stream))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, help="the suite's YAML file")
    parser.add_argument("--models", help="only these models, by label or name, separated by commas")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--results", type=Path, help="keep the results in this folder")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="set a dotted key")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
