import math
from functools import partial

import pytest
import torch
from torch import nn

from segbench.errors import ModelRefusal, UsageError
from segbench.models.base import count_macs, count_parameters
from segbench.registry import MODELS

fc_densenet = partial(MODELS.create, "fc_densenet")
fc_densenet56 = partial(MODELS.create, "fc_densenet56")
fc_densenet67 = partial(MODELS.create, "fc_densenet67")
fc_densenet103 = partial(MODELS.create, "fc_densenet103")


def on_meta(factory, *arguments, **options):
    with torch.device("meta"):
        return factory(*arguments, **options)


def counted_by_hand(classes, first, growth, down, bottleneck, up):
    """Learned parameters from the text of section 3 alone."""

    def layer(inputs, outputs, kernel):
        return 2 * inputs + inputs * outputs * kernel**2 + outputs

    def block(inputs, layers):
        return sum(layer(inputs + index * growth, growth, 3) for index in range(layers))

    total, stack, skips = 3 * first * 9 + first, first, []
    for layers in down:
        total += block(stack, layers)
        stack += growth * layers
        skips.append(stack)
        total += layer(stack, stack, 1)
    total += block(stack, bottleneck)
    new = growth * bottleneck
    for layers, skip in zip(up, skips[::-1], strict=True):
        total += new * new * 9 + new
        stack = new + skip
        total += block(stack, layers)
        new = growth * layers
    return total + (stack + new) * classes + classes


@pytest.mark.parametrize(
    ("factory", "classes", "parameters"),
    [
        (fc_densenet56, 11, 1_376_795),
        (fc_densenet56, 12, 1_376_988),
        (fc_densenet56, 21, 1_378_725),
        (fc_densenet67, 11, 3_463_243),
        (fc_densenet67, 12, 3_463_532),
        (fc_densenet67, 21, 3_466_133),
        (fc_densenet103, 11, 9_322_091),
        (fc_densenet103, 12, 9_322_348),
        (fc_densenet103, 21, 9_324_661),
        (fc_densenet, 21, 9_324_661),
    ],
)
def test_parameter_counts_are_those_of_the_reference(factory, classes, parameters):
    assert count_parameters(on_meta(factory, classes)) == parameters


@pytest.mark.slow(reason="builds networks at full width")
@pytest.mark.parametrize(
    ("factory", "large", "camvid"),
    [(fc_densenet56, 46.6, 30.7), (fc_densenet67, 109.2, 72.0), (fc_densenet103, 104.9, 69.1)],
)
def test_multiply_adds_are_those_of_the_reference(factory, large, camvid):
    network = on_meta(factory, 11)
    assert count_macs(network, 3, 512, 512) / 1e9 == pytest.approx(large, rel=1e-3)
    assert count_macs(network, 3, 360, 480) / 1e9 == pytest.approx(camvid, rel=1e-3)


def test_a_free_shape_has_the_parameters_counted_by_hand():
    network = fc_densenet(5, growth=3, first_channels=7, down_layers=[2, 3], bottleneck_layers=4, up_layers=[3, 1])
    assert count_parameters(network) == counted_by_hand(5, 7, 3, [2, 3], 4, [3, 1])


def test_the_way_up_mirrors_the_way_down_by_default():
    network = fc_densenet(5, growth=2, down_layers=[1, 2, 3], bottleneck_layers=1)
    assert [len(block.layers) for block in network.up_blocks] == [3, 2, 1]


def test_the_classifier_of_103_sees_256_channels():
    assert on_meta(fc_densenet103, 11).score.in_channels == 256


def test_transitions_up_take_the_new_features_only():
    network = on_meta(fc_densenet103, 11)
    assert [up.deconvolution.in_channels for up in network.transitions_up] == [240, 192, 160, 112, 80]


def test_a_block_feeds_every_layer_with_all_before_it():
    network = fc_densenet(5, growth=2, first_channels=3, down_layers=[3], bottleneck_layers=1).eval()
    block, features = network.down_blocks[0], torch.rand(1, 3, 4, 4)
    with torch.no_grad():
        first = block.layers[0](features)
        second = block.layers[1](torch.cat([features, first], 1))
        third = block.layers[2](torch.cat([features, first, second], 1))
        assert torch.allclose(block(features), torch.cat([first, second, third], 1), atol=1e-6)


def test_a_layer_is_norm_activation_convolution_dropout_of_elements():
    layer = fc_densenet56(11).down_blocks[0].layers[0]
    assert [type(part) for part in layer] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.Dropout]
    assert layer[3].p == 0.2


def test_a_transition_down_keeps_the_channels_and_halves_the_size():
    transition = fc_densenet(5, growth=2, first_channels=3, down_layers=[1], bottleneck_layers=1).transitions_down[0]
    assert transition.eval()(torch.rand(1, 5, 7, 8)).shape == (1, 5, 3, 4)


def test_a_transition_up_is_cut_to_an_odd_skip():
    transition = fc_densenet(5, growth=2, first_channels=3, down_layers=[1], bottleneck_layers=1).transitions_up[0]
    features = torch.rand(1, 2, 11, 15)
    assert transition(features, torch.rand(1, 5, 22, 31)).shape == (1, 7, 22, 31)


@pytest.mark.parametrize("size", [(32, 32), (33, 63), (45, 61), (360, 480)])
def test_any_size_from_32_is_mapped_to_its_own(size):
    network = on_meta(fc_densenet56, 11, width=0.25).eval()
    assert network(torch.empty(1, 3, *size, device="meta")).shape == (1, 11, *size)


def test_smaller_images_are_refused():
    with pytest.raises(ModelRefusal, match=r"at least 32 \(5 poolings by 2\)"):
        on_meta(fc_densenet56, 11)(torch.empty(1, 3, 31, 64, device="meta"))


def test_convolutions_start_he_uniform():
    weight = fc_densenet56(11).transitions_down[4][0][2].weight
    bound = math.sqrt(6 / weight.shape[1])
    assert weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_width_scales_growth_and_first_channels():
    network = fc_densenet67(11, width=0.25)
    assert network.first.out_channels == 12
    assert network.down_blocks[0].layers[0][2].out_channels == 4


@pytest.mark.parametrize(
    "options", [{"down_layers": []}, {"up_layers": [1, 2]}, {"bottleneck_layers": 0}, {"down_layers": [2, 0]}]
)
def test_impossible_layer_lists_are_refused(options):
    with pytest.raises(UsageError, match="equally many numbers"):
        fc_densenet(5, **options)
