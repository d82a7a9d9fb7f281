import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.errors import UsageError
from segbench.models.blocks import (
    activation_layer,
    bilinear_kernel,
    centre_crop,
    fit,
    init_he,
    norm_layer,
    pool_with_switches,
    resize,
    scaled,
    unpool,
)


@pytest.mark.parametrize(
    ("channels", "width", "expected"), [(64, 1.0, 64), (64, 0.25, 16), (12, 0.0625, 1), (3, 0.01, 1)]
)
def test_scaled_rounds_and_never_falls_below_one(channels, width, expected):
    assert scaled(channels, width) == expected


@pytest.mark.parametrize(
    ("name", "function"),
    [("relu", torch.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("gelu", functional.gelu)],
)
def test_activations_by_name_are_the_functions_of_that_name(name, function):
    values = torch.linspace(-3, 3, 13)
    assert torch.allclose(activation_layer(name)(values.clone()), function(values), atol=1e-6)


def test_an_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"activation 'rellu' .*relu, sigmoid"):
        activation_layer("rellu")


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "gelu", "silu", "hard_swish"])
def test_no_activation_overwrites_its_input(name):
    values = torch.linspace(-3, 3, 13)
    given = values.clone()
    activation_layer(name)(given)
    assert torch.equal(given, values)


def test_norms_by_name():
    assert isinstance(norm_layer("none", 8), nn.Identity)
    assert isinstance(norm_layer("batch", 8), nn.BatchNorm2d)
    with pytest.raises(ValueError, match="layer"):
        norm_layer("layer", 8)


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (2, 1), (3, 1), (5, 1), (12, 2), (16, 8), (32, 16), (48, 8), (64, 32), (512, 32)]
)
def test_group_norm_has_up_to_32_groups_of_at_least_two_channels(channels, groups):
    assert norm_layer("group", channels).num_groups == groups


@pytest.mark.parametrize("channels", [2, 3, 16, 32])
def test_group_norm_takes_a_map_of_one_pixel_in_training(channels):
    assert norm_layer("group", channels).train()(torch.rand(1, channels, 1, 1)).isfinite().all()


def test_a_bilinear_deconvolution_interpolates_away_from_the_border():
    image = torch.rand(1, 1, 6, 7)
    kernel = bilinear_kernel(8)[None, None]
    deconvolved = functional.conv_transpose2d(image, kernel, stride=4, padding=2)
    expected = resize(image, 24, 28)
    assert torch.allclose(deconvolved[..., 4:-4, 4:-4], expected[..., 4:-4, 4:-4], atol=1e-6)


def test_a_bilinear_kernel_of_size_three_by_hand():
    ramp = torch.tensor([0.5, 1.0, 0.5])
    assert torch.equal(bilinear_kernel(3), torch.outer(ramp, ramp))


def test_he_initialisation_has_its_variance_and_no_bias():
    convolution, deconvolution = nn.Conv2d(64, 64, 3), nn.ConvTranspose2d(128, 64, 2, stride=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        init_he(nn.ModuleList([convolution, deconvolution]))
    assert convolution.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert deconvolution.weight.std().item() == pytest.approx(math.sqrt(2 / 128), rel=0.02)
    assert convolution.bias.abs().sum() == 0
    assert deconvolution.bias.abs().sum() == 0


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (45, 23), (1, 1)])
def test_unpooling_agrees_with_pytorch(size):
    features = torch.rand(2, 3, *size)
    pooled, switches = pool_with_switches(features)
    expected, indices = functional.max_pool2d(features, 2, ceil_mode=True, return_indices=True)
    assert torch.equal(pooled, expected)
    assert torch.equal(unpool(pooled, switches), functional.max_unpool2d(expected, indices, 2, output_size=size))


LAYOUTS = pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])


@LAYOUTS
@pytest.mark.parametrize("size", [(6, 8), (5, 7), (45, 23), (2, 1), (1, 1)])
def test_unpooling_keeps_the_layout_and_agrees_with_pytorch_in_values_and_gradients(size, layout):
    images = torch.randint(0, 3, (2, 5, *size), generator=torch.Generator().manual_seed(1)).float()  # ties abound
    pooled, switches = pool_with_switches(images.contiguous(memory_format=layout))
    ours, theirs = pooled.clone().requires_grad_(), pooled.clone().requires_grad_()
    full = unpool(ours, switches)
    expected = functional.max_unpool2d(theirs, switches.indices, 2, output_size=size)
    assert torch.equal(full, expected)
    if pooled.shape[-2:] != (1, 1):  # a single value lies in both layouts
        assert full.is_contiguous(memory_format=layout)
    weights = torch.randn(full.shape, generator=torch.Generator().manual_seed(2))
    for result in (full, expected):
        result.backward(weights)
    assert torch.equal(ours.grad, theirs.grad)


@LAYOUTS
def test_unpooling_puts_what_is_no_number_in_one_place(layout):
    images = torch.rand(1, 2, 4, 6)
    images[0, 0, 1, 2], images[0, 1, 3, 5] = math.nan, math.inf
    pooled, switches = pool_with_switches(images.contiguous(memory_format=layout))
    full = unpool(pooled, switches)
    assert full.isnan().nonzero().tolist() == [[0, 0, 1, 2]]
    assert full.isinf().nonzero().tolist() == [[0, 1, 3, 5]]


def test_switches_of_either_layout_serve_features_of_the_other():
    images = torch.rand(2, 3, 7, 9)
    pooled, switches = pool_with_switches(images)
    full = unpool(pooled.contiguous(memory_format=torch.channels_last), switches)
    assert full.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(full, unpool(pooled, switches))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@LAYOUTS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unpooling_on_cuda_is_what_it_is_on_cpus_also_under_deterministic_algorithms(layout, dtype):
    images = torch.rand(2, 5, 45, 23).to(dtype).contiguous(memory_format=layout)
    expected = unpool(*pool_with_switches(images))
    torch.use_deterministic_algorithms(True)
    try:
        features, switches = pool_with_switches(images.cuda())
        features.requires_grad_()
        full = unpool(features, switches)
        full.sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert full.is_contiguous(memory_format=layout)
    assert torch.equal(full.cpu(), expected)
    assert torch.equal(features.grad, torch.ones_like(features))


def test_fit_crops_and_pads_at_the_bottom_and_the_right():
    features = torch.arange(1.0, 7.0).view(1, 1, 2, 3)
    assert fit(features, 3, 2).squeeze().tolist() == [[1, 2], [4, 5], [0, 0]]


def test_centre_crop_cuts_an_odd_surplus_at_the_bottom_and_the_right():
    features = torch.arange(20.0).view(1, 1, 4, 5)
    assert centre_crop(features, 2, 2).squeeze().tolist() == [[6, 7], [11, 12]]


def test_resize_keeps_a_constant():
    assert torch.allclose(resize(torch.full((1, 2, 3, 4), 0.7), 8, 5), torch.full((1, 2, 8, 5), 0.7))


def test_a_width_of_nothing_is_refused():
    with pytest.raises(UsageError, match="width -2: expected a factor above 0"):
        scaled(64, -2)
