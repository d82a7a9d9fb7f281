"""Optimizers, all created by timm, with explicit values for all options that change results."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from timm.optim import (  # type: ignore[attr-defined]  # timm marks no names as exported
    create_optimizer_v2,
    get_optimizer_class,
    get_optimizer_info,
    list_optimizers,
)
from torch import nn
from torch.optim import Optimizer

from segbench.config.component import OptimizerEntry
from segbench.engine.training.optim.foreign_optimizers import as_optimizer
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
        parameters: The network or its parameters; frozen ones are left out. With a network, parameters of groups with a
            learning rate of 0 are frozen.

    Raises:
        UsageError: Nothing is trainable, or an option is invalid.
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


def sgd(
    parameters: Parameters,
    *,
    lr: float = 0.01,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Stochastic gradient descent with classical momentum (torch's); momentum 0 is plain gradient descent.

    Args:
        parameters: The parameters to train.
        lr: The learning rate.
        weight_decay: L2 penalty, added to the gradient.
        momentum: Fraction of the last step that is kept.
        nesterov: Whether to use Nesterov momentum; timm's own ``sgd`` does by default, papers do not.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales, as in the papers'
            recipes.
    """
    return _create(
        "sgd",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        nesterov=nesterov,
        decay_norm_and_bias=decay_norm_and_bias,
        fused=True,
    )


def adam(
    parameters: Parameters,
    *,
    lr: float = 0.001,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Adam (torch's), with the weight decay inside the gradient.

    Args:
        parameters: The parameters to train.
        lr: The learning rate.
        weight_decay: L2 penalty, added to the gradient.
        betas: Decay of the running means of the gradient and of its square.
        eps: Added to the denominator.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales.
    """
    return _create(
        "adam",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=tuple(betas),
        eps=eps,
        decay_norm_and_bias=decay_norm_and_bias,
        fused=True,
    )


def adamw(
    parameters: Parameters,
    *,
    lr: float = 0.001,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Adam with decoupled weight decay (torch's).

    Args:
        parameters: The parameters to train.
        lr: The learning rate.
        weight_decay: Fraction of the weights, times the learning rate, subtracted in each step.
        betas: Decay of the running means of the gradient and of its square.
        eps: Added to the denominator.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales.
    """
    return _create(
        "adamw",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=tuple(betas),
        eps=eps,
        decay_norm_and_bias=decay_norm_and_bias,
        fused=True,
    )


def nadamw(
    parameters: Parameters,
    *,
    lr: float = 0.001,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """AdamW with Nesterov momentum (timm's).

    Args:
        parameters: The parameters to train.
        lr: The learning rate.
        weight_decay: Fraction of the weights, times the learning rate, subtracted in each step.
        betas: Decay of the running means of the gradient and of its square.
        eps: Added to the denominator.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales.
    """
    return _create(
        "nadamw",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=tuple(betas),
        eps=eps,
        decay_norm_and_bias=decay_norm_and_bias,
    )


def rmsprop(
    parameters: Parameters,
    *,
    lr: float = 0.001,
    weight_decay: float = 0.0,
    alpha: float = 0.9,
    eps: float = 1e-8,
    momentum: float = 0.0,
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """RMSprop (torch's: eps is added after the root).

    Args:
        parameters: The parameters to train.
        lr: The learning rate.
        weight_decay: L2 penalty, added to the gradient.
        alpha: Decay of the running mean of the squared gradient; torch's own default is 0.99, papers use 0.9.
        eps: Added to the denominator.
        momentum: Fraction of the last step that is kept; timm's own default is 0.9.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales.
    """
    return _create(
        "rmsprop",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        alpha=alpha,
        eps=eps,
        momentum=momentum,
        decay_norm_and_bias=decay_norm_and_bias,
    )


def lamb(
    parameters: Parameters,
    *,
    lr: float = 0.001,
    weight_decay: float = 0.01,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-6,
    max_grad_norm: float | None = 1.0,
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """LAMB (timm's): Adam whose step is scaled by each layer's weight norm, for large batches.

    Args:
        parameters: The parameters to train.
        lr: The learning rate.
        weight_decay: Added to the step before it is scaled.
        betas: Decay of the running means of the gradient and of its square.
        eps: Added to the denominator.
        max_grad_norm: The largest global gradient norm; LAMB clips by itself, null does not.
        decay_norm_and_bias: Whether weight decay and scaling also apply to biases and normalisation scales.
    """
    return _create(
        "lamb",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=tuple(betas),
        eps=eps,
        max_grad_norm=max_grad_norm,
        decay_norm_and_bias=decay_norm_and_bias,
    )


def lion(
    parameters: Parameters,
    *,
    lr: float = 0.0001,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.99),
    decay_norm_and_bias: bool = True,
) -> Optimizer:
    """Lion (timm's): steps by the sign of the momentum; wants a learning rate a tenth of Adam's.

    Args:
        parameters: The parameters to train.
        lr: The learning rate, which is the size of every step.
        weight_decay: Fraction of the weights, times the learning rate, subtracted in each step.
        betas: Decay in the step and of the momentum.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales.
    """
    return _create(
        "lion",
        parameters,
        lr=lr,
        weight_decay=weight_decay,
        betas=tuple(betas),
        decay_norm_and_bias=decay_norm_and_bias,
    )


def timm_optimizer(
    parameters: Parameters,
    *,
    target: str,
    lr: float = 0.001,
    weight_decay: float = 0.0,
    decay_norm_and_bias: bool = True,
    **options: Any,
) -> Optimizer:
    """An optimizer of timm by name, with timm's defaults (``timm:sgd`` has Nesterov momentum 0.9).

    Args:
        parameters: The parameters to train.
        target: timm's name, such as ``adopt`` or ``lookahead_radam``.
        lr: The learning rate.
        weight_decay: Weight decay, in the sense of that optimizer.
        decay_norm_and_bias: Whether weight decay also applies to biases and normalisation scales.
        options: Options of that optimizer's class.

    Raises:
        UsageError: timm lacks the optimizer, it needs a missing package or second derivatives, or an option is unknown.
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
    """Create a timm optimizer of the trainable parameters.

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
    """Split parameters into two groups: matrices and kernels, and vectors and scalars without weight decay."""
    matrices = [parameter for parameter in group["params"] if parameter.ndim > 1]
    vectors = [parameter for parameter in group["params"] if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [{**group, "params": matrices}, {**group, "params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
