"""Wraps transforms from other packages, given by an import path or entry point, and checks their results."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from segbench.data.base import IGNORE_INDEX
from segbench.errors import DataError
from segbench.import_path import ForeignPartError, call_part, described, import_attribute

_FIRST_PARAMETER = "image"


def python_transform(*, target: str, **options: Any) -> ForeignTransform:
    """A transform given by its import path, such as python:torchvision.transforms.v2.RandomGrayscale.

    A function with first parameter ``image`` is the transform. A class or any other function is called once and returns
    the transform. In training, the transform is called with an image (C, H, W) and its label ((H, W) uint8, 255 is
    void) as torchvision's tv_tensors, and returns both. In evaluation it is called with the image only and must have
    ``deterministic = True``.

    Args:
        target: ``package.module.attribute`` of a class or function.
        **options: Passed on.

    Raises:
        UsageError: There is no such module or attribute, or it cannot be called like this.
    """
    name = f"python:{target}"
    found = import_attribute(name, target)
    if not inspect.isclass(found) and _is_transform(found):
        return as_transform(name, partial(found, **options), deterministic=bool(getattr(found, "deterministic", False)))
    return as_transform(name, call_part(name, found, **options))


def as_transform(
    name: str, made: Any, *, deterministic: bool | None = None, last: bool | None = None
) -> ForeignTransform:
    """Wrap a factory's result to check what it returns.

    Args:
        name: Its name, for messages.
        made: What the factory returned.
        deterministic: Whether it is deterministic; default: its own attribute.
        last: Whether it is the last step; None if not known yet.

    Raises:
        ForeignPartError: It is not callable.
    """
    if isinstance(made, ForeignTransform):
        made.last = made.last if last is None else last
        return made
    if not callable(made):
        raise ForeignPartError(f"{name} is a {type(made).__name__}; something called with an image is expected")
    fixed = bool(getattr(made, "deterministic", False)) if deterministic is None else deterministic
    return ForeignTransform(name, made, deterministic=fixed, last=bool(last))


class ForeignTransform:
    """An external transform.

    Attributes:
        name: Its name, for messages.
        deterministic: Whether it declares itself deterministic, so that it may be used on test images.
        last: Whether it is the last step, which may return another dtype.
    """

    def __init__(self, name: str, function: Callable[..., Any], *, deterministic: bool, last: bool = False) -> None:
        self.name, self.function, self.deterministic, self.last = name, function, deterministic, last

    def __call__(self, image: Any, label: Any = None) -> Any:
        """Return the transformed image, and the label if one is given.

        Raises:
            DataError: It raised an error, or did not return an image and label of one size.
        """
        try:
            found = self.function(image) if label is None else self.function(image, label)
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"{self.name} failed on an image of shape {tuple(image.shape)}: {described(error)}"
            ) from error
        if label is None:
            return self._image(found, like=image)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise DataError(f"{self.name} returned {type(found).__name__}; an image and its label are expected")
        after = self._image(found[0], like=image)
        return after, self._label(found[1], before=label, image=after)

    def _image(self, found: Any, *, like: Tensor) -> Any:
        if not isinstance(found, Tensor) or found.ndim != 3 or found.shape[0] != like.shape[0] or not found.numel():
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise DataError(f"{self.name} returned {what} as image; ({like.shape[0]}, height, width) is expected")
        if found.is_floating_point() and not found.isfinite().all():
            raise DataError(f"{self.name} returned an image with values that are not finite")
        if found.dtype != like.dtype and not (self.last and found.is_floating_point()):
            hint = "" if self.last else ", in the same range: only the last step may change the type"
            raise DataError(f"{self.name} returned an image of {found.dtype}; {like.dtype} is expected{hint}")
        return tv_tensors.Image(found.as_subclass(Tensor))

    def _label(self, found: Any, *, before: Tensor, image: Tensor) -> Any:
        if not isinstance(found, Tensor) or found.shape != image.shape[-2:]:
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise DataError(
                f"{self.name} returned {what} as label; {tuple(image.shape[-2:])}, as of the image, is expected"
            )
        new = sorted(set(_values(found)) - set(_values(before)) - {IGNORE_INDEX})
        if new:
            raise DataError(
                f"{self.name} returned a label with {', '.join(map(str, new[:5]))}, which the label before it does not "
                f"hold: labels must not be blended, and what comes in from outside the image is void, {IGNORE_INDEX}"
            )
        return tv_tensors.Mask(found.as_subclass(Tensor).to(torch.uint8))


def _values(label: Tensor) -> list[int]:
    """Return the values in a label."""
    plain = label.as_subclass(Tensor)
    if plain.dtype == torch.uint8:
        values: list[int] = torch.bincount(plain.flatten(), minlength=256).nonzero().flatten().tolist()
        return values
    return [int(value) if float(value).is_integer() else -1 for value in torch.unique(plain).tolist()]


def _is_transform(found: Callable[..., Any]) -> bool:
    """Return whether a function is the transform itself rather than its factory."""
    if isinstance(found, v2.Transform):
        return True
    try:
        return next(iter(inspect.signature(found).parameters), "") == _FIRST_PARAMETER
    except (TypeError, ValueError):
        return False
