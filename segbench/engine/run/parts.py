"""Builds the parts of a run from its recipe: compute settings, network, loss, predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from segbench.config.component import LossEntry
from segbench.config.plan import Recipe, Run
from segbench.data.base import DatasetInfo
from segbench.engine.device import ComputeConfig
from segbench.engine.evaluation.predictor import Predictor
from segbench.engine.training.losses.weighted_sum import WeightedSum, build_loss
from segbench.models.build import build_network
from segbench.models.weights.classes_map import for_classes


def training_config(recipe: Recipe, device: torch.device) -> ComputeConfig:
    """Return the compute settings of training, or those of the evaluation if the recipe does not train."""
    if recipe.train is None:
        return evaluation_config(recipe, device)
    return ComputeConfig(device, recipe.train.precision, recipe.train.channels_last)


def evaluation_config(recipe: Recipe, device: torch.device) -> ComputeConfig:
    """Return the compute settings of the evaluation; the precision is that of training unless set."""
    train = recipe.train
    precision = recipe.evaluate.precision or (train.precision if train else "fp32")
    return ComputeConfig(device, precision, train.channels_last if train else False)


def network_of(run: Run, info: DatasetInfo) -> nn.Module:
    """Build a run's network for the classes and channels of a data set.

    Raises:
        ModelRefusal: The network does not support what is asked.
        UsageError: Its options or weights are invalid.
    """
    model = for_classes(run.model, info.classes)
    return build_network(model, classes=len(info.classes), channels=info.channels, seed=run.seed, init=run.recipe.init)


def loss_of(recipe: Recipe, *, classes: int, median_frequency: Callable[[], Sequence[float]]) -> WeightedSum:
    """Build the loss of a recipe; without training it is cross-entropy, reported for the test split.

    Args:
        recipe: The recipe.
        classes: Number of classes.
        median_frequency: Returns measured class weights; called only if the recipe uses them.
    """
    terms = recipe.train.loss if recipe.train else (LossEntry(name="cross_entropy"),)
    return build_loss(terms, classes=classes, median_frequency=median_frequency)


def predictor_of(network: nn.Module, recipe: Recipe, *, classes: int, device: torch.device) -> Predictor:
    """Return the predictor with the evaluation settings of a recipe."""
    return Predictor(network, recipe.evaluate, classes=classes, compute=evaluation_config(recipe, device))
