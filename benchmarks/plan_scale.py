"""Tells how the cost of a suite grows with its runs: planned, and skipped because they are finished.

    python benchmarks/plan_scale.py [--repeats 5]

Plans suites of 1,000 and 10,000 runs (models x seeds x grid) with `segbench plan`, a whole process each time, and goes
on with suites of which 100 and 1,000 runs are finished, with `segbench run`, up to the line that says that nothing is
left to do: reading every record and looking at data, recipes and networks first is part of it, the report that follows
is not (`report_scale.py` times that). Ends with 1 if 10,000 runs take more than 2 seconds to plan, or more than twelve
times as long as 1,000 in the planning alone, or 1,000 finished ones more than 5 seconds to skip, in the median.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from segbench.cli.terminal.output import write_table
from segbench.config.load import check
from segbench.config.plan import Run, plan
from segbench.engine.suite.run_suite import run_suite
from segbench.results.environment import capture
from segbench.results.record import RunRecord
from segbench.results.run_files import RECORD_FILE
from segbench.results.store import Store, write_record

PLAN_SECONDS, SKIP_SECONDS = 2.0, 5.0
PLANNED, FINISHED = (1_000, 10_000), (100, 1_000)
MOST_GROWTH = 12
"""Times as long for ten times the runs: that the cost grows with them, and no faster."""


def main() -> int:
    repeats = _arguments().repeats
    with tempfile.TemporaryDirectory() as name:
        measured = {
            **{f"plan() of {runs:,} runs": timed(planning_here(runs), repeats) for runs in PLANNED},
            **{f"segbench plan, {runs:,} runs": timed(planning(Path(name), runs), repeats) for runs in PLANNED},
            **{f"segbench run, {runs:,} done before": timed(skipping(Path(name), runs), repeats) for runs in FINISHED},
        }
    rows = [
        [what, f"{statistics.median(found):.2f}", f"{min(found):.2f} to {max(found):.2f}"]
        for what, found in measured.items()
    ]
    write_table(["", "seconds", "fastest to slowest"], rows, right=["seconds", "fastest to slowest"])
    medians = [statistics.median(found) for found in measured.values()]
    growth = ", ".join(f"{few:.2f} to {many:.2f} s" for few, many in zip(medians[::2], medians[1::2], strict=True))
    machine = capture("cpu")
    print(
        f"ten times the runs: {growth}; medians of {repeats}\n"
        f"at most {PLAN_SECONDS:g} s to plan {PLANNED[-1]:,} and {SKIP_SECONDS:g} s to skip {FINISHED[-1]:,} wanted\n"
        f"{machine['processor']}, {machine['cores']} cores, torch {machine['versions']['torch']}"
    )
    linear = medians[1] <= MOST_GROWTH * medians[0]
    return 0 if linear and medians[3] <= PLAN_SECONDS and medians[5] <= SKIP_SECONDS else 1


def suite_of(runs: int) -> dict[str, Any]:
    """Return a suite of ten models, ten learning rates from 1,000 runs on, and as many seeds as make so many runs."""
    rates, models = (1, 10) if runs < 1_000 else (10, 10)
    return {
        "name": f"scale-{runs}",
        "dataset": {"name": "scenes", "size": [32, 32], "train_images": 4, "test_images": 2},
        "transforms": {"train": ["normalize"], "test": ["normalize"]},
        "models": [{"name": "cnn", "width": 0.05 * (1 + index), "label": f"cnn {index}"} for index in range(models)],
        "train": {"steps": 1, "batch_size": 2, "keep_weights": False, "optimizer": {"name": "adamw", "lr": 0.001}},
        "seeds": list(range(runs // models // rates)),
        "grid": {"train.optimizer.lr": [0.001 * (1 + index) for index in range(rates)]},
    }


def timed(step: Callable[[], object], repeats: int) -> list[float]:
    """Return how long a step took each time, after once that does not count."""
    step()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds


def planning_here(runs: int) -> Callable[[], object]:
    """Return a step that checks and plans a suite in this process."""
    return lambda: plan(check(suite_of(runs)))


def planning(folder: Path, runs: int) -> Callable[[], object]:
    """Return a step that plans a suite by its command."""
    command = [sys.executable, "-m", "segbench", "plan", str(written(folder, runs)), "--results", str(folder)]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def skipping(folder: Path, runs: int) -> Callable[[], object]:
    """Return a step that runs a suite that is finished, until that has been found."""
    finish(folder, runs)
    options = ["--results", str(folder), "--reports", str(folder / "reports"), "--device", "cpu", "--no-speed"]
    command = [sys.executable, "-m", "segbench", "run", str(written(folder, runs)), *options]

    def skip() -> None:
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            assert process.stderr is not None
            said = []
            for line in process.stderr:
                said.append(line)
                if f"0 runs done, {runs} were done before" in line:
                    process.kill()
                    return
        raise SystemExit(f"the suite was not taken as done:\n{''.join(said)}")

    return skip


def finish(folder: Path, runs: int) -> None:
    """Do the first run of a suite, and store what came of it as what came of every other."""
    suite = check(suite_of(runs))
    planned = plan(suite)
    first = run_suite(suite, results=folder, device="cpu", only=[planned[0].id]).records[0]
    store = Store(folder, suite.name)
    for run in planned[1:]:
        with store.writing(run.id) as target:
            shutil.copytree(store.folder_of(first.id), target, dirs_exist_ok=True)
            (target / RECORD_FILE).unlink()
            write_record(target, as_if(run, first))


def as_if(run: Run, record: RunRecord) -> RunRecord:
    """Return the record of one run as that of another."""
    return record.model_copy(
        update={
            "id": run.id,
            "label": run.label,
            "seed": run.seed,
            "point": run.point,
            "identity": run.identity,
            "protocol_id": run.recipe.protocol_id,
            "recipe": run.recipe.canonical(),
        }
    )


def written(folder: Path, runs: int) -> Path:
    """Write a suite's file and return it."""
    file = folder / f"{runs}.yaml"
    file.write_text(yaml.safe_dump(suite_of(runs), sort_keys=False), encoding="utf-8")
    return file


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
