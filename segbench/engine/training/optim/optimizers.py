"""Optimizers, all made by timm, with every option that changes the result spelled out."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from timm.optim import (  # type: ignore[attr-defined]  # timm marks no names as exported
    create_optimizer_v2,
    get_optimizer_class,
    get_optimizer_info,
    list_optimizers,
)
from torch import nn
from torch.optim import Optimizer

from segbench.config.component import OptimizerEntry
from segbench.engine.training.optim.foreign import as_optimizer
from segbench.engine.training.optim.parameter_groups import (
    Parameters,
    freeze,
    grouped,
    settle_learning_rates,
    trainable_groups,
)
from segbench.errors import UnknownNameError, UsageError, did_you_mean
from segbench.registry import OPTIMIZERS


def create_optimizer(entry: OptimizerEntry, parameters: Parameters) -> Optimizer:
    """Make a suite's optimizer.

    Args:
        entry: The suite's ``train.optimizer``.
        parameters: The network, or its parameters; frozen ones are left out. Of a network, what a group gives a
            learning rate of 0 is frozen.

    Raises:
        UsageError: Nothing is trainable, or an option does not fit.
    """
    if entry.groups and isinstance(parameters, nn.Module):
        freeze(entry.groups, parameters)
        given = grouped(entry.groups, parameters)
    else:
        given = trainable_groups(parameters)
    if not given:
        raise UsageError(f"{entry.name}: the network has no trainable parameters")
    handed = given if entry.groups else given[0]["params"]
    made = OPTIMIZERS.create(entry.name, handed, **entry.options)
    optimizer = as_optimizer(entry.name, made, groups=given)
    settle_learning_rates(optimizer)
    return optimizer


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """What every built-in optimizer has.

    Attributes:
        timm_name: Its name in timm.
        fused: Whether torch's fused kernel takes the steps.
    """

    lr: float = 0.001
    """The learning rate."""
    weight_decay: float = 0.0
    """L2 penalty, added to the gradient."""

    timm_name: ClassVar[str]
    fused: ClassVar[bool] = False

    def build(self, parameters: Parameters) -> Optimizer:
        """Return the optimizer of these parameters.

        Raises:
            UsageError: Nothing is trainable, or the optimizer refuses a value.
        """
        return _create(self.timm_name, parameters, **asdict(self), **({"fused": True} if self.fused else {}))


@dataclass(frozen=True, kw_only=True)
class SGDOptions(OptimizerOptions):
    """Stochastic gradient descent with classical momentum (torch's); momentum 0 is plain gradient descent."""

    lr: float = 0.01
    """The learning rate."""
    momentum: float = 0.9
    """Share of the last step that is kept."""
    nesterov: bool = False
    """Whether the gradient is taken ahead of the step; timm's own ``sgd`` does so by default, papers do not."""
    decay_norm_and_bias: bool = True
    """Whether biases and normalisation scales decay too, as in the papers' recipes."""

    timm_name = "sgd"
    fused = True


@dataclass(frozen=True, kw_only=True)
class AdamOptions(OptimizerOptions):
    """Adam (torch's), with the weight decay inside the gradient."""

    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the denominator."""
    decay_norm_and_bias: bool = True
    """Whether biases and normalisation scales decay too."""

    timm_name = "adam"
    fused = True


@dataclass(frozen=True, kw_only=True)
class AdamWOptions(AdamOptions):
    """Adam with decoupled weight decay (torch's)."""

    weight_decay: float = 0.01
    """Share of the weights, times the learning rate, that is taken off in each step."""

    timm_name = "adamw"


@dataclass(frozen=True, kw_only=True)
class NAdamWOptions(AdamWOptions):
    """AdamW with Nesterov momentum (timm's)."""

    timm_name = "nadamw"
    fused = False


@dataclass(frozen=True, kw_only=True)
class RMSpropOptions(OptimizerOptions):
    """RMSprop (torch's: eps is added after the root)."""

    alpha: float = 0.9
    """Decay of the running mean of the squared gradient; torch's own default is 0.99, papers use 0.9."""
    eps: float = 1e-8
    """Added to the denominator."""
    momentum: float = 0.0
    """Share of the last step that is kept; timm's own default is 0.9."""
    decay_norm_and_bias: bool = True
    """Whether biases and normalisation scales decay too."""

    timm_name = "rmsprop"


@dataclass(frozen=True, kw_only=True)
class LAMBOptions(OptimizerOptions):
    """LAMB (timm's): Adam whose step is scaled by each layer's weight norm, for large batches."""

    weight_decay: float = 0.01
    """Added to the step before it is scaled."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-6
    """Added to the denominator."""
    max_grad_norm: float | None = 1.0
    """The largest global gradient norm; LAMB clips by itself, null does not."""
    decay_norm_and_bias: bool = True
    """Whether biases and normalisation scales decay (and are scaled) too."""

    timm_name = "lamb"


@dataclass(frozen=True, kw_only=True)
class LionOptions(OptimizerOptions):
    """Lion (timm's): steps by the sign of the momentum; wants a learning rate a tenth of Adam's."""

    lr: float = 0.0001
    """The learning rate, which is the size of every step."""
    weight_decay: float = 0.0
    """Share of the weights, times the learning rate, that is taken off in each step."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay in the step and of the momentum."""
    decay_norm_and_bias: bool = True
    """Whether biases and normalisation scales decay too."""

    timm_name = "lion"


def timm_optimizer(
    parameters: Parameters,
    *,
    target: str,
    lr: float = 0.001,
    weight_decay: float = 0.0,
    decay_norm_and_bias: bool = True,
    **options: Any,
) -> Optimizer:
    """Any optimizer that timm knows by name, with timm's own defaults (``timm:sgd`` has Nesterov momentum 0.9).

    Args:
        parameters: What to train.
        target: timm's name, such as ``adopt`` or ``lookahead_radam``.
        lr: The learning rate.
        weight_decay: Weight decay, in the sense of that optimizer.
        decay_norm_and_bias: Whether biases and normalisation scales decay too.
        options: Options of that optimizer's class.

    Raises:
        UsageError: timm has no such optimizer, it needs a missing package or a second derivative, or an option is
            unknown to it.
    """
    name = target.lower().removeprefix("lookahead_")
    names = [str(known) for known in list_optimizers()]
    if name not in names:
        raise UnknownNameError("timm optimizer", target, names)
    if getattr(get_optimizer_info(name), "second_order", False):
        raise UsageError(f"timm:{target} needs second derivatives, which the training loop does not take")
    try:
        known = inspect.signature(get_optimizer_class(name, bind_defaults=False)).parameters
    except (ImportError, AssertionError) as error:
        raise UsageError(f"timm:{target} cannot be used here: {error}") from error
    for option in options:
        if option not in known or option == "params":
            raise UsageError(f"timm:{target}: unknown option {option!r}{did_you_mean(option, set(known) - {'params'})}")
    return _create(
        target,
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        decay_norm_and_bias=decay_norm_and_bias,
        **options,
    )


def _create(
    name: str,
    parameters: Parameters,
    *,
    weight_decay: float,
    decay_norm_and_bias: bool,
    **options: Any,
) -> Optimizer:
    """Let timm make an optimizer of the trainable parameters.

    Raises:
        UsageError: Nothing is trainable, or the optimizer refuses a value.
    """
    groups: list[Any] = trainable_groups(parameters)
    if not groups:
        raise UsageError(f"{name}: the network has no trainable parameters")
    if not decay_norm_and_bias:
        groups = [part for group in groups for part in _split(group)]
    elif len(groups) == 1 and groups[0].keys() == {"params"}:
        groups = groups[0]["params"]
    try:
        optimizer: Optimizer = create_optimizer_v2(groups, opt=name, weight_decay=weight_decay, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"optimizer {name}: {error}") from error
    return optimizer


def _split(group: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return two groups: those of several dimensions, and vectors and scalars without weight decay."""
    matrices = [parameter for parameter in group["params"] if parameter.ndim > 1]
    vectors = [parameter for parameter in group["params"] if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{**group, "params": matrices}, {**group, "params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
