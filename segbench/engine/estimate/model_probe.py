"""Measures what an estimate is worked out from: a few steps of a network on this machine, on the first images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

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
from segbench.engine.evaluation.details import Details
from segbench.engine.evaluation.evaluate import Evaluation, evaluate
from segbench.engine.evaluation.predictions import PredictionArchive
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.evaluation.sample_pictures import save_pictures
from segbench.engine.run.data import RunData
from segbench.engine.run.facts import weights_digest
from segbench.engine.run.parts import loss_of, network_of, predictor_of, training_config
from segbench.engine.training.epoch_meter import EpochMeter
from segbench.engine.training.history import History
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.engine.training.trainer import Trainer
from segbench.models.build import check_input
from segbench.models.cost import count_weights_bytes
from segbench.results.arrays.details import ImageDetails, save_details
from segbench.results.arrays.matrices import save_matrices
from segbench.results.run_files import DETAILS_FILE

T = TypeVar("T")

MOST_STEPS = 20
"""Steps after which a median does not get better."""

SLOW_FIRST_STEP = 4.0
"""A first step that takes so many times the time there is for all is the only one."""


def probe(run: Run, *, device: str, seconds: float) -> Probe:
    """Build a run's network and time a few steps of training and evaluation on the first images.

    Args:
        run: The run.
        device: auto, cpu, cuda, cuda:N or mps.
        seconds: About how long each of the two may take.

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
    classes = len(run_data.info.classes)
    loss = loss_of(run.recipe, classes=classes, median_frequency=lambda: [1.0] * classes)
    steps = _trained(network, whole, run_data, loss, compute=compute, seconds=seconds)
    predictor = predictor_of(network, run.recipe, classes=classes, device=chosen)
    passes = evaluations(predictor, run_data, loss, seconds=seconds)
    passing = [one.evaluation.seconds for one in passes]
    return Probe(
        setup_seconds=setup_seconds + first_excess(steps) + first_excess(passing),
        step_seconds=typical(steps),
        evaluation_seconds=typical(passing) / len(run_data.test),
        **looking_figures(passes, threads_of_run(chosen, ALONE, workers=run.loader.workers), images=len(run_data.test)),
        peak_memory_bytes=compute.peak_memory_bytes(),
        checkpoint_bytes=count_weights_bytes(network),
        **_sizes_on_disk(passes[0], run_data.test),
    )


def step_times(trainer: Trainer, batch: Batch, *, seconds: float) -> list[float]:
    """Train on one batch again and again; return the seconds of each step, the first included."""
    meter = EpochMeter(1, trainer.loss.names)
    trainer.network.train()

    def step() -> float:
        started = time.perf_counter()
        trainer.train_step(iter([batch]), meter)
        trainer.compute.synchronize()
        return time.perf_counter() - started

    with trainer.compute.matrix_precision():
        return repeated(step, lambda taken: taken, seconds=seconds, most=min(MOST_STEPS, trainer.total_steps))


@dataclass(frozen=True)
class Pass:
    """One evaluation of the few images, and what it would store.

    Attributes:
        evaluation: Matrices, times and one picture.
        details: What was counted beside the matrices.
        counting_seconds: Of the time of looking closer, what threads do in a run.
        archive_bytes: Size of all predictions.
    """

    evaluation: Evaluation
    details: ImageDetails
    counting_seconds: float
    archive_bytes: int


class _TimedDetails(Details):
    """Looks at images in this thread, and keeps how long that took."""

    seconds = 0.0

    def update(self, *image: Any) -> None:
        """Add one image."""
        started = time.perf_counter()
        super().update(*image)
        self.seconds += time.perf_counter() - started


def evaluations(predictor: Predictor, run_data: RunData, loss: WeightedSum, *, seconds: float) -> list[Pass]:
    """Evaluate the few images again and again; their decoding is left to the first pass."""
    loader = run_data.evaluation_loader(run_data.test, pin_memory=predictor.compute.device.type == "cuda")

    def evaluated() -> Pass:
        file = BytesIO()
        with PredictionArchive(file, run_data.info.palette) as archive:
            timed = _TimedDetails(predictor.classes, archive)
            found = evaluate(predictor, loader, loss=loss, keep=(0,), details=timed)
        return Pass(found, timed.compute(), timed.seconds, len(file.getvalue()))

    return repeated(evaluated, lambda found: found.evaluation.seconds, seconds=seconds, most=MOST_STEPS)


def repeated(do: Callable[[], T], seconds_of: Callable[[T], float], *, seconds: float, most: int) -> list[T]:
    """Do something once and then, unless that took very long, at least once more and until the time is over."""
    found = [do()]
    if seconds_of(found[0]) > SLOW_FIRST_STEP * seconds:
        return found
    while len(found) < most and sum(map(seconds_of, found[1:])) < seconds:
        found.append(do())
    return found


def typical(times: list[float]) -> float:
    """Return the median of all but the first, which is slower; of the first where there is no other."""
    return median(times[1:] or times)


def first_excess(times: list[float]) -> float:
    """Return by how much the first took longer than the others usually do."""
    return max(0.0, times[0] - typical(times))


def _first_images(run_data: RunData) -> RunData:
    """Return the same with one batch of each split, decoded once."""
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
    """Build the network as a run does; its cost is not counted, which takes a run a few tenths of a second."""
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
    """Return the seconds of a few training steps, a single 0 when nothing is trained.

    The trainer is that of the whole split, so that its schedule is the run's; it writes no history.
    """
    recipe = whole.run.recipe.train
    if recipe is None:
        compute.place(network)
        return [0.0]
    history = History(Path("never-written.csv"))
    trainer = Trainer(network, recipe, loader=whole.training_loader(), loss=loss, compute=compute, history=history)
    with run_data.training_loader(pin_memory=compute.device.type == "cuda") as loader:
        batch = next(loader.epoch(1))
    return step_times(trainer, batch, seconds=seconds)


def looking_figures(passes: list[Pass], threads: Threads, *, images: int) -> dict[str, float]:
    """Return what looking closer at one image takes in a run with its threads, by the field of ``Probe``."""
    counting = typical([one.counting_seconds for one in passes]) / images
    own = max(0.0, typical([one.evaluation.detail_seconds for one in passes]) / images - counting)
    shared = counting / threads.count
    if threads.in_background:
        return {"detail_seconds": own, "background_seconds": shared}
    return {"detail_seconds": own + shared}


def _sizes_on_disk(found: Pass, split: SegmentationDataset) -> dict[str, float]:
    """Write what an evaluation leaves behind, and return the size of one image's part of it."""
    images, shown = len(found.details.names), found.evaluation.pictures
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_matrices(folder / "confusion.npz", found.evaluation.matrices)
        save_details(folder / DETAILS_FILE, found.details)
        counted = sum(file.stat().st_size for file in folder.iterdir())
        save_pictures(folder / "samples", shown, split)
        pictures = sum(file.stat().st_size for file in (folder / "samples").iterdir())
    return {
        "counted_bytes": counted / images,
        "prediction_bytes": found.archive_bytes / images,
        "picture_bytes": pictures / max(1, len(shown)),
    }
