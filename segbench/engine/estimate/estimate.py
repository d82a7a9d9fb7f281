"""What the runs of a suite will take, from a survey of its data and a probe of each of its networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from segbench.config.plan import Run, canonical_model, digest
from segbench.engine.estimate.cost_model import (
    Probe,
    Survey,
    cached_bytes,
    disk_bytes,
    evaluation_seconds,
    images_of,
    training_seconds,
    validation_seconds,
    workload_key,
)
from segbench.engine.events import Observer, ignore
from segbench.engine.processes import Limit, ProcessDied, call_in_process
from segbench.errors import ModelRefusal, TrainingError

_PROBE_SECONDS = 600.0
"""The longest that the try-out of a network may take; one that hangs is ended, and its time stays unknown."""
PROBE_SECONDS = 2.5
"""Time for the steps of one network; what is slower is timed by a single step after the first."""


NO_TIME = "there was no time to try it"
"""Why nothing is known of a network."""


@dataclass(frozen=True)
class RunEstimate:
    """What one run will take.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        seed: The run's seed.
        overhead_seconds: Start of the process, opening the data, building the network.
        training_seconds: Training epochs and validation, loading included.
        evaluation_seconds: The final evaluation, loading included.
        peak_memory_bytes: See ``Probe``; what ``loader.cache: memory`` keeps is added on the CPU.
        disk_bytes: What it leaves.
        steps: Optimizer steps of its training.
        trained_share: The part of them that a saved state holds, whose time is not in ``training_seconds``.
        problem: Why nothing is known; the figures are 0 then.
    """

    run_id: str
    label: str
    seed: int
    overhead_seconds: float = 0.0
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    peak_memory_bytes: int = 0
    disk_bytes: int = 0
    steps: int = 0
    trained_share: float = 0.0
    problem: str | None = None

    @property
    def seconds(self) -> float:
        """The time of the whole run."""
        return self.overhead_seconds + self.training_seconds + self.evaluation_seconds

    def after(self, step: int) -> RunEstimate:
        """Return what is left of the run when so many optimizer steps are done."""
        share = min(1.0, step / self.steps) if self.steps else 0.0
        return replace(self, training_seconds=(1 - share) * self.training_seconds, trained_share=share)


@dataclass(frozen=True)
class SuiteEstimate:
    """What the runs of a suite will take, one after the other.

    Attributes:
        runs: The runs, in the plan's order.
    """

    runs: tuple[RunEstimate, ...]

    @property
    def seconds(self) -> float:
        """Time of all runs of which something is known."""
        return sum(run.seconds for run in self.runs)

    @property
    def peak_memory_bytes(self) -> int:
        """Memory of the largest run: one is done at a time."""
        return max((run.peak_memory_bytes for run in self.runs), default=0)

    @property
    def disk_bytes(self) -> int:
        """Disk of all runs."""
        return sum(run.disk_bytes for run in self.runs)

    @property
    def unknown(self) -> tuple[RunEstimate, ...]:
        """The runs of which nothing is known."""
        return tuple(run for run in self.runs if run.problem is not None)

    def only(self, run_ids: Sequence[str]) -> SuiteEstimate:
        """Return the estimate of some of the runs."""
        return SuiteEstimate(tuple(run for run in self.runs if run.run_id in run_ids))


def survey_runs(runs: Sequence[Run]) -> dict[str, Survey]:
    """Look at the data of every recipe; nothing is computed.

    Returns:
        By ``Run.data_key``, what is the same for every network.

    Raises:
        UsageError: The data is missing or wrong.
    """
    workloads = _workload_keys(runs)
    keys = {
        run.data_key: (workloads[run.recipe.protocol_id], run.fold, run.fold is not None and run.role == "trial")
        for run in runs
    }
    first = {keys[run.data_key]: run for run in reversed(runs)}
    found = dict(zip(first, call_in_process(_surveys, list(first.values()), observer=ignore), strict=True))
    return {data_key: found[key] for data_key, key in keys.items()}


def estimate_runs(
    runs: Sequence[Run],
    surveys: Mapping[str, Survey],
    *,
    device: str = "auto",
    probe_seconds: float = PROBE_SECONDS,
    enough: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SuiteEstimate:
    """Try every distinct pair of network and work in a process of its own, and work out what each run takes.

    Args:
        runs: The runs.
        surveys: What ``survey_runs`` returned for them.
        device: auto, cpu, cuda, cuda:N or mps.
        probe_seconds: About how long each network is tried.
        enough: Asked before each network whether no more are to be tried; nothing is known of their runs then.
        progress: Called with networks tried and networks in all.

    Raises:
        UsageError: There is no such device, or a file of weights is missing.
    """
    start_seconds = _start_seconds()
    workloads = _workload_keys(runs)
    keys = [(workloads[run.recipe.protocol_id], digest(canonical_model(run.model))) for run in runs]
    probes: dict[tuple[str, str], Probe | str] = {}
    for key, run in zip(keys, runs, strict=True):
        if key not in probes:
            progress(len(probes), len(set(keys)))
            probes[key] = NO_TIME if enough() else _probe_or_problem(run, device, probe_seconds)
    progress(len(probes), len(set(keys)))
    return SuiteEstimate(
        tuple(
            estimate_run(run, surveys[run.data_key], probes[key], start_seconds=start_seconds)
            for key, run in zip(keys, runs, strict=True)
        )
    )


def images_fed(runs: Sequence[Run], surveys: Mapping[str, Survey]) -> int:
    """Return how many images the runs train and evaluate on, each counted as often as it is fed."""
    return sum(images_of(run, surveys[run.data_key]) for run in runs)


def estimate_run(run: Run, survey: Survey, probe: Probe | str, *, start_seconds: float) -> RunEstimate:
    """Work out what a run takes.

    Args:
        run: The run.
        survey: What is true of its data.
        probe: What was measured of its network, or why nothing was.
        start_seconds: Time to start a process.
    """
    if isinstance(probe, str):
        return RunEstimate(run.id, run.label, run.seed, problem=probe)
    cached = run.loader.cache == "memory"
    labels = survey.label_passes * survey.train_images * survey.train_load.read_seconds
    return RunEstimate(
        run_id=run.id,
        label=run.label,
        seed=run.seed,
        overhead_seconds=start_seconds + survey.setup_seconds + probe.setup_seconds + labels,
        training_seconds=training_seconds(run, survey, probe) + validation_seconds(run, survey, probe),
        evaluation_seconds=evaluation_seconds(run, survey, probe),
        peak_memory_bytes=probe.peak_memory_bytes + (cached_bytes(survey) if cached else 0),
        disk_bytes=disk_bytes(run, survey, probe),
        steps=survey.steps,
    )


def _workload_keys(runs: Sequence[Run]) -> dict[str, str]:
    """Return by protocol id what the work depends on; points of a grid of learning rates share it."""
    recipes = {run.recipe.protocol_id: run.recipe for run in runs}
    return {protocol: workload_key(recipe) for protocol, recipe in recipes.items()}


def _start_seconds() -> float:
    """Measure how long it takes to start a process that has all modules already."""
    call_in_process(_nothing, observer=ignore)  # the first one loads them
    started = time.perf_counter()
    call_in_process(_nothing, observer=ignore)
    return time.perf_counter() - started


def _probe_or_problem(run: Run, device: str, seconds: float) -> Probe | str:
    """Measure a network, or return why that cannot be done: its run will meet the same."""
    try:
        limit = Limit(_PROBE_SECONDS, keys=("the limit of an estimate",) * 2)
        probe: Probe = call_in_process(_probe, run, device, seconds, observer=ignore, limit=limit)
    except (ModelRefusal, TrainingError, ProcessDied) as error:
        return str(error)
    return probe


def _nothing(*, observer: Observer) -> None:
    del observer


def _surveys(runs: Sequence[Run], *, observer: Observer) -> list[Survey]:
    """Import torch only in the process that needs it, which is one for all folds and recipes."""
    from segbench.engine.estimate.data_survey import survey

    del observer
    return [survey(run) for run in runs]


def _probe(run: Run, device: str, seconds: float, *, observer: Observer) -> Probe:
    from segbench.engine.estimate.model_probe import probe

    del observer
    return probe(run, device=device, seconds=seconds)
