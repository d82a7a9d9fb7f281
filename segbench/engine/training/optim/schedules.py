"""Learning-rate schedules of timm, in optimizer steps."""

from __future__ import annotations

import itertools
from typing import Any

from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.scheduler.multistep_lr import MultiStepLRScheduler
from timm.scheduler.poly_lr import PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from timm.scheduler.step_lr import StepLRScheduler
from torch.optim import Optimizer

from segbench.config.component import ScheduleEntry
from segbench.engine.training.optim.foreign import ForeignSchedule, as_scheduler
from segbench.engine.training.optim.length import Span
from segbench.engine.training.optim.parameter_groups import LR_SCALE
from segbench.errors import UsageError
from segbench.registry import SCHEDULES


class Schedule:
    """Sets an optimizer's learning rate for each step; that of the first step is set at creation.

    Its only state is the step.
    """

    def __init__(self, scheduler: Scheduler | ForeignSchedule, optimizer: Optimizer) -> None:
        self.scheduler, self._optimizer = scheduler, optimizer
        self.step(0)

    def step(self, done: int) -> None:
        """Set the learning rate of the next optimizer step.

        Args:
            done: Number of optimizer steps done.
        """
        self.scheduler.step_update(done)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next optimizer step; parameter groups use multiples of it."""
        first = self._optimizer.param_groups[0]
        return float(first["lr"]) / float(first.get(LR_SCALE, 1.0))


def create_schedule(entry: ScheduleEntry, optimizer: Optimizer, *, total_steps: int, steps_per_epoch: int) -> Schedule:
    """Create a suite's schedule.

    Args:
        entry: The suite's ``train.schedule``.
        optimizer: Its learning rate, as created, is the schedule's highest.
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of one epoch.

    Raises:
        UsageError: There are no steps, the warm-up takes all steps, or an option is invalid.
    """
    if total_steps < 1 or steps_per_epoch < 1:
        raise UsageError(
            f"train.schedule: {total_steps} steps in all, {steps_per_epoch} an epoch; expected at least 1 of each: "
            "is the batch larger than the training split?"
        )
    if entry.warmup_steps >= total_steps:
        raise UsageError(
            f"train.schedule.warmup_steps: {entry.warmup_steps} of {total_steps} training steps leaves none at the "
            "full learning rate; warm up for fewer or train for longer"
        )
    span = Span(total_steps, steps_per_epoch, entry.warmup_steps, entry.warmup_start)
    made = SCHEDULES.create(entry.name, optimizer, span, **entry.options)
    return Schedule(as_scheduler(entry.name, made), optimizer)


def constant(optimizer: Optimizer, span: Span) -> Scheduler:
    """A constant learning rate after the warm-up."""
    return StepLRScheduler(optimizer, decay_t=span.total_steps, decay_rate=1.0, **_from_start(span))


def poly(optimizer: Optimizer, span: Span, *, power: float = 0.9, minimum: float = 0.0) -> Scheduler:
    """Polynomial decay, the "poly" policy of DeepLab: (1 - fraction of the steps after the warm-up) ^ power.

    Args:
        optimizer: The optimizer.
        span: Length of the training.
        power: The exponent; 1 is linear.
        minimum: The learning rate after the last step.
    """
    _require("poly", power=power, minimum=minimum)
    return PolyLRScheduler(optimizer, t_initial=span.remaining_steps, power=power, lr_min=minimum, **_after(span))


def cosine(optimizer: Optimizer, span: Span, *, minimum: float = 0.0) -> Scheduler:
    """Cosine decay from the end of the warm-up to the end of the training.

    Args:
        optimizer: The optimizer.
        span: Length of the training.
        minimum: The learning rate after the last step.
    """
    _require("cosine", minimum=minimum)
    return CosineLRScheduler(optimizer, t_initial=span.remaining_steps, lr_min=minimum, **_after(span))


def step(optimizer: Optimizer, span: Span, *, every_epochs: int = 10, factor: float = 0.1) -> Scheduler:
    """Step decay: multiplied by a factor every few epochs, counted from the start of the training.

    Args:
        optimizer: The optimizer.
        span: Length of the training.
        every_epochs: Epochs between drops.
        factor: Factor of the learning rate.
    """
    _require("step", factor=factor)
    if every_epochs < 1:
        raise UsageError(f"train.schedule: step: every_epochs is {every_epochs}; expected at least 1")
    interval = every_epochs * span.steps_per_epoch
    return StepLRScheduler(optimizer, decay_t=interval, decay_rate=factor, **_from_start(span))


def multistep(optimizer: Optimizer, span: Span, *, milestones: list[int], factor: float = 0.1) -> Scheduler:
    """Multi-step decay: multiplied by a factor at each milestone, counted from the start of the training.

    Args:
        optimizer: The optimizer.
        span: Length of the training.
        milestones: Increasing epochs after which the learning rate drops.
        factor: Factor of the learning rate.
    """
    _require("multistep", factor=factor)
    if not milestones or milestones[0] < 1 or any(a >= b for a, b in itertools.pairwise(milestones)):
        raise UsageError(f"train.schedule: multistep: milestones {milestones}: expected rising epochs, each at least 1")
    # timm drops at the step before a milestone, hence the 1.
    drops = [epoch * span.steps_per_epoch + 1 for epoch in milestones]
    return MultiStepLRScheduler(optimizer, decay_t=drops, decay_rate=factor, **_from_start(span))


def exponential(optimizer: Optimizer, span: Span, *, factor: float = 0.995) -> Scheduler:
    """Exponential decay: multiplied by a factor after every epoch, as for FC-DenseNet.

    Args:
        optimizer: The optimizer.
        span: Length of the training.
        factor: Factor of the learning rate.
    """
    _require("exponential", factor=factor)
    return StepLRScheduler(optimizer, decay_t=span.steps_per_epoch, decay_rate=factor, **_from_start(span))


def _after(span: Span) -> dict[str, Any]:
    """Return the options of a schedule that starts after the warm-up."""
    return {**_from_start(span), "warmup_prefix": True}


def _from_start(span: Span) -> dict[str, Any]:
    """Return the options of a schedule that starts at the first step; the warm-up overrides its beginning."""
    return {
        "warmup_t": span.warmup_steps,
        "warmup_lr_init": span.warmup_start,
        "warmup_prefix": False,
        "t_in_epochs": False,
    }


def _require(name: str, **values: float) -> None:
    for option, value in values.items():
        if value < 0 or (value == 0 and option != "minimum"):
            raise UsageError(f"train.schedule: {name}: {option} is {value}; expected a number above 0")
