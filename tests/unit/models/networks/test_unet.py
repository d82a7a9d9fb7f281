import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.errors import UnknownNameError, UsageError
from segbench.models.base import OverlapTile, count_macs, count_parameters
from segbench.models.networks.unet import UpConv, cover, unet


def on_meta(*arguments, **options):
    with torch.device("meta"):
        return unet(*arguments, **options)


@pytest.mark.parametrize(
    ("classes", "channels", "norm", "parameters"),
    [
        (2, 1, None, 31_030_658),
        (21, 3, None, 31_033_045),
        (2, 3, "batch", 31_037_698),
        (11, 3, "batch", 31_038_283),
        (12, 3, "batch", 31_038_348),
        (21, 3, "batch", 31_038_933),
    ],
)
def test_parameter_counts_are_those_of_the_reference(classes, channels, norm, parameters):
    assert count_parameters(on_meta(classes, channels, norm=norm)) == parameters


@pytest.mark.parametrize(
    ("arguments", "options", "size", "gmacs"),
    [
        ((2, 1), {"padding": "valid"}, (572, 572), 150.4),
        ((2, 1), {}, (512, 512), 192.4),
        ((21, 3), {}, (512, 512), 193.0),
        ((21, 3), {"norm": "batch"}, (512, 512), 193.0),
        ((11, 3), {"norm": "batch"}, (360, 480), 126.9),
    ],
)
def test_multiply_adds_are_those_of_the_reference(arguments, options, size, gmacs):
    assert count_macs(on_meta(*arguments, **options), arguments[1], *size) / 1e9 == pytest.approx(gmacs, rel=1e-3)


def test_the_valid_form_maps_572_to_388_as_in_the_papers_figure():
    network = on_meta(2, 1, padding="valid")
    assert network(torch.empty(1, 1, 572, 572, device="meta")).shape == (1, 2, 388, 388)
    assert network.output_margin == 92


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_the_valid_form_takes_188_and_steps_of_16(steps):
    network, size = on_meta(2, 1, padding="valid", width=0.125), 188 + 16 * steps
    assert network.input_constraint.allows(size)
    assert network(torch.empty(1, 1, size, 188, device="meta")).shape == (1, 2, size - 184, 4)


def test_an_even_pooling_is_what_the_steps_are_for():
    network = on_meta(2, 1, padding="valid")
    size = 572
    for _ in range(4):
        size -= 4
        assert size % 2 == 0
        size //= 2
    assert not network.input_constraint.allows(573)


def test_overlap_tiles_are_the_valid_network_on_a_mirrored_border():
    network = unet(2, 1, padding="valid", width=0.0625).eval()
    image = torch.rand(1, 1, 30, 41)
    # 30 + 184 = 214 and 41 + 184 = 225 pixels; the next sizes of 188 + 16k are 220 and 236.
    mirrored = np.pad(image[0, 0].numpy(), ((92, 98), (92, 103)), mode="reflect")
    with torch.no_grad():
        expected = network(torch.from_numpy(mirrored)[None, None])
        assert torch.allclose(OverlapTile(network)(image), expected[..., :30, :41], atol=1e-6)


def test_the_padded_network_by_hand():
    torch.manual_seed(0)
    network = unet(3, 2, width=0.0625).eval()
    image = torch.rand(1, 2, 32, 48)

    def double(block, x):
        for layer in block:
            if isinstance(layer, nn.Conv2d):
                x = functional.conv2d(x, layer.weight, layer.bias, padding=1).relu()
        return x

    with torch.no_grad():
        skips, x = [], image
        for index, block in enumerate(network.down):
            x = double(block, x if index == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        for level, skip in zip(network.up, skips[-2::-1], strict=True):
            transposed = level.up.convolution
            x = functional.conv_transpose2d(x, transposed.weight, transposed.bias, stride=2)
            assert x.shape == skip.shape, "the up-convolution halves the channels"
            x = double(level.block, torch.cat([skip, x], dim=1))
        expected = functional.conv2d(x, network.score.weight, network.score.bias)
        assert torch.allclose(network(image), expected, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"up": "bilinear"}, {"encoder": "resnet18"}, {"encoder": "convnext_atto"}])
