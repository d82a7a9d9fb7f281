"""Shows on the validation split why the quickstart's task and recipe are what they are.

    python benchmarks/quickstart_choice.py [--only NAME,NAME] [--models A,B] [--seeds 0,1,2]

Trains the quickstart as it stands with its seeds, and with one change at a time with seed 0, one run after the
other on one thread each. All scores are of the scenes' split `val`; the test split is never read. Printed are each
network's mean IoU by seed and the processor seconds of a run. Ends with 1 unless the quickstart as it stands has every
network at 0.40 or more with every seed, and its runs end within three minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from segbench.cli.terminal.output import write_table
from segbench.config.load import load_suite
from segbench.engine.events import Event, RunEnded, RunStarted
from segbench.engine.suite.run_suite import run_suite
from segbench.results.environment import capture

SUITE = Path(__file__).parents[1] / "suites" / "quickstart.yaml"
AS_IT_IS = "as it is"
TRIED = {
    AS_IT_IS: (),
    "all things": ("dataset.things=null",),
    "three things": ("dataset.things=[disc, square, triangle]",),
    "zoom 150": ("dataset.zoom=150",),
    "32x48 pixels": ("dataset.size=[32, 48]",),
    "batches of 4": ("train.batch_size=4", "train.steps=210"),
    "lr 0.003": ("train.optimizer.lr=0.003",),
    "lr 0.016": ("train.optimizer.lr=0.016",),
    "cross-entropy alone": ("train.loss=cross_entropy",),
    "class weights": ("train.loss=[{name: cross_entropy, class_weights: median_frequency}, dice]",),
    "group norm": ("defaults.norm=group",),
}
"""Changes to the suite, as ``--set`` takes them."""

LEAST_MEAN_IOU = 0.40
MOST_SECONDS = 180.0
CORES = 2
OTHER_SECONDS = 30.0
"""For planning, imports and the report, beside the runs."""


class Trained(NamedTuple):
    """One run: its network, seed and validation mIoU (None when it failed), and the processor time that it took."""

    network: str
    seed: int
    mean_iou: float | None
    cpu_seconds: float


class Stopwatch:
    """Collects runs with the processor time of each, which other work on the machine does not lengthen much."""

    def __init__(self) -> None:
        self.runs: list[Trained] = []
        self._started, self._seed = 0.0, 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._started, self._seed = time.process_time(), event.seed
        elif isinstance(event, RunEnded):
            seconds = time.process_time() - self._started
            self.runs.append(Trained(event.label, self._seed, event.mean_iou, seconds))


def main() -> int:
    arguments = _arguments()
    torch.set_num_threads(1)
    rows, kept = [], True
    for name in arguments.only:
        seeds = arguments.seeds if arguments.seeds is not None else (None if name == AS_IT_IS else [0])
        runs = trained(TRIED[name], models=arguments.models, seeds=seeds)
        for network in dict.fromkeys(run.network for run in runs):
            rows.append(row(name, [run for run in runs if run.network == network]))
            print("; ".join(rows[-1]), file=sys.stderr, flush=True)  # the next may take minutes
        if name == AS_IT_IS:
            kept = within_targets(runs)
    machine = capture("cpu")
    write_table(["quickstart", "network", "validation mIoU by seed", "processor s a run"], rows)
    print(f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}, one thread a run")
    return 0 if kept else 1


def trained(changes: Iterable[str], *, models: list[str] | None, seeds: list[int] | None) -> list[Trained]:
    """Train the changed quickstart and score it on the validation split.

    Args:
        changes: ``dotted.key=value`` lines.
        models: Labels of the networks; all by default.
        seeds: The seeds; those of the suite by default.
    """
    given = [] if seeds is None else [f"seeds={seeds}"]
    suite = load_suite(SUITE, overrides=["dataset.test_split=val", "train.keep_weights=false", *given, *changes])
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as results:
        run_suite(suite, results=results, models=models, device="cpu", in_process=True, observer=watch)
    return watch.runs


def row(name: str, runs: list[Trained]) -> list[str]:
    """Return the table's row of one network."""
    scores = " ".join("failed" if run.mean_iou is None else f"{run.mean_iou:.3f}" for run in runs)
    return [name, runs[0].network, scores, f"{sum(run.cpu_seconds for run in runs) / len(runs):.1f}"]


def within_targets(runs: list[Trained]) -> bool:
    """Print what the quickstart comes to, and return whether that is enough."""
    lowest = min(run.mean_iou or 0.0 for run in runs)
    seconds = sum(run.cpu_seconds for run in runs) / CORES + OTHER_SECONDS
    print(
        f"lowest validation mIoU {lowest:.3f}, at least {LEAST_MEAN_IOU:.2f} wanted; {len(runs)} runs, two at a time, "
        f"with {OTHER_SECONDS:.0f} s for all else: {seconds:.0f} s, at most {MOST_SECONDS:.0f} s wanted"
    )
    return lowest >= LEAST_MEAN_IOU and seconds <= MOST_SECONDS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_names, default=list(TRIED), help=f"of {', '.join(TRIED)}; all by default")
    parser.add_argument("--models", type=_names, help="labels of the networks; all by default")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], help="for every change")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.only if name not in TRIED]:
        parser.error(f"--only: unknown {', '.join(unknown)}; known: {', '.join(TRIED)}")
    return arguments


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
