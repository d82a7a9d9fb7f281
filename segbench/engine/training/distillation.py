"""Knowledge distillation: trains a student on the softened outputs of a trained teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.sections.training import Distill
from segbench.engine.device import ComputeConfig
from segbench.engine.training.auxiliary_losses import TrainingLoss, split
from segbench.engine.training.losses.base import IGNORE_INDEX, mean_over_labelled
from segbench.errors import ModelRefusal

TERM = "distillation"
"""Name of the distillation loss in the history."""


class Teacher:
    """A trained network whose outputs a student is trained on; never trained itself.

    Args:
        network: The network; it is moved to the device and set to evaluation mode.
        settings: The recipe's ``train.distill``.
        compute: Device, precision and memory layout, which are those of the student.
    """

    def __init__(self, network: nn.Module, settings: Distill, compute: ComputeConfig) -> None:
        self.network = compute.place(network).eval().requires_grad_(requires_grad=False)
        self.settings, self.compute = settings, compute

    def loss(self, images: Tensor, student_logits: Tensor, labels: Tensor) -> Tensor:
        """Return the distillation loss of a batch, a scalar float32.

        Args:
            images: (N, C, H, W), as the student got them.
            student_logits: (N, classes, H, W).
            labels: (N, H, W), classes or 255 for void.

        Raises:
            ModelRefusal: The shapes of the outputs differ.
        """
        with torch.no_grad(), self.compute.autocast():
            logits, _ = split(self.network(images))
        if logits.shape != student_logits.shape:
            raise ModelRefusal(
                f"gave an output of shape {tuple(student_logits.shape)}, and its teacher {tuple(logits.shape)}: "
                "expected the same shape"
            )
        return distillation_loss(student_logits, logits, labels, temperature=self.settings.temperature)


class DistilledLoss(nn.Module):
    """A student's loss: a weighted mean of the loss on the labels and the distillation loss.

    Attributes:
        classes: The number of classes.
        names: The terms' names, with the distillation loss last.
    """

    def __init__(self, loss: TrainingLoss, weight: float) -> None:
        super().__init__()
        self.loss, self.weight, self.classes = loss, weight, loss.classes
        self.names = (*loss.names, TERM)

    def terms(self, outputs: Any, labels: Tensor) -> dict[str, Tensor]:
        """Return the terms of the loss on the labels by name; the distillation loss is the teacher's to add."""
        return self.loss.terms(outputs, labels)

    def combine(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Combine the terms, including the distillation loss, to the total loss."""
        own = {name: term for name, term in terms.items() if name != TERM}
        return (1 - self.weight) * self.loss.combine(own) + self.weight * terms[TERM]


def distilled(loss: TrainingLoss, teacher: Teacher | None) -> TrainingLoss | DistilledLoss:
    """Return the loss of a network with this teacher; unchanged without one."""
    return loss if teacher is None else DistilledLoss(loss, teacher.settings.weight)


def distillation_loss(student: Tensor, teacher: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Return the divergence of a student's softened outputs from its teacher's, averaged over labelled pixels.

    KL(teacher || student) of the softmax of logits / temperature, times temperature²: then its gradients have the
    magnitude of those of the cross-entropy at any temperature (Hinton et al. 2015, section 2). Pixels are averaged as
    in Liu et al. 2019, equation 1, but for void pixels, which are left out.

    Args:
        student: Logits (N, C, H, W), any floating type; computed in float32 also under autocast.
        teacher: Logits (N, C, H, W).
        labels: (N, H, W), any integer type, classes or 255 for void.
        temperature: Above 0; 1 compares the probabilities as they are.

    Returns:
        Scalar float32 in nats; 0 for a batch without labelled pixels.
    """
    with torch.autocast(student.device.type, enabled=False):
        log_student = (student.float() / temperature).log_softmax(dim=1)
        log_teacher = (teacher.float() / temperature).log_softmax(dim=1)
        divergences = (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)
        return temperature**2 * mean_over_labelled(divergences, labels != IGNORE_INDEX)
