"""Times whole training steps, then forward, backward and optimizer separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from segbench.config.suite import Train
from segbench.engine.device import ComputeConfig
from segbench.engine.training.auxiliary_losses import TrainingLoss, supervised
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.results.speed.record import Restart, SpeedCase
from segbench.speed.measure.execution_modes import replays, trained
from segbench.speed.measure.inputs import Batches, random_batches
from segbench.speed.measure.memory import reset_peak
from segbench.speed.measure.sampling import Prepared, sampled
from segbench.speed.measure.timer import Timer

PARTS = ("forward", "backward", "optimizer")
MOST_SPLIT_STEPS = 50


@dataclass
class Step:
    """One optimizer step of a recipe on random images and labels, run as a whole or in parts."""

    network: nn.Module
    loss: TrainingLoss
    optimizer: Optimizer
    arithmetic: ComputeConfig
    batches: Batches
    recipe: Train
    scaler: torch.amp.GradScaler
    turn: int = 0
    total: Tensor = field(default_factory=lambda: torch.zeros(()))

    def forward(self) -> None:
        """Compute the loss of the next batch; the forward pass uses the recipe's precision."""
        index = self.turn % len(self.batches.images)
        self.turn += 1
        with self.arithmetic.autocast():
            outputs = self.network(self.batches.images[index])
        self.total = self.loss.combine(self.loss.terms(outputs, self.batches.labels[index]))

    def backward(self) -> None:
        """Compute the gradients."""
        torch.autograd.backward(self.scaler.scale(self.total))

    def update(self) -> None:
        """Clip gradients if the recipe does, step the optimizer, and clear the gradients."""
        self.scaler.unscale_(self.optimizer)
        if self.recipe.clip_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def __call__(self) -> None:
        """Run one whole step over all batches that the recipe accumulates."""
        for _ in range(self.batches_a_step):
            self.forward()
            self.backward()
        self.update()

    @property
    def batches_a_step(self) -> int:
        """Number of batches accumulated per step; ``epoch`` counts as 1, since its length is not known."""
        return self.recipe.accumulate if isinstance(self.recipe.accumulate, int) else 1


def time_training(
    network: nn.Module, case: SpeedCase, *, arithmetic: ComputeConfig, timer: Timer, resident_before: int | None
) -> Restart:
    """Time training steps of a network on data that is already on the device, without a loader.

    The parts are timed in separate steps, because waiting between parts slows a step down.

    Raises:
        UnsupportedMode: Training does not support the mode.
        UsageError: The case's recipe is invalid.
    """
    with training_step(network, case, arithmetic=arithmetic) as step:
        prepared = Prepared(step, case.mode, 0.0, step.batches.spare_bytes)
        whole = sampled(prepared, timer, resident_before=resident_before)
        parts = _parts(step, timer, steps=min(len(whole.host_seconds), MOST_SPLIT_STEPS))
    return whole.model_copy(update={"parts_seconds": parts})


@contextmanager
def training_step(network: nn.Module, case: SpeedCase, *, arithmetic: ComputeConfig) -> Iterator[Step]:
    """Return a function that runs one training step of the case on the next batch.

    Raises:
        UnsupportedMode: Training does not support the mode.
        UsageError: The case's recipe is invalid.
    """
    recipe = Train.model_validate(case.recipe)
    if replays(case.mode):
        reset_peak(arithmetic.device)
    network = arithmetic.place(network).train()
    loss = build_loss(recipe.loss, classes=case.classes, median_frequency=lambda: [1.0] * case.classes)
    forward, training_loss = supervised(network, loss, recipe.auxiliary)
    step = Step(
        trained(forward, case.mode),
        training_loss.to(arithmetic.device),
        create_optimizer(recipe.optimizer, network),
        arithmetic,
        random_batches(case, arithmetic),
        recipe,
        torch.amp.GradScaler(arithmetic.device.type, enabled=case.precision == "fp16"),
    )
    with arithmetic.matrix_precision():
        yield step


def _parts(step: Step, timer: Timer, *, steps: int) -> dict[str, tuple[float, ...]]:
    calls: tuple[Callable[[], None], ...] = (step.forward, step.backward, step.update)
    times: dict[str, list[float]] = {name: [] for name in PARTS}
    for _ in range(steps):
        for name, call in zip(PARTS, calls, strict=True):
            times[name].append(timer.once(call))
    return {name: tuple(values) for name, values in times.items()}
