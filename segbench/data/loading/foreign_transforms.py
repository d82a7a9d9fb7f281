"""Transforms from elsewhere: whatever an import path or an entry point names, with what they return looked at."""

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
    """Any transform that an import path names, such as python:torchvision.transforms.v2.RandomGrayscale.

    A class, or a function whose first parameter is not called ``image``, is called once and makes the transform; a
    function of ``image`` is the transform. In training it is called with an image, (C, H, W), and its label, (H, W)
    uint8 in which 255 is void, as torchvision's tensors of these kinds, and returns both; in evaluation with the image
    alone, where it says ``deterministic = True``.

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
    """Return what a transform's factory made as one whose answers are looked at.

    Args:
        name: Its name, for messages.
        made: What the factory returned.
        deterministic: Whether it is not random; as it says itself by default.
        last: Whether no step follows; None where that is not known yet.

    Raises:
        ForeignPartError: It is nothing that can be called.
    """
    if isinstance(made, ForeignTransform):
        made.last = made.last if last is None else last
        return made
    if not callable(made):
        raise ForeignPartError(f"{name} is a {type(made).__name__}; something called with an image is expected")
    fixed = bool(getattr(made, "deterministic", False)) if deterministic is None else deterministic
    return ForeignTransform(name, made, deterministic=fixed, last=bool(last))


class ForeignTransform:
    """A transform from elsewhere.

    Attributes:
        name: Its name, for messages.
        deterministic: Whether it may be used on test images: it says that it is not random.
        last: Whether no step follows, so that it may hand on numbers of another type, which the network is fed.
    """

    def __init__(self, name: str, function: Callable[..., Any], *, deterministic: bool, last: bool = False) -> None:
        self.name, self.function, self.deterministic, self.last = name, function, deterministic, last

    def __call__(self, image: Any, label: Any = None) -> Any:
        """Return the transformed image, and the label where one is given.

        Raises:
            DataError: It raised something, or returned what is no image and label of one size.
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
    """Return which values a label holds."""
    plain = label.as_subclass(Tensor)
    if plain.dtype == torch.uint8:
        values: list[int] = torch.bincount(plain.flatten(), minlength=256).nonzero().flatten().tolist()
        return values
    return [int(value) if float(value).is_integer() else -1 for value in torch.unique(plain).tolist()]


def _is_transform(found: Callable[..., Any]) -> bool:
    """Tell a function that is the transform from one that makes it."""
    if isinstance(found, v2.Transform):
        return True
    try:
        return next(iter(inspect.signature(found).parameters), "") == _FIRST_PARAMETER
    except (TypeError, ValueError):
        return False
