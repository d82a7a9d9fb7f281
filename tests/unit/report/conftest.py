"""Results folders for tests of reports."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from stored import HOSTILE, some_images, write_run, write_speed_of

from segbench.results.record import Outcome, Status
from segbench.results.speed.record import SpeedRecord


@pytest.fixture
def add(results) -> Callable[..., Path]:
    """Write one run below ``results``; see ``write_run``."""
    return partial(write_run, results)


@pytest.fixture
def train(add) -> Callable[..., None]:
    """Write three trainings of a network that differ a little, tested on the same images."""

    def train(label: str, hits: int, **changes: Any) -> None:
        for seed in range(3):
            add(label, seed=seed, matrices=some_images(hits + seed - 1, seed=10 * hits + seed), **changes)

    return train


@pytest.fixture
def measure(results) -> Callable[..., SpeedRecord]:
    """Store what was measured of a network below ``results``; see ``write_speed_of``."""
    return partial(write_speed_of, results)


@pytest.fixture
def results(tmp_path) -> Path:
    """The results root that ``add`` writes to."""
    return tmp_path / "results"


@pytest.fixture
def hostile(add, results) -> Path:
    """A suite in which every name is hostile, some runs failed, one is damaged and one has other classes."""
    for number, label in enumerate(HOSTILE):
        for seed in (0, 1):
            add(label, seed, 40 + 3 * number + seed, classes=("a|b", "<b>", "$x$"), speed=10.0 * (number + 1))
    add("fa|iled", outcome=Outcome(status=Status.FAILED, reason="out of <memory> | [red]\nmore\x1b[0m"))
    add("skipped", outcome=Outcome(status=Status.SKIPPED, reason="cannot take 30x30"))
    (add("damaged") / "run.json").write_text("{")
    return results
