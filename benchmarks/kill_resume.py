"""Ends a suite of three networks at random moments of training, and checks that nothing shows.

    python benchmarks/kill_resume.py [--kills 20] [--seed 0] [--signal KILL|TERM]

KILL is `kill -9`; TERM is what queues, containers and spot machines send before it, by turns to the command alone and
to all its processes, and every command it ends has to end with 3.

The suite is run once in peace; copies of it are killed again and again, each time with all their processes, and begun
again by the same command, until so many kills have struck a run in its training. Steps done twice are the last that a
run told of before it was killed less the one that it went on from, which is 0 unless it says another. Ends with 1
unless these are no more than lie between two saved states (after TERM, at most 1), no finished run is begun again, and
weights, matrices, details, predictions, digests and learning curves of every copy equal those of the suite in peace
bit for bit.
"""

from __future__ import annotations

import argparse
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
from run_facts import facts

from segbench.cli.terminal.output import counted, write_table
from segbench.results.environment import capture

EVERY_STEPS = 7
"""Between two saved states, where the command is killed."""

MOST_TWICE = {signal.SIGKILL: EVERY_STEPS, signal.SIGTERM: 1}
"""Steps that may be done twice."""

SOMETHING_LEFT = 3
"""Exit code of a command that was told to end."""

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
    "seeds": [0],
}


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
        if len(facts(peace / "results")) != len(SUITE["models"]):
            raise SystemExit("the suite in peace has not all its results")
        found: list[Again] = []
        equal: list[bool] = []
        while (left := arguments.kills - sum(again.before.training for again in found)) > 0:
            copy = Path(name) / f"copy-{len(equal)}"
            found += begun_again(worn_out(copy, kills=left, draw=draw, by=arguments.signal))
            equal.append(facts(copy / "results") == facts(peace / "results"))
            print(f"copy {len(equal)} is at its end after {len(found)} kills in all", flush=True)
    return verdict(found, equal, by=arguments.signal)


def verdict(found: list[Again], equal: list[bool], *, by: signal.Signals) -> int:
    """Show every kill, say what came of all of them, and return the exit code."""
    columns = ["run", "of steps", "trained up to", "went on from", "done twice"]
    rows = [[a.before.run_id, a.before.total, a.before.reached, a.now.origin, a.steps] for a in found]
    write_table(columns, rows, right=columns[1:], whole=["run"])
    most, repeated = max(again.steps for again in found), sum(again.before.finished for again in found)
    machine = capture("cpu")
    print(
        f"{by.name}: {sum(again.before.training for again in found)} in training, {len(found)} in all, of "
        f"{counted(len(equal), 'copy', 'copies')}\n"
        f"at most {most} steps done twice, {MOST_TWICE[by]} allowed; progress is told every {TOLD_STEPS}; "
        f"{repeated} finished runs were begun again\n"
        f"{'all results equal bit for bit' if all(equal) else 'RESULTS DIFFER'}\n"
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}"
    )
    return 0 if most <= MOST_TWICE[by] and not repeated and all(equal) else 1


def worn_out(folder: Path, *, kills: int, draw: random.Random, by: signal.Signals = signal.SIGKILL) -> list[list[Leg]]:
    """Run a copy of the suite to its end, ended in training up to so many times; return what each start told."""
    folder.mkdir()
    every = {"every_minutes": None, "every_steps": EVERY_STEPS} if by is signal.SIGKILL else {"every_minutes": 60}
    (folder / "killed.yaml").write_text(yaml.safe_dump(SUITE | {"resume": every}, sort_keys=False))
    starts: list[list[Leg]] = []
    struck, killed = 0, True
    while killed:
        events = folder / f"{len(starts)}.jsonl"
        process = start(folder, events)
        everyone = by is signal.SIGKILL or len(starts) % 2 == 1
        killed = struck < kills and strike(process, events, by, everyone=everyone, seconds=draw.uniform(*SECONDS))
        expected = {0} if not killed else {-by} if by is signal.SIGKILL else {0, SOMETHING_LEFT}
        if process.wait() not in expected:
            raise SystemExit(f"the suite failed: {process.returncode}")
        killed = killed and process.returncode != 0  # it may have been at its end
        starts.append(legs(events))
        struck += killed and starts[-1][-1].training
    return starts


def start(folder: Path, events: Path) -> subprocess.Popen[bytes]:
    """Begin the command, in a session of its own."""
    options = ["--device", "cpu", "--jobs", "1", "--no-speed", "--no-estimate", "--no-report", "--events", events.name]
    command = [sys.executable, "-m", "segbench", "run", "killed.yaml", *options]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads would wait for each other where the machine is busy
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=alone, start_new_session=True, stdout=quiet, stderr=quiet)


def strike(
    process: subprocess.Popen[bytes], events: Path, by: signal.Signals, *, everyone: bool, seconds: float
) -> bool:
    """Wait for a run to train, and some time more, and end the command, or all its processes, unless it has ended."""
    while process.poll() is None:
        if any(leg.training for leg in legs(events)[-1:]):
            time.sleep(seconds)
            if process.poll() is None:
                (os.killpg if everyone else os.kill)(process.pid, by)
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
        elif event["event"] == "Notice" and (resumed := re.search(r"resumes from step (\d+) of (\d+)", event["text"])):
            found[-1].origin, found[-1].reached, found[-1].total = int(resumed[1]), int(resumed[1]), int(resumed[2])
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--signal", type=lambda name: signal.Signals[f"SIG{name}"], default=signal.SIGKILL)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
