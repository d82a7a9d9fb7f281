"""Facts about a run's network for its record; reports those that a reader should know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.plan import Run
from segbench.config.sections.classes_map import mapped_by_name
from segbench.data.base import DatasetInfo
from segbench.engine.run.facts import weights_digest
from segbench.engine.run.network_outputs import outputs_of_run
from segbench.engine.run.weights_taken import weights_facts, weights_notes
from segbench.engine.training.optim.parameter_groups import shares
from segbench.models.base import count_parameters
from segbench.models.build import initial_weights_of, pretrained_report_of, weights_report_of
from segbench.results.outputs import OutputFacts
from segbench.results.record import GroupFacts, InitialWeights, WeightsLoaded

Tell = Callable[[str], None]


def network_facts(run: Run, model: ModelEntry, network: nn.Module, info: DatasetInfo, tell: Tell) -> dict[str, Any]:
    """Return the facts of a network that was just built, by field names of the record.

    Args:
        run: The run.
        model: The network's entry, with the classes of the data.
        network: The network.
        info: Facts about the data set.
        tell: Called with sentences that a reader should know.
    """
    if adapted := getattr(network, "adapted", ""):
        tell(adapted)
    return {
        "parameters": count_parameters(network),
        "weights_digest": weights_digest(run, network),
        **_checkpoint_facts(run, network, tell),
        "classes_map": mapped_by_name(model.classes_map, info.classes),
        "weights_loaded": _pretrained_facts(run, network, tell),
        "initial_weights": _initial_weights(run, network, tell),
        "citation": getattr(network, "citation", ""),
        "parameter_groups": _group_facts(run, network, tell),
    }


def output_facts(
    run: Run, network: nn.Module, *, channels: int, size: tuple[int, int], tell: Tell
) -> OutputFacts | None:
    """Return and report what an external network outputs for an image; None for built-in ones.

    Raises:
        ModelRefusal: It outputs no scores, or the number of auxiliary outputs does not match the recipe's weights.
    """
    found = outputs_of_run(network, run.recipe.train, channels=channels, size=size)
    if found is not None:
        for note in found.notes(trained=run.recipe.train is not None):
            tell(note)
    return found


def _checkpoint_facts(run: Run, network: nn.Module, tell: Tell) -> dict[str, Any]:
    """Return what was loaded from the checkpoint and report mismatches; empty without a checkpoint."""
    report = weights_report_of(network)
    if report is None:
        return {}
    for note in weights_notes(report):
        tell(f"of {run.model.weights}, {note}")
    return weights_facts(report)


def _pretrained_facts(run: Run, network: nn.Module, tell: Tell) -> WeightsLoaded | None:
    """Return which parts were loaded from VGG-16 weights, and report missing parts; None without them."""
    report = pretrained_report_of(network)
    if report is None or run.model.weights is not None:  # a checkpoint of the whole network replaced them
        return None
    loaded = WeightsLoaded(source=report.source, tensors=report.tensors, initialised=report.initialised)
    if loaded.initialised:
        tell(str(loaded))
    return loaded


def _initial_weights(run: Run, network: nn.Module, tell: Tell) -> InitialWeights | None:
    """Return what the init scheme did; report layers that are equal for all seeds in an untrained network."""
    found = initial_weights_of(network)
    if found is None:
        return None
    if found.kept and not run.model.pretrained:
        layers = f"{len(found.kept)} layer(s) of the network, {found.kept[0]} for one,"
        tell(f"{layers} start the same for every seed; train.init leaves them")
    return InitialWeights(score_layers=found.small, kept=found.kept)


def _group_facts(run: Run, network: nn.Module, tell: Tell) -> tuple[GroupFacts, ...] | None:
    """Return the parameters of each optimizer group, and report groups without any."""
    train = run.recipe.train
    groups = train.optimizer.groups if train is not None else None
    if not groups:
        return None
    found = shares(groups, network)
    for group, share in zip(groups, found, strict=True):
        if not share.tensors:
            tell(f"has no parameter {group.title} (train.optimizer.groups)")
    return tuple(
        GroupFacts(tensors=share.tensors, matched=share.parameters, **group.model_dump())
        for group, share in zip(groups, found, strict=True)
    )