def test_any_size_is_mapped_to_its_own(options):
    network = on_meta(4, 3, width=0.125, **options).eval()
    for size in [(1, 1), (15, 17), (33, 47), (45, 61)]:
        assert network(torch.empty(2, 3, *size, device="meta")).shape == (2, 4, *size)


def test_dropout_stands_at_the_end_of_the_contracting_path_only():
    network = unet(2, 1, width=0.0625)
    seen = []
    network.dropout.register_forward_hook(lambda _module, inputs, _output: seen.append(tuple(inputs[0].shape)))
    network(torch.rand(1, 1, 32, 32))
    assert network.dropout.p == 0.5
    assert seen == [(1, 32, 4, 4), (1, 64, 2, 2)]
    assert unet(2, 1, width=0.0625, dropout=0.0).dropout.p == 0
    assert unet(2, 3, encoder="resnet18").dropout.p == 0
    assert unet(2, 3, encoder="resnet18", dropout=0.3).dropout.p == 0.3


def test_only_a_norm_takes_the_bias_away():
    assert unet(2, 1, width=0.0625).down[0][0].bias is not None
    assert unet(2, 1, width=0.0625, norm="batch").down[0][0].bias is None


def test_bilinear_upsampling_commutes_with_its_1x1_convolution():
    up, features = UpConv(6, 3, up="bilinear"), torch.rand(1, 6, 5, 7)
    with torch.no_grad():
        expected = up.convolution(functional.interpolate(features, scale_factor=2, mode="bilinear"))
        assert torch.allclose(up(features), expected, atol=1e-6)


def test_an_encoder_joins_in_at_each_of_its_strides():
    network = unet(4, 3, encoder="resnet18")
    assert network.skips == [3, 2, 1, 0, None]
    assert [level.block[0].in_channels for level in network.up] == [256 + 256, 128 + 128, 64 + 64, 32 + 64, 16]
    assert unet(4, 3, encoder="convnext_atto").skips == [2, 1, 0, None, None]


def test_decoder_channels_can_be_chosen_and_are_scaled():
    network = unet(4, 3, encoder="resnet18", decoder_channels=[64, 32, 16, 8, 4], width=0.5)
    assert [level.block[0].out_channels for level in network.up] == [32, 16, 8, 4, 2]


def test_a_wrong_number_of_decoder_channels_is_refused_with_the_right_one():
    with pytest.raises(UsageError, match="resnet18 ends at stride 32, so decoder_channels needs 5 numbers; it has 3"):
        unet(4, 3, encoder="resnet18", decoder_channels=[64, 32, 16])


def test_an_encoder_whose_stride_is_no_power_of_two_is_refused():
    with pytest.raises(UsageError, match="stride 14, which is no power of two"):
        on_meta(4, 3, encoder="eva02_tiny_patch14_224")


@pytest.mark.parametrize(
    "options",
    [{"pretrained": True}, {"decoder_channels": [1]}, {"encoder": "resnet18", "padding": "valid"}],
)
def test_contradicting_options_are_refused(options):
    with pytest.raises(UsageError, match="unet: "):
        unet(4, 3, **options)


def test_an_unknown_encoder_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        unet(4, 3, encoder="resnet-18")


def test_cover_crops_a_surplus_and_interpolates_what_is_missing():
    logits = torch.rand(1, 2, 4, 6)
    assert torch.equal(cover(logits, 3, 5), logits[..., :3, :5])
    assert torch.equal(cover(logits, 4, 6), logits)
    stretched = cover(logits, 8, 5)
    assert torch.allclose(stretched, functional.interpolate(logits, (8, 6), mode="bilinear")[..., :5])
