"""Creates optimizers from other packages, given by an import path or entry point, and checks them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from timm.scheduler.scheduler import Scheduler
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from segbench.engine.training.optim.length import Span
from segbench.engine.training.optim.parameter_groups import LR_SCALE
from segbench.import_path import ForeignPartError, call_part, import_attribute, naming_part, offered


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


def python_schedule(optimizer: Optimizer, span: Span, *, target: str, **options: Any) -> ForeignSchedule:
    """A schedule given by its import path, such as python:torch.optim.lr_scheduler.OneCycleLR.

    A class of torch's schedulers is created once. Any other function is called with the number of steps done and
    returns a factor of the optimizer's learning rate. Both get ``total_steps`` and ``steps_per_epoch`` if they have
    parameters of these names. The suite's own warm-up comes first.

    Args:
        optimizer: The optimizer.
        span: Length of the training.
        target: ``package.module.attribute`` of a function, or of a class of torch's schedulers.
        **options: Passed on.

    Raises:
        UsageError: There is no such module or attribute, or it cannot be called like this.
    """
    name = f"python:{target}"
    found = import_attribute(name, target)
    lengths = {"total_steps": span.remaining_steps, "steps_per_epoch": span.steps_per_epoch}
    options = offered(found, lengths) | options
    highest = float(optimizer.param_groups[0]["lr"])
    if inspect.isclass(found) and issubclass(found, LRScheduler):
        return ForeignSchedule(name, optimizer, span, TorchRate(name, found, options, highest=highest))

    factor: Callable[..., Any] = found

    def rate(step: int) -> float:
        with naming_part(name, f"failed at step {step}"):
            return highest * float(factor(step, **options))

    return ForeignSchedule(name, optimizer, span, rate)


def as_scheduler(name: str, made: Any) -> Any:
    """Return a schedule factory's result after checking its type.

    Raises:
        ForeignPartError: It is neither a scheduler of timm nor one made by ``python:``.
    """
    if not isinstance(made, Scheduler | ForeignSchedule):
        raise ForeignPartError(f"{name} returned {type(made).__name__}; a scheduler of timm's is expected")
    return made


class ForeignSchedule:
    """Sets every group's learning rate from a function of the step, after a warm-up.

    Args:
        name: The schedule's name, for messages.
        optimizer: The optimizer; each group gets its multiple of the rate.
        span: Length of the training and of its warm-up.
        rate: Returns the learning rate after a number of steps, not counting the warm-up.
    """

    def __init__(self, name: str, optimizer: Optimizer, span: Span, rate: Callable[[int], float]) -> None:
        self.name, self.optimizer, self.span, self.rate = name, optimizer, span, rate
        self.highest = float(optimizer.param_groups[0]["lr"])

    def step_update(self, done: int) -> None:
        """Set the learning rate of the next optimizer step.

        Raises:
            ForeignPartError: The schedule fails, or does not return a number of at least 0.
        """
        value = self._value(min(done, self.span.total_steps - 1))
        if not (math.isfinite(value) and value >= 0):
            raise ForeignPartError(f"{self.name} gives a learning rate of {value} at step {done}; expected at least 0")
        for group in self.optimizer.param_groups:
            group["lr"] = value * group.get(LR_SCALE, 1.0)

    def _value(self, done: int) -> float:
        warmup, start = self.span.warmup_steps, self.span.warmup_start
        if done < warmup:
            return start + (self.highest - start) * done / warmup
        return self.rate(done - warmup)


class TorchRate:
    """The learning rate of a torch scheduler, separate from the optimizer so that it can be replayed.

    Args:
        name: The schedule's name, for messages.
        kind: The scheduler's class.
        options: Its options.
        highest: The optimizer's learning rate.
    """

    def __init__(self, name: str, kind: Callable[..., LRScheduler], options: dict[str, Any], *, highest: float) -> None:
        self.name, self.kind, self.options, self.highest = name, kind, options, highest
        self._begin()

    def __call__(self, step: int) -> float:
        """Return the learning rate after a number of steps."""
        if step < self._done:
            self._begin()
        while self._done < step:
            with naming_part(self.name, f"failed at step {self._done + 1}"):
                self._shadow.step()  # torch expects an optimizer step before each scheduler step
                self._scheduler.step()
            self._done += 1
        return float(self._shadow.param_groups[0]["lr"])

    def _begin(self) -> None:
        self._shadow = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=self.highest, momentum=0.9)
        self._scheduler: LRScheduler = call_part(self.name, self.kind, self._shadow, **self.options)
        self._done = 0
