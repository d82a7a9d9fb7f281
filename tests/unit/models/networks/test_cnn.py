"""The two networks without a decoder."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.models.base import count_macs, count_parameters
from segbench.models.networks.cnn import ConcatenationBlock
from segbench.registry import MODELS

cnn = partial(MODELS.create, "cnn")
keras_cnn = partial(MODELS.create, "keras_cnn")


@pytest.mark.parametrize(("norm", "parameters"), [(None, 14_725_461), ("none", 14_725_461), ("batch", 14_733_909)])
def test_the_plain_cnn_has_the_measured_parameters(norm: str | None, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(cnn(21, norm=norm)) == parameters


def test_the_plain_cnn_has_the_measured_multiply_adds() -> None:
    with torch.device("meta"):
        network = cnn(21)
    assert count_macs(network, 3, 512, 512) / 1e9 == pytest.approx(80.2, rel=1e-3)


def test_the_keras_cnn_has_the_parameters_of_its_five_blocks_and_classifier() -> None:
    blocks = [3 * 64, 128 * 128, 256 * 256, 512 * 512, 1024 * 1024]
    expected = 9 * sum(blocks) + (64 + 128 + 256 + 512 + 1024) + 2048 * 7 + 7
    with torch.device("meta"):
        network = keras_cnn(7)
    assert count_parameters(network) == expected
    assert network(torch.empty(1, 3, 256, 256, device="meta")).shape == (1, 7, 256, 256)


@pytest.mark.parametrize("factory", [cnn, keras_cnn])
@pytest.mark.parametrize("size", [(1, 1), (45, 61), (48, 48)])
@pytest.mark.parametrize("norm", [None, "group"])
def test_any_size_keeps_its_size(factory: object, size: tuple[int, int], norm: str | None) -> None:
    network = factory(5, 1, width=1 / 16, norm=norm, activation="gelu").eval()
    with torch.no_grad():
        logits = network(torch.randn(2, 1, *size))
    assert logits.shape == (2, 5, *size)
    assert logits.isfinite().all()


def test_the_plain_cnn_is_convolutions_pools_scores_and_one_interpolation() -> None:
    network = cnn(3, width=1 / 16).eval()
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    features = images
    with torch.no_grad():
        for stage in network.stages:
            for unit in stage:
                layer = unit.convolution
                features = functional.relu(functional.conv2d(features, layer.weight, layer.bias, padding=1))
            features = functional.max_pool2d(features, 2)
        assert features.shape[-2:] == (2, 3)
        expected = functional.interpolate(network.score(features), size=(64, 96), mode="bilinear")
        torch.testing.assert_close(network(images), expected)


def test_a_block_joins_its_output_with_its_own_repeated_maxima() -> None:
    block = ConcatenationBlock(1, 1, norm="none", activation="relu")
    nn.init.dirac_(block.unit.convolution.weight)
    nn.init.zeros_(block.unit.convolution.bias)
    image = torch.tensor([[1.0, 2.0, 5.0], [3.0, -4.0, 6.0], [7.0, 8.0, 9.0]])
    fine, coarse = block(image.view(1, 1, 3, 3))[0].tolist()
    assert fine == [[1, 2, 5], [3, 0, 6], [7, 8, 9]]
    assert coarse == [[3, 3, 6], [3, 3, 6], [8, 8, 9]]


@pytest.mark.parametrize("factory", [cnn, keras_cnn])
def test_every_parameter_gets_a_gradient(factory: object) -> None:
    torch.manual_seed(0)
    network = factory(3, width=1 / 8, norm="batch").train()
    logits = network(torch.randn(2, 3, 48, 48))
    functional.cross_entropy(logits, torch.randint(3, (2, 48, 48))).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())
    assert network.stages[0][0].convolution.weight.grad.any() if factory is cnn else True


def test_networks_start_as_he_et_al() -> None:
    torch.manual_seed(0)
    network = cnn(3, width=0.5)
    layer = network.stages[3][1].convolution
    assert layer.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
    assert not layer.bias.any()
