"""VGG-16's layers and its weights, against timm's own network."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from segbench.config.component import ModelEntry
from segbench.errors import UsageError, WeightsError
from segbench.models.build import check_pretrained, pretrained_report_of
from segbench.models.networks import deconvnet, deeplab, fcn
from segbench.models.networks.vgg import (
    VGG16_STAGES,
    ConvUnit,
    conv_units,
    mirrored_stages,
    vgg16_stages,
)
from segbench.models.networks.vgg_weights import load_vgg16, read_pretrained
from segbench.registry import MODELS


def made(name: str) -> Callable[..., nn.Module]:
    return partial(MODELS.create, name)


def timm_features(name: str) -> nn.Module:
    """timm's own VGG without the 124 M weights of its head, filled with random values."""
    with torch.device("meta"):
        network = timm.create_model(name, features_only=True)
    network.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(3)
    for key, tensor in network.state_dict().items():
        if tensor.ndim == 4:
            tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif key.endswith("num_batches_tracked"):
            tensor.fill_(7)
        else:
            tensor.uniform_(0.5, 1.5, generator=generator)
    return network


def head_of(channels: int) -> dict[str, torch.Tensor]:
    """fc6 and fc7 under timm's keys, narrower than 4096."""
    generator = torch.Generator().manual_seed(4)
    return {
        "pre_logits.fc1.weight": torch.randn(channels, 512, 7, 7, generator=generator),
        "pre_logits.fc1.bias": torch.randn(channels, generator=generator),
        "pre_logits.fc2.weight": torch.randn(channels, channels, 1, 1, generator=generator),
        "pre_logits.fc2.bias": torch.randn(channels, generator=generator),
    }


@pytest.fixture(scope="module", params=["vgg16", "vgg16_bn"])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, nn.Module, Path]:
    network = timm_features(request.param)
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
    state = {key.replace("features_", "features."): value for key, value in network.state_dict().items()}
    save_file(state | head_of(8), path)
    return request.param, network, path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "vgg16.safetensors"
    state = {key.replace("features_", "features."): value for key, value in timm_features("vgg16").state_dict().items()}
    save_file(state | head_of(8), path)
    return path


def taps(stages: nn.ModuleList, images: torch.Tensor) -> list[torch.Tensor]:
    maps = []
    for stage in stages:
        images = stage(images)
        maps.append(images)
        images = functional.max_pool2d(images, 2, ceil_mode=True)
    return [*maps, images]


