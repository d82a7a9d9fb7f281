"""FCN-32s, 16s and 8s: sizes, crops, summed skips, bilinear upsampling, VGG weights."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from segbench.errors import UsageError
from segbench.models.base import count_macs, count_parameters
from segbench.models.networks.bilinear import BilinearDeconvolution, bilinear_matrix, upsample_by_matrices
from segbench.models.networks.fcn import (
    AT_ONCE_SCALES,
    CAFFE_CROPS,
    add_cropped,
)
from segbench.registry import MODELS

fcn8s = partial(MODELS.create, "fcn8s")
fcn16s = partial(MODELS.create, "fcn16s")
fcn32s = partial(MODELS.create, "fcn32s")

FACTORIES = {32: fcn32s, 16: fcn16s, 8: fcn8s}


def on_meta(factory: Callable[..., nn.Module], *arguments: int, **options: object) -> nn.Module:
    with torch.device("meta"):
        return factory(*arguments, **options)


def small(stride: int, classes: int = 3, **options: object) -> nn.Module:
    """A narrow network whose scores are no longer zero."""
    torch.manual_seed(0)
    network = FACTORIES[stride](classes, width=1 / 32, **options).eval()
    for name, parameter in network.named_parameters():
        if "score" in name:
            nn.init.normal_(parameter)
    return network


@pytest.mark.parametrize(
    ("stride", "classes", "parameters"),
    [(32, 21, 134_346_581), (16, 21, 134_357_354), (8, 21, 134_362_751), (8, 11, 134_314_081)],
)
@pytest.mark.parametrize("caffe_padding", [False, True])
def test_learned_parameters_are_the_papers(stride: int, classes: int, parameters: int, caffe_padding: bool) -> None:
    assert count_parameters(on_meta(FACTORIES[stride], classes, caffe_padding=caffe_padding)) == parameters


@pytest.mark.parametrize(
    ("stride", "caffe_padding", "size", "gmacs"),
    [
        (32, True, (512, 512), 190.19),
        (16, True, (512, 512), 190.28),
        (8, True, (512, 512), 190.37),
        (8, False, (512, 512), 110.84),
        (32, True, (360, 480), 139.68),
        (16, True, (360, 480), 139.75),
        (8, True, (360, 480), 139.81),
        (8, False, (360, 480), 74.51),
    ],
)
def test_multiply_adds_are_the_measured_ones(
    stride: int, caffe_padding: bool, size: tuple[int, int], gmacs: float
) -> None:
    network = on_meta(FACTORIES[stride], 21, caffe_padding=caffe_padding)
    assert count_macs(network, 3, *size) / 1e9 == pytest.approx(gmacs, rel=1e-3)


def test_the_fixed_deconvolution_of_the_release_is_full_and_not_learned() -> None:
    network = on_meta(fcn32s, 21, caffe_padding=True)
    assert network.upsampling.weight.numel() == 1_806_336
    assert not list(network.upsampling.parameters())


def test_learned_deconvolutions_are_the_intermediate_ones() -> None:
    network = on_meta(fcn8s, 21, deconvolution="learned")
    assert count_parameters(network) == 134_362_751 + 2 * 21 * 21 * 4 * 4
    assert not list(network.upsampling.parameters())


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
@pytest.mark.parametrize("mode", ["fixed", "depthwise", "learned"])
def test_a_deconvolution_starts_as_bilinear_interpolation_away_from_the_border(stride: int, mode: str) -> None:
    scores = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    ours = BilinearDeconvolution(3, stride, mode=mode, padding=stride // 2)(scores)
    theirs = functional.interpolate(scores, scale_factor=stride, mode="bilinear", align_corners=False)
    inside = slice(stride // 2, -(stride // 2))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours[..., inside, inside], theirs[..., inside, inside], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
@pytest.mark.parametrize("mode", ["fixed", "depthwise", "learned"])
def test_a_deconvolution_interpolates_scores_in_zeros_border_included(stride: int, mode: str) -> None:
    scores = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    framed = functional.interpolate(functional.pad(scores, (1, 1, 1, 1)), scale_factor=stride, mode="bilinear")
    ours = BilinearDeconvolution(3, stride, mode=mode, padding=stride // 2)(scores)
    torch.testing.assert_close(ours, framed[..., stride:-stride, stride:-stride], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("size", [(6, 5), (1, 1), (1, 7), (12, 15)])
def test_matrices_upsample_as_the_deconvolution_does_in_values_and_gradients(
    stride: int, padded: bool, size: tuple[int, int]
) -> None:
    generator = torch.Generator().manual_seed(1)
    padding = stride // 2 if padded else 0
    one = torch.randn(2, 3, *size, generator=generator).requires_grad_()
    other = one.detach().clone().requires_grad_()
    ours = upsample_by_matrices(one, stride, padding=padding)
    theirs = BilinearDeconvolution(3, stride, mode="depthwise", padding=padding)(other)
    weights = torch.randn(theirs.shape, generator=generator)
    for result in (ours, theirs):
        result.backward(weights)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6 * theirs.abs().max().item())
    torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=3e-6 * other.grad.abs().max().item())


def test_a_bilinear_matrix_of_stride_two_by_hand() -> None:
    """Values lie at 0.5 and 2.5, places at 0, 1, 2 and 3; beyond the border are zeros."""
    expected = [[0.75, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 0.75]]
    assert bilinear_matrix(2, 2, padding=1, like=torch.zeros(())).tolist() == expected


def test_matrices_are_as_precise_under_autocast() -> None:
    scores = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        ours = upsample_by_matrices(scores, 8, padding=4)
    assert torch.equal(ours, upsample_by_matrices(scores.float(), 8, padding=4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("stride", [2, 8, 16, 32])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
def test_a_deconvolution_on_cuda_is_what_it_is_on_cpus_also_under_deterministic_algorithms(
    stride: int, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    scores = torch.randn(2, 3, 12, 15, generator=torch.Generator().manual_seed(1)).to(precision)
    layer = BilinearDeconvolution(3, stride, mode="depthwise", padding=stride // 2)
    on_cpu, on_cuda = scores.clone().requires_grad_(), scores.cuda().requires_grad_()
    expected = layer(on_cpu)
    torch.use_deterministic_algorithms(True)
    try:
        with torch.autocast("cuda", precision, enabled=precision != torch.float32):
            found = layer.cuda()(on_cuda)
        weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
        found.backward(weights.cuda())
    finally:
        torch.use_deterministic_algorithms(False)
    expected.backward(weights)
    torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-6 * expected.abs().max().item())
    rounding = 3e-6 + (0 if precision == torch.float32 else torch.finfo(precision).eps)
    torch.testing.assert_close(on_cuda.grad.cpu(), on_cpu.grad, rtol=0, atol=rounding * on_cpu.grad.abs().max().item())


def test_a_deconvolution_is_as_precise_under_autocast_on_cpus() -> None:
    scores = torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(1)).bfloat16()
    layer = BilinearDeconvolution(3, 32, mode="depthwise", padding=16)
    with torch.autocast("cpu", torch.bfloat16):
        ours = layer(scores)
    assert torch.equal(ours, layer(scores.float()))


def test_crop_offsets_follow_from_the_centres_of_kernels() -> None:
    """A map is (step, first): its k-th cell is centred at step * k + first in the image, by the release's layers."""

    def pooled(pools: int) -> tuple[float, float]:
        step = 2.0**pools
        return step, (step - 1) / 2 - 99  # pad 100, a 3x3 kernel

    def upsampled(cells: tuple[float, float], stride: int) -> tuple[float, float]:
        step, first = cells  # kernel 2 stride without padding: cell k is centred at stride * k + stride - 0.5
        return step / stride, first - (stride - 0.5) * step / stride

    def offset(cells: tuple[float, float], onto: tuple[float, float]) -> float:
        assert cells[0] == onto[0]
        return (onto[1] - cells[1]) / cells[0]

    scored = (32.0, pooled(5)[1] + 3 * 32)  # fc6: 7x7 without padding
    image = (1.0, 0.0)
    assert (offset(upsampled(scored, 32), image),) == CAFFE_CROPS[32]
    twice = upsampled(scored, 2)
    assert (offset(pooled(4), twice), offset(upsampled(twice, 16), image)) == CAFFE_CROPS[16]
    four = upsampled(twice, 2)
    crops = (offset(pooled(4), twice), offset(pooled(3), four), offset(upsampled(four, 8), image))
    assert crops == CAFFE_CROPS[8]


