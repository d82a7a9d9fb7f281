"""Measures the amount of data of a recipe and its loading time."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from statistics import mean

from segbench.config.plan import Run
from segbench.config.suite import Loader
from segbench.data.base import SegmentationDataset
from segbench.data.cache.datasets import MemoryCache
from segbench.data.loading.batch import FailedSample
from segbench.data.loading.pipeline import Pipeline
from segbench.data.loading.statistics import measure
from segbench.data.loading.workers import Key, Reader
from segbench.data.subset import Subset
from segbench.engine.estimate.cost_model import LoadTime, Survey
from segbench.engine.run.data import RunData, open_run_data
from segbench.engine.run.parts import loss_of
from segbench.engine.training.accumulation import steps_per_epoch, total_steps

LOADED_IMAGES = 16
"""Images of each split that are timed, besides the slower first one."""

LOAD_SECONDS = 0.5
"""Time limit per split; no further image is loaded after it."""


def survey(run: Run) -> Survey:
    """Open and hash the splits of a run, and time the loading of a few images of each.

    Raises:
        UsageError: The data is missing or wrong.
    """
    started = time.perf_counter()
    run_data = uncached(run)
    _ = run_data.fingerprints
    for split in run_data.splits.values():
        split.prepare()
    setup_seconds = time.perf_counter() - started
    first = run_data.test.read(0)
    found = Survey(
        test_images=len(run_data.test),
        test_load=load_time(run_data.test, run_data.test_pipeline(), run.seed),
        image_bytes=first.image.nbytes + first.label.nbytes,
        setup_seconds=setup_seconds,
    )
    return found if run.recipe.train is None else _with_training(found, run_data)


def load_time(split: SegmentationDataset, pipeline: Pipeline, seed: int) -> LoadTime:
    """Time decoding and transforms of the first images of a split, in this process.

    Raises:
        DataError: One of them cannot be read or transformed.
    """
    decoded = MemoryCache(split)
    reader = Reader(decoded, pipeline, seed)
    reading: list[float] = []
    transforming: list[float] = []
    for position in range(min(len(split), LOADED_IMAGES + 1)):
        if len(reading) > 1 and sum(reading) + sum(transforming) > LOAD_SECONDS:
            break
        started = time.perf_counter()
        decoded.read(position)
        read = time.perf_counter()
        fed = reader[Key(1, position)]
        if isinstance(fed, FailedSample):
            raise fed.error
        reading.append(read - started)
        transforming.append(time.perf_counter() - read)
    return LoadTime(mean(reading[1:] or reading), mean(transforming[1:] or transforming))


def uncached(run: Run) -> RunData:
    """Open the splits of a run without workers and cache; channel statistics come from its first images."""
    run_data = open_run_data(run.model_copy(update={"loader": Loader()}))
    if run_data.train is None or not run_data.measures:
        return run_data
    first = Subset(run_data.train, range(min(len(run_data.train), LOADED_IMAGES)))
    return replace(run_data, statistics=measure(first))


def _with_training(found: Survey, run_data: RunData) -> Survey:
    recipe = run_data.run.recipe
    assert recipe.train is not None
    assert run_data.train is not None
    batches = len(run_data.training_loader())
    steps, epoch_steps = total_steps(recipe.train, batches), steps_per_epoch(recipe.train, batches)
    epochs = math.ceil(steps / epoch_steps)
    asked: list[bool] = []

    def median_frequency() -> list[float]:
        asked.append(True)
        return [1.0] * len(run_data.info.classes)

    loss_of(recipe, classes=len(run_data.info.classes), median_frequency=median_frequency)
    validation = run_data.validation
    return replace(
        found,
        batches=round(steps / epoch_steps * batches),
        epochs=epochs,
        steps=steps,
        train_images=len(run_data.train),
        validation_images=len(validation) if validation is not None else 0,
        validations=math.ceil(epochs / (recipe.train.validate_every or 1)) if validation is not None else 0,
        label_passes=len(asked),
        train_load=load_time(run_data.train, run_data.training_pipeline(), run_data.run.seed),
    )
