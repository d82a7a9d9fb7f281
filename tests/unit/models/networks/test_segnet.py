"""SegNet and SegNet-Basic: sizes, stages, switches."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.models.base import count_macs, count_parameters
from segbench.models.blocks import pool_with_switches, unpool
from segbench.registry import MODELS

segnet = partial(MODELS.create, "segnet")
segnet_basic = partial(MODELS.create, "segnet_basic")


@pytest.mark.parametrize(("classes", "parameters"), [(11, 29_449_355), (12, 29_449_932), (21, 29_455_125)])
def test_segnet_has_the_papers_parameters(classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(segnet(classes)) == parameters


def test_segnet_basic_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(segnet_basic(11)) == 1_416_587


@pytest.mark.parametrize(
    ("factory", "classes", "size", "gmacs"),
    [
        (segnet, 21, (512, 512), 163.1),
        (segnet, 11, (360, 480), 106.7),
        (segnet_basic, 11, (512, 512), 89.8),
        (segnet_basic, 11, (360, 480), 59.2),
    ],
)
def test_multiply_adds_are_the_measured_ones(
    factory: object, classes: int, size: tuple[int, int], gmacs: float
) -> None:
    with torch.device("meta"):
        network = factory(classes)
    assert count_macs(network, 3, *size) / 1e9 == pytest.approx(gmacs, rel=1e-3)


def test_segnets_decoder_mirrors_the_encoder_and_ends_in_a_bare_3x3() -> None:
    with torch.device("meta"):
        network = segnet(11)
    outputs = [[unit.convolution.out_channels for unit in stage] for stage in network.decoder]
    assert outputs == [[512, 512, 512], [512, 512, 256], [256, 256, 128], [128, 64], [64]]
    kinds = [type(layer) for layer in network.modules() if not list(layer.children())]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 25 + [nn.Conv2d]
    assert network.classifier.kernel_size == (3, 3)


def test_segnet_basics_decoder_has_no_activation() -> None:
    network = segnet_basic(11)
    kinds = [type(layer) for layer in network.modules() if not list(layer.children())]
    encoder, decoder = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 4, [nn.Conv2d, nn.BatchNorm2d] * 4
    assert kinds == [nn.LocalResponseNorm, *encoder, *decoder, nn.Conv2d]
    kernels = [layer.kernel_size for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert kernels == [(7, 7)] * 8 + [(1, 1)]


@pytest.mark.parametrize(
    ("factory", "sizes"),
    [
        (segnet, [(12, 15), (23, 30), (45, 60), (90, 120), (180, 240), (360, 480)]),
        (segnet_basic, [(23, 30), (45, 60), (90, 120), (180, 240), (360, 480)]),
    ],
)
def test_unpooling_returns_to_the_pools_sizes_at_360x480(factory: object, sizes: list[tuple[int, int]]) -> None:
    with torch.device("meta"):
        network = factory(11)
    seen = []
    pooled: list[tuple[int, int]] = []
    for stage in network.decoder:
        stage.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    for stage in network.encoder:
        stage.register_forward_hook(
            lambda _, __, output: pooled.append(tuple(-(-side // 2) for side in output.shape[-2:]))
        )
    assert network(torch.empty(1, 3, 360, 480, device="meta")).shape == (1, 11, 360, 480)
    assert pooled == sizes[-2::-1]
    assert seen == sizes[1:]


def test_maxima_return_to_where_they_were() -> None:
    image = torch.tensor([[1.0, 5.0, 2.0], [4.0, 3.0, 6.0], [9.0, 7.0, 8.0]]).view(1, 1, 3, 3)
    pooled, switches = pool_with_switches(image)
    assert pooled[0, 0].tolist() == [[5, 6], [9, 8]]
    back = unpool(pooled * 10, switches)
    assert back[0, 0].tolist() == [[0, 50, 0], [0, 0, 60], [90, 0, 80]]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 9), (8, 8)])
def test_unpooling_equals_torchs_own_and_has_its_gradient(size: tuple[int, int]) -> None:
    features = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    pooled, switches = pool_with_switches(features)
    ours, theirs = pooled.clone().requires_grad_(), pooled.clone().requires_grad_()
    first = unpool(ours, switches)
    second = functional.max_unpool2d(theirs, switches.indices, 2, output_size=size)
    assert torch.equal(first, second)
    weights = torch.randn(first.shape, generator=torch.Generator().manual_seed(1))
    (first * weights).sum().backward()
    (second * weights).sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


def test_segnet_equals_a_forward_pass_with_torchs_own_unpooling() -> None:
    torch.manual_seed(0)
    network = segnet(3, width=1 / 32).eval()
    images = torch.randn(2, 3, 45, 61)
    with torch.no_grad():
        maps, places = images, []
        for stage in network.encoder:
            for unit in stage:
                maps = functional.relu(unit.norm(unit.convolution(maps)))
            size = maps.shape[-2:]
            maps, indices = nn.MaxPool2d(2, ceil_mode=True, return_indices=True)(maps)
            places.append((indices, size))
        for stage in network.decoder:
            indices, size = places.pop()
            maps = nn.MaxUnpool2d(2)(maps, indices, output_size=size)
            for unit in stage:
                maps = functional.relu(unit.norm(unit.convolution(maps)))
        torch.testing.assert_close(network(images), network.classifier(maps))


def test_segnet_basic_normalises_responses_across_five_channels() -> None:
    network = segnet_basic(2, width=1 / 16)
    images = 100 * torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = images / (1 + 1e-4 / 5 * (images**2).sum(1, keepdim=True)) ** 0.75  # 3 channels: all are neighbours
    torch.testing.assert_close(network.prepare(images), expected)


@pytest.mark.parametrize("factory", [segnet, segnet_basic])
@pytest.mark.parametrize(
    ("norm", "size"), [(None, (1, 1)), ("none", (1, 1)), (None, (45, 61)), ("none", (48, 48)), ("group", (45, 61))]
)
def test_any_size_keeps_its_size(factory: object, norm: str | None, size: tuple[int, int]) -> None:
    network = factory(5, 1, width=1 / 16, norm=norm, activation="tanh").eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 1, *size))
    assert logits.shape == (1, 5, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize("factory", [segnet, segnet_basic])
def test_small_images_train_under_deterministic_algorithms(factory: object) -> None:
    torch.manual_seed(0)
    network = factory(2, width=1 / 8).train()
    labels = torch.zeros(2, 45, 61, dtype=torch.long)
    labels[:, :20] = 1
    images = 0.3 * torch.randn(2, 3, 45, 61) + labels[:, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(10):
            loss = functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    finally:
        torch.use_deterministic_algorithms(False)
    assert losses[-1] < losses[0]
    assert losses[-1] < 0.69
