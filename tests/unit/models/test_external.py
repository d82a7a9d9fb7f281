import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.errors import ModelRefusal, UnknownNameError, UsageError, WeightsError
from segbench.models.base import InputConstraint, SegmentationNetwork, count_parameters
from segbench.models.external import ExternalNetwork, python_model, smp_model, torchvision_model
from segbench.models.weights.checkpoint import load_weights

MODULE = '''
from torch import nn
import torch

class Half(nn.Module):
    """Scores at half the size, in a mapping."""
    citation = "a paper"
    def __init__(self, classes, channels, hidden=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, hidden, 3, 2, 1), nn.Conv2d(hidden, classes, 1))
    def forward(self, images):
        return {"out": self.layers(images), "aux": None}

def wrong(classes, channels):
    return "a network"

number = 5
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "their_networks.py").write_text(MODULE)
    (tmp_path / "their_broken.py").write_text("import a_package_that_nobody_has")
    (tmp_path / "their_cycle.py").write_text("from math import nothing_of_this_name")
    monkeypatch.syspath_prepend(tmp_path)
    yield "their_networks"
    for name in ("their_networks", "their_broken", "their_cycle"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("target", "parameters"),
    [
        ("fcn_resnet50", 32_957_013),
        ("fcn_resnet101", 51_949_141),
        ("deeplabv3_resnet50", 39_638_869),
        ("deeplabv3_resnet101", 58_630_997),
    ],
)
def test_torchvisions_networks_have_the_references_parameters(target, parameters):
    with torch.device("meta"):
        assert count_parameters(torchvision_model(21, target=target)) == parameters


def test_torchvisions_output_is_its_out_at_the_images_size():
    network = torchvision_model(4, target="lraspp_mobilenet_v3_large").eval()
    images = torch.rand(1, 3, 45, 61)
    with torch.no_grad():
        assert torch.equal(network(images), network.model(images)["out"])
        assert network(images).shape == (1, 4, 45, 61)


@pytest.mark.slow(reason="builds networks at full width")
@pytest.mark.parametrize("target", ["lraspp_mobilenet_v3_large", "fcn_resnet50"])
@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_torchvisions_networks_take_any_number_of_channels(target, channels):
    plain, network = torchvision_model(4, target=target), torchvision_model(4, channels, target=target).eval()
    with torch.no_grad():
        assert network(torch.rand(1, channels, 32, 48)).shape == (1, 4, 32, 48)
    first, wider = (next(one for one in net.modules() if isinstance(one, nn.Conv2d)) for net in (plain, network))
    assert wider.weight.shape == (first.out_channels, channels, *first.kernel_size)
    assert (wider.stride, wider.padding, wider.bias) == (first.stride, first.padding, first.bias)
    other = (channels - 3) * first.out_channels * first.weight[0, 0].numel()
    assert count_parameters(network) - count_parameters(plain) == other
    assert wider.weight.std().item() == pytest.approx(first.weight.std().item(), rel=0.2)
    assert network.adapted == ""


@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_pretrained_weights_are_spread_over_the_channels_and_it_is_told(channels, monkeypatch):
    from torchvision import models

    build = models.get_model

    def without_weights(name, *, weights_backbone, **options):  # none can be fetched here
        assert weights_backbone == "DEFAULT"
        return build(name, weights_backbone=None, **options)

    monkeypatch.setattr(models, "get_model", without_weights)
    torch.manual_seed(0)
    rgb = torchvision_model(3, target="lraspp_mobilenet_v3_large", pretrained=True)
    torch.manual_seed(0)
    network = torchvision_model(3, channels, target="lraspp_mobilenet_v3_large", pretrained=True)
    first, wider = (next(one for one in net.modules() if isinstance(one, nn.Conv2d)).weight for net in (rgb, network))
    if channels == 1:
        expected = first.sum(1, keepdim=True)
    else:
        expected = torch.stack([first[:, index % 3] * 3 / channels for index in range(channels)], dim=1)
    torch.testing.assert_close(wider, expected)
    assert f"takes {channels} channels: the pretrained weights of its first convolution" in network.adapted


def test_a_network_of_torchvision_without_a_convolution_of_rgb_is_refused_with_the_remedy(monkeypatch):
    from torchvision import models

    monkeypatch.setattr(models, "get_model", lambda *names, **options: nn.Identity())
    with pytest.raises(ModelRefusal, match="torchvision:fcn_resnet50 takes images of 3 channels, not 4"):
        torchvision_model(4, 4, target="fcn_resnet50")


def test_torchvisions_names_are_checked():
    with pytest.raises(UnknownNameError, match="did you mean 'fcn_resnet50'"):
        torchvision_model(4, target="fcn_resnet5")
    with pytest.raises(UnknownNameError):
        torchvision_model(4, target="resnet50")


def test_torchvisions_options_are_checked():
    with pytest.raises(
        UsageError, match="torchvision:fcn_resnet50: torchvision knows no option 'aux_los', did you mean 'aux_loss'"
    ):
        torchvision_model(4, target="fcn_resnet50", aux_los=True)


@pytest.mark.parametrize("key", ["weights", "weights_backbone"])
def test_weights_come_in_by_pretrained_only(key):
    with pytest.raises(UsageError, match=f"give {key} as 'pretrained'"):
        torchvision_model(4, target="fcn_resnet50", **{key: "DEFAULT"})
    with pytest.raises(UsageError, match="give encoder_weights as 'pretrained'"):
        smp_model(4, target="Unet", encoder_weights="imagenet")


def test_torchvisions_backbone_weights_are_asked_for_by_name(monkeypatch):
    from torchvision import models

    asked = []
    monkeypatch.setattr(models, "get_model", lambda name, **options: asked.append((name, options)) or nn.Identity())
    for pretrained in (False, True, "IMAGENET1K_V1"):
        torchvision_model(4, target="fcn_resnet50", pretrained=pretrained)
    assert [options["weights_backbone"] for _, options in asked] == [None, "DEFAULT", "IMAGENET1K_V1"]
    assert all(options["weights"] is None and options["num_classes"] == 4 for _, options in asked)


def test_weights_that_cannot_be_had_are_an_error_with_a_place(monkeypatch):
    from torchvision import models

    def offline(name, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(models, "get_model", offline)
    with pytest.raises(WeightsError, match=r"no route to host.*checkpoints"):
        torchvision_model(4, target="fcn_resnet50", pretrained=True)


def test_an_unknown_name_of_backbone_weights_is_refused():
    with pytest.raises(UsageError, match="torchvision refuses these options"):
        torchvision_model(4, target="fcn_resnet50", pretrained="IMAGENET2K")


def test_checkpoints_of_the_bare_network_fit_the_wrapped_one(tmp_path, module):
    network = python_model(4, target="their_networks.Half")
    bare = {name: torch.ones_like(tensor) for name, tensor in network.model.state_dict().items()}
    torch.save(bare, tmp_path / "bare.pth")
    load_weights(network, tmp_path / "bare.pth")
    assert all(tensor.eq(1).all() for tensor in network.state_dict().values())


def test_smp_pads_to_32_with_zeros_and_crops():
    pytest.importorskip("segmentation_models_pytorch")
    network = smp_model(4, 2, target="Unet", encoder_name="resnet18").eval()
    images = torch.rand(1, 2, 40, 64)
    with torch.no_grad():
        expected = network.model(functional.pad(images, (0, 0, 0, 24)))[..., :40, :]
        assert torch.equal(network(images), expected)


def test_smps_names_and_options_are_checked():
    pytest.importorskip("segmentation_models_pytorch")
    with pytest.raises(UnknownNameError, match="did you mean 'Unet'"):
        smp_model(4, target="UNet")
    with pytest.raises(UsageError, match="smp:Unet: segmentation_models_pytorch refuses these options"):
        smp_model(4, target="Unet", encoder_name="resnet-18000")


def test_a_missing_smp_is_a_refusal_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ModelRefusal, match=r"smp:Unet needs .*pip install segmentation-models-pytorch"):
        smp_model(4, target="Unet")


def test_smps_weights_are_asked_for_by_name(monkeypatch):
    smp = pytest.importorskip("segmentation_models_pytorch")
    asked = []

    class Recorder(nn.Module):
        def __init__(self, encoder_weights, **options):
            super().__init__()
            asked.append(encoder_weights)
            if encoder_weights == "offline":
                raise OSError("no route to host")

    monkeypatch.setattr(smp, "Unet", Recorder)
    for pretrained in (False, True, "noisy-student"):
        smp_model(4, target="Unet", pretrained=pretrained)
    assert asked == [None, "imagenet", "noisy-student"]
    with pytest.raises(WeightsError, match="no route to host"):
        smp_model(4, target="Unet", pretrained="offline")


def test_an_import_path_is_called_with_classes_channels_and_options(module):
    network = python_model(4, 2, target="their_networks.Half", hidden=7).eval()
    images = torch.rand(1, 2, 10, 14)
    with torch.no_grad():
        half = network.model.layers(images)
        expected = functional.interpolate(half, (10, 14), mode="bilinear", align_corners=False)
        assert torch.equal(network(images), expected)
    assert half.shape == (1, 4, 5, 7)
    assert network.model.layers[0].out_channels == 7
    assert network.citation == "a paper"


def test_a_network_of_ours_by_its_import_path_is_not_wrapped():
    network = python_model(4, 1, target="segbench.models.networks.unet.unet", width=0.0625, padding="valid")
    assert isinstance(network, SegmentationNetwork)
    assert network.output_margin == 92


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("Half", "expected python:package.module.attribute"),
        ("nobodys_package.networks.Half", "there is no module 'nobodys_package'; is its package installed"),
        ("their_networks.inner.Half", "there is no module 'their_networks.inner'"),
        ("their_networks.Halv", "their_networks has no 'Halv', did you mean 'Half'"),
        ("their_networks.number", "'number' is a int; a class or function is expected"),
        ("their_networks.wrong", "returned str; a torch.nn.Module is expected"),
        ("their_broken.Half", "their_broken imports 'a_package_that_nobody_has', which is not installed"),
        ("their_cycle.Half", "their_cycle cannot be imported: .*nothing_of_this_name"),
    ],
)
def test_a_wrong_import_path_is_refused_with_what_is_wrong(module, target, problem):
    with pytest.raises(UsageError, match=problem):
        python_model(4, target=target)


def test_a_foreign_networks_own_input_constraint_is_kept():
    theirs = nn.Identity()
    theirs.input_constraint = InputConstraint(8)
    assert ExternalNetwork(theirs, 4, name="python:theirs").input_constraint == InputConstraint(8)


def test_wrong_options_are_refused_with_those_given(module):
    with pytest.raises(UsageError, match=r"cannot be called with classes, channels, depth: .*depth"):
        python_model(4, target="their_networks.Half", depth=3)


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ({"logits": 0, "aux": 1}, r"a dict of logits: an int, aux: an int; what stands under 'logits' is no tensor"),
        (["scores"], "a list of 0: a str; what stands under '0' is no tensor, and it holds no logits"),
        (torch.zeros(1, 8, 8), r"a tensor \(1, 8, 8\): one number a pixel is no score of each class"),
        (torch.zeros(1, 5, 8, 8), r"\(1, 5, 8, 8\): scores of 5 classes, and the data set has 4; logits \(N, 4"),
    ],
)
def test_an_output_that_is_no_logits_is_refused(output, problem):
    class Theirs(nn.Module):
        def forward(self, images):
            return output

    with pytest.raises(ModelRefusal, match=problem):
        ExternalNetwork(Theirs(), 4, name="python:theirs")(torch.zeros(1, 3, 8, 8))


def test_a_network_of_a_notebook_is_told_apart_from_a_missing_one():
    with pytest.raises(UsageError, match=r"python:__main__\.Net: known only to the notebook or script that defines"):
        python_model(2, target="__main__.Net")
