"""Brings the network of a task into its runtime: pruned, exported, quantised, loaded, called once."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from segbench.config.sections.deploy import REFERENCE
from segbench.config.sections.training import Evaluate
from segbench.data.base import Sample, SegmentationDataset
from segbench.data.loading.pipeline import Pipeline
from segbench.data.subset import take
from segbench.deployment.export.difference import difference_of
from segbench.deployment.runtimes.catalog import RUNTIMES
from segbench.deployment.runtimes.job import Job
from segbench.deployment.suite.task import Task, prune_where_wanted, trained_network
from segbench.engine.evaluation.predictor import input_sizes
from segbench.engine.inference.apply import Ready
from segbench.engine.run.data import open_run_data
from segbench.errors import ModelRefusal
from segbench.results.deployments.record import CalibrationSet, Pruning


@dataclass(frozen=True)
class Prepared:
    """A network in its runtime.

    Attributes:
        module: Maps images to scores.
        job: What the runtime was asked for.
        calibration: What int8 was calibrated on.
        pruning: How the network was pruned.
        exporter: How its ONNX file was made.
        seconds: Export, quantisation, loading and the first call, without the comparison of scores.
        largest_difference: Of scores, from those of PyTorch.
        file_bytes: Size of its files.
    """

    module: nn.Module
    job: Job
    calibration: CalibrationSet | None
    pruning: Pruning | None
    exporter: str | None
    seconds: float
    largest_difference: float
    file_bytes: int


class CalibrationImages(NamedTuple):
    """Images to calibrate on.

    Attributes:
        images: (1, C, H, W) float32 each.
        record: Their names and their digest.
    """

    images: list[Tensor]
    record: CalibrationSet


def prepare(task: Task, trained: Ready, images: SegmentationDataset) -> Prepared:
    """Bring a network into its runtime, and compare its scores of seeded images with those before it was pruned.

    Args:
        task: What is to be done.
        trained: The network with its transforms, on the CPU.
        images: The test images.

    Raises:
        ModelRefusal: The network or the runtime cannot do it.
    """
    shutil.rmtree(task.files, ignore_errors=True)  # of a process that died
    task.files.mkdir(parents=True)
    pruning = _pruning(task, trained)
    calibration = _calibration(task, trained)
    runtime, job = RUNTIMES[task.target.runtime], _job(task, trained, images)
    network, again = trained_network(task), trained_network(task)
    started = time.perf_counter()
    made = runtime.make(network, job, calibration.images if calibration else [])
    module = runtime.load(lambda: again, job)
    with torch.inference_mode():
        module(torch.zeros(job.shapes()[0], device=job.place))
    seconds = time.perf_counter() - started - made.checking_seconds
    found = difference_of(
        trained.checkpoint.network, lambda given: module(given.to(job.place)).cpu(), job.shapes(most=1)
    )
    size = sum(file.stat().st_size for file in task.files.iterdir() if file.is_file())
    return Prepared(
        module, job, calibration and calibration.record, pruning, made.exporter, seconds, found.largest, size
    )


def is_reference(task: Task) -> bool:
    """Return whether a task is the one that all others are compared with."""
    return task.target.key == REFERENCE


def _job(task: Task, trained: Ready, images: SegmentationDataset) -> Job:
    return Job(
        target=task.target,
        folder=task.files,
        channels=trained.checkpoint.info.channels,
        sizes=sizes_given(images, trained.pipeline, task.run.recipe.evaluate),
        threads=task.run.threads,
        device=task.device,
        channels_last=task.channels_last,
    )


def sizes_given(images: SegmentationDataset, pipeline: Pipeline, settings: Evaluate) -> tuple[tuple[int, int], ...]:
    """Return heights and widths of all that a network is given, scales and tiles included, the most frequent first.

    Raises:
        DataError: An image cannot be read.
    """
    channels, dtype = images.info.channels, images.info.dtype

    @cache
    def transformed(height: int, width: int) -> tuple[int, int]:
        blank = Sample("blank", np.zeros((height, width, channels), dtype), np.zeros((height, width), np.uint8))
        _, *size = pipeline(blank).image.shape
        return size[0], size[1]

    found: Counter[tuple[int, int]] = Counter()
    for index in range(len(images)):
        height, width = transformed(*images.read(index).label.shape)
        found.update(input_sizes(height, width, settings))
    return tuple(size for size, _ in found.most_common())


def _pruning(task: Task, trained: Ready) -> Pruning | None:
    if task.target.prune is None:
        return None
    return prune_where_wanted(task, trained.checkpoint, open_run_data(task.run))


def _calibration(task: Task, trained: Ready) -> CalibrationImages | None:
    """Return what int8 is calibrated on; None for other precisions.

    Raises:
        ModelRefusal: There are no training images.
    """
    if task.target.precision != "int8":
        return None
    train = open_run_data(task.run).train
    if train is None:
        raise ModelRefusal("was not trained here, so that there are no training images to calibrate int8 on")
    settings = task.run.recipe.evaluate
    return calibration_images(train, trained.pipeline, settings, count=task.block.calibration_images)


def calibration_images(
    train: SegmentationDataset, pipeline: Pipeline, settings: Evaluate, *, count: int
) -> CalibrationImages:
    """Return training images after the test transforms, chosen by their names; under a window, their middle tile.

    Args:
        train: The training split.
        pipeline: The transforms of test images.
        settings: How networks are evaluated.
        count: How many.

    Raises:
        DataError: An image cannot be read.
    """
    chosen = take(train, count)
    images, digest = [], hashlib.sha256()
    for index, name in enumerate(chosen.names):
        image = _tile(pipeline(chosen.read(index)).image, settings)[None].contiguous()
        digest.update(name.encode())
        digest.update(image.numpy().tobytes())
        images.append(image)
    return CalibrationImages(images, CalibrationSet(images=tuple(chosen.names), digest=digest.hexdigest()))


def _tile(image: Tensor, settings: Evaluate) -> Tensor:
    if settings.window is None:
        return image
    height, width = (min(side, tile) for side, tile in zip(image.shape[-2:], settings.window.size, strict=True))
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[:, top : top + height, left : left + width]
