"""Losses: what training makes small, each in float32 and blind to void pixels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor, nn

from segbench.config.component import LossEntry
from segbench.errors import UsageError
from segbench.registry import LOSSES

IGNORE_INDEX = 255
"""Label of void pixels."""


class Loss(nn.Module, ABC):
    """Base of the losses: called with logits and labels, returns a scalar float32.

    Void pixels (label 255) change neither the value nor any gradient but their own, which is exactly 0. A batch
    without a labelled pixel gives 0 that can still be back-propagated.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of a batch.

        Args:
            logits: (N, C, H, W), any floating type; computed in float32 also under autocast.
            labels: (N, H, W), any integer type, classes or 255 for void.

        Returns:
            Scalar float32.

        Raises:
            UsageError: The shapes do not fit each other or the number of classes.
        """
        expected = (labels.shape[0], self.classes, *labels.shape[1:])
        if labels.ndim != 3 or logits.shape != expected:
            raise UsageError(
                f"logits {tuple(logits.shape)} do not fit labels {tuple(labels.shape)} and {self.classes} classes; "
                "expected (N, classes, H, W) and (N, H, W)"
            )
        with torch.autocast(logits.device.type, enabled=False):
            return self.compute(logits.float(), labels.long())

    @abstractmethod
    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of float32 logits (N, C, H, W) and int64 labels (N, H, W), outside autocast."""


def cross_entropy(
    classes: int,
    *,
    class_weights: Literal["none", "median_frequency"] | list[float] = "none",
    label_smoothing: float = 0.0,
) -> Loss:
    """Cross-entropy, averaged over labelled pixels.

    Args:
        classes: The number of classes.
        class_weights: ``none``, ``median_frequency`` (measured on the training split, as in the SegNet paper), or one
            weight for each class; the average is then weighted by each pixel's class.
        label_smoothing: Share of each target that is spread evenly over all classes.

    Raises:
        UsageError: The weights do not fit the classes, or were not measured yet.
    """
    if class_weights == "median_frequency":
        raise UsageError(
            "cross_entropy: class_weights: median_frequency has to be measured on the training split first: "
            "pass the options through resolve_class_weights, or give the weights as a list"
        )
    if not 0 <= label_smoothing < 1:
        raise UsageError(f"cross_entropy: label_smoothing is {label_smoothing}; expected at least 0 and below 1")
    weights = None if class_weights == "none" else _checked_weights(class_weights, classes)
    return _CrossEntropy(classes, weights, label_smoothing)


def mse(classes: int) -> Loss:
    """Mean squared error between softmax probabilities and one-hot labels, over labelled pixels and classes."""
    return _MeanSquaredError(classes)


def dice(classes: int, *, smooth: float = 0.0) -> Loss:
    """Soft Dice of the whole batch: 1 - 2 |P G| / (|P| + |G|), averaged over classes.

    A class that no pixel of the batch is labelled with adds 0 but is still divided by, so that a batch with few
    classes has a small loss. This is what the multiclass mode of segmentation_models_pytorch does. Milletari, Navab,
    Ahmadi, "V-Net", 3DV 2016, section 3, without the squares.

    Args:
        classes: The number of classes.
        smooth: Pixels added to the intersection and to the mean of both areas, which calms rare classes.
    """
    if smooth < 0:
        raise UsageError(f"dice: smooth is {smooth}; expected at least 0")
    return _Dice(classes, smooth)


def focal(classes: int, *, gamma: float = 2.0, form: Literal["softmax", "sigmoid"] = "softmax") -> Loss:
    """Focal loss: cross-entropy in which well-classified pixels weigh (1 - p)^gamma, without alpha.

    Lin, Goyal, Girshick, He, Dollar, "Focal Loss for Dense Object Detection", ICCV 2017, equation 4.

    Args:
        classes: The number of classes.
        gamma: The focusing exponent; 0 is plain cross-entropy.
        form: ``softmax`` takes p of the labelled class, averaged over labelled pixels; ``sigmoid`` is one class
            against the others as in the paper and in segmentation_models_pytorch, averaged over classes as well.
    """
    if gamma < 0:
        raise UsageError(f"focal: gamma is {gamma}; expected at least 0")
    return _SoftmaxFocal(classes, gamma) if form == "softmax" else _SigmoidFocal(classes, gamma)


