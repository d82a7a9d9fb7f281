from functools import partial

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torchvision.models.segmentation.deeplabv3 import ASPP

from segbench.errors import UsageError
from segbench.models.base import count_macs, count_parameters
from segbench.models.networks.deeplab import (
    ATROUS_RATES,
    AtrousPyramid,
    PooledNorm,
    upsample_from_corner,
)
from segbench.registry import MODELS

deeplab_largefov = partial(MODELS.create, "deeplab_largefov")
deeplabv3plus = partial(MODELS.create, "deeplabv3plus")


def on_meta(factory, *arguments, **options):
    with torch.device("meta"):
        return factory(*arguments, **options)


def test_largefov_has_the_references_parameters_and_multiply_adds():
    network = on_meta(deeplab_largefov, 21)
    assert count_parameters(network) == 20_505_429
    assert count_macs(network, 3, 512, 512) / 1e9 == pytest.approx(125.6, rel=1e-3)
    assert count_macs(network, 3, 360, 480) / 1e9 == pytest.approx(82.8, rel=1e-3)


def test_largefov_stays_at_stride_8_and_dilates_conv5_and_fc6():
    network = on_meta(deeplab_largefov, 21)
    seen = []
    network.score.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape)))
    network(torch.empty(1, 3, 321, 321, device="meta"))
    assert seen == [(1, 21, 41, 41)], "321 pixels make 41 as in the paper"
    assert [unit.convolution.dilation for unit in network.stages[4]] == [(2, 2)] * 3
    assert network.head[0].convolution.dilation == (12, 12)


@pytest.mark.parametrize("size", [(1, 1), (7, 9), (45, 61), (64, 64)])
def test_largefov_maps_any_size_to_its_own(size):
    network = on_meta(deeplab_largefov, 5, width=0.125)
    assert network(torch.empty(1, 3, *size, device="meta")).shape == (1, 5, *size)


def test_upsampling_puts_value_i_at_pixel_8i_and_is_linear_between():
    ramp = torch.arange(5.0).view(1, 1, 1, 5).expand(1, 1, 3, 5)
    row = upsample_from_corner(ramp, 8)[0, 0, 0]
    assert torch.allclose(row[:33], torch.arange(33) / 8, atol=1e-6)
    assert torch.allclose(row[33:], torch.full((8,), 4.0))


def test_vgg_weights_flow_into_the_convolutions_of_largefov(tmp_path):
    vgg = timm.create_model("vgg16", num_classes=0, global_pool="avg")
    state = {name: tensor for name, tensor in vgg.state_dict().items() if name.startswith("features.")}
    file = tmp_path / "vgg16.safetensors"
    save_file(state, file)
    network = deeplab_largefov(4, pretrained=str(file)).eval()
    images = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        # Before the first pooling the two networks do the same.
        assert torch.allclose(network.stages[0](images), vgg.features[:4](images), atol=1e-6)
    assert torch.equal(network.stages[4][2].convolution.weight, state["features.28.weight"])


def test_the_pyramid_agrees_with_torchvisions():
    theirs = ASPP(12, [6, 12, 18], 8).eval()
    ours = AtrousPyramid(12, 8, (6, 12, 18), norm="batch", activation="relu", dropout=0.5).eval()
    tensors = list(theirs.state_dict().values())
    assert [tensor.shape for tensor in ours.state_dict().values()] == [tensor.shape for tensor in tensors]
    ours.load_state_dict(dict(zip(ours.state_dict(), tensors, strict=True)))
    features = torch.rand(2, 12, 23, 31)
    with torch.no_grad():
        assert torch.allclose(ours(features), theirs(features), atol=1e-6)


def test_rates_double_at_stride_8():
    assert ATROUS_RATES == {16: (6, 12, 18), 8: (12, 24, 36)}
    for stride, expected in ATROUS_RATES.items():
        network = on_meta(deeplabv3plus, 4, encoder="resnet18", output_stride=stride)
        rates = tuple(branch[0].dilation[0] for branch in network.pyramid.branches[1:])
        assert rates == expected
        assert network.encoder.strides[-1] == stride


def test_rates_can_be_given():
    network = on_meta(deeplabv3plus, 4, encoder="resnet18", atrous_rates=[1, 2, 3])
    assert [branch[0].dilation for branch in network.pyramid.branches] == [(1, 1), (1, 1), (2, 2), (3, 3)]


def test_no_convolution_of_the_decoder_is_separable_and_the_low_level_has_48_channels():
    network = on_meta(deeplabv3plus, 4, encoder="resnet18")
    ours = [part for name, part in network.named_modules() if isinstance(part, nn.Conv2d) and "encoder" not in name]
    assert {part.groups for part in ours} == {1}
    assert network.reduce[0].out_channels == 48
    assert network.refine[0][0].in_channels == 256 + 48


def test_v3plus_concatenates_stride_4_with_the_interpolated_pyramid():
    network = deeplabv3plus(4, encoder="resnet10t", width=0.0625).eval()
    images = torch.rand(2, 3, 45, 61)
    with torch.no_grad():
        maps = network.encoder(images)
        low = network.reduce(maps[1])
        deep = functional.interpolate(network.pyramid(maps[-1]), low.shape[-2:], mode="bilinear")
        logits = network.score(network.refine(torch.cat([deep, low], 1)))
        expected = functional.interpolate(logits, (45, 61), mode="bilinear")
        assert torch.allclose(network(images), expected, atol=1e-5)


def test_v3plus_trains_on_a_batch_of_one():
    network = deeplabv3plus(4, encoder="resnet10t", width=0.0625).train()
    network(torch.rand(1, 3, 64, 64)).sum().backward()
    assert network.pyramid.pooled[0].weight.grad.abs().sum() > 0


def test_a_batch_of_one_is_normalised_by_running_statistics_and_a_larger_one_by_its_own():
    pooled = PooledNorm("batch", 2).train()
    norm = pooled.norm
    norm.running_mean.fill_(3.0)
    norm.running_var.fill_(4.0)
    single = torch.full((1, 2, 1, 1), 5.0)
    assert torch.allclose(pooled(single), torch.ones(1, 2, 1, 1), atol=1e-5)
    assert norm.running_mean.tolist() == [3.0, 3.0], "and leaves them as they are"
    pair = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).expand(2, 2, 1, 1)
    assert torch.allclose(pooled(pair).flatten(), torch.tensor([-1.0, -1.0, 1.0, 1.0]), atol=1e-4)


def test_pooled_features_are_group_normalised_as_one_group():
    features = torch.rand(1, 32, 1, 1)
    with torch.no_grad():
        normalised = PooledNorm("group", 32)(features)
    assert torch.allclose(normalised, (features - features.mean()) / features.std(correction=0), atol=1e-3)


def test_an_encoder_that_cannot_be_dilated_is_refused():
    with pytest.raises(UsageError, match="vgg11 gives no feature maps at output stride 16"):
        on_meta(deeplabv3plus, 4, encoder="vgg11")
