"""Builds the loss of a suite as a weighted sum of terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from segbench.config.component import LossEntry
from segbench.engine.training.losses.base import Loss
from segbench.engine.training.losses.class_weights import resolve_class_weights
from segbench.engine.training.losses.foreign import as_loss
from segbench.engine.training.losses.pixel import cross_entropy
from segbench.registry import LOSSES


class WeightedSum(Loss):
    """A weighted sum of losses.

    Args:
        classes: The number of classes.
        parts: ``(name, factor, loss)`` for each term; repeated names get numbers.

    Attributes:
        names: The unique names of the terms.
    """

    def __init__(self, classes: int, parts: Sequence[tuple[str, float, Loss]]) -> None:
        super().__init__(classes)
        names = [name for name, _, _ in parts]
        self.names = tuple(_numbered(names, index) for index in range(len(names)))
        self.factors = {name: factor for name, (_, factor, _) in zip(self.names, parts, strict=True)}
        self.losses = nn.ModuleList([loss for _, _, loss in parts])  # module names must not contain dots
        self.is_pixel_mean = all(loss.is_pixel_mean for _, _, loss in parts)

    def terms(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return each term by name as a scalar without its factor, for the history."""
        return {name: loss(logits, labels) for name, loss in zip(self.names, self.losses, strict=True)}

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Combine the terms: the sum of factor times term."""
        return torch.stack([self.factors[name] * term for name, term in terms.items()]).sum()

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the sum of factor times term."""
        return self.combine(self.terms(logits, labels))


def build_loss(
    entries: Sequence[LossEntry],
    *,
    classes: int,
    median_frequency: Callable[[], Sequence[float]] | None = None,
) -> WeightedSum:
    """Build the loss of a suite.

    Args:
        entries: The suite's ``train.loss``; if empty, plain cross-entropy for networks that are only evaluated.
        classes: The number of classes.
        median_frequency: Measures the class weights of the training split; called only if a term asks for them.

    Raises:
        UsageError: A term has invalid options.
    """
    parts: list[tuple[str, float, Loss]] = []
    for entry in entries:
        options = resolve_class_weights(entry.options, median_frequency) if median_frequency else entry.options
        made = LOSSES.create(entry.name, classes, **options)
        parts.append((entry.name, entry.weight, as_loss(entry.name, made, classes=classes)))
    return WeightedSum(classes, parts or [("cross_entropy", 1.0, cross_entropy(classes))])


def _numbered(names: Sequence[str], index: int) -> str:
    """Return a name; from its second occurrence on with a number."""
    earlier = names[:index].count(names[index])
    return f"{names[index]}_{earlier + 1}" if earlier else names[index]
