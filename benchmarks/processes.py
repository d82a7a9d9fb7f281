"""Compares a suite that several processes did together, under torchrun, with the same suite done by one.

    python benchmarks/processes.py [--processes 2,3]

Evaluation is compared with networks as they are built, training with the same global batch and recipe, without batch
norm and dropout (a process has the statistics of its share, and draws of its own). Processes talk through gloo, on
processors. Ends with 1 unless evaluation's matrices are equal bit for bit, the same images were fed in the same order,
and the mean IoU after training differs by less than 1e-4 or not at all.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from segbench.cli.terminal.output import duration, write_table
from segbench.metrics.scores import score
from segbench.results.arrays.matrices import load_matrices
from segbench.results.environment import capture
from segbench.results.run_files import CONFUSION_FILE, RECORD_FILE
from segbench.results.store import read_record

MOST_DIFFERENCE = 1e-4
MODELS = [
    {"name": "unet", "width": 0.125, "norm": "group", "dropout": 0.0},
    {"name": "fcn8s", "width": 0.0625, "dropout": 0.0},
]
SUITE: dict[str, Any] = {
    "dataset": {"name": "scenes", "size": [64, 96], "train_images": 64, "test_images": 30},
    "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
    "models": MODELS,
    "evaluate": {"batch_size": 4, "samples": 2},
    "seeds": [0],
}
TRAIN = {"epochs": 3, "batch_size": 6, "drop_last": False, "optimizer": {"name": "sgd", "lr": 0.05}, "schedule": "poly"}
SUITES = {
    "evaluation": SUITE | {"name": "evaluation", "train": None},
    "training": SUITE | {"name": "training", "train": TRAIN},
}


def main() -> int:
    arguments = _arguments()
    rows, kept = [], True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for task, suite in SUITES.items():
            (folder / f"{task}.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
            seconds = {count: done(folder, task, count) for count in (1, *arguments.processes)}
            for count in arguments.processes:
                for alone in sorted((folder / "by-1" / task).glob(f"*/{RECORD_FILE}")):
                    row, fine = compared(task, alone.parent, folder / f"by-{count}" / task / alone.parent.name)
                    rows.append([task, str(count), *row, duration(seconds[count]), duration(seconds[1])])
                    kept = kept and fine
    columns = ["task", "processes", "network", "same images", "matrices", "mIoU", "difference", "time", "by one"]
    write_table(columns, rows, right=["processes", "mIoU", "difference", "time", "by one"])
    environment = capture(device="cpu")
    print(f"{environment['processor']}, {environment['cores']} cores, torch {environment['versions']['torch']}, gloo")
    return 0 if kept and rows else 1


def done(folder: Path, task: str, processes: int) -> float:
    """Have a suite done by so many processes of one thread each; return the seconds."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes > 1 else []
    command = [sys.executable, *start, "-m", "segbench", "run", f"{task}.yaml", "--device", "cpu", "--in-process"]
    command += ["--results", f"by-{processes}", "--reports", f"reports-{processes}"]
    started = time.monotonic()
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}:\n{ended.stderr}")
    return time.monotonic() - started


def compared(task: str, one: Path, other: Path) -> tuple[list[str], bool]:
    """Return what the table says of a run by one process and by several, and whether it is as it should be."""
    records = [read_record(folder / RECORD_FILE) for folder in (one, other)]
    matrices = [load_matrices(folder / CONFUSION_FILE) for folder in (one, other)]
    same = records[0].data == records[1].data and matrices[0].names == matrices[1].names
    equal = bool(np.array_equal(matrices[0].matrices, matrices[1].matrices))
    scores = [score(each.total).mean_iou for each in matrices]
    difference = abs(scores[0] - scores[1])
    fine = same and (equal if task == "evaluation" else difference < MOST_DIFFERENCE)
    row = [records[0].label, "yes" if same else "NO", "equal" if equal else "differ"]
    return [*row, f"{scores[1]:.4f}", f"{difference:.1e}"], fine


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    counts = lambda text: [int(part) for part in text.split(",")]  # noqa: E731
    parser.add_argument("--processes", type=counts, default=[2, 3], help="how many to compare with one")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
