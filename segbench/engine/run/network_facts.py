"""Facts about a run's network for its record; reports those that a reader should know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.plan import Run
from segbench.config.sections.classes_map import mapped_by_name
from segbench.data.base import DatasetInfo
from segbench.engine.run.facts import weights_digest
from segbench.engine.run.network_outputs import outputs_of_run
from segbench.engine.training.optim.parameter_groups import shares
from segbench.models.base import count_parameters
from segbench.models.build import initial_weights_of, pretrained_report_of, weights_report_of
from segbench.models.weights.checkpoint import WeightsReport
from segbench.results.outputs import OutputFacts
from segbench.results.record import GroupFacts, InitialWeights, WeightsLoaded
from segbench.results.wording import first, in_words, percent

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


SHOWN = 3
"""Number of tensors of a kind that a message names; the record lists all."""

TOP = "the names at the top"
"""Name shown for tensors at the top level of a checkpoint."""


def weights_facts(report: WeightsReport) -> dict[str, Any]:
    """Return the facts about a checkpoint for the record."""
    facts: dict[str, Any] = {
        "weights_share": report.share,
        "weights_key": (report.key or TOP) if report.rivals else None,
    }
    if report.unused:
        facts["weights_unused"] = list(report.unused)
    if report.moved is not None:
        facts["weights_moved"] = str(report.moved)
    if not report.complete:
        facts["weights_left_out"] = {kind: list(names) for kind, names in report.misfits.items()}
    return facts


def weights_notes(report: WeightsReport) -> Iterator[str]:
    """Yield messages about a loaded checkpoint."""
    if report.rivals:
        others = ", ".join(key or TOP for key in report.rivals)
        yield f"{report.key or TOP} was taken; {others} would match as well (weights_key)"
    if report.moved is not None:
        yield f"a part has another name there and was taken: {report.moved}"
    if report.auxiliary:
        yield f"the auxiliary head was left out ({_counted(report.auxiliary)})"
    if report.unused:
        yield f"what is beside the network was not used ({_counted(report.unused)})"
    if not report.complete:
        yield f"{percent(report.share)} of the network was taken: {in_words(report.misfits, shown=SHOWN)}"


def _counted(names: tuple[str, ...]) -> str:
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''}: {first(names, SHOWN)}"
