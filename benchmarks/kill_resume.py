"""Kills a suite of three networks with `kill -9` at random moments of training, and checks that nothing shows.

    python benchmarks/kill_resume.py [--kills 20] [--seed 0]

The suite is run once in peace; copies of it are killed again and again, each time with all their processes, and begun
again by the same command, until so many kills have struck a run in its training. Steps done twice are the last that a
run told of before it was killed less the one that it went on from, which is 0 unless it says another. Ends with 1
unless these are no more than lie between two saved states, no finished run is begun again, and weights, matrices,
details, predictions, digests and learning curves of every copy equal those of the suite in peace bit for bit.
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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from safetensors.numpy import load_file

from segbench.cli.output import counted, write_table
from segbench.results.environment import capture

EVERY_STEPS = 7
"""Between two saved states."""

TOLD_STEPS = 1
"""Steps of an epoch, at whose end progress is told: so that every step is known of."""

SECONDS = (0.1, 2.5)
"""Least and most between the first step that a start tells of and its kill."""

SUITE = {
    "name": "killed",
    "dataset": {"name": "scenes", "size": [32, 48], "train_images": 4 * TOLD_STEPS, "test_images": 20},
    "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
    "models": [
        {"name": "unet", "width": 0.125},
        {"name": "segnet_basic", "width": 0.25},
        {"name": "fc_densenet", "growth": 4, "first_channels": 12, "down_layers": [2, 2], "bottleneck_layers": 2},
    ],
    "train": {"epochs": 200, "batch_size": 4, "optimizer": {"name": "adamw", "lr": 0.003}, "schedule": "poly"},
    "resume": {"every_minutes": None, "every_steps": EVERY_STEPS},
}
_TIMES = ("seconds", "images_per_second", "data_wait_share", "peak_memory_bytes")


@dataclass
class Leg:
    """What one start of the command told of a run: from which step to which it trained, and whether it was finished."""

    run_id: str
    origin: int = 0
    reached: int = 0
    total: int = 0
    finished: bool = False

    @property
    def training(self) -> bool:
        """Whether it was last heard of in the middle of its training."""
        return 0 < self.reached < self.total and not self.finished


@dataclass(frozen=True)
class Again:
    """A run that was begun again: where it was before, and where it went on."""

    before: Leg
    now: Leg

    @property
    def steps(self) -> int:
        """How many steps were done twice; a state may have been saved after the last step that was told."""
        return max(0, self.before.reached - self.now.origin)


def main() -> int:
    arguments = _arguments()
    draw = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        peace = Path(name) / "peace"
        worn_out(peace, kills=0, draw=draw)
        if len(facts(peace)) != len(SUITE["models"]):
            raise SystemExit("the suite in peace has not all its results")
        found: list[Again] = []
        equal: list[bool] = []
        while (left := arguments.kills - sum(again.before.training for again in found)) > 0:
            copy = Path(name) / f"copy-{len(equal)}"
            found += begun_again(worn_out(copy, kills=left, draw=draw))
            equal.append(facts(copy) == facts(peace))
            print(f"copy {len(equal)} is at its end after {len(found)} kills in all", flush=True)
    return verdict(found, equal)


def verdict(found: list[Again], equal: list[bool]) -> int:
    """Show every kill, say what came of all of them, and return the exit code."""
    columns = ["run", "of steps", "trained up to", "went on from", "done twice"]
    rows = [[a.before.run_id, a.before.total, a.before.reached, a.now.origin, a.steps] for a in found]
    write_table(columns, rows, right=columns[1:], whole=["run"])
    most, repeated = max(again.steps for again in found), sum(again.before.finished for again in found)
    machine = capture("cpu")
    print(
        f"{sum(again.before.training for again in found)} kills in training, {len(found)} in all, of "
        f"{counted(len(equal), 'copy', 'copies')}\n"
        f"at most {most} steps done twice; states are saved every {EVERY_STEPS} steps, progress is told every "
        f"{TOLD_STEPS}; {repeated} finished runs were begun again\n"
        f"{'all results equal bit for bit' if all(equal) else 'RESULTS DIFFER'}\n"
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}"
    )
    return 0 if most <= EVERY_STEPS and not repeated and all(equal) else 1


def worn_out(folder: Path, *, kills: int, draw: random.Random) -> list[list[Leg]]:
    """Run a copy of the suite to its end, killed in training up to so many times; return what each start told."""
    folder.mkdir()
    (folder / "killed.yaml").write_text(yaml.safe_dump(SUITE, sort_keys=False))
    starts: list[list[Leg]] = []
    struck, killed = 0, True
    while killed:
        events = folder / f"{len(starts)}.jsonl"
        process = start(folder, events)
        killed = struck < kills and strike(process, events, seconds=draw.uniform(*SECONDS))
        if process.wait() != 0 and not killed:
            raise SystemExit(f"the suite failed: {process.returncode}")
        starts.append(legs(events))
        struck += killed and starts[-1][-1].training
    return starts


def start(folder: Path, events: Path) -> subprocess.Popen[bytes]:
    """Begin the command, in a session of its own."""
    options = ["--device", "cpu", "--no-speed", "--events", events.name]
    command = [sys.executable, "-m", "segbench", "run", "killed.yaml", *options]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads would wait for each other where the machine is busy
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=alone, start_new_session=True, stdout=quiet, stderr=quiet)


def strike(process: subprocess.Popen[bytes], events: Path, *, seconds: float) -> bool:
    """Wait for a run to train, and some time more, and kill the command with all its processes, unless it has ended."""
    while process.poll() is None:
        if any(leg.training for leg in legs(events)[-1:]):
            time.sleep(seconds)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                return True
        time.sleep(0.02)
    return False


def legs(events: Path) -> list[Leg]:
    """Return what a start has told so far of each run that it began; the last line may be torn."""
    found: list[Leg] = []
    for line in events.read_text().splitlines() if events.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:
            break
        if event["event"] == "RunStarted":
            found.append(Leg(event["run_id"]))
        elif event["event"] == "Progress" and event["stage"] == "training":
            found[-1].reached, found[-1].total = event["done"], event["total"]
        elif event["event"] == "Notice" and (goes_on := re.search(r"goes on from step (\d+) of (\d+)", event["text"])):
            found[-1].origin, found[-1].reached, found[-1].total = int(goes_on[1]), int(goes_on[1]), int(goes_on[2])
        elif event["event"] == "RunEnded":
            found[-1].finished = True
    return found


def begun_again(starts: list[list[Leg]]) -> Iterator[Again]:
    """Yield every run that a start found begun, or finished, by one before."""
    before: dict[str, Leg] = {}
    for leg in (leg for start in starts for leg in start):
        if leg.run_id in before:
            yield Again(before[leg.run_id], leg)
        before[leg.run_id] = leg


def facts(folder: Path) -> dict[str, list[object]]:
    """Return all that has to be equal of each run of a copy."""
    return {file.parent.name: _facts(file.parent) for file in sorted(folder.glob("results/killed/*/run.json"))}


def _facts(run: Path) -> list[object]:
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
