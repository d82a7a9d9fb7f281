"""DeconvNet: sizes, stages, switches."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.errors import ModelRefusal, UsageError
from segbench.models.base import count_macs, count_parameters
from segbench.registry import MODELS

deconvnet = partial(MODELS.create, "deconvnet")


@pytest.mark.parametrize(("classes", "fc_channels", "parameters"), [(21, 4096, 251_805_653), (11, 1024, 81_917_259)])
def test_learned_parameters_are_the_papers(classes: int, fc_channels: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(deconvnet(classes, fc_channels=fc_channels)) == parameters


@pytest.mark.parametrize(
    ("classes", "fc_channels", "size", "gmacs"),
    [
        (21, 4096, (512, 512), 192.15),
        (21, 4096, (224, 224), 32.75),
        (11, 4096, (360, 480), 124.1),
        (11, 1024, (360, 480), 114.9),
    ],
)
def test_multiply_adds_are_the_measured_ones(
    classes: int, fc_channels: int, size: tuple[int, int], gmacs: float
) -> None:
    with torch.device("meta"):
        network = deconvnet(classes, fc_channels=fc_channels)
    assert count_macs(network, 3, *size) / 1e9 == pytest.approx(gmacs, rel=1e-3)


def test_every_convolution_but_the_last_has_batch_norm_and_relu_and_nothing_drops_out() -> None:
    with torch.device("meta"):
        network = deconvnet(21)
    kinds = [type(layer) for layer in network.modules() if not list(layer.children())]
    expected = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 15 + [nn.ConvTranspose2d, nn.BatchNorm2d, nn.ReLU] * 14
    assert kinds == [*expected, nn.Conv2d]


def test_the_decoder_has_the_papers_channels() -> None:
    with torch.device("meta"):
        network = deconvnet(21)
    outputs = [[unit.convolution.out_channels for unit in stage] for stage in network.decoder]
    assert outputs == [[512, 512, 512], [512, 512, 256], [256, 256, 128], [128, 64], [64, 64]]
    assert network.fc6_deconv.convolution.kernel_size == (7, 7)


def test_pools_round_up_and_unpooling_returns_to_their_sizes_at_360x480() -> None:
    with torch.device("meta"):
        network = deconvnet(11)
    seen = []
    for stage in network.decoder:
        stage.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    network.fc6.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    assert network(torch.empty(1, 3, 360, 480, device="meta")).shape == (1, 11, 360, 480)
    assert seen == [(12, 15), (23, 30), (45, 60), (90, 120), (180, 240), (360, 480)]


def test_the_forward_pass_equals_one_with_torchs_own_unpooling() -> None:
    torch.manual_seed(0)
    network = deconvnet(3, width=1 / 32, norm="none", fc_kernel=3)
    images = torch.randn(2, 3, 101, 77)

    def run(unit: nn.Module, maps: torch.Tensor) -> torch.Tensor:
        return functional.relu(unit.convolution(maps))

    with torch.no_grad():
        maps, places, sizes = images, [], []
        for stage in network.encoder:
            for unit in stage:
                maps = run(unit, maps)
            sizes.append(maps.shape[-2:])
            maps, indices = nn.MaxPool2d(2, ceil_mode=True, return_indices=True)(maps)
            places.append(indices)
        maps = run(network.fc6_deconv, run(network.fc7, run(network.fc6, maps)))
        for stage, indices, size in zip(network.decoder, places[::-1], sizes[::-1], strict=True):
            maps = nn.MaxUnpool2d(2)(maps, indices, output_size=size)
            for unit in stage:
                maps = run(unit, maps)
        torch.testing.assert_close(network(images), network.score(maps))


@pytest.mark.parametrize(("fc_kernel", "smallest"), [(7, 193), (3, 65), (1, 1)])
def test_images_are_refused_exactly_when_pool5_is_smaller_than_fc6(fc_kernel: int, smallest: int) -> None:
    network = deconvnet(2, width=1 / 64, fc_kernel=fc_kernel).eval()
    assert network.input_constraint.minimum == smallest
    with torch.no_grad():
        assert network(torch.zeros(1, 3, smallest, smallest)).shape[-2:] == (smallest, smallest)
        if smallest > 1:
            with pytest.raises(ModelRefusal, match=f"at least {smallest}.*pool5"):
                network(torch.zeros(1, 3, smallest, smallest - 1))


@pytest.mark.parametrize("fc_kernel", [0, 2, -1])
def test_an_even_or_empty_fc_kernel_is_refused(fc_kernel: int) -> None:
    with pytest.raises(UsageError, match="odd"):
        deconvnet(2, width=1 / 64, fc_kernel=fc_kernel)


@pytest.mark.parametrize("size", [(48, 48), (45, 61)])
def test_small_images_train_with_a_small_fc6(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = deconvnet(2, width=1 / 16, fc_kernel=1).train()
    labels = torch.zeros(2, *size, dtype=torch.long)
    labels[:, :20] = 1
    images = 0.3 * torch.randn(2, 3, *size) + labels[:, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        loss = functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert losses[-1] < 0.67
