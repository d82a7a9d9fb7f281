"""Kills a suite of three networks with `kill -9` at random moments, and checks that nothing shows in the end.

    python benchmarks/kill_resume.py [--kills 20] [--seed 0]

One copy of the suite is run in peace, the other is killed again and again, each time with all its processes, and
started by the same command. Ends with 1 unless weights, matrices, digests and learning curves are equal bit for bit,
and unless every start went on from a step no further back than one interval between saved states.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml
from safetensors.numpy import load_file

from segbench.cli.output import duration, write_table
from segbench.results.environment import capture

EVERY_STEPS = 20
SUITE = {
    "name": "killed",
    "dataset": {"name": "scenes", "size": [48, 64], "train_images": 240, "test_images": 40},
    "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
    "models": [
        {"name": "unet", "width": 0.125},
        {"name": "segnet_basic", "width": 0.25},
        {"name": "fc_densenet", "growth": 4, "first_channels": 12, "down_layers": [2, 2], "bottleneck_layers": 2},
    ],
    "train": {"epochs": 6, "batch_size": 4, "optimizer": {"name": "adamw", "lr": 0.003}, "schedule": "poly"},
    "resume": {"every_minutes": None, "every_steps": EVERY_STEPS},
}
_TIMES = ("seconds", "images_per_second", "data_wait_share", "peak_memory_bytes")


def main() -> int:
    arguments = _arguments()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "killed.yaml").write_text(yaml.safe_dump(SUITE, sort_keys=False))
        started = time.monotonic()
        if start(folder, "peace").wait() != 0:
            raise SystemExit("the suite failed in peace")
        whole = time.monotonic() - started
        print(f"in peace: {duration(whole)}", flush=True)
        rows = [killed(folder, draw.uniform(0.1, 0.9) * whole, number) for number in range(1, arguments.kills + 1)]
        if start(folder, "killed").wait() != 0:
            raise SystemExit("the suite failed after the last kill")
        write_table(["kill", "after", "trained up to", "went on from"], rows, right=["kill", "after"])
        repeated, equal = most_repeated(folder), compared(folder)
    environment = capture("cpu")
    print(
        f"{arguments.kills} kills; at most {repeated} steps done twice, {EVERY_STEPS} between saved states; "
        f"{'all results equal bit for bit' if equal else 'RESULTS DIFFER'}\n"
        f"{environment['processor']}, {environment['cores']} cores, torch {environment['versions']['torch']}"
    )
    return 0 if equal and repeated <= EVERY_STEPS else 1


def start(folder: Path, results: str) -> subprocess.Popen[bytes]:
    """Begin the command, in a session of its own."""
    options = ["--results", results, "--reports", f"{results}-reports", "--device", "cpu", "--no-speed"]
    command = [sys.executable, "-m", "segbench", "run", "killed.yaml", *options, "--events", f"{results}.jsonl"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **quiet)  # type: ignore[call-overload]


def killed(folder: Path, seconds: float, number: int) -> list[str]:
    """Start the command and kill it after some time; return what it had done."""
    process = start(folder, "killed")
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()
    events = read_events(folder)
    begun = max((index for index, event in enumerate(events) if event["event"] == "RunStarted"), default=0)
    steps = [event["done"] for event in events[begun:] if event["event"] == "Progress" and event["stage"] == "training"]
    went_on = [event["text"] for event in events[begun:] if event["event"] == "Notice" and "goes on" in event["text"]]
    return [str(number), duration(seconds), str(max(steps, default="")), "; ".join(went_on)]


def read_events(folder: Path) -> list[dict[str, object]]:
    """Return all events so far; the last line may be torn."""
    events = []
    for line in (folder / "killed.jsonl").read_text().splitlines() if (folder / "killed.jsonl").exists() else []:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def most_repeated(folder: Path) -> int:
    """Return the most steps that any start trained again, as far as told progress shows."""
    reached: dict[str, int] = {}
    current, repeated = "", 0
    for event in read_events(folder):
        if event["event"] == "RunStarted":
            current = str(event["run_id"])
        elif event["event"] == "Progress" and event["stage"] == "training":
            reached[current] = max(reached.get(current, 0), int(event["done"]))
        elif event["event"] == "Notice" and (found := re.search(r"goes on from step (\d+)", str(event["text"]))):
            repeated = max(repeated, reached.get(current, 0) - int(found[1]))
    return repeated


def compared(folder: Path) -> bool:
    """Tell whether all that counts is equal."""
    runs = sorted(file.parent.relative_to(folder / "peace") for file in (folder / "peace").rglob("run.json"))
    return len(runs) == len(SUITE["models"]) and all(  # type: ignore[arg-type]
        facts(folder / "peace" / run) == facts(folder / "killed" / run) for run in runs
    )


def facts(run: Path) -> list[object]:
    record = json.loads((run / "run.json").read_text())
    weights = {name: array.tobytes() for name, array in load_file(run / "checkpoint.safetensors").items()}
    with (run / "history.csv").open() as stream:
        curve = [{key: value for key, value in line.items() if key not in _TIMES} for line in csv.DictReader(stream)]
    files = [(run / name).read_bytes() for name in ("confusion.npz", "details.npz", "predictions.zip")]
    return [record["data"], record["test_loss"], record["selected_epoch"], weights, curve, files]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