def lovasz(classes: int, *, per_image: bool = False) -> Loss:
    """Lovasz-softmax: a convex surrogate of 1 - mean IoU over the classes that are labelled.

    Berman, Rannen Triki, Blaschko, "The Lovasz-Softmax loss", CVPR 2018, section 3.

    Args:
        classes: The number of classes.
        per_image: Whether each image's loss is averaged, over the images with a labelled pixel, instead of taking
            the batch as one image.
    """
    return _LovaszSoftmax(classes, per_image)


def resolve_class_weights(
    options: Mapping[str, Any], frequencies_weights: Callable[[], Sequence[float]]
) -> dict[str, Any]:
    """Put measured weights where a loss's options ask for ``median_frequency``.

    Args:
        options: The options of one loss; not changed.
        frequencies_weights: Returns one weight for each class; called only if it is needed.
    """
    resolved = dict(options)
    if resolved.get("class_weights") == "median_frequency":
        resolved["class_weights"] = [float(weight) for weight in frequencies_weights()]
    return resolved


class WeightedSum(Loss):
    """Several losses, each with a factor, added up.

    Args:
        classes: The number of classes.
        parts: ``(name, factor, loss)`` for each term; a name given again is numbered.

    Attributes:
        names: The terms' names, each once.
    """

    def __init__(self, classes: int, parts: Sequence[tuple[str, float, Loss]]) -> None:
        super().__init__(classes)
        names = [name for name, _, _ in parts]
        self.names = tuple(_numbered(names, index) for index in range(len(names)))
        self.factors = {name: factor for name, (_, factor, _) in zip(self.names, parts, strict=True)}
        self.losses = nn.ModuleDict({name: loss for name, (_, _, loss) in zip(self.names, parts, strict=True)})

    def terms(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return each term by name, a scalar without its factor; for the history."""
        return {name: loss(logits, labels) for name, loss in self.losses.items()}

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Return the loss that the terms make: the sum of factor times term."""
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
        entries: The suite's ``train.loss``; none makes plain cross-entropy, for networks that are only evaluated.
        classes: The number of classes.
        median_frequency: Measures the class weights of the training split; called only if a term asks for them.

    Raises:
        UsageError: A term has options that do not fit.
    """
    parts: list[tuple[str, float, Loss]] = []
    for entry in entries:
        options = resolve_class_weights(entry.options, median_frequency) if median_frequency else entry.options
        parts.append((entry.name, entry.weight, LOSSES.create(entry.name, classes, **options)))
    return WeightedSum(classes, parts or [("cross_entropy", 1.0, cross_entropy(classes))])


class _CrossEntropy(Loss):
    def __init__(self, classes: int, weights: Tensor | None, label_smoothing: float) -> None:
        super().__init__(classes)
        self.label_smoothing = label_smoothing
        self.weights: Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = None if self.weights is None else self.weights.to(logits.device)
        losses = _cross_entropies(logits, labels, weights, self.label_smoothing)
        labelled = labels != IGNORE_INDEX
        if weights is None:  # of void pixels, they are 0 already
            return losses.sum() / labelled.sum().clamp(min=1)
        total = weights[labels.where(labelled, 0)].where(labelled, 0).sum()
        return losses.sum() / total.where(total > 0, 1)


class _MeanSquaredError(Loss):
    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        errors = logits.softmax(dim=1) - _one_hot(labels, self.classes).float()
        return _mean(errors.square().mean(dim=1), labels != IGNORE_INDEX)


class _Dice(Loss):
    def __init__(self, classes: int, smooth: float) -> None:
        super().__init__(classes)
        self.smooth = smooth

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        labelled, truth = (labels != IGNORE_INDEX)[:, None], _one_hot(labels, self.classes)
        probabilities = logits.softmax(dim=1).where(labelled, 0)
        shared = probabilities.where(truth, 0).sum(dim=(0, 2, 3))
        label_pixels = truth.sum(dim=(0, 2, 3))
        mean_area = (probabilities.sum(dim=(0, 2, 3)) + label_pixels) / 2
        losses = 1 - (shared + self.smooth) / (mean_area + self.smooth).clamp(min=1e-7)
        return losses.where(label_pixels > 0, 0).mean()


class _SoftmaxFocal(Loss):
    def __init__(self, classes: int, gamma: float) -> None:
        super().__init__(classes)
        self.gamma = gamma

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = _focused(_cross_entropies(logits, labels), self.gamma)
        return _mean(losses, labels != IGNORE_INDEX)


class _SigmoidFocal(Loss):
    def __init__(self, classes: int, gamma: float) -> None:
        super().__init__(classes)
        self.gamma = gamma

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        truth = _one_hot(labels, self.classes).float()
        losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        return _mean(_focused(losses, self.gamma).mean(dim=1), labels != IGNORE_INDEX)


class _LovaszSoftmax(Loss):
    def __init__(self, classes: int, per_image: bool) -> None:
        super().__init__(classes)
        self.per_image = per_image

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        groups = [slice(i, i + 1) for i in range(len(labels))] if self.per_image else [slice(None)]
        labelled = labels != IGNORE_INDEX
        losses = [_lovasz_softmax(logits[part], labels[part]) for part in groups if labelled[part].any()]
        return torch.stack(losses).mean() if losses else logits.sum() * 0


def _lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the Lovasz-softmax loss of (N, C, H, W) logits and (N, H, W) labels that are not all void."""
    labelled = labels != IGNORE_INDEX
    probabilities, labels = logits.softmax(dim=1).movedim(1, -1)[labelled], labels[labelled]
    losses = []
    for index in torch.unique(labels).tolist():
        truth = labels == index
        errors = (truth.float() - probabilities[:, index]).abs()
        errors, order = errors.sort(descending=True)
        losses.append(errors @ _jaccard_steps(truth[order]))
    return torch.stack(losses).mean()


def _jaccard_steps(truth: Tensor) -> Tensor:
    """Return by how much the Jaccard loss of a class grows with each pixel that is got wrong, in the given order.

    With I pixels of the class still right and U in the union, after the pixel: one of the class loses 1 / U, another
    one I / (U (U - 1)). This is algorithm 1 of the paper without its difference of neighbouring sums, which in float32
    leaves few digits on large images; counting in integers is exact and, on CUDA, deterministic.

    Args:
        truth: (P,) bool, whether each pixel is labelled with the class; at least one is.
    """
    found = truth.long().cumsum(dim=0)
    pixels = torch.arange(1, len(truth) + 1, device=truth.device)
    area = found[-1]
    intersection, union = (area - found).float(), (area + pixels - found).float()
    return torch.where(truth, 1 / union, intersection / (union * (union - 1)))


def _cross_entropies(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return each pixel's cross-entropy, (N, H, W), 0 where void.

    Unreduced on purpose: on CUDA, ``nll_loss2d`` adds up in no fixed order when it takes the mean itself.
    """
    return F.cross_entropy(
        logits,
        labels,
        weight=weights,
        ignore_index=IGNORE_INDEX,
        reduction="none",
        label_smoothing=label_smoothing,
    )


def _one_hot(labels: Tensor, classes: int) -> Tensor:
    """Return (N, C, H, W) bool; void pixels are of no class."""
    return labels[:, None] == torch.arange(classes, device=labels.device)[:, None, None]


def _focused(losses: Tensor, gamma: float) -> Tensor:
    """Scale each cross-entropy -log p by (1 - p)^gamma; the floor keeps gradients finite for gamma below 1."""
    return (-torch.expm1(-losses)).clamp(min=1e-12) ** gamma * losses


def _mean(losses: Tensor, labelled: Tensor) -> Tensor:
    """Average (N, H, W) losses over the labelled pixels; 0 when there is none."""
    return losses.where(labelled, 0).sum() / labelled.sum().clamp(min=1)


def _checked_weights(weights: Sequence[float], classes: int) -> Tensor:
    if len(weights) != classes:
        raise UsageError(f"cross_entropy: class_weights has {len(weights)} values for {classes} classes; give one each")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise UsageError(f"cross_entropy: class_weights {list(weights)}: expected numbers of at least 0, not all 0")
    return torch.tensor(list(weights), dtype=torch.float32)


def _numbered(names: Sequence[str], index: int) -> str:
    """Return a name, with its number among equal ones from the second on."""
    earlier = names[:index].count(names[index])
    return f"{names[index]}_{earlier + 1}" if earlier else names[index]
