"""Costs against figures that were worked out by hand, and against files that were written."""

import json
import struct

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.config.component import ModelEntry
from segbench.models.cost import Cost, cost_of, count_activation_bytes, count_weights_bytes
from segbench.models.skeleton import skeleton
from segbench.models.weights.checkpoint import save_weights

FLOAT = 4


class Twice(nn.Module):
    """Uses its input for two convolutions, whose outputs are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 5, 1), nn.Conv2d(3, 5, 1)

    def forward(self, images):
        return self.left(images) * self.right(images)


class PartSquared(nn.Module):
    """Saves a view of two channels of eight: the whole of their storage stays in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 8, 1)

    def forward(self, images):
        part = self.wide(images)[:, :2]
        return part * part


def test_a_convolution_and_relu_keep_the_image_and_the_output():
    network = nn.Sequential(nn.Conv2d(3, 7, 3, padding=1), nn.ReLU())
    assert count_activation_bytes(network, 3, 10, 12) == 10 * 12 * (3 + 7) * FLOAT


def test_an_input_that_two_layers_save_counts_once():
    assert count_activation_bytes(Twice(), 3, 8, 8) == 8 * 8 * (3 + 5 + 5) * FLOAT


def test_a_part_of_a_storage_counts_as_the_whole():
    assert count_activation_bytes(PartSquared(), 3, 4, 4) == 4 * 4 * (3 + 8) * FLOAT


def test_max_pooling_keeps_its_input_and_indices_of_eight_bytes():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d(2))
    assert count_activation_bytes(network, 3, 8, 8) == 64 * (3 + 4) * FLOAT + 16 * 4 * 8


def test_statistics_of_batch_norm_do_not_grow_with_the_batch():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))
    assert count_activation_bytes(network, 3, 8, 8) == 64 * (3 + 4) * FLOAT


def test_a_network_that_refuses_to_train_on_one_image_has_a_figure():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        network.train()(torch.zeros(1, 3, 8, 8))
    assert count_activation_bytes(network, 3, 8, 8) >= 64 * 3 * FLOAT


def test_frozen_layers_keep_nothing():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    network[0].requires_grad_(False)
    assert count_activation_bytes(network, 3, 8, 8) == 64 * 4 * FLOAT  # the input of the last convolution


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    cost_of(network, 3, 8, 8)
    assert not network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def bytes_held_after_a_real_forward(network, images):
    """Count what autograd holds on the CPU, by the addresses of the data."""
    own = {tensor.data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    held = {}

    def note(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = network.train()(images)
    assert output.grad_fn is not None
    return sum(tensor.untyped_storage().nbytes() for address, tensor in held.items() if address not in own)


@pytest.mark.slow(reason="builds networks at full width")
@pytest.mark.parametrize("name", ["unet", "segnet", "fc_densenet", "deeplabv3plus", "fcn8s"])
def test_the_meta_device_counts_what_a_real_forward_pass_holds(name):
    options = {"growth": 4, "first_channels": 8} if name == "fc_densenet" else {"width": 0.0625}
    entry = ModelEntry.model_validate({"name": name, **options})
    network = skeleton(entry, classes=5, channels=3)
    real = skeleton(entry, classes=5, channels=3).to_empty(device="cpu")
    for tensor in (*real.parameters(), *real.buffers()):
        nn.init.constant_(tensor.data, 0.5) if tensor.is_floating_point() else tensor.data.zero_()
    held = [bytes_held_after_a_real_forward(real, torch.rand(n, 3, 64, 64)) for n in (2, 3)]
    assert count_activation_bytes(network, 3, 64, 64) == held[1] - held[0]


def test_weights_are_as_large_as_the_payload_of_their_file(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1).half())
    save_weights(network, tmp_path / "net.safetensors", metadata={"some": "facts"})
    content = (tmp_path / "net.safetensors").read_bytes()
    (header,) = struct.unpack("<Q", content[:8])
    assert json.loads(content[8 : 8 + header])["0.weight"]["dtype"] == "F32"
    assert count_weights_bytes(network) == len(content) - 8 - header
    by_hand = (4 * 27 + 4) * 4 + (4 * 4 * 4 + 8) + (2 * 4 + 2) * 2  # the counter of batch norm is an int64
    assert count_weights_bytes(network) == by_hand


def test_the_cost_of_a_small_network_is_that_worked_out_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 7, 3, padding=1), nn.ReLU(), nn.Conv2d(7, 2, 1))
    assert cost_of(network, 3, 10, 12) == Cost(
        parameters=7 * 28 + 2 * 8,
        macs=120 * (7 * 27 + 2 * 7),
        activation_bytes=120 * (3 + 7) * FLOAT,
        weights_bytes=(7 * 28 + 2 * 8) * FLOAT,
    )


@pytest.mark.slow(reason="builds networks at full width")
@pytest.mark.parametrize(
    ("model", "classes", "size", "gmacs"),
    [
        ({"name": "fcn8s", "caffe_padding": True}, 21, (512, 512), 190.37),
        ({"name": "fcn8s"}, 21, (512, 512), 110.84),
        ({"name": "unet", "norm": "batch"}, 11, (360, 480), 126.9),
        ({"name": "deconvnet"}, 21, (512, 512), 192.15),
        ({"name": "segnet"}, 21, (512, 512), 163.1),
        ({"name": "fc_densenet103"}, 11, (360, 480), 69.1),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else None,
)
def test_multiply_adds_are_those_of_the_reference_within_a_thousandth(model, classes, size, gmacs):
    network = skeleton(ModelEntry.model_validate(model), classes=classes, channels=3)
    assert cost_of(network, 3, *size).macs / 1e9 == pytest.approx(gmacs, rel=1e-3)


def test_bilinear_upsampling_keeps_nothing():
    class Upsampled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = nn.Conv2d(3, 2, 1)

        def forward(self, images):
            return functional.interpolate(self.score(images), scale_factor=2, mode="bilinear")

    assert count_activation_bytes(Upsampled(), 3, 8, 8) == 64 * 3 * FLOAT
