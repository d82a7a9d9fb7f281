"""Measures how far segbench goes: many runs, many test images, many classes, and the memory of an evaluation.

    python benchmarks/limits.py [--kinds runs,images,classes,evaluation]

Writes synthetic results into a temporary folder and makes a leaderboard of them with a report, as a whole process:

- runs: 1,000 and 5,000 runs of twenty networks, 200 test images, 21 classes;
- images: four runs of 10,000 and of 100,000 test images, 21 classes, five of them in each image;
- classes: four runs of 500 test images, 150 and 255 classes (the most that a label can name), twenty in each image.

Then it evaluates a network on 5,000 images of 21 classes: memory may grow by twice what is stored of them (matrices,
contours, confidences), since contours and confidences are stacked at the end, and names and hashes come on top. That is
measured on Linux alone. Ends with 1 where memory grows by more, where a command fails, or where the report of 1,000
runs takes more than 20 seconds of processor time.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from report_scale import MOST_SECONDS, networks_ranked, write_run

from segbench.cli.terminal.output import byte_count, duration, write_table
from segbench.results.environment import capture

NETWORKS = 20
CLASSES, IMAGE_SIZE = 21, (48, 64)
EVALUATED = 5_000
MOST_GROWTH = 2.0
"""Growth of memory in an evaluation, as a multiple of what it stores of the images."""


class Case(NamedTuple):
    """Synthetic results.

    Attributes:
        networks: Number of networks.
        seeds: Runs of each network.
        images: Test images of each run.
        classes: Number of classes.
        present: Classes in an image.
    """

    networks: int
    seeds: int
    images: int
    classes: int
    present: int

    def __str__(self) -> str:
        return f"{self.networks * self.seeds:,} runs, {self.images:,} images, {self.classes} classes"


CASES = {
    "runs": [Case(NETWORKS, runs // NETWORKS, 200, CLASSES, CLASSES) for runs in (1_000, 5_000)],
    "images": [Case(4, 1, images, CLASSES, 5) for images in (10_000, 100_000)],
    "classes": [Case(4, 1, 500, classes, 20) for classes in (150, 255)],
}


class Used(NamedTuple):
    """What a process used.

    Attributes:
        seconds: From its start to its end.
        processor_seconds: Of all its cores, which other work on the machine hardly changes.
        peak_bytes: The most memory it had.
        exit_code: How it ended.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int
    exit_code: int


def main() -> int:
    """Measure everything; see above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", default=",".join((*CASES, "evaluation")))
    given = parser.parse_args()
    kinds, failed = given.kinds.split(","), []
    rows = [row for kind in kinds for case in CASES.get(kind, ()) for row in [leaderboard(case, failed)]]
    if rows:
        titles = ["results", "time", "processor time", "memory", "on disk"]
        write_table(titles, rows, right=titles[1:])
    if "evaluation" in kinds:
        evaluation(failed)
    machine = capture("cpu")
    print(f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}")
    for reason in failed:
        print(f"missed: {reason}")
    return 1 if failed else 0


def leaderboard(case: Case, failed: list[str]) -> list[str]:
    """Return a row: what the leaderboard and the report of synthetic results take."""
    with tempfile.TemporaryDirectory() as name:
        results, reports = Path(name) / "results", Path(name) / "reports"
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:  # a child's peak begins with ours
            apart.submit(write, case, results).result()
        size = sum(file.stat().st_size for file in results.rglob("*") if file.is_file())
        used = used_by("-m", "segbench", "leaderboard", str(results), "--reports", str(reports))
        ranked = networks_ranked(reports)
    if used.exit_code or ranked != case.networks:
        failed.append(f"{case}: exit code {used.exit_code}, {ranked} of {case.networks} networks have a score")
    if case == CASES["runs"][0] and used.processor_seconds > MOST_SECONDS:
        failed.append(
            f"{case}: {duration(used.processor_seconds)} of processor time; at most {duration(MOST_SECONDS)} wanted"
        )
    times = duration(used.seconds), duration(used.processor_seconds)
    return [str(case), *times, byte_count(used.peak_bytes), byte_count(size)]


def write(case: Case, results: Path) -> None:
    """Write synthetic results."""
    for network in range(case.networks):
        for seed in range(case.seeds):
            write_run(results, network, seed, images=case.images, classes=case.classes, present=case.present)


def evaluation(failed: list[str]) -> None:
    """Print how much memory an evaluation takes, above that of one of few images."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        print("the memory of an evaluation is measured on Linux alone")
        return
    evaluated_images(10)
    gc.collect()
    reset.write_text("5", encoding="ascii")  # the peak becomes the present size
    before = memory_peak(status)
    evaluated, details = evaluated_images(EVALUATED)
    grown = memory_peak(status) - before
    arrays = [evaluated.matrices.matrices, evaluated.matrices.void_predicted, *details.arrays.values()]
    stored = sum(array.nbytes for array in arrays)
    print(
        f"evaluation of {EVALUATED:,} images: {byte_count(grown)} of memory more than for 10, "
        f"{grown / stored:.2f} times the {byte_count(stored)} of matrices, void rows, contours and confidences"
    )
    if grown > MOST_GROWTH * stored:
        failed.append(f"the memory of an evaluation grows by {grown / stored:.2f} times what it stores")


def memory_peak(status: Path) -> int:
    """Return the most memory that this process had since the last reset."""
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def used_by(*arguments: str) -> Used:
    """Run Python, without output, and return what it used."""
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Used(time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak_bytes(usage), process.returncode)


def peak_bytes(usage: resource.struct_rusage) -> int:
    """Return the most memory that a process had."""
    return int(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def evaluated_images(count: int) -> Any:
    """Evaluate a network on images that are drawn as they are asked for; return the evaluation and its details."""
    import torch
    from torch import nn

    from segbench.config.suite import Evaluate
    from segbench.engine.device import ComputeConfig
    from segbench.engine.evaluation.details import Details
    from segbench.engine.evaluation.evaluate import evaluate
    from segbench.engine.evaluation.predictor import Predictor

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = nn.Conv2d(3, CLASSES, 1)
    predictor = Predictor(network, Evaluate(), classes=CLASSES, compute=ComputeConfig(torch.device("cpu")))
    details = Details(CLASSES)
    return evaluate(predictor, Drawn(count), details=details), details.compute()


class Drawn:
    """Stands for a loader: draws each image when it is asked for."""

    def __init__(self, count: int) -> None:
        self.positions = range(count)

    def __iter__(self) -> Iterator[Any]:
        import torch

        from segbench.data.loading.loader import EvaluationBatch

        draw = torch.Generator().manual_seed(0)
        for index in self.positions:
            label = torch.randint(0, CLASSES, IMAGE_SIZE, generator=draw).to(torch.uint8)
            image = torch.rand(1, 3, *IMAGE_SIZE, generator=draw)
            yield EvaluationBatch((f"image {index}",), image, (label,), (f"{index:032x}",))


if __name__ == "__main__":
    sys.exit(main())
