"""Times the training loader without a network: what the data alone allows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

from segbench.config.plan import Run
from segbench.data.loading.loader import Batch, TrainingLoader
from segbench.engine.run.data import open_run_data
from segbench.errors import DataError
from segbench.results.speed.record import Restart, SpeedStatus
from segbench.speed.measure.conditions import watched
from segbench.speed.measure.memory import read_peak, reset_peak, resident_bytes
from segbench.speed.measure.timer import Timer

LEAST_BATCHES = 2


def time_loading(run: Run, timer: Timer) -> Restart:
    """Draw batches from a run's training loader and throw them away.

    Start-up, to the first batch, is told apart (``start``); with ``cache: memory`` or ``disk`` it fills the cache.
    ``first`` holds the seconds of every further batch of the first epoch, ``later`` those of the epochs after it. Each
    ends when half of the timer's seconds are used up. ``host_seconds`` are the later ones.

    Raises:
        DataError: The data cannot be read, or an epoch has too few batches to be timed.
    """
    materials = open_run_data(run)
    _ = materials.images  # what a run measures in the training split is known before it starts
    before, started = resident_bytes(), time.perf_counter()
    with materials.training_loader() as loader:
        if len(loader) < LEAST_BATCHES:
            raise DataError(
                f"an epoch of {len(loader)} batches is too short to time the loader; "
                f"it takes {LEAST_BATCHES}: lower train.batch_size or use more images"
            )
        first_epoch = loader.epoch(1)
        next(first_epoch)
        start = time.perf_counter() - started
        reset_peak(timer.device)
        with watched(timer.device) as watch:
            first = _between(first_epoch, timer.seconds / 2)
            later = _between(_later_epochs(loader), timer.seconds / 2)
    return Restart(
        status=SpeedStatus.MEASURED,
        host_seconds=later,
        parts_seconds={"start": (start,), "first": first, "later": later},
        memory=read_peak(timer.device, before=before),
        conditions=watch.conditions,
    )


def _later_epochs(loader: TrainingLoader) -> Iterator[Batch]:
    for epoch in count(2):
        yield from loader.epoch(epoch)


def _between(batches: Iterator[Batch], seconds: float) -> tuple[float, ...]:
    """Return the seconds from batch to batch, for as long as there are batches and time, at least one."""
    times: list[float] = []
    started = last = time.perf_counter()
    for _ in batches:
        now = time.perf_counter()
        times.append(now - last)
        last = now
        if now - started > seconds:
            break
    return tuple(times)
