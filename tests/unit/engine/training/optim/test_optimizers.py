"""Claims about optimizers, held against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from segbench.config.component import OptimizerEntry
from segbench.engine.training.optim import optimizers
from segbench.errors import UnknownNameError, UsageError
from segbench.registry import OPTIMIZERS


def toy() -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network


def weights_after(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(2, 2, 6, 6, generator=generator)).square().mean().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in network.parameters()]


def both(ours, theirs):
    """The weights after a few steps of two optimizers, each given a network of its own."""
    first, second = toy(), toy()
    return weights_after(first, ours(first)), weights_after(second, theirs(second.parameters()))


SAME = {
    "sgd": (
        {"lr": 0.05, "weight_decay": 5e-4},
        lambda p: torch.optim.SGD(p, fused=True, lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=False),
    ),
    "sgd with nesterov": (
        {"lr": 0.05, "momentum": 0.8, "nesterov": True},
        lambda p: torch.optim.SGD(p, fused=True, lr=0.05, momentum=0.8, nesterov=True),
    ),
    "adam": (
        {"lr": 0.01, "weight_decay": 1e-2, "betas": [0.8, 0.95], "eps": 1e-6},
        lambda p: torch.optim.Adam(p, fused=True, lr=0.01, weight_decay=1e-2, betas=(0.8, 0.95), eps=1e-6),
    ),
    "adamw": (
        {"lr": 0.01, "weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, fused=True, lr=0.01, weight_decay=0.1),
    ),
    "rmsprop": (
        {"lr": 0.01, "alpha": 0.95, "eps": 1e-6, "momentum": 0.5, "weight_decay": 2e-4},
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.95, eps=1e-6, momentum=0.5, weight_decay=2e-4),
    ),
    "rmsprop as it comes": ({}, lambda p: torch.optim.RMSprop(p, lr=0.001, alpha=0.9)),
    "adam as it comes": ({}, lambda p: torch.optim.Adam(p, fused=True)),
    "adamw as it comes": ({}, lambda p: torch.optim.AdamW(p, fused=True)),
}


@pytest.mark.parametrize(("options", "theirs"), SAME.values(), ids=list(SAME))
def test_steps_are_torchs_bit_for_bit(request, options, theirs):
    name = request.node.callspec.id.split()[0]
    ours, expected = both(lambda network: OPTIMIZERS.create(name, network, **options), theirs)
    torch.testing.assert_close(ours, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, foreach=False, fused=False)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.01, foreach=False, fused=False)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, foreach=False, fused=False)),
    ],
)
def test_the_fused_kernels_step_as_the_plain_ones_do(name, plain):
    def stepped(create):
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 30.0]))
        optimizer = create([weight])
        for _ in range(5):
            optimizer.zero_grad()
            (weight * torch.tensor([3.0, 5.0, -1.0]) - 0.5).square().sum().backward()
            optimizer.step()
        return weight.detach()

    ours = stepped(lambda weights: OPTIMIZERS.create(name, weights, lr=0.01))
    torch.testing.assert_close(ours, stepped(plain), rtol=1e-5, atol=0)


def test_sgd_without_momentum_is_plain_gradient_descent():
    ours, plain = toy(), toy()
    weights_after(ours, OPTIMIZERS.create("sgd", ours, lr=0.1, momentum=0.0), steps=1)
    plain(torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(1))).square().mean().backward()
    for after, before in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(after.detach(), (before - 0.1 * before.grad).detach(), rtol=1e-6, atol=1e-7)


def test_lion_steps_by_the_sign_of_the_interpolated_gradient():
    parameter = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = OPTIMIZERS.create("lion", [parameter], lr=0.1, betas=(0.5, 0.9), weight_decay=0.2)
    weights, momentum = parameter.detach().clone(), torch.zeros(3)
    for gradient in (torch.tensor([1.0, -1.0, 0.5]), torch.tensor([-0.05, 3.0, -0.2])):
        parameter.grad = gradient.clone()
        optimizer.step()
        weights = weights * (1 - 0.1 * 0.2) - 0.1 * (0.5 * momentum + 0.5 * gradient).sign()
        momentum = 0.9 * momentum + 0.1 * gradient
    torch.testing.assert_close(parameter.detach(), weights)


def test_nadamw_takes_the_first_step_of_nesterov_adam_with_decoupled_decay():
    parameter = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = OPTIMIZERS.create("nadamw", [parameter], lr=0.1, weight_decay=0.5, betas=(0.9, 0.99), eps=0.0)
    gradient = torch.tensor([0.3, -4.0])
    parameter.grad = gradient.clone()
    optimizer.step()
    # m = 0.1 g, then looked ahead: 0.9 m + 0.1 g = 0.19 g, corrected by 1 - 0.9^1; v corrected is g^2.
    expected = torch.tensor([1.0, -2.0]) * (1 - 0.1 * 0.5) - 0.1 * 1.9 * gradient.sign()
    torch.testing.assert_close(parameter.detach(), expected)


def test_lamb_scales_the_step_of_a_layer_to_its_weight_norm():
    parameter = nn.Parameter(torch.tensor([[3.0, 4.0]]))
    optimizer = OPTIMIZERS.create("lamb", [parameter], lr=0.1, weight_decay=0.1, eps=1e-12, max_grad_norm=None)
    parameter.grad = torch.tensor([[0.2, -7.0]])
    optimizer.step()
    step = torch.tensor([[1.0, -1.0]]) + 0.1 * torch.tensor([[3.0, 4.0]])
    expected = torch.tensor([[3.0, 4.0]]) - 0.1 * step * (5.0 / step.norm())
    torch.testing.assert_close(parameter.detach(), expected)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS.entries() if not name.endswith(":")] + ["timm:adopt"])
def test_every_optimizer_decays_everything_by_default_and_only_kernels_when_told(name):
    everything = OPTIMIZERS.create(name, toy(), weight_decay=0.25)
    assert [group["weight_decay"] for group in everything.param_groups] == [0.25]
    assert len(everything.param_groups[0]["params"]) == 6
    split = OPTIMIZERS.create(name, toy(), weight_decay=0.25, decay_norm_and_bias=False)
    decays = {p.ndim: group["weight_decay"] for group in split.param_groups for p in group["params"]}
    assert decays == {4: 0.25, 1: 0.0}
    assert sum(len(group["params"]) for group in split.param_groups) == 6
    assert {group["lr"] for group in split.param_groups} == {everything.param_groups[0]["lr"]}


def test_biases_alone_make_one_group_without_decay():
    bias = nn.Parameter(torch.zeros(3))
    optimizer = OPTIMIZERS.create("sgd", iter([bias]), weight_decay=0.1, decay_norm_and_bias=False)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0]


def test_a_networks_own_wishes_do_not_change_the_decay():
    network = toy()
    network.no_weight_decay = lambda: {"0.weight"}
    assert [group["weight_decay"] for group in OPTIMIZERS.create("adamw", network, weight_decay=0.3).param_groups] == [
        0.3
    ]


def test_frozen_parameters_are_left_out():
    network = toy()
    network[0].requires_grad_(False)
    assert len(OPTIMIZERS.create("adam", network).param_groups[0]["params"]) == 4


def test_a_network_with_nothing_to_train_is_refused():
    with pytest.raises(UsageError, match="no trainable parameters"):
        OPTIMIZERS.create("adam", toy().requires_grad_(False))


def test_a_suites_entry_becomes_its_optimizer():
    entry = OptimizerEntry.model_validate({"name": "adamw", "lr": 0.02, "betas": [0.7, 0.9]})
    optimizer = optimizers.create_optimizer(entry, toy())
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.param_groups[0]["lr"] == 0.02
    assert optimizer.param_groups[0]["betas"] == (0.7, 0.9)


@pytest.mark.parametrize("name", ["momentum", "SGD", "radam", "adopt", "lookahead_radam", "muon", "rmsproptf"])
def test_any_of_timms_optimizers_trains_by_its_name(name):
    network, before = toy(), [p.detach().clone() for p in toy().parameters()]
    after = weights_after(network, OPTIMIZERS.create(f"timm:{name}", network, lr=0.01), steps=2)
    assert any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert all(weights.isfinite().all() for weights in after)


def test_options_reach_timms_optimizer():
    entry = OptimizerEntry.model_validate({"name": "timm:momentum", "momentum": 0.5, "weight_decay": 0.1})
    group = optimizers.create_optimizer(entry, toy()).param_groups[0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.5, False, 0.1)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown timm optimizer 'adammw', did you mean 'adamw'"):
        OPTIMIZERS.create("timm:adammw", toy())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adam", {"momentum": 0.9}, "unknown option 'momentum'"),
        ("sgd", {"betas": [0.9, 0.99]}, "unknown option 'betas'"),
        ("adamw", {"layer_decay": 0.9}, "unknown option 'layer_decay'"),
        ("adamw", {"bettas": [0.9, 0.99]}, "did you mean 'betas'"),
        ("adamw", {"params": []}, "unknown option 'params'"),
        ("adahessian", {}, "second derivatives"),
        ("fusedadam", {}, "cannot be used here"),
    ],
)
def test_what_timm_would_swallow_or_cannot_do_is_refused(name, options, message):
    with pytest.raises(UsageError, match=message):
        OPTIMIZERS.create(f"timm:{name}", toy(), **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("sgd", {"lr": -1.0}), ("sgd", {"momentum": 0.0, "nesterov": True}), ("adam", {"betas": [2.0, 0.9]})],
)
def test_a_value_that_the_optimizer_refuses_is_a_usage_error(name, options):
    with pytest.raises(UsageError, match=f"optimizer {name}"):
        OPTIMIZERS.create(name, toy(), **options)


@pytest.mark.parametrize("name", list(OPTIMIZERS.entries()))
def test_every_optimizer_documents_its_options(name):
    signature = OPTIMIZERS.entries()[name].signature
    own = {"lr", "weight_decay", "decay_norm_and_bias"}
    assert name == "python:" or own <= {option.name for option in signature.parameters}
    assert all(option.help for option in signature.parameters)
