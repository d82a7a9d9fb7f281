"""Creates optimizers from other packages, given by an import path or entry point, and checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

from torch.optim import Optimizer

from segbench.import_path import ForeignPartError, call_part, import_attribute


def python_optimizer(parameters: Any, *, target: str, **options: Any) -> Any:
    """An optimizer given by its import path, such as python:torch.optim.Adagrad.

    Args:
        parameters: The parameters or parameter groups to train; passed as the first argument.
        target: ``package.module.attribute`` of a class or function that returns a ``torch.optim.Optimizer``.
        **options: Passed on; the learning rate is the schedule's highest.

    Raises:
        UsageError: There is no such module or attribute, or it cannot be called like this.
    """
    name = f"python:{target}"
    return call_part(name, import_attribute(name, target), parameters, **options)


def as_optimizer(name: str, made: Any, *, groups: Sequence[Mapping[str, Any]]) -> Optimizer:
    """Return a factory's result after checking that it is an optimizer of all given parameters.

    Args:
        name: Its name, for messages.
        made: What the factory returned.
        groups: The parameters given to the factory.

    Raises:
        ForeignPartError: It is not an optimizer, has no learning rate, or leaves parameters out.
    """
    if not isinstance(made, Optimizer):
        raise ForeignPartError(f"{name} returned {type(made).__name__}; a torch.optim.Optimizer is expected")
    if any("lr" not in group for group in made.param_groups):
        raise ForeignPartError(f"{name} has no 'lr' in its parameter groups, which the schedule would set")
    asked = signature(made.step).parameters.values()
    needed = [
        one.name for one in asked if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        raise ForeignPartError(f"{name}: its step needs {needed[0]!r}, which the training loop does not give")
    taken = {id(parameter) for group in made.param_groups for parameter in group["params"]}
    given = {id(parameter) for group in groups for parameter in group["params"]}
    if not given <= taken:
        raise ForeignPartError(f"{name} trains {len(given & taken)} of the {len(given)} tensors that it was given")
    return made
