"""Splits a network's parameters into groups with their own learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from segbench.config.sections.parameter_groups import ParameterGroup, setting_of
from segbench.errors import UsageError
from segbench.models.base import OverlapTile
from segbench.models.external import ExternalNetwork

LR_SCALE = "lr_scale"
"""Key of an optimizer's parameter group with the factor that timm's schedules apply to its learning rate."""
_WANTED_LR = "wanted_lr"
_PREFIX = "model."

Parameters = nn.Module | Iterable[nn.Parameter] | Iterable[Mapping[str, Any]]
"""A network, its parameters, or parameter groups."""


class GroupShare(NamedTuple):
    """The parameters of a network in one parameter group.

    Attributes:
        tensors: Number of trainable tensors whose names match.
        parameters: Number of values in them.
        of_parameters: Number of trainable values of the whole network.
    """

    tensors: int
    parameters: int
    of_parameters: int

    def __str__(self) -> str:
        """Return a description, such as ``12 tensors, 34 % of the parameters``."""
        if not self.tensors:
            return "nothing"
        share = 100 * self.parameters / self.of_parameters
        shown = f"{share:.0f}" if share >= 1 else "less than 1"
        return f"{self.tensors} tensor{'s' if self.tensors > 1 else ''}, {shown} % of the parameters"


def trainable_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return trainable parameters by the names within the network itself.

    Wrappers (for external networks, or for networks with valid convolutions) add a prefix to the names, which is
    removed.
    """
    wrapped = isinstance(network, ExternalNetwork | OverlapTile)
    return {
        name.removeprefix(_PREFIX) if wrapped else name: parameter
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


def shares(groups: Sequence[ParameterGroup], network: nn.Module) -> list[GroupShare]:
    """Return the parameters of each group, in the groups' order."""
    known = trainable_parameters(network)
    total = sum(parameter.numel() for parameter in known.values())
    found = []
    for group in groups:
        sizes = [parameter.numel() for name, parameter in known.items() if group.matches(name)]
        found.append(GroupShare(len(sizes), sum(sizes), total))
    return found


def grouped(groups: Sequence[ParameterGroup], network: nn.Module) -> list[dict[str, Any]]:
    """Return a network's trainable parameters as parameter groups, one for each setting, ordered by name."""
    found: dict[Any, list[nn.Parameter]] = {}
    for name, parameter in trainable_parameters(network).items():
        found.setdefault(setting_of(name, groups), []).append(parameter)
    return [
        {
            "params": parameters,
            LR_SCALE: 1.0 if setting.lr_scale is None else setting.lr_scale,
            **({} if setting.lr is None else {_WANTED_LR: setting.lr}),
            **({} if setting.weight_decay is None else {"weight_decay": setting.weight_decay}),
        }
        for setting, parameters in found.items()
    ]


def freeze(groups: Sequence[ParameterGroup], network: nn.Module) -> None:
    """Disable gradients of parameters whose learning rate is 0, so that optimizers skip them."""
    for name, parameter in trainable_parameters(network).items():
        if setting_of(name, groups).frozen:
            parameter.requires_grad = False


def trainable_groups(parameters: Parameters) -> list[dict[str, Any]]:
    """Return parameters as parameter groups, without frozen parameters and empty groups."""
    given: list[Any] = list(parameters.parameters() if isinstance(parameters, nn.Module) else parameters)
    groups = [part if isinstance(part, Mapping) else {"params": [part]} for part in given]
    if not any(isinstance(part, Mapping) for part in given):
        groups = [{"params": given}]
    kept = [{**group, "params": [one for one in group["params"] if one.requires_grad]} for group in groups]
    return [group for group in kept if group["params"]]


def settle_learning_rates(optimizer: Optimizer) -> None:
    """Convert the groups' own learning rates to multiples of the optimizer's.

    Raises:
        UsageError: The optimizer's learning rate is 0.
    """
    for group in optimizer.param_groups:
        wanted = group.pop(_WANTED_LR, None)
        if wanted is None:
            continue
        if not group["lr"]:
            raise UsageError("train.optimizer.groups: lr requires an optimizer learning rate above 0")
        group[LR_SCALE] = wanted / group["lr"]