def caffe_forward(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """FCN-8s as the release's network definition lists its layers, with the weights of ours."""

    def conv(unit: nn.Module, maps: torch.Tensor, padding: int) -> torch.Tensor:
        return functional.relu(functional.conv2d(maps, unit.convolution.weight, unit.convolution.bias, padding=padding))

    def up(maps: torch.Tensor, stride: int) -> torch.Tensor:
        ramp = 1 - (torch.arange(2 * stride) - (stride - 0.5)).abs() / stride
        kernel = (ramp[:, None] * ramp[None, :]).expand(maps.shape[1], 1, -1, -1)
        return functional.conv_transpose2d(maps, kernel, stride=stride, groups=maps.shape[1])

    def crop(maps: torch.Tensor, offset: int, like: torch.Tensor) -> torch.Tensor:
        return maps[..., offset : offset + like.shape[-2], offset : offset + like.shape[-1]]

    maps, pools = images, []
    for index, stage in enumerate(network.features.stages):
        for layer, unit in enumerate(stage):
            maps = conv(unit, maps, 100 if index == layer == 0 else 1)
        maps = functional.max_pool2d(maps, 2, 2, ceil_mode=True)
        pools.append(maps)
    maps = conv(network.features.fc7, conv(network.features.fc6, maps, 0), 0)
    up_fr = up(network.score(maps), 2)
    up_4 = up(up_fr + crop(network.skip_scores[0](pools[3]), 5, up_fr), 2)
    fused = up_4 + crop(network.skip_scores[1](pools[2]), 9, up_4)
    return crop(up(fused, 8), 31, images)


@pytest.mark.parametrize("size", [(40, 57), (64, 64)])
def test_the_pad_100_form_equals_the_releases_network_definition(size: tuple[int, int]) -> None:
    network = small(8, caffe_padding=True)
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours, theirs = network(images), caffe_forward(network, images)
    assert ours.shape == (1, 3, *size)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max().item())


