"""Measures a few training steps and evaluations of a network on the first images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from torch import nn

from segbench.config.plan import Run
from segbench.data.base import SegmentationDataset
from segbench.data.cache.datasets import MemoryCache
from segbench.data.loading.loader import Batch
from segbench.data.loading.threads import torch_threads
from segbench.data.subset import Subset
from segbench.engine.background import Threads, threads_of_run
from segbench.engine.device import ComputeConfig, use_device
from segbench.engine.distributed import ALONE
from segbench.engine.estimate.cost_model import Probe
from segbench.engine.estimate.data_survey import uncached
from segbench.engine.evaluation.evaluate import Evaluation
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.run.data import RunData
from segbench.engine.run.facts import weights_digest
from segbench.engine.run.final_evaluation import PICTURES_A_SAMPLE, evaluate_and_store
from segbench.engine.run.parts import loss_of, network_of, predictor_of, training_config
from segbench.engine.training.distillation import Teacher
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.engine.training.trainer import Trainer
from segbench.models.build import check_input
from segbench.models.cost import count_weights_bytes
from segbench.results.run_files import PREDICTIONS_FILE, SAMPLES_FOLDER

T = TypeVar("T")

MOST_STEPS = 20
"""Largest number of repetitions; more do not improve the median."""

SLOW_FIRST_STEP = 4.0
"""A first step longer than this multiple of the available time is the only one."""


def probe(run: Run, *, device: str, seconds: float) -> Probe:
    """Build a run's network and time a few steps of training and evaluation on the first images.

    Args:
        run: The run.
        device: auto, cpu, cuda, cuda:N or mps.
        seconds: Approximate time for each of the two.

    Raises:
        UsageError: The data or the weights are missing, or there is no such device.
        ModelRefusal: The network cannot take the images.
    """
    with torch_threads(run.threads):
        return _measured(run, use_device(device), seconds=seconds)


def _measured(run: Run, chosen: torch.device, *, seconds: float) -> Probe:
    """Build a network and time it; the arguments are those of ``probe``."""
    whole = uncached(run)
    run_data = _first_images(whole)
    for split in run_data.splits.values():
        split.prepare()  # reading them is part of the survey
    started = time.perf_counter()
    network = _built(run, run_data)
    setup_seconds = time.perf_counter() - started
    compute = training_config(run.recipe, chosen)
    compute.reset_peak_memory()
    images, classes = len(run_data.test), len(run_data.info.classes)
    loss = loss_of(run.recipe, classes=classes, median_frequency=lambda: [1.0] * classes)
    steps = _trained(network, whole, run_data, loss, compute=compute, seconds=seconds)
    predictor = predictor_of(network, run.recipe, classes=classes, device=chosen)
    threads = threads_of_run(chosen, ALONE, workers=run.loader.workers)
    with tempfile.TemporaryDirectory() as name:
        passes = evaluations(predictor, run_data, loss, threads=threads, folder=Path(name), seconds=seconds)
        sizes = sizes_on_disk(Path(name), images=images)
    passing, details = [found.seconds for found in passes], [found.detail_seconds for found in passes]
    return Probe(
        setup_seconds=setup_seconds + first_excess(steps) + first_excess(passing),
        step_seconds=typical(steps),
        evaluation_seconds=typical(passing) / images,
        **detail_times(typical(details), threads, images=images),
        peak_memory_bytes=compute.peak_memory_bytes(),
        checkpoint_bytes=count_weights_bytes(network),
        **sizes,
    )


def step_times(trainer: Trainer, batch: Batch, *, seconds: float) -> list[float]:
    """Train on one batch repeatedly; return the seconds of each step, including the first."""
    meter = EpochMeter(1, trainer.loss.names)
    trainer.network.train()

    def step() -> float:
        started = time.perf_counter()
        trainer.train_step(iter([batch]), meter)
        trainer.compute.synchronize()
        return time.perf_counter() - started

    with trainer.compute.matrix_precision():
        return repeated(step, lambda taken: taken, seconds=seconds, most=min(MOST_STEPS, trainer.total_steps))


def evaluations(
    predictor: Predictor, run_data: RunData, loss: WeightedSum, *, threads: Threads, folder: Path, seconds: float
) -> list[Evaluation]:
    """Evaluate a few images repeatedly, as a run does; only the first pass decodes them.

    Args:
        predictor: Applies the network.
        run_data: The images.
        loss: The loss of the recipe.
        threads: Threads that compute details of images.
        folder: Receives the files of the evaluation.
        seconds: Approximate time for all passes.
    """

    def evaluated() -> Evaluation:
        found = evaluate_and_store(predictor, run_data, folder, loss=loss, threads=threads)
        assert found is not None, "this process is the first of its group"
        return found

    return repeated(evaluated, lambda found: found.seconds, seconds=seconds, most=MOST_STEPS)


def repeated(do: Callable[[], T], seconds_of: Callable[[T], float], *, seconds: float, most: int) -> list[T]:
    """Call a function once and, unless that took too long, at least once more until the time is over."""
    found = [do()]
    if seconds_of(found[0]) > SLOW_FIRST_STEP * seconds:
        return found
    while len(found) < most and sum(map(seconds_of, found[1:])) < seconds:
        found.append(do())
    return found


def typical(times: list[float]) -> float:
    """Return the median without the first, slower value; the first value if it is the only one."""
    return median(times[1:] or times)


def first_excess(times: list[float]) -> float:
    """Return the extra time of the first value over the median of the others."""
    return max(0.0, times[0] - typical(times))


def _first_images(run_data: RunData) -> RunData:
    """Limit each split to one batch, decoded once."""
    train = run_data.run.recipe.train
    batch_size = train.batch_size if train else 1
    return replace(
        run_data,
        test=_kept(run_data.test, run_data.run.recipe.evaluate.batch_size),
        train=_kept(run_data.train, batch_size) if run_data.train is not None else None,
    )


def _kept(split: SegmentationDataset, count: int) -> SegmentationDataset:
    return MemoryCache(Subset(split, range(min(count, len(split)))))


def _built(run: Run, run_data: RunData) -> nn.Module:
    """Build the network as a run does, but without counting its cost, which takes a few tenths of a second."""
    network = network_of(run, run_data.info)
    weights_digest(run, network)
    for size in sorted(run_data.seen_sizes([run_data.test.read(0).label.shape])):
        check_input(network, *size)
    return network


def _trained(
    network: nn.Module,
    whole: RunData,
    run_data: RunData,
    loss: WeightedSum,
    *,
    compute: ComputeConfig,
    seconds: float,
) -> list[float]:
    """Return the seconds of a few training steps; a single 0 without training.

    The trainer gets the loader of the whole split, so that its schedule is that of the run; it writes no history.
    """
    recipe = whole.run.recipe.train
    if recipe is None:
        compute.place(network)
        return [0.0]
    history = History(Path("never-written.csv"))
    trainer = Trainer(
        network,
        recipe,
        loader=whole.training_loader(),
        loss=loss,
        compute=compute,
        history=history,
        teacher=_untrained_teacher(whole, compute),
    )
    with run_data.training_loader(pin_memory=compute.device.type == "cuda") as loader:
        batch = next(loader.epoch(1))
    return step_times(trainer, batch, seconds=seconds)


def detail_times(detail_seconds: float, threads: Threads, *, images: int) -> dict[str, float]:
    """Return the time for the details of an image in a run, as fields of ``Probe``.

    Args:
        detail_seconds: Time for which the evaluation of a few images waited for their details.
        threads: Threads that compute them.
        images: Number of images.
    """
    rounds = ceil(images / threads.count)
    seconds = detail_seconds / (rounds * threads.count)
    return {"background_seconds": seconds} if threads.in_background else {"detail_seconds": seconds}


def _untrained_teacher(whole: RunData, compute: ComputeConfig) -> Teacher | None:
    """Return the teacher of a run with its initial weights, which takes as long as the trained one."""
    teacher, recipe = whole.run.teacher, whole.run.recipe.train
    if teacher is None or recipe is None or recipe.distill is None:
        return None
    return Teacher(network_of(teacher, whole.info), recipe.distill, compute)


def sizes_on_disk(folder: Path, *, images: int) -> dict[str, float]:
    """Return the disk space per image of a stored evaluation, as fields of ``Probe``."""
    size = {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    predictions = size.pop(PREDICTIONS_FILE, 0)
    pictures = [file.stat().st_size for file in folder.glob(f"{SAMPLES_FOLDER}/*")]
    return {
        "counted_bytes": sum(size.values()) / images,
        "prediction_bytes": predictions / images,
        "picture_bytes": PICTURES_A_SAMPLE * sum(pictures) / max(1, len(pictures)),
    }
