"""``pad_to``: images padded to a multiple, scores cropped."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.config.component import ModelEntry
from segbench.errors import ModelRefusal, UsageError
from segbench.models.base import ANY_SIZE, InputConstraint
from segbench.models.build import build_network, check_input
from segbench.models.padding import PaddedConstraint
from segbench.models.skeleton import describe_network


def built(name="segnet_basic", **options):
    entry = ModelEntry.model_validate({"name": name, "width": 0.125, **options})
    return build_network(entry, classes=3, channels=2, seed=0).eval()


@pytest.mark.parametrize("size", [(32, 64), (33, 61), (1, 20)], ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_padded_network_gives_what_padding_and_cropping_by_hand_gives(size, channels_last):
    plain, padding = built("unet"), built("unet", pad_to=32)
    images = torch.randn(2, 2, *size)
    if channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    height, width = size
    with torch.no_grad():
        by_hand = plain(functional.pad(images, (0, -width % 32, 0, -height % 32)))[..., :height, :width]
        assert torch.equal(padding(images), by_hand)


def test_gradients_of_a_padded_network_are_those_of_padding_by_hand():
    plain, padding = built("unet"), built("unet", pad_to=16)
    images, labels = torch.randn(1, 2, 20, 24), torch.randint(3, (1, 20, 24))
    functional.cross_entropy(padding(images), labels).backward()
    functional.cross_entropy(plain(functional.pad(images, (0, 8, 0, 12)))[..., :20, :24], labels).backward()
    for own, by_hand in zip(padding.parameters(), plain.parameters(), strict=True):
        assert torch.equal(own.grad, by_hand.grad)


def test_padding_changes_no_initial_weight():
    plain, padding = built("unet"), built("unet", pad_to=32)
    for own, other in zip(padding.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(own, other)


def test_a_size_that_padding_makes_possible_is_refused_with_the_multiple_to_write():
    entry = {"name": "fc_densenet", "width": 0.25, "down_layers": [1, 1], "bottleneck_layers": 1}
    options = {key: value for key, value in entry.items() if key != "name"}
    plain = built("fc_densenet", **options)
    with pytest.raises(ModelRefusal, match=r"cannot take 3x9 images.*; 'pad_to: 4' in its entry pads them"):
        check_input(plain, 3, 9)
    padding = built("fc_densenet", **options, pad_to=4)
    check_input(padding, 3, 9)
    assert padding(torch.zeros(1, 2, 3, 9)).shape == (1, 3, 3, 9)


@pytest.mark.parametrize(
    ("constraint", "size", "multiple"),
    [
        (InputConstraint(32, 32), (47, 61), 32),
        (InputConstraint(64, 32), (47, 100), 32),
        (InputConstraint(64, 32), (20, 100), 64),
        (InputConstraint(32), (20, 40), 32),
        (InputConstraint(188, 16), (200, 200), None),
    ],
    ids=str,
)
def test_the_multiple_that_is_proposed_makes_the_size_possible(constraint, size, multiple):
    assert constraint.multiple(*size) == multiple
    if multiple is not None:
        assert all(map(PaddedConstraint(pad_to=multiple, inner=constraint).allows, size))


@pytest.mark.parametrize(
    ("minimum", "step", "pad_to"), [(1, 1, 32), (32, 32, 32), (64, 32, 16), (33, 1, 32), (48, 16, 32)]
)
def test_the_next_size_is_the_smallest_that_can_be_padded_to_one_that_is_taken(minimum, step, pad_to):
    constraint = PaddedConstraint(pad_to=pad_to, inner=InputConstraint(minimum, step))
    for size in (1, 31, 32, 33, 50, 65):
        allowed = [candidate for candidate in range(size, 300) if constraint.allows(candidate)]
        assert constraint.next(size) == allowed[0]


def test_padding_to_a_multiple_that_the_network_does_not_take_is_refused():
    with pytest.raises(ModelRefusal, match="being padded to a multiple of 3"):
        check_input(built("deconvnet", pad_to=3), 40, 40)


def test_a_network_of_ours_by_its_import_path_is_padded_too():
    theirs = ModelEntry.model_validate(
        {"name": "python:segbench.models.networks.unet.unet", "width": 0.0625, "pad_to": 32}
    )
    network = build_network(theirs, classes=3, channels=3, seed=0)
    assert network(torch.zeros(1, 3, 17, 40)).shape == (1, 3, 17, 40)


def test_another_multiple_replaces_that_of_smp():
    pytest.importorskip("segmentation_models_pytorch")
    entry = ModelEntry.model_validate({"name": "smp:Unet", "encoder_name": "resnet18", "pad_to": 64})
    network = build_network(entry, classes=3, channels=1, seed=0).eval()
    images = torch.randn(1, 1, 40, 70)
    with torch.no_grad():
        by_hand = network.model(functional.pad(images, (0, 58, 0, 24)))[..., :40, :70]
        assert torch.equal(network(images), by_hand)


def test_padding_is_counted_in_what_a_network_costs_and_described():
    plain = ModelEntry.model_validate({"name": "unet", "width": 0.0625})
    padding = plain.model_copy(update={"pad_to": 64})
    exact = describe_network(plain, classes=3, channels=3, size=(64, 128))
    found = describe_network(padding, classes=3, channels=3, size=(33, 65))
    assert (found.macs, found.output_size) == (exact.macs, (33, 65))
    assert found.input_constraint.endswith("images being padded to a multiple of 64")


def test_a_network_of_any_size_is_not_padded_for_nothing():
    entry = ModelEntry.model_validate({"name": "unet", "width": 0.0625, "padding": "valid", "pad_to": 32})
    with pytest.raises(UsageError, match="takes images of any size: write 'pad_to: null'"):
        build_network(entry, classes=3, channels=3, seed=0)


def test_without_padding_nothing_is_wrapped():
    assert isinstance(built("unet"), nn.Module)
    assert type(built("unet")).__name__ == "UNet"
    assert str(ANY_SIZE) == "any size"
