"""Selects the networks of a suite to check: each once, at sizes that suit the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from segbench.config.component import ModelEntry, ScheduleEntry, TransformEntry
from segbench.config.load import check, set_options
from segbench.config.plan import Recipe, Run
from segbench.config.sections.channels import given_channels
from segbench.config.sections.training import Evaluate
from segbench.config.suite import Suite
from segbench.data.base import ImageFormat, Sample
from segbench.data.loading.pipeline import Pipeline
from segbench.engine.device import computes_bf16
from segbench.engine.estimate.data_survey import uncached
from segbench.engine.run.data import RunData
from segbench.errors import DataError
from segbench.registry import MODELS

SMALL_SIZE = (32, 48)
"""Height and width of images on the CPU; a network that does not support them gets the next supported size."""
SMALL_BATCH = 2
CATALOGUE_SIZE = (224, 224)
"""Height and width of the catalogue's images on an accelerator."""
CATALOGUE_BATCH = 8
SMALL_WIDTH = 0.125
"""Width of the catalogue's networks on the CPU, if they have a width option."""
ABSENT_SIZE = (360, 480)
ABSENT_CLASSES = 21
"""Assumed images of a suite whose data is missing."""


@dataclass(frozen=True)
class NetworkCase:
    """A network to check, with its inputs and recipe.

    Attributes:
        model: The network.
        recipe: The suite's recipe; ``train`` is None for networks that are only evaluated.
        classes: Number of classes.
        channels: Number of image channels.
        training_size: Height and width of an image in a training step.
        test_size: Height and width of an image in inference.
        adapts: Whether a network that does not support a size gets the next larger one.
        seed: Seed of its initial weights.
        device: cpu, cuda, cuda:N or mps.
    """

    model: ModelEntry
    recipe: Recipe
    classes: int
    channels: int
    training_size: tuple[int, int]
    test_size: tuple[int, int]
    adapts: bool
    seed: int
    device: str


@dataclass(frozen=True)
class Images:
    """Inputs of a suite's networks.

    Attributes:
        classes: Number of classes.
        channels: Number of image channels.
        training_size: Height and width of an image in a training step.
        test_size: Height and width of an image in inference.
        problem: Why the suite's data cannot be read; then the other fields are assumptions.
    """

    classes: int
    channels: int
    training_size: tuple[int, int]
    test_size: tuple[int, int]
    problem: str | None = None


def catalogue_suite(device: torch.device, *, overrides: Sequence[str] = ()) -> Suite:
    """Return a suite of all networks of the catalogue that work without further options, on generated scenes.

    Args:
        device: On the CPU, networks are narrow; bf16 is checked if the device supports it.
        overrides: ``dotted.key=value`` lines.

    Raises:
        SuiteError: A key or value is invalid.
    """
    precision = "bf16" if computes_bf16(device) else "fp32"
    document: dict[str, Any] = {
        "name": "catalogue",
        "dataset": {"name": "scenes", "size": list(CATALOGUE_SIZE), "train_images": CATALOGUE_BATCH, "test_images": 1},
        "models": MODELS.complete_names(),
        "train": {"steps": 1, "batch_size": CATALOGUE_BATCH, "precision": precision},
    }
    if device.type == "cpu":
        document["defaults"] = {"width": SMALL_WIDTH}
    else:
        document["train"]["channels_last"] = True
    set_options(document, overrides)
    return check(document)


def images_of(run: Run) -> Images:
    """Return the inputs of a suite's networks from its first images; assumed if its data cannot be read."""
    try:
        return _seen(uncached(run))
    except DataError as error:
        return _assumed(run, problem=str(error))


def cases_of(runs: Sequence[Run], images: Images, *, device: torch.device, adapts: bool) -> list[NetworkCase]:
    """Return each network of a suite once, with the recipe of its first run.

    Args:
        runs: Runs of one suite.
        images: Inputs of its networks.
        device: The device of the checks. On the CPU, images are small and few regardless of the suite.
        adapts: Whether networks that do not support the suite's image size get larger images.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.model.model_dump_json(), run)
    small = device.type == "cpu"
    return [
        NetworkCase(
            model=run.model,
            recipe=_tried(run.recipe, small=small),
            classes=images.classes,
            channels=images.channels,
            training_size=SMALL_SIZE if small else images.training_size,
            test_size=SMALL_SIZE if small else images.test_size,
            adapts=small or adapts,
            seed=run.seed,
            device=str(device),
        )
        for run in first.values()
    ]


def _tried(recipe: Recipe, *, small: bool) -> Recipe:
    """Reduce a recipe to a single step: one batch at the full learning rate, without compilation."""
    train, evaluate = recipe.train, recipe.evaluate
    if train is not None:
        changes: dict[str, Any] = {"compile": False, "accumulate": 1, "schedule": ScheduleEntry(name="constant")}
        changes |= {"epochs": None, "steps": 1000, "validate_every": None, "select": "last"}
        train = train.model_copy(update=changes | ({"batch_size": SMALL_BATCH} if small else {}))
    if small:
        evaluate = Evaluate(batch_size=SMALL_BATCH, precision=evaluate.precision)
    return recipe.model_copy(update={"train": train, "evaluate": evaluate})


def _seen(run_data: RunData) -> Images:
    test = run_data.first_test_size()
    return Images(
        classes=len(run_data.info.classes),
        channels=run_data.info.channels,
        training_size=run_data.first_training_size() or test,
        test_size=test,
    )


def _of_size(steps: Sequence[TransformEntry]) -> list[TransformEntry]:
    """Return the transforms that change the image size, without measured statistics."""
    return [step for step in steps if step.name != "normalize"]


def _assumed(run: Run, *, problem: str) -> Images:
    channels = given_channels(run.recipe.dataset) or 3
    blank = Sample("blank", np.zeros((*ABSENT_SIZE, channels), np.uint8), np.zeros(ABSENT_SIZE, np.uint8))
    steps, images = run.recipe.transforms, ImageFormat(channels)
    training = Pipeline(_of_size(steps.train), training=True, images=images)(blank, (0,)).image.shape
    test = Pipeline(_of_size(steps.test), training=False, images=images)(blank).image.shape
    return Images(
        classes=ABSENT_CLASSES,
        channels=channels,
        training_size=(training[-2], training[-1]),
        test_size=(test[-2], test[-1]),
        problem=problem,
    )
