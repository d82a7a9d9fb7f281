"""Tells how long the leaderboard of a thousand runs takes: scanned, ranked with intervals, and rendered.

    python benchmarks/report_scale.py [--networks 20] [--seeds 50] [--images 200] [--classes 21]

Writes synthetic runs into a temporary folder, then times `segbench leaderboard FOLDER --reports OUT` as a whole
process. Ends with 1 if that takes more than 20 seconds or 2 GB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.cli.terminal.output import byte_count, duration
from segbench.config.plan import digest
from segbench.config.titles import id_end
from segbench.metrics.boundary import BoundaryCounts
from segbench.metrics.calibration import BINS, CalibrationCounts
from segbench.results.arrays.details import BOUNDARY, CALIBRATION, ImageDetails, save_details
from segbench.results.arrays.matrices import ImageMatrices, save_matrices
from segbench.results.environment import capture
from segbench.results.record import DataFacts, ModelFacts, Outcome, RunRecord, Status, Timings
from segbench.results.run_files import DETAILS_FILE
from segbench.results.store import Store, write_record

SUITE = "synthetic"
MOST_SECONDS = 20.0
MOST_BYTES = 2_000_000_000


def main() -> int:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        results, reports = Path(folder) / "results", Path(folder) / "reports"
        runs = [(network, seed) for network in range(arguments.networks) for seed in range(arguments.seeds)]
        for network, seed in runs:
            write_run(results, network, seed, images=arguments.images, classes=arguments.classes)
        command = [sys.executable, "-m", "segbench", "leaderboard", str(results), "--reports", str(reports)]
        start = time.monotonic()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        seconds = time.monotonic() - start
        ranked = networks_ranked(reports)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    machine = capture("cpu")
    print(
        f"{len(runs)} runs of {arguments.images} images and {arguments.classes} classes: {duration(seconds)}, "
        f"{byte_count(peak)} of memory; at most {duration(MOST_SECONDS)} and {byte_count(MOST_BYTES)} wanted\n"
        f"{machine['processor']}, {machine['cores']} cores"
    )
    if ranked != arguments.networks:
        print(f"{ranked} of {arguments.networks} networks have a score")
        return 1
    return 0 if done.returncode == 0 and seconds <= MOST_SECONDS and peak <= MOST_BYTES else 1


def networks_ranked(reports: Path, suite: str = SUITE) -> int:
    """Return how many networks of a leaderboard of synthetic runs have a score."""
    file = reports / suite / "leaderboard.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"] if file.is_file() else []
    return sum(row["mean_iou"] is not None for row in rows)


def write_run(
    results: Path,
    network: int,
    seed: int,
    *,
    images: int,
    classes: int,
    present: int | None = None,
    suite: str = SUITE,
) -> None:
    """Store one run whose counts are drawn at random, a better network's with more on the diagonal.

    Args:
        results: The results root.
        network: Its number.
        seed: Its seed.
        images: How many test images it has.
        classes: How many classes there are.
        present: How many of them, next to each other, are labelled and predicted in an image; all by default.
        suite: The suite's name.
    """
    rng, labelling = np.random.default_rng([network, seed]), np.random.default_rng([images, classes])
    here = min(present or classes, classes)
    first = np.arange(images)[:, None, None] * 7 % (classes - here + 1)
    labelled = labelling.poisson(160 + here * 3, (images, here))  # the same in all runs: they share their test images
    right = share_right(network)
    shares = np.full((here, here), (1 - right) / (here - 1)) + (right - (1 - right) / (here - 1)) * np.eye(here)
    matrices = np.zeros((images, classes, classes), np.int64)
    rows, columns = first + np.arange(here)[:, None], first + np.arange(here)
    matrices[np.arange(images)[:, None, None], rows, columns] = rng.multinomial(labelled, shares)
    model = ModelFacts(name="unet", options={"width": 1 + network}, pretrained=False, parameters=1000)
    recipe = {"dataset": {"name": "synthetic"}, "train": {"epochs": 1, "select": "last"}}
    entry = {"name": model.name, "strict": True, **model.options}
    names = tuple(f"image{index:06}" for index in range(images))
    identity = digest({"model": entry, "seed": seed, "recipe": recipe})
    run_id = f"network-{network}-{id_end(seed, None, identity)}"
    record = RunRecord(
        id=run_id,
        suite=suite,
        label=f"network {network}",
        seed=seed,
        point={},
        identity=identity,
        protocol_id=digest(recipe),
        recipe=recipe,
        outcome=Outcome(status=Status.COMPLETED),
        model=model,
        data=DataFacts(
            dataset="synthetic",
            classes=tuple(f"class {index}" for index in range(classes)),
            palette=((0, 0, 0),) * classes,
            train_images=1,
            test_images=images,
            fingerprints={},
            train_digest=str(seed),
            test_digest="test",
        ),
        timings=Timings(started="2026-01-01T00:00:00+00:00", total_seconds=1.0, evaluation_images_per_second=10.0),
        environment={"device": "cpu"},
    )
    with Store(results, suite).writing(run_id) as folder:
        save_matrices(folder / "confusion.npz", ImageMatrices(names, matrices))
        save_details(folder / DETAILS_FILE, ImageDetails(names, details(rng, network, matrices)))
        lines = "".join(f"{epoch},{epoch},{1 / epoch},1\n" for epoch in range(1, 51))
        (folder / "history.csv").write_text(f"epoch,step,loss,seconds\n{lines}", encoding="utf-8")
        write_record(folder, record)  # with the checksums of all that is there


def share_right(network: int) -> float:
    """Return the share of pixels that a network gets right: 0.5 for the first one, nearer to 0.95 for later ones."""
    return 0.95 - 0.45 / (1 + network / 20)


def details(rng: np.random.Generator, network: int, matrices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return counts of contours and confidences: a better network's with more that is right, adding up to matrices."""
    images, classes = matrices.shape[:2]
    right = share_right(network)
    predicted, labelled, either = (rng.poisson(80, (images, classes)).astype(np.int64) for _ in range(3))
    near = [rng.binomial(counted, right) for counted in (predicted, labelled, either)]
    boundary = BoundaryCounts(predicted, near[0], labelled, near[1], near[2], either)
    sure = (np.arange(BINS) + 0.5) / BINS
    hits = np.trace(matrices, axis1=1, axis2=2)
    correct = rng.multinomial(hits, sure / sure.sum())
    pixels = correct + rng.multinomial(matrices.sum(axis=(1, 2)) - hits, np.full(BINS, 1 / BINS))
    calibration = CalibrationCounts(pixels, correct, pixels * sure)
    parts = ((BOUNDARY, boundary), (CALIBRATION, calibration))
    return {f"{prefix}{name}": part for prefix, counts in parts for name, part in counts._asdict().items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=50, help="of each network")
    parser.add_argument("--images", type=int, default=200, help="test images")
    parser.add_argument("--classes", type=int, default=21)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
