"""Auxiliary losses: adds the weighted losses of auxiliary outputs to that of the logits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from segbench.config.sections.training import AuxiliaryWeights
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.errors import ModelRefusal
from segbench.models.external import ExternalNetwork

TERM = "auxiliary"
"""Name of the sum of weighted auxiliary losses in the history."""

Outputs: TypeAlias = Tensor | dict[str, Tensor]
"""Logits (N, classes, H, W), or logits and auxiliary outputs of the same shape by path, logits first."""


class Supervised(nn.Module):
    """A network's forward pass in training: returns the logits and the trained auxiliary outputs."""

    def __init__(self, network: ExternalNetwork, names: Collection[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map (N, C, H, W) images to tensors (N, classes, H, W) by path, logits first."""
        return self.network.outputs(images, self.names)


class SupervisedLoss(nn.Module):
    """The loss of a network with auxiliary outputs: the loss of the logits plus weighted auxiliary losses.

    Attributes:
        classes: The number of classes.
        names: The terms' names, with the auxiliary term last.
    """

    def __init__(self, loss: WeightedSum, weights: AuxiliaryWeights) -> None:
        super().__init__()
        self.loss, self.weights, self.classes = loss, weights, loss.classes
        self.names = (*loss.names, TERM)

    def terms(self, outputs: Outputs, labels: Tensor) -> dict[str, Tensor]:
        """Return the terms of the logits' loss by name, and the weighted sum of auxiliary losses.

        Raises:
            ModelRefusal: The numbers of weights and auxiliary outputs differ.
        """
        logits, auxiliary = split(outputs)
        terms = self.loss.terms(logits, labels)
        weights = weights_by_path(self.weights, list(auxiliary))
        losses = [weight * self._whole(auxiliary[path], labels) for path, weight in weights.items()]
        return terms | {TERM: sum(losses, start=logits.new_zeros(()).float())}

    def _whole(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss.combine(self.loss.terms(logits, labels))

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Combine the terms to the total loss."""
        own = {name: term for name, term in terms.items() if name != TERM}
        return self.loss.combine(own) + terms[TERM]


TrainingLoss: TypeAlias = WeightedSum | SupervisedLoss


def supervised(
    network: nn.Module, loss: WeightedSum, weights: AuxiliaryWeights | None
) -> tuple[nn.Module, TrainingLoss]:
    """Return a network's forward pass in training and the loss of its outputs.

    Without weights or auxiliary outputs, both are returned unchanged. Built-in networks have no auxiliary outputs;
    external ones were checked when they were tried.

    Args:
        network: The network.
        loss: The recipe's loss.
        weights: The recipe's ``train.auxiliary``.
    """
    if weights is None or not isinstance(network, ExternalNetwork):
        return network, loss
    if network.tried is not None and not network.tried.auxiliary:
        return network, loss
    return Supervised(network, names_in(weights)), SupervisedLoss(loss, weights)


def names_in(weights: AuxiliaryWeights | None) -> tuple[str, ...]:
    """Return which auxiliary outputs the keys of their weights name."""
    return tuple(weights) if isinstance(weights, Mapping) else ()


def split(outputs: Outputs) -> tuple[Tensor, dict[str, Tensor]]:
    """Split outputs into the logits and the auxiliary outputs by path."""
    if isinstance(outputs, Tensor):
        return outputs, {}
    (_, logits), *others = outputs.items()
    return logits, dict(others)


def weights_by_path(weights: AuxiliaryWeights, paths: Sequence[str]) -> dict[str, float]:
    """Return the weight of each trained auxiliary output.

    Args:
        weights: One for all, a list in their order, or a mapping from paths or prefixes of paths.
        paths: Paths of the network's auxiliary outputs.

    Raises:
        ModelRefusal: A list has the wrong length, or a mapping names no auxiliary output.
    """
    if isinstance(weights, Mapping):
        parents = {path: path.rpartition(".")[0] for path in paths}
        if paths and not weights.keys() & {*paths, *parents.values()}:
            raise ModelRefusal(
                f"has the auxiliary outputs {', '.join(paths)}, none of which train.auxiliary names "
                f"({', '.join(map(str, weights))}): give each that is trained on its weight, or one of them 0"
            )
        found = {path: weights.get(path, weights.get(parents[path], 0.0)) for path in paths}
    elif isinstance(weights, Sequence):
        if paths and len(paths) != len(weights):
            named = ", ".join(paths)
            raise ModelRefusal(
                f"has {len(paths)} auxiliary outputs ({named}), and train.auxiliary has {len(weights)} weights: "
                "give one for all, one for each, or a mapping by name"
            )
        found = dict(zip(paths, weights, strict=False))
    else:
        found = dict.fromkeys(paths, weights)
    return {path: weight for path, weight in found.items() if weight}
