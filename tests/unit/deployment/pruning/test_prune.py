"""Pruned networks are smaller, take and give what they did, and are trained on for a share of the recipe."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.load import check_part
from segbench.config.suite import Train
from segbench.deployment.pruning.fine_tune import shortened
from segbench.deployment.pruning.prune import parameters_of, pruned
from segbench.errors import ModelRefusal
from segbench.models.build import build_network

SHAPE = (1, 3, 64, 64)


def network(name) -> nn.Module:
    entry = check_part(ModelEntry, {"name": name, "width": 0.125})
    return build_network(entry, classes=3, channels=3, seed=0).eval()


@pytest.mark.parametrize("name", ["cnn", "unet", "segnet_basic", "fcn8s"])
def test_half_of_the_channels_leaves_about_a_quarter_of_the_parameters(name):
    whole = network(name)
    before = {key: tensor.clone() for key, tensor in whole.state_dict().items()}
    smaller = pruned(whole, 0.5, SHAPE, classes=3)
    assert 0.2 < parameters_of(smaller) / parameters_of(whole) < 0.35
    with torch.inference_mode():
        assert smaller(torch.randn(2, 3, 64, 96)).shape == (2, 3, 64, 96)
    assert all(torch.equal(tensor, before[key]) for key, tensor in whole.state_dict().items())


def test_equal_networks_are_pruned_alike():
    first, again = (pruned(network("unet"), 0.3, SHAPE, classes=3) for _ in range(2))
    for key, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key])


def test_the_channels_of_the_smallest_norm_go():
    layers = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.ReLU(), nn.Conv2d(4, 3, 1, bias=False))
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([4.0, 1.0, 3.0, 2.0])[:, None, None, None].expand(4, 3, 1, 1))
        layers[2].weight.fill_(1.0)
    smaller = pruned(layers, 0.5, (1, 3, 8, 8), classes=3)
    assert sorted(smaller[0].weight[:, 0, 0, 0].tolist()) == [3.0, 4.0]
    assert smaller[2].weight.shape == (3, 2, 1, 1)


def test_a_network_of_nothing_but_scores_is_refused():
    with pytest.raises(ModelRefusal, match="no channel can be taken out"):
        pruned(nn.Sequential(nn.Conv2d(3, 3, 1)), 0.5, (1, 3, 8, 8), classes=3)


@pytest.mark.parametrize(
    ("recipe", "share", "expected"),
    [
        ({"epochs": 40}, 0.1, ("epochs", 4)),
        ({"epochs": 3}, 0.1, ("epochs", 1)),
        ({"steps": 500}, 0.05, ("steps", 25)),
        ({"epochs": 10, "select": "best", "early_stopping": {"patience": 2}}, 0.5, ("epochs", 5)),
    ],
)
def test_fine_tuning_is_the_recipe_for_a_share_of_its_length(recipe, share, expected):
    train = Train.model_validate({**recipe, "optimizer": {"name": "sgd", "lr": 0.02}, "batch_size": 3})
    short = shortened(train, share)
    assert getattr(short, expected[0]) == expected[1]
    assert (short.batch_size, short.optimizer, short.schedule) == (3, train.optimizer, train.schedule)
    assert not short.validates


@pytest.mark.parametrize(
    ("recipe", "share", "expected"),
    [
        ({"steps": 500}, 0.1, 10),
        ({"epochs": 40}, 0.1, 10),
        ({"epochs": 3}, 0.1, 33),  # one epoch is a third
        ({"steps": 101}, 0.01, 0),  # one step has no warm-up
        ({"steps": 500}, 1.0, 100),
    ],
)
def test_the_warm_up_is_shortened_as_the_training_is(recipe, share, expected):
    train = Train.model_validate({**recipe, "schedule": {"name": "poly", "power": 0.5, "warmup_steps": 100}})
    short = shortened(train, share)
    assert short.schedule.warmup_steps == expected
    assert (short.schedule.name, short.schedule.options) == (train.schedule.name, train.schedule.options)
    if short.steps is not None:
        assert short.schedule.warmup_steps < short.steps