def test_skips_are_summed_where_they_overlap() -> None:
    scores, skip = torch.ones(1, 1, 4, 3), torch.arange(25.0).view(1, 1, 5, 5)
    assert add_cropped(scores, skip, 0).tolist() == (1 + skip[..., :4, :3]).tolist()
    assert add_cropped(scores, skip, 2).tolist() == (1 + skip[..., 2:, 2:]).tolist()


def test_constant_scores_of_all_depths_add_up_in_the_output() -> None:
    network = small(8)
    for layer, value in zip((network.score, *network.skip_scores), (1.0, 10.0, 100.0), strict=True):
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, value)
    with torch.no_grad():
        middle = network(torch.zeros(1, 3, 160, 160))[..., 64:96, 64:96]
    torch.testing.assert_close(middle, torch.full_like(middle, 111.0))


def test_at_once_scales_pool4_and_pool3_before_their_scores() -> None:
    network, plain = small(8, at_once=True), small(8)
    plain.load_state_dict(network.state_dict())
    images = torch.randn(1, 3, 45, 61, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for layer, scale in zip(plain.skip_scores, AT_ONCE_SCALES, strict=True):
            layer.weight.mul_(scale)
        torch.testing.assert_close(network(images), plain(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_scores_start_at_zero_and_so_do_the_logits(stride: int) -> None:
    network = FACTORIES[stride](3, width=1 / 32).eval()
    with torch.no_grad():
        assert not network(torch.randn(1, 3, 48, 48)).any()
    weights = [unit.abs().sum() for name, unit in network.named_parameters() if "convolution.weight" in name]
    assert len(weights) == 15
    assert min(weights) > 0


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("caffe_padding", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (45, 61), (48, 48), (33, 96)])
def test_any_size_keeps_its_size(stride: int, caffe_padding: bool, size: tuple[int, int]) -> None:
    network = small(stride, caffe_padding=caffe_padding)
    with torch.no_grad():
        logits = network(torch.randn(1, 3, *size))
    assert logits.shape == (1, 3, *size)
    assert logits.isfinite().all()


def test_the_modern_form_keeps_objects_where_they_are() -> None:
    """Scores of pool3 alone, taken from the brightness of the image, peak where the image is bright."""
    network = small(8, classes=1)
    images = torch.zeros(1, 1, 96, 96)
    images[..., 32:48, 56:72] = 1.0
    bright = functional.avg_pool2d(images, 8)
    network.features.forward = lambda _: [bright, torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 3, 3)]
    for layer in (network.score, *network.skip_scores):
        layer.weight = nn.Parameter(torch.ones(1, 1, 1, 1))
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        logits = network(images)
    rows, columns = torch.where(logits[0, 0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (32, 47, 56, 71)


@pytest.mark.parametrize("options", [{}, {"deconvolution": "learned"}, {"norm": "batch"}, {"norm": "group"}])
def test_a_narrow_fcn_learns_a_batch(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = fcn8s(2, width=1 / 16, dropout=0.0, **options).train()
    labels = torch.zeros(2, 48, 45, dtype=torch.long)
    labels[:, :24] = 1
    images = 0.3 * torch.randn(2, 3, 48, 45) + labels[:, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(0.6931, abs=1e-3)
    assert losses[-1] < 0.6


def test_dropout_drops_single_elements() -> None:
    network = fcn32s(2, width=1 / 32, dropout=0.25)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.25]
    assert not [layer for layer in network.modules() if isinstance(layer, nn.Dropout2d)]


@pytest.mark.parametrize("size", [(45, 61), (64, 96)])
def test_a_timm_encoder_is_scored_at_strides_8_16_and_32(size: tuple[int, int]) -> None:
    network = fcn8s(4, encoder="resnet18").eval()
    assert [layer.in_channels for layer in (network.score, *network.skip_scores)] == [512, 256, 128]
    nn.init.normal_(network.score.weight)
    with torch.no_grad():
        logits = network(torch.randn(1, 3, *size))
    assert logits.shape == (1, 4, *size)
    assert logits.any()


@pytest.mark.parametrize(
    "options", [{"width": 0.5}, {"norm": "batch"}, {"activation": "gelu"}, {"caffe_padding": True}]
)
def test_options_of_vgg_are_refused_for_another_encoder(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))}.*vgg16.*'resnet18'"):
        fcn8s(4, encoder="resnet18", **options)


@pytest.mark.slow(reason="builds networks at full width")
def test_full_width_vgg_weights_with_fc6_and_fc7_give_timms_own_hidden_features(tmp_path: Path) -> None:
    """Half precision on disk: 280 MB. At 224x224 the centre of the padded fc6 sees what timm's valid one sees."""
    with torch.device("meta"):
        theirs = timm.create_model("vgg16", pretrained=False)
    generator = torch.Generator().manual_seed(6)
    state = {
        key: (torch.randn(shape.shape, generator=generator) * (2 / max(shape[0].numel(), 2)) ** 0.5).half()
        for key, shape in theirs.state_dict().items()
    }
    path = tmp_path / "vgg16.safetensors"
    save_file(state, path)
    theirs.load_state_dict({key: tensor.float() for key, tensor in state.items()}, assign=True)
    ours, theirs = fcn32s(2, pretrained=str(path)).eval(), theirs.eval()
    assert torch.equal(ours.features.fc6.convolution.weight, theirs.pre_logits.fc1.weight)
    assert torch.equal(ours.features.fc7.convolution.weight, theirs.pre_logits.fc2.weight)
    images = torch.randn(1, 3, 224, 224, generator=generator)
    with torch.no_grad():
        hidden = ours.features(images)[2]
        expected = theirs.pre_logits(theirs.forward_features(images))
    assert hidden.shape == (1, 4096, 7, 7)
    assert expected.abs().max() > 0
    torch.testing.assert_close(hidden[..., 3:4, 3:4], expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
