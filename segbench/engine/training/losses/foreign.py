"""Losses from elsewhere: whatever an import path or an entry point names, held to what a loss has to be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from segbench.engine.training.losses.base import IGNORE_INDEX, Loss
from segbench.import_path import ForeignPartError, call_part, import_attribute, naming_part, offered, takes

_TRIED_SIDE = 32
"""Height and width of the images that a loss is tried on."""


def python_loss(classes: int, *, target: str, **options: Any) -> Loss:
    """Any loss that an import path names, such as python:package.module.my_loss.

    A class, or a function with a parameter ``classes``, is called once and makes the loss; any other function is the
    loss. It is called with logits (N, C, H, W), float32, and labels (N, H, W), int64, in which 255 is void.

    Args:
        classes: Number of classes, passed on as ``classes=`` to what has such a parameter.
        target: ``package.module.attribute`` of a class or function.
        **options: Passed on.

    Raises:
        UsageError: There is no such module or attribute, or it cannot be called like this.
    """
    name = f"python:{target}"
    found = import_attribute(name, target)
    if inspect.isclass(found) or takes(found, "classes"):
        made = call_part(name, found, **offered(found, {"classes": classes}), **options)
    else:
        made = partial(found, **options)
    return as_loss(name, made, classes=classes)


def as_loss(name: str, made: Any, *, classes: int) -> Loss:
    """Return what a loss's factory made as a loss: our own as they are, others with what they answer looked at.

    Raises:
        ForeignPartError: It is nothing that can be called, or has weights to train.
    """
    if isinstance(made, Loss):
        return made
    if not callable(made):
        raise ForeignPartError(
            f"{name} is a {type(made).__name__}; something called with logits and labels is expected"
        )
    if isinstance(made, nn.Module) and any(weight.requires_grad for weight in made.parameters()):
        raise ForeignPartError(f"{name} has weights of its own to train; only those of networks are trained")
    return ForeignLoss(name, made, classes=classes)


class ForeignLoss(Loss):
    """A loss from elsewhere: one number for each batch, and 0 for a batch that is all void."""

    def __init__(self, name: str, function: Callable[[Tensor, Tensor], Any], *, classes: int) -> None:
        super().__init__(classes)
        self.name, self.function = name, function
        self.is_pixel_mean = bool(getattr(function, "is_pixel_mean", False))

    def compute(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss's number.

        Raises:
            ForeignPartError: It raised something, or returned something else than one number to differentiate.
        """
        if not (labels != IGNORE_INDEX).any():
            return logits.sum() * 0
        shapes = f"logits {tuple(logits.shape)} and labels {tuple(labels.shape)}"
        with naming_part(self.name, f"failed on {shapes}, in which {IGNORE_INDEX} is void"):
            value = self.function(logits, labels)
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ForeignPartError(f"{self.name} returned {what}; a tensor of one number is expected")
        if logits.requires_grad and not value.requires_grad:
            raise ForeignPartError(f"{self.name} returned a number that has no gradient by the logits")
        return value.float().reshape(())


def try_loss(loss: Loss) -> str | None:
    """Try a loss from elsewhere on random logits and labels, a part of which is void; others need no trial.

    Returns:
        What a person should know of it, in a sentence; None when nothing speaks against it.

    Raises:
        ForeignPartError: It fails, or its number or a gradient is not finite.
    """
    if not isinstance(loss, ForeignLoss):
        return None
    draw = torch.Generator().manual_seed(0)
    shape = (2, _TRIED_SIDE, _TRIED_SIDE)
    logits = torch.randn(2, loss.classes, *shape[1:], generator=draw, requires_grad=True)
    labels = torch.randint(loss.classes, shape, generator=draw)
    labels[:, :, : _TRIED_SIDE // 4] = IGNORE_INDEX
    value = loss(logits, labels)
    with naming_part(loss.name, "cannot be differentiated"):
        (gradient,) = torch.autograd.grad(value, logits)
    if not (value.isfinite() and gradient.isfinite().all()):
        what = f"is {value.item()}" if not value.isfinite() else "has a gradient that is not finite"
        raise ForeignPartError(f"{loss.name} {what} on ordinary logits and labels, in which {IGNORE_INDEX} is void")
    if gradient[:, :, :, : _TRIED_SIDE // 4].any():
        return f"{loss.name}: void pixels (label {IGNORE_INDEX}) change it; scores leave them out"
    return None
