"""What has to be equal of two executions of one run, bit for bit, shared by the benchmarks that interrupt suites."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from safetensors.numpy import load_file

_TIMES = ("seconds", "images_per_second", "data_wait_share", "peak_memory_bytes")
_FILES = ("confusion.npz", "details.npz", "predictions.zip")


def facts(results: Path) -> dict[str, list[object]]:
    """Return all that has to be equal of each run below a results folder, by the run's folder."""
    return {file.parent.name: _facts(file.parent) for file in sorted(results.glob("*/*/run.json"))}


def _facts(run: Path) -> list[object]:
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    checkpoint = run / "checkpoint.safetensors"
    weights = {name: array.tobytes() for name, array in load_file(checkpoint).items()} if checkpoint.exists() else None
    with (run / "history.csv").open(encoding="utf-8") as stream:
        curve = [{key: value for key, value in line.items() if key not in _TIMES} for line in csv.DictReader(stream)]
    files = [(run / name).read_bytes() for name in _FILES]
    scores = [record[name] for name in ("outcome", "data", "test_loss", "selected_epoch")]
    return [*scores, weights, curve, files]
