import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from segbench.errors import UnknownNameError, UsageError
from segbench.models.base import count_parameters
from segbench.models.networks.densenet_fcn import DenseNetFCN, densenet_fcn


def on_meta(*arguments, **options):
    with torch.device("meta"):
        return densenet_fcn(*arguments, **options)


def test_parameters_are_those_of_the_densenet_without_classifier_and_three_score_layers():
    with torch.device("meta"):
        encoder = timm.create_model("densenet121", num_classes=0)
    scores = sum(channels * 11 + 11 for channels in (512, 1024, 1024))
    assert count_parameters(on_meta(11)) == count_parameters(encoder) + scores


def test_scores_of_strides_32_16_and_8_are_summed_as_interpolated():
    network = densenet_fcn(3, width=0.125).eval()
    images = torch.rand(1, 3, 67, 93)
    with torch.no_grad():
        maps = network.encoder(images)
        total = network.scores[0](maps[4])
        for score, level in ((network.scores[1], 3), (network.scores[2], 2)):
            finer = score(maps[level])
            total = functional.interpolate(total, finer.shape[-2:], mode="bilinear") + finer
        expected = functional.interpolate(total, (67, 93), mode="bilinear")
        assert torch.allclose(network(images), expected, atol=1e-5)


def test_width_scales_the_growth_rate():
    assert on_meta(3, width=0.25).encoder.channels == [16, 64, 128, 256, 256]


@pytest.mark.parametrize(("norm", "kind"), [("none", None), ("group", nn.GroupNorm), ("batch", nn.BatchNorm2d)])
def test_norm_and_activation_replace_those_of_the_encoder(norm, kind):
    network = on_meta(3, width=0.125, norm=norm, activation="gelu")
    parts = list(network.modules())
    found = {known for known in (nn.GroupNorm, nn.BatchNorm2d) if any(isinstance(part, known) for part in parts)}
    assert found == ({kind} if kind else set())
    assert not any(isinstance(part, nn.ReLU) for part in parts)


def test_an_unknown_activation_is_refused():
    with pytest.raises(UsageError, match="activation 'swoosh'"):
        densenet_fcn(3, activation="swoosh")


@pytest.mark.parametrize("encoder", ["densnet121", "resnet50"])
def test_an_encoder_that_is_no_densenet_is_refused(encoder):
    with pytest.raises(UnknownNameError, match="unknown DenseNet of timm"):
        densenet_fcn(3, encoder=encoder)


@pytest.mark.parametrize("options", [{"width": 0.5}, {"norm": "group"}])
def test_pretrained_weights_need_the_papers_width_and_norm(options):
    with pytest.raises(UsageError, match=r"pretrained weights need width: 1\.0 and batch norm"):
        densenet_fcn(3, pretrained=True, **options)


def test_both_papers_are_cited():
    assert "1608.06993" in DenseNetFCN.citation
    assert "1411.4038" in DenseNetFCN.citation
