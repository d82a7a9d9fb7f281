"""Shows estimates: a table for ``plan --estimate``, a line before ``run`` starts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segbench.cli.terminal.output import byte_count, counted, duration, tell, write_table
from segbench.cli.terminal.progress import counting
from segbench.config.plan import Run
from segbench.engine.estimate.estimate import (
    RunEstimate,
    SuiteEstimate,
    estimate_runs,
    images_fed,
    survey_runs,
)
from segbench.engine.stopping import Stop
from segbench.engine.suite.planning import PlannedRuns
from segbench.errors import SegbenchError

if TYPE_CHECKING:
    from segbench.config.sections.robustness import Robustness
    from segbench.engine.estimate.robustness import RobustnessEstimate

DAY_SECONDS = 86_400

QUICK_PROBE_SECONDS = 0.2
"""Time for the steps, and for the evaluation, of each network before ``run``; 9 small networks take 6 seconds."""

ESTIMATE_SHARE = 0.25
"""Largest share of a time limit that the estimate may take."""

PENDING = "after its trials"
"""Status of a tuned run whose trials have not ended."""

FEW_IMAGES = 1_000
"""Runs with at most this many images in total start without an estimate."""


def estimated(known: PlannedRuns, *, device: str) -> SuiteEstimate:
    """Estimate all runs of a suite, with progress; pending tuned runs are estimated by the untuned recipe.

    Raises:
        UsageError: The suite's data is missing or wrong, or there is no such device.
    """
    with counting("trying", "networks") as advance:
        runs = (*known.runs, *known.pending)
        return estimate_runs(runs, survey_runs(runs), device=device, progress=advance)


def retests_estimated(
    block: Robustness | None, known: PlannedRuns, estimate: SuiteEstimate
) -> RobustnessEstimate | None:
    """Estimate the further tests of a suite's networks; None without a robustness block.

    Raises:
        UsageError: The block's data is missing or wrong.
    """
    if block is None:
        return None
    from segbench.engine.estimate.robustness import estimate_robustness

    return estimate_robustness((*known.runs, *known.pending), estimate.runs, block)


def retests_in_words(found: RobustnessEstimate) -> str:
    """Return what the further tests of a suite's networks take."""
    tests, conditions = counted(found.tests, "further test"), counted(found.conditions, "condition")
    return (
        f"then {tests} of the trained networks under {conditions}, {counted(found.images, 'image')} in all, about "
        f"{duration(found.seconds)} more; robustness.images takes fewer"
    )


def estimate_facts(estimate: RunEstimate | SuiteEstimate) -> dict[str, Any]:
    """Return an estimate for JSON: seconds and bytes; null for a run without an estimate."""
    figures = {
        "seconds": estimate.seconds,
        "peak_memory_bytes": estimate.peak_memory_bytes,
        "disk_bytes": estimate.disk_bytes,
    }
    if not isinstance(estimate, RunEstimate):
        return {**figures, "unknown_runs": len(estimate.unknown)}
    parts = {
        "overhead_seconds": estimate.overhead_seconds,
        "training_seconds": estimate.training_seconds,
        "evaluation_seconds": estimate.evaluation_seconds,
    }
    facts: dict[str, Any] = {**figures, **parts}
    if estimate.problem is not None:
        facts = dict.fromkeys(facts)
    return {**facts, "problem": estimate.problem}


def show_estimate(estimate: SuiteEstimate, statuses: Mapping[str, str]) -> None:
    """Write a table of all runs, and the totals.

    Args:
        estimate: The estimate.
        statuses: Status of each run, by run id.
    """
    rows = [_cells(run, statuses[run.run_id]) for run in estimate.runs]
    write_table(["run", "status", "time", "memory", "disk"], rows, right=["time", "memory", "disk"], whole=["run"])
    _tell_problems(estimate)
    tell(f"{counted(len(estimate.runs), 'run')}: {totals(estimate)}")
    to_do = estimate.only([run.run_id for run in estimate.runs if statuses[run.run_id] != "done"])
    if to_do.runs and len(to_do.runs) < len(estimate.runs):
        tell(f"{len(to_do.runs)} to do: {totals(to_do)}")
    _warn(to_do)


def announce(runs: Sequence[Run], *, device: str, stop: Stop, few: bool = False) -> SuiteEstimate | None:
    """Report the estimate of runs before they start, and return it; None if there is none.

    Errors of the suite give no estimate; the runs report them.

    Args:
        runs: The runs.
        device: auto, cpu, cuda, cuda:N or mps.
        stop: When to stop; the estimate takes at most a quarter of the remaining time.
        few: Whether to estimate runs of few images too. Runs with ``train.compile`` are never estimated.
    """
    if not runs:
        return None

    if any(run.recipe.train is not None and run.recipe.train.compile for run in runs):
        tell("no estimate, because networks would have to be compiled for it; 'segbench plan --estimate' does that")
        return None
    until = None if stop.seconds_left is None else time.monotonic() + ESTIMATE_SHARE * stop.seconds_left
    try:
        surveys = survey_runs(runs)
        if images_fed(runs, surveys) <= FEW_IMAGES and not few:
            return None
        tell(f"estimating the time of {counted(len(runs), 'run')} …")
        estimate = estimate_runs(
            runs,
            surveys,
            device=device,
            probe_seconds=QUICK_PROBE_SECONDS,
            enough=lambda: stop.due or (until is not None and time.monotonic() > until),
        )
    except SegbenchError:
        return None
    tell(f"about {totals(estimate)}{', one run after the other' * (len(runs) > 1)}")
    _warn(estimate)
    return estimate


def totals(estimate: SuiteEstimate) -> str:
    """Describe an estimate of several runs."""
    known = f"{duration(estimate.seconds)}, {byte_count(estimate.peak_memory_bytes)} of memory at most, "
    unknown = f", and {counted(len(estimate.unknown), 'run')} of unknown length" if estimate.unknown else ""
    return f"{known}{byte_count(estimate.disk_bytes)} on disk{unknown}"


def _cells(run: RunEstimate, status: str) -> list[str]:
    if run.problem is not None:
        return [run.run_id, status, "-", "-", "-"]
    return [
        run.run_id,
        status,
        duration(run.seconds),
        byte_count(run.peak_memory_bytes),
        byte_count(run.disk_bytes),
    ]


def _tell_problems(estimate: SuiteEstimate) -> None:
    for run in estimate.unknown:
        tell(f"note: {run.label}, seed {run.seed}: no estimate: {run.problem}")


def _warn(estimate: SuiteEstimate) -> None:
    if estimate.seconds > DAY_SECONDS:
        tell(
            f"warning: this takes more than a day ({estimate.seconds / DAY_SECONDS:.1f} days); fewer epochs, smaller "
            "images or a faster device shorten it; what is finished is kept if you stop"
        )
