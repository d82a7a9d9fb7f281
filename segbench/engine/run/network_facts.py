"""What is written down of a run's network; what of it a reader has to know is told at once."""

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
    """Return what the record says of a network that was just built, by the record's names.

    Args:
        run: The run.
        model: Its network's entry, for the classes of its data.
        network: The network.
        info: What is true of the data set.
        tell: Told, in sentences, what a reader has to know.
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
    """Return, and tell, what a network from elsewhere gives for an image; None for built-in ones.

    Raises:
        ModelRefusal: It gives no scores, or not as many auxiliary outputs as the recipe has weights.
    """
    found = outputs_of_run(network, run.recipe.train, channels=channels, size=size)
    if found is not None:
        for note in found.notes(trained=run.recipe.train is not None):
            tell(note)
    return found


def _checkpoint_facts(run: Run, network: nn.Module, tell: Tell) -> dict[str, Any]:
    """Return what was taken of the checkpoint, and tell what was not; nothing without one."""
    report = weights_report_of(network)
    if report is None:
        return {}
    for note in weights_notes(report):
        tell(f"of {run.model.weights}, {note}")
    return weights_facts(report)


def _pretrained_facts(run: Run, network: nn.Module, tell: Tell) -> WeightsLoaded | None:
    """Return what started from a VGG-16's weights, and tell it where these lack a part; None without them."""
    report = pretrained_report_of(network)
    if report is None or run.model.weights is not None:  # a checkpoint of the whole network came after it
        return None
    loaded = WeightsLoaded(source=report.source, tensors=report.tensors, initialised=report.initialised)
    if loaded.initialised:
        tell(str(loaded))
    return loaded


def _initial_weights(run: Run, network: nn.Module, tell: Tell) -> InitialWeights | None:
    """Return what the scheme did; tell what no seed changes in a network that is not called pretrained."""
    found = initial_weights_of(network)
    if found is None:
        return None
    if found.kept and not run.model.pretrained:
        layers = f"{len(found.kept)} layer(s) of the network, {found.kept[0]} for one,"
        tell(f"{layers} start the same for every seed; train.init leaves them")
    return InitialWeights(score_layers=found.small, kept=found.kept)


def _group_facts(run: Run, network: nn.Module, tell: Tell) -> tuple[GroupFacts, ...] | None:
    """Return what each group of the optimizer takes of the network, and tell of those that take nothing."""
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
