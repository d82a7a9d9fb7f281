"""Training on auxiliary outputs: their losses, each with its weight, beside that of the scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from torch import Tensor, nn

from segbench.config.sections.training import AuxiliaryWeights
from segbench.engine.training.losses.weighted_sum import WeightedSum
from segbench.errors import ModelRefusal
from segbench.models.external import ExternalNetwork

TERM = "auxiliary"
"""Name of the sum of the weighted auxiliary losses in the history."""

Outputs: TypeAlias = Tensor | dict[str, Tensor]
"""Logits (N, classes, H, W), or these and auxiliary outputs of the same shape, by path, the logits first."""


class Supervised(nn.Module):
    """A network's forward pass in training: its logits, and behind them the auxiliary outputs that are trained on."""

    def __init__(self, network: ExternalNetwork, names: Collection[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map (N, C, H, W) images to tensors (N, classes, H, W) by path; the first are the logits."""
        return self.network.outputs(images, self.names)


class SupervisedLoss(nn.Module):
    """The loss of a network with auxiliary outputs: that of its logits, and weight times that of each of the others.

    Attributes:
        classes: The number of classes.
        names: The terms' names, the auxiliary one last.
    """

    def __init__(self, loss: WeightedSum, weights: AuxiliaryWeights) -> None:
        super().__init__()
        self.loss, self.weights, self.classes = loss, weights, loss.classes
        self.names = (*loss.names, TERM)

    def terms(self, outputs: Outputs, labels: Tensor) -> dict[str, Tensor]:
        """Return each term of the logits' loss by name, and the weighted sum of the auxiliary losses.

        Raises:
            ModelRefusal: There are not as many weights as auxiliary outputs.
        """
        logits, auxiliary = split(outputs)
        terms = self.loss.terms(logits, labels)
        weights = weights_by_path(self.weights, list(auxiliary))
        losses = [weight * self._whole(auxiliary[path], labels) for path, weight in weights.items()]
        return terms | {TERM: sum(losses, start=logits.new_zeros(()).float())}

    def _whole(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss.combine(self.loss.terms(logits, labels))

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the loss that the terms make."""
        own = {name: term for name, term in terms.items() if name != TERM}
        return self.loss.combine(own) + terms[TERM]


TrainingLoss: TypeAlias = WeightedSum | SupervisedLoss


def supervised(
    network: nn.Module, loss: WeightedSum, weights: AuxiliaryWeights | None
) -> tuple[nn.Module, TrainingLoss]:
    """Return a network's forward pass in training, and the loss of what it gives.

    Both are what was given where there are no weights, or no auxiliary outputs: of built-in networks, and of others
    that were seen to have none when they were tried.

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
    """Return which auxiliary outputs are named by their weights."""
    return tuple(weights) if isinstance(weights, Mapping) else ()


def split(outputs: Outputs) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the logits, and the auxiliary outputs by path."""
    if isinstance(outputs, Tensor):
        return outputs, {}
    (_, logits), *others = outputs.items()
    return logits, dict(others)


def weights_by_path(weights: AuxiliaryWeights, paths: Sequence[str]) -> dict[str, float]:
    """Return the weight of each auxiliary output that is trained on.

    Args:
        weights: One for all, a list in their order, or a mapping from paths, or from what begins them.
        paths: Where a network's auxiliary outputs are.

    Raises:
        ModelRefusal: A list has another length, or a mapping names none of them.
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
