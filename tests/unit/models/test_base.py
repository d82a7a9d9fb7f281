import numpy as np
import pytest
import torch
from torch import nn

from segbench.errors import ModelRefusal
from segbench.models.base import (
    ANY_SIZE,
    InputConstraint,
    OverlapTile,
    SegmentationNetwork,
    count_macs,
    count_parameters,
    mirror,
)


class Valid3x3(SegmentationNetwork):
    """Takes sizes 5, 7, 9, …; its output lacks one pixel a side and is the middle of each 3x3 window."""

    output_margin = 1
    input_constraint = InputConstraint(5, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.check_size(images)
        return images[..., 1:-1, 1:-1]


def test_any_size_allows_a_single_pixel_and_says_so():
    ANY_SIZE.check("network", 1, 1)
    assert str(ANY_SIZE) == "any size"


def test_a_constraint_allows_its_minimum_and_the_steps_above():
    constraint = InputConstraint(188, 16, "pooling")
    assert [size for size in range(180, 240) if constraint.allows(size)] == [188, 204, 220, 236]
    assert str(constraint) == "height and width at least 188, in steps of 16 from there (pooling)"


def test_a_network_refuses_images_by_its_constraint_and_its_name():
    Valid3x3().check_size(torch.zeros(1, 3, 5, 7))
    with pytest.raises(ModelRefusal, match="Valid3x3 cannot take 5x6 images: it needs height and width at least 5"):
        Valid3x3().check_size(torch.zeros(1, 3, 5, 6))


def test_a_refusal_names_network_size_and_rule():
    with pytest.raises(ModelRefusal, match="net cannot take 32x31 images: it needs height and width at least 32"):
        InputConstraint(32).check("net", 32, 31)


@pytest.mark.parametrize(("size", "expected"), [(1, 188), (188, 188), (189, 204), (204, 204), (205, 220)])
def test_next_is_the_smallest_possible_size_not_below(size, expected):
    assert InputConstraint(188, 16).next(size) == expected


def test_mirror_agrees_with_numpy_reflection_even_beyond_the_image():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    expected = np.pad(image[0, 0].numpy(), ((1, 7), (2, 9)), mode="reflect")
    assert np.array_equal(mirror(image, top=1, bottom=7, left=2, right=9)[0, 0].numpy(), expected)


def test_mirror_repeats_an_image_of_one_pixel():
    mirrored = mirror(torch.full((1, 2, 1, 1), 3.0), top=2, bottom=1, left=0, right=4)
    assert torch.equal(mirrored, torch.full((1, 2, 4, 5), 3.0))


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (5, 5), (6, 11)])
def test_overlap_tile_labels_every_pixel_of_any_size(size):
    images = torch.rand(2, 1, *size)
    assert torch.equal(OverlapTile(Valid3x3())(images), images)


def test_overlap_tile_passes_on_the_citation():
    network = Valid3x3()
    network.citation = "a paper"
    assert OverlapTile(network).citation == "a paper"


def test_fixed_tensors_and_running_statistics_are_no_learned_parameters():
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 3, 4, bias=False))
    network[2].weight.requires_grad_(False)
    assert count_parameters(network) == (2 * 3 * 9 + 3) + (3 + 3)


def test_macs_of_a_convolution_are_those_counted_by_hand():
    network = nn.Conv2d(2, 3, 3, stride=2, padding=1)
    assert count_macs(network, 2, 8, 10) == (4 * 5) * 3 * (2 * 9)
    assert next(network.parameters()).device.type == "cpu", "the network itself stays where it was"
    assert network.training
