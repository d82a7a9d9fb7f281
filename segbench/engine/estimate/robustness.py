"""What it takes to test the trained networks of a suite again, from measured corruptions and the runs' estimates."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segbench.config.plan import Run
from segbench.config.sections.robustness import Robustness
from segbench.data.base import SegmentationDataset
from segbench.engine.estimate.estimate import RunEstimate, process_start_seconds
from segbench.engine.processes import call_in_process
from segbench.engine.robustness.conditions import conditions_of, images_under, splits_of
from segbench.metrics.calibration import calibration_counts


@dataclass(frozen=True)
class ConditionCost:
    """What one condition takes beside the networks.

    Attributes:
        images: How many images are tested.
        image_seconds: To read one and to corrupt it; done once for all networks.
        counting_seconds: To count the calibration of one; done for each network.
    """

    images: int
    image_seconds: float
    counting_seconds: float = 0.0


@dataclass(frozen=True)
class RobustnessEstimate:
    """What the further tests of a suite take, done or not.

    Attributes:
        conditions: How many conditions: each severity of a corruption, each other data set, the training images.
        tests: Networks times conditions.
        images: Images that are tested, all networks and conditions together.
        seconds: Time of all tests of which something is known.
    """

    conditions: int
    tests: int
    images: int
    seconds: float


def estimate_robustness(runs: Sequence[Run], estimates: Sequence[RunEstimate], block: Robustness) -> RobustnessEstimate:
    """Measure what the conditions of a block take on the first image, and work out the time of all tests.

    Args:
        runs: The runs of a suite; trials are not tested again.
        estimates: What is known of each of them.
        block: The suite's block.

    Raises:
        DataError: A data set is missing or wrong, or has classes that stand for none.
    """
    pairs = [(run, known) for run, known in zip(runs, estimates, strict=True) if run.role != "trial"]
    sharing: dict[tuple[str, int | None], list[tuple[Run, RunEstimate]]] = defaultdict(list)
    for run, known in pairs:
        sharing[run.recipe.dataset.model_dump_json(), run.fold].append((run, known))
    start, conditions = process_start_seconds(), conditions_of(block)
    images, seconds = 0, 0.0
    for group in sharing.values():
        costs = call_in_process(_costs, group[0][0], block)
        images += len(group) * sum(cost.images for cost in costs)
        seconds += sum(seconds_under(cost, [known for _, known in group], start_seconds=start) for cost in costs)
    return RobustnessEstimate(len(conditions), len(pairs) * len(conditions), images, seconds)


def seconds_under(cost: ConditionCost, networks: Sequence[RunEstimate], *, start_seconds: float) -> float:
    """Return the time of one condition: its images are made once, in a process that tests all networks on them."""
    known = [network for network in networks if network.problem is None]
    each = [network.setup_seconds + cost.images * (network.image_seconds + cost.counting_seconds) for network in known]
    return start_seconds + cost.images * cost.image_seconds + sum(each)


def _costs(run: Run, block: Robustness) -> list[ConditionCost]:
    """Measure every condition for the networks that share a data set and a fold; of a corruption, one severity."""
    splits = splits_of(run)
    splits.test.read(0)  # the first image is slower
    middle = sorted(block.severities)[len(block.severities) // 2]
    measured: dict[str, tuple[float, float]] = {}
    costs = []
    for condition in conditions_of(block):
        images = images_under(condition, splits, block)
        if condition.name not in measured:
            typical = condition if condition.severity is None else condition.model_copy(update={"severity": middle})
            measured[condition.name] = _image_seconds(images_under(typical, splits, block))
        costs.append(ConditionCost(len(images), *measured[condition.name]))
    return costs


def _image_seconds(images: SegmentationDataset) -> tuple[float, float]:
    """Return the seconds of reading the first image, and of counting the calibration of one as large."""
    started = time.perf_counter()
    label = images.read(0).label
    read = time.perf_counter()
    calibration_counts(label, np.zeros_like(label), np.random.default_rng(0).random(label.shape, np.float32))
    return read - started, time.perf_counter() - read
