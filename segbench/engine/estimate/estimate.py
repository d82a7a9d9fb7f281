"""Estimates the runs of a suite from a survey of its data and a probe of each network."""

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
from segbench.engine.processes import Limit, ProcessDied, call_in_process
from segbench.errors import ModelRefusal, TrainingError

_PROBE_SECONDS = 600.0
"""The longest that the try-out of a network may take; one that hangs is ended, and its time stays unknown."""
PROBE_SECONDS = 2.5
"""Time for the steps of a network; slower networks are timed by one step after the first."""


NO_TIME = "there was no time to try it"
"""Reason for a missing estimate."""


@dataclass(frozen=True)
class RunEstimate:
    """Estimate of a run.

    Attributes:
        run_id: The run's id.
        label: The row's name.
        seed: The run's seed.
        overhead_seconds: Start of the process, opening the data, building the network.
        training_seconds: Training epochs and validation, loading included.
        evaluation_seconds: The final evaluation, loading included.
        peak_memory_bytes: See ``Probe``; what ``loader.cache: memory`` keeps is added on the CPU.
        disk_bytes: Disk space of the finished run.
        steps: Optimizer steps.
        trained_share: Share of the steps already in a training state; ``training_seconds`` is the rest.
        setup_seconds: The part of ``overhead_seconds`` that it takes to build the network.
        image_seconds: To predict one test image and count its confusion matrix, without loading it.
        problem: Why there is no estimate; all figures are 0 then.
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
    setup_seconds: float = 0.0
    image_seconds: float = 0.0
    problem: str | None = None

    @property
    def seconds(self) -> float:
        """The time of the whole run."""
        return self.overhead_seconds + self.training_seconds + self.evaluation_seconds

    def after(self, step: int) -> RunEstimate:
        """Return the estimate of the rest of the run after some optimizer steps."""
        share = min(1.0, step / self.steps) if self.steps else 0.0
        return replace(self, training_seconds=(1 - share) * self.training_seconds, trained_share=share)


@dataclass(frozen=True)
class SuiteEstimate:
    """Estimate of the runs of a suite, one after another.

    Attributes:
        runs: The runs, in the plan's order.
    """

    runs: tuple[RunEstimate, ...]

    @property
    def seconds(self) -> float:
        """Time of all runs with an estimate."""
        return sum(run.seconds for run in self.runs)

    @property
    def peak_memory_bytes(self) -> int:
        """Memory of the largest run; runs are sequential."""
        return max((run.peak_memory_bytes for run in self.runs), default=0)

    @property
    def disk_bytes(self) -> int:
        """Disk of all runs."""
        return sum(run.disk_bytes for run in self.runs)

    @property
    def unknown(self) -> tuple[RunEstimate, ...]:
        """The runs without an estimate."""
        return tuple(run for run in self.runs if run.problem is not None)

    def only(self, run_ids: Sequence[str]) -> SuiteEstimate:
        """Return the estimate of some of the runs."""
        return SuiteEstimate(tuple(run for run in self.runs if run.run_id in run_ids))


def survey_runs(runs: Sequence[Run]) -> dict[str, Survey]:
    """Survey the data of every recipe.

    Returns:
        The survey of each ``Run.data_key``.

    Raises:
        UsageError: The data is missing or wrong.
    """
    workloads = _workload_keys(runs)
    keys = {
        run.data_key: (workloads[run.recipe.protocol_id], run.fold, run.fold is not None and run.role == "trial")
        for run in runs
    }
    first = {keys[run.data_key]: run for run in reversed(runs)}
    found = dict(zip(first, call_in_process(_surveys, list(first.values())), strict=True))
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
    """Probe every distinct pair of network and workload in a separate process, and estimate each run.

    Args:
        runs: The runs.
        surveys: The result of ``survey_runs`` for them.
        device: auto, cpu, cuda, cuda:N or mps.
        probe_seconds: Approximate time to train, and to evaluate, each network.
        enough: Called before each network; once true, the remaining networks get no estimate.
        progress: Called with the networks probed and the total.

    Raises:
        UsageError: There is no such device, or a file of weights is missing.
    """
    start_seconds = process_start_seconds()
    workloads = _workload_keys(runs)
    keys = [(workloads[run.recipe.protocol_id], _networks_key(run)) for run in runs]
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
    """Return the number of images fed to the networks of the runs, with repetitions."""
    return sum(images_of(run, surveys[run.data_key]) for run in runs)


def estimate_run(run: Run, survey: Survey, probe: Probe | str, *, start_seconds: float) -> RunEstimate:
    """Estimate a run.

    Args:
        run: The run.
        survey: The survey of its data.
        probe: The measurements of its network, or why there are none.
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
        setup_seconds=probe.setup_seconds,
        image_seconds=probe.evaluation_seconds,
    )


def _workload_keys(runs: Sequence[Run]) -> dict[str, str]:
    """Return the workload key of each protocol id; recipes that differ in learning rates share it."""
    recipes = {run.recipe.protocol_id: run.recipe for run in runs}
    return {protocol: workload_key(recipe) for protocol, recipe in recipes.items()}


def _networks_key(run: Run) -> str:
    """Return a hash of the networks that a run computes: its own and its teacher's."""
    return digest([canonical_model(one.model) for one in (run, run.teacher) if one is not None])


def process_start_seconds() -> float:
    """Time the start of a process with preloaded modules."""
    call_in_process(_nothing)  # the first one loads them
    started = time.perf_counter()
    call_in_process(_nothing)
    return time.perf_counter() - started


def _probe_or_problem(run: Run, device: str, seconds: float) -> Probe | str:
    """Probe a network, or return why that fails; its run would fail likewise."""
    try:
        limit = Limit(_PROBE_SECONDS, keys=("the limit of an estimate",) * 2)
        return call_in_process(_probe, run, device, seconds, limit=limit)
    except (ModelRefusal, TrainingError, ProcessDied) as error:
        return str(error)


def _nothing() -> None:
    """What a process does whose start is timed."""


def _surveys(runs: Sequence[Run]) -> list[Survey]:
    """Survey several runs in one process, so that only this process imports torch."""
    from segbench.engine.estimate.data_survey import survey

    return [survey(run) for run in runs]


def _probe(run: Run, device: str, seconds: float) -> Probe:
    from segbench.engine.estimate.model_probe import probe

    return probe(run, device=device, seconds=seconds)
