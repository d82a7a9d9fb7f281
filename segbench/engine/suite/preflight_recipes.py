"""Tries a recipe's losses, optimizer and schedule before training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from segbench.config.sections.training import Train
from segbench.engine.training.accumulation import steps_per_epoch, total_steps
from segbench.engine.training.losses.base import Loss
from segbench.engine.training.losses.foreign import try_loss
from segbench.engine.training.losses.weighted_sum import build_loss
from segbench.engine.training.optim.foreign import TorchRate
from segbench.engine.training.optim.optimizers import create_optimizer
from segbench.engine.training.optim.schedules import Schedule, create_schedule
from segbench.errors import SegbenchError, SuiteError, UsageError
from segbench.registry import OPTIMIZERS

MOST_STEPS = 20_000
"""Largest number of steps to which torch's schedulers, which advance step by step, are checked."""

_BATCHES = 1000
"""Assumed batches per epoch, if not known."""


def try_losses(train: Train, *, classes: int) -> list[str]:
    """Build the loss, and try external terms on random logits.

    Returns:
        Messages for the user.

    Raises:
        UsageError: A term cannot be created, or fails.
    """
    with _at("train.loss"):
        loss = build_loss(train.loss, classes=classes, median_frequency=lambda: [1.0] * classes)
        remarks = [try_loss(term) for term in loss.losses if isinstance(term, Loss)]
    if train.micro_batch is not None and not loss.is_pixel_mean:
        remarks.append(
            f"train.micro_batch: {' + '.join(loss.names)} is not a plain mean over pixels: it is computed part by "
            "part, and then averaged"
        )
    return [remark for remark in remarks if remark is not None]


def needs_network(train: Train) -> bool:
    """Return whether creating the optimizer may fail for some networks, as with groups and external parts."""
    entry = train.optimizer
    return bool(entry.groups) or entry.name.startswith("timm:") or OPTIMIZERS.is_foreign(entry.name)


def try_optimizer(train: Train, network: nn.Module | None, *, batches: int | None, label: str = "") -> None:
    """Create the optimizer and schedule for tensors of a network's shapes, and check the schedule's steps.

    Args:
        train: The recipe.
        network: The network on the meta device; its parameters get uninitialised memory. None uses a small placeholder
            network.
        batches: Batches per epoch; None if not known, then the schedule's steps are not checked.
        label: Name of the network in messages.

    Raises:
        SuiteError: Optimizer or schedule cannot be created, or the schedule fails at a step.
    """
    network = _small() if network is None else network
    for module in network.modules():
        module._apply(_with_memory, recurse=False)  # type: ignore[no-untyped-call]
    with _at("train.optimizer", label):
        optimizer = create_optimizer(train.optimizer, network)
    assumed = max(_BATCHES, train.schedule.warmup_steps + 1) if batches is None else batches
    steps, of_epoch = total_steps(train, assumed), steps_per_epoch(train, assumed)
    with _at("train.schedule", label):
        schedule = create_schedule(train.schedule, optimizer, total_steps=steps, steps_per_epoch=of_epoch)
        if batches is not None:
            _follow(schedule, steps)


def _follow(schedule: Schedule, steps: int) -> None:
    """Check an external schedule at some steps; built-in schedules need no trial."""
    rate = getattr(schedule.scheduler, "rate", None)
    if rate is None:
        return
    last = min(steps - 1, MOST_STEPS) if isinstance(rate, TorchRate) else steps - 1
    for done in sorted({1, last // 2, last} & set(range(steps))):
        schedule.step(done)


def _with_memory(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(tensor, device="cpu") if tensor.is_meta else tensor


def _small() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


@contextmanager
def _at(key: str, label: str = "") -> Iterator[None]:
    """Add key and network to an error's message, unless it names them already.

    Raises:
        SuiteError: An error occurred.
    """
    network = f" (for {label})" if label else ""
    try:
        yield
    except SuiteError:
        raise
    except UsageError as error:
        text = str(error)
        raise SuiteError(text.removeprefix(f"{key}: ") + network, key=key) from error
    except SegbenchError:
        raise
    except Exception as error:  # any error of an external constructor
        raise SuiteError(f"cannot be made: {type(error).__name__}: {error}{network}", key=key) from error