def assert_trunk_equals_timm(stages: nn.ModuleList, network: nn.Module) -> None:
    images = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ours, theirs = taps(stages.eval(), images), network(images)
    assert [tuple(one.shape) for one in ours] == [tuple(one.shape) for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_thirteen_convolutions_have_the_papers_channels_and_parameters() -> None:
    with torch.device("meta"):
        stages = vgg16_stages(3, width=1.0, norm="none", activation="relu")
    assert [unit.convolution.out_channels for unit in conv_units(stages)] == [64] * 2 + [128] * 2 + [256] * 3 + [
        512
    ] * 6
    assert [len(stage) for stage in VGG16_STAGES] == [2, 2, 3, 3, 3]
    assert sum(parameter.numel() for parameter in stages.parameters()) == 14_714_688


def test_padding_and_dilation_are_set_stage_by_stage() -> None:
    stages = vgg16_stages(1, width=0.1, norm="batch", activation="gelu", first_padding=100, dilations=(1, 1, 1, 1, 2))
    units = conv_units(stages)
    assert [unit.convolution.padding[0] for unit in units] == [100] + [1] * 9 + [2] * 3
    assert [unit.convolution.dilation[0] for unit in units] == [1] * 10 + [2] * 3
    assert all(isinstance(unit.norm, nn.BatchNorm2d) and isinstance(unit.activation, nn.Module) for unit in units)
    assert list(units[0]._modules) == ["convolution", "norm", "activation"]


def test_mirrored_stages_chain_their_channels() -> None:
    stages = mirrored_stages(5, ((8, 8), (4,)), width=0.5, unit=lambda inputs, outputs: nn.Conv2d(inputs, outputs, 1))
    assert [(layer.in_channels, layer.out_channels) for stage in stages for layer in stage] == [(5, 4), (4, 4), (4, 2)]


def test_a_pretrained_cnn_has_timms_tensors_and_timms_features(reference: tuple[str, nn.Module, Path]) -> None:
    name, network, path = reference
    ours = MODELS.create("cnn", 4, norm="batch" if name == "vgg16_bn" else "none", pretrained=str(path))
    theirs = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    for unit, layer in zip(conv_units(ours.stages), theirs, strict=True):
        assert torch.equal(unit.convolution.weight, layer.weight)
        assert torch.equal(unit.convolution.bias, layer.bias)
    assert_trunk_equals_timm(ours.stages, network)


def test_a_pretrained_segnet_takes_batch_norm_statistics_too(reference: tuple[str, nn.Module, Path]) -> None:
    name, network, path = reference
    ours = MODELS.create("segnet", 4, pretrained=str(path))
    norms = [unit.norm for unit in conv_units(ours.encoder)]
    if name == "vgg16_bn":
        theirs = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
        for one, other in zip(norms, theirs, strict=True):
            assert all(torch.equal(one.state_dict()[key], value) for key, value in other.state_dict().items())
        assert_trunk_equals_timm(ours.encoder, network)
    else:
        for norm in norms:
            assert torch.equal(norm.weight, torch.ones_like(norm.weight))
            assert torch.equal(norm.running_var, torch.ones_like(norm.running_var))
            assert not norm.bias.any()
            assert not norm.running_mean.any()
            norm.eps = 0
        assert_trunk_equals_timm(ours.encoder, network)


def test_fc6_and_fc7_flow_into_deconvnet(
    reference: tuple[str, nn.Module, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, path = reference
    monkeypatch.setattr(deconvnet, "FULLY_CONNECTED", 8)
    ours = MODELS.create("deconvnet", 4, fc_channels=8, pretrained=str(path))
    head = head_of(8)
    assert torch.equal(ours.fc6.convolution.weight, head["pre_logits.fc1.weight"])
    assert torch.equal(ours.fc6.convolution.bias, head["pre_logits.fc1.bias"])
    assert torch.equal(ours.fc7.convolution.weight, head["pre_logits.fc2.weight"])
    assert torch.equal(ours.encoder[0][0].convolution.weight, load_file(path)["features.0.weight"])


def test_a_deconvnet_with_other_fc_layers_takes_the_trunk_only(reference: tuple[str, nn.Module, Path]) -> None:
    _, _, path = reference
    ours = MODELS.create("deconvnet", 4, fc_channels=8, fc_kernel=1, pretrained=str(path))
    assert torch.equal(ours.encoder[0][0].convolution.weight, load_file(path)["features.0.weight"])
    assert ours.fc6.convolution.weight.shape == (8, 512, 1, 1)


def test_torchvisions_linear_layers_become_convolutions(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, head = load_file(plain), head_of(8)
    for new, old in (("pre_logits.fc1", "classifier.0"), ("pre_logits.fc2", "classifier.3")):
        state[f"{old}.weight"] = state.pop(f"{new}.weight").flatten(1)
        state[f"{old}.bias"] = state.pop(f"{new}.bias")
    torch.save(state, tmp_path / "vgg16.pth")
    monkeypatch.setattr(fcn, "FULLY_CONNECTED", 8)
    ours = MODELS.create("fcn32s", 4, pretrained=str(tmp_path / "vgg16.pth"))
    assert torch.equal(ours.features.fc6.convolution.weight, head["pre_logits.fc1.weight"])
    assert torch.equal(ours.features.fc7.convolution.weight, head["pre_logits.fc2.weight"])


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VGG-16 file without fully connected layers, in half precision: 30 MB."""
    path = tmp_path_factory.mktemp("convolutions") / "vgg16_hed.safetensors"
    state = timm_features("vgg16").state_dict()
    save_file({key.replace("features_", "features."): value.half() for key, value in state.items()}, path)
    return path


def narrow_fcn(factory: Callable[..., nn.Module], **options: object) -> nn.Module:
    """A network with fc6 and fc7 of 8 channels, always from the same random state."""
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(11)
        patch.setattr(fcn, "FULLY_CONNECTED", 8)
        patch.setattr(deconvnet, "FULLY_CONNECTED", 8)
        patch.setattr(deeplab, "scaled", lambda channels, width: 8 if channels == 1024 else channels)
        return factory(4, **options)


def narrow_deconvnet(classes: int, **options: object) -> nn.Module:
    return MODELS.create("deconvnet", classes, fc_channels=8, **options)


@pytest.mark.slow(reason="builds networks at full width")
@pytest.mark.parametrize(
    ("factory", "initialised"),
    [
        (made("fcn32s"), ("fc6", "fc7")),
        (made("fcn16s"), ("fc6", "fc7")),
        (made("fcn8s"), ("fc6", "fc7")),
        (narrow_deconvnet, ("fc6", "fc7", "batch norms")),
        (made("segnet"), ("batch norms",)),
        (made("deeplab_largefov"), ()),
        (made("cnn"), ()),
    ],
)
def test_weights_of_convolutions_alone_leave_the_rest_as_without_pretraining(
    factory: Callable[..., nn.Module], initialised: tuple[str, ...], convolutions: Path
) -> None:
    given = load_file(convolutions)
    ours, untrained = narrow_fcn(factory, pretrained=str(convolutions)), narrow_fcn(factory)
    report = pretrained_report_of(ours)
    assert (report.source, report.initialised) == ("vgg16_hed.safetensors", initialised)
    state, before = ours.state_dict(), untrained.state_dict()
    (loaded,) = report.tensors.values()
    assert len(loaded) == len(given) == 26
    for kind in ("weight", "bias"):
        names = [name for name in loaded if name.endswith(kind)]
        keys = sorted((key for key in given if key.endswith(kind)), key=lambda key: int(key.split(".")[1]))
        for name, key in zip(names, keys, strict=True):
            assert state[name].dtype == torch.float32
            assert torch.equal(state[name], given[key].float()), name
    assert all(torch.equal(value, before[name]) for name, value in state.items() if name not in loaded)
    assert pretrained_report_of(untrained) is None


def test_a_whole_file_is_reported_with_its_fully_connected_layers(reference: tuple[str, nn.Module, Path]) -> None:
    name, _, path = reference
    report = pretrained_report_of(narrow_fcn(narrow_deconvnet, pretrained=str(path)))
    assert report.tensors["fc6"] == ("fc6.convolution.weight", "fc6.convolution.bias")
    assert report.tensors["fc7"] == ("fc7.convolution.weight", "fc7.convolution.bias")
    if name == "vgg16_bn":
        assert report.initialised == ()
        assert len(report.tensors["batch norms"]) == 13 * 4
    else:
        assert report.initialised == ("batch norms",)


@pytest.mark.parametrize(
    ("removed", "added"),
    [
        ("features.28.bias", ()),
        ("features.14.weight", ()),
        (None, ("pre_logits.fc1.weight", "pre_logits.fc1.bias")),
        (None, ("pre_logits.fc2.weight", "pre_logits.fc2.bias")),
        (None, ("pre_logits.fc1.weight", "pre_logits.fc1.bias", "pre_logits.fc2.weight")),
        (None, ("classifier.0.weight",)),
    ],
)
def test_weights_of_a_part_of_the_convolutions_or_of_the_head_are_refused(
    removed: str | None, added: tuple[str, ...], convolutions: Path, tmp_path: Path
) -> None:
    state = {key: value for key, value in load_file(convolutions).items() if key != removed}
    save_file(state | {key: head_of(8).get(key, torch.zeros(8, 25088)) for key in added}, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"part\.safetensors: no tensor (features|pre_logits)\."):
        narrow_fcn(made("fcn8s"), pretrained=str(tmp_path / "part.safetensors"))


def test_grey_kernels_of_a_half_precision_file_are_summed_in_single_precision(convolutions: Path) -> None:
    ours = MODELS.create("cnn", 4, 1, pretrained=str(convolutions))
    expected = load_file(convolutions)["features.0.weight"].float().sum(1, keepdim=True)
    torch.testing.assert_close(ours.stages[0][0].convolution.weight, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["fcn8s", "deconvnet", "segnet", "deeplab_largefov"])
def test_a_file_of_convolutions_alone_passes_what_is_tried_before_training(name: str, convolutions: Path) -> None:
    check_pretrained(ModelEntry(name=name, pretrained=str(convolutions)))


@pytest.mark.skipif("SEGBENCH_WEIGHTS" not in os.environ, reason="needs vgg16_hed.safetensors in $SEGBENCH_WEIGHTS")
def test_the_weights_of_hed_see_what_timms_vgg_sees_with_them(tmp_path: Path) -> None:
    path = Path(os.environ["SEGBENCH_WEIGHTS"]) / "vgg16_hed.safetensors"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    network = timm_features("vgg16")
    network.load_state_dict(
        {key.replace("features.", "features_"): value.float() for key, value in load_file(path).items()}
    )
    assert_trunk_equals_timm(narrow_fcn(made("fcn8s"), pretrained=str(path)).features.stages, network)


def test_grey_images_sum_the_first_kernels_as_timm_does(plain: Path) -> None:
    ours = MODELS.create("cnn", 4, 1, pretrained=str(plain))
    expected = load_file(plain)["features.0.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(ours.stages[0][0].convolution.weight, expected)


def test_true_takes_the_file_of_the_weights_folder(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(plain.parent))
    read = read_pretrained("vgg16", True)
    assert read.source == str(plain)
    assert read.state.keys() == load_file(plain).keys()


def test_true_without_a_file_asks_timm(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fake:
        def state_dict(self) -> dict[str, torch.Tensor]:
            return load_file(plain)

    asked = []
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: asked.append((name, pretrained)) or Fake())
    ours = MODELS.create("cnn", 4, pretrained=True)
    assert asked == [("vgg16", True)]
    assert torch.equal(ours.stages[0][0].convolution.weight, load_file(plain)["features.0.weight"])


def test_weights_that_timm_cannot_get_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, *, pretrained: bool) -> nn.Module:
        raise OSError("no route to host")

    monkeypatch.delenv("SEGBENCH_WEIGHTS", raising=False)
    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(WeightsError, match=r"vgg16_bn.*no route to host.*SEGBENCH_WEIGHTS"):
        MODELS.create("segnet", 4, width=1.0, pretrained=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0.5}, "width: 1.0"), ({"norm": "group"}, "norm: group")],
)
def test_a_trunk_that_no_weights_exist_for_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MODELS.create("cnn", 4, pretrained="/nowhere.safetensors", **options)


def test_batch_norm_weights_in_a_trunk_without_are_refused(plain: Path, tmp_path: Path) -> None:
    state = load_file(plain)
    save_file({**state, "features.1.weight": torch.ones(64)}, tmp_path / "bn.safetensors")
    with pytest.raises(WeightsError, match=r"bn\.safetensors.*batch norm"):
        MODELS.create("cnn", 4, pretrained=str(tmp_path / "bn.safetensors"))


def test_a_file_of_something_else_names_the_absent_tensor(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"other\.safetensors: no tensor features\.0\.weight"):
        MODELS.create("cnn", 4, pretrained=str(path))
    save_file({"features.0.weight": torch.zeros(64, 3, 5, 5), "features.0.bias": torch.zeros(64)}, path)
    with pytest.raises(
        WeightsError, match=r"features\.0\.weight is \(64, 3, 5, 5\), the network needs \(64, 3, 3, 3\)"
    ):
        MODELS.create("cnn", 4, pretrained=str(path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"/nowhere\.safetensors"):
        MODELS.create("cnn", 4, pretrained="/nowhere.safetensors")


def test_without_pretraining_nothing_is_touched() -> None:
    stages = vgg16_stages(3, width=0.1, norm="none", activation="relu")
    before = [unit.convolution.weight.clone() for unit in conv_units(stages)]
    load_vgg16(False, stages)
    assert all(torch.equal(one, unit.convolution.weight) for one, unit in zip(before, conv_units(stages), strict=True))


def test_a_unit_is_convolution_then_norm_then_activation() -> None:
    unit = ConvUnit(nn.Conv2d(1, 1, 1), norm="batch", activation="relu").eval()
    nn.init.constant_(unit.convolution.weight, 2.0)
    nn.init.constant_(unit.convolution.bias, 1.0)
    unit.norm.running_mean.fill_(4.0)
    unit.norm.eps = 0.0
    values = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 1, 3)  # 2x + 1 - 4, then the positive part
    assert unit(values).flatten().tolist() == [0.0, 0.0, 3.0]
