from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from segbench.config.component import ModelEntry
from segbench.errors import ModelRefusal, UsageError, WeightsError
from segbench.models.base import OverlapTile, count_parameters
from segbench.models.build import (
    build_network,
    check_input,
    check_pretrained,
    initial_seed,
    initial_weights_file,
    weights_report_of,
)
from segbench.models.create import create
from segbench.models.skeleton import describe_network

TINY = {"name": "unet", "width": 0.0625}


def entry(**changes):
    return ModelEntry.model_validate(TINY | changes)


def build(model, seed=0):
    return build_network(model, classes=3, channels=2, seed=seed)


def same(one, other):
    tensors = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(left, right) for left, right in tensors)


def test_initial_weights_depend_on_entry_and_seed_alone():
    first = build(entry())
    torch.rand(7)
    assert same(first, build(entry(label="another name")))
    assert not same(first, build(entry(), seed=1))
    assert not same(first, build(entry(activation="tanh")))


def test_no_random_state_outside_changes():
    before = torch.random.get_rng_state()
    build(entry())
    describe_network(entry(encoder="resnet18"), classes=3, channels=2, size=(64, 64))
    assert torch.equal(before, torch.random.get_rng_state())


def test_initial_seeds_differ_by_entry_and_seed_and_fit_a_generator():
    seeds = {initial_seed(ModelEntry.model_validate(name), seed) for name in ("cnn", "segnet") for seed in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_valid_network_is_tiled_and_takes_any_size():
    network = build(entry(padding="valid"))
    assert isinstance(network, OverlapTile)
    check_input(network, 33, 47)


def test_check_input_refuses_by_the_networks_constraint():
    network = build(ModelEntry.model_validate({"name": "fc_densenet56", "width": 0.0625}))
    check_input(network, 32, 33)
    with pytest.raises(
        ModelRefusal, match="FCDenseNet cannot take 32x31 images: it needs height and width at least 32"
    ):
        check_input(network, 32, 31)


def test_a_network_that_says_nothing_is_taken_at_its_word():
    check_input(torch.nn.Identity(), 1, 1)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_weights_are_loaded_into_plain_and_tiled_networks(tmp_path, padding):
    source = build(entry(padding=padding), seed=5)
    save_file(source.state_dict(), tmp_path / "all.safetensors")
    loaded = build(entry(padding=padding, weights=str(tmp_path / "all.safetensors")))
    assert same(source, loaded)


def test_the_weights_of_a_bare_valid_network_fit_its_tiles(tmp_path):
    source = build(entry(padding="valid"), seed=5)
    save_file(source.model.state_dict(), tmp_path / "bare.safetensors")
    assert same(source, build(entry(padding="valid", weights=str(tmp_path / "bare.safetensors"))))


def test_strict_false_takes_what_fits(tmp_path):
    state = build(entry(), seed=5).state_dict()
    del state["score.bias"]
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(WeightsError, match=r"score\.bias"):
        build(entry(weights=str(tmp_path / "part.safetensors")))
    network = build(entry(weights=str(tmp_path / "part.safetensors"), strict=False))
    assert torch.equal(network.state_dict()["score.weight"], state["score.weight"])


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_network_says_what_of_a_checkpoint_was_loaded(tmp_path, padding):
    state = build(entry(padding=padding), seed=5).state_dict()
    bias = next(name for name in state if name.endswith("score.bias"))
    save_file({name: tensor for name, tensor in state.items() if name != bias}, tmp_path / "part.safetensors")
    network = build(entry(padding=padding, weights=str(tmp_path / "part.safetensors"), strict=False))
    report = weights_report_of(network)
    assert report == network.weights_report
    assert report.missing == (bias,)
    assert set(report.loaded) == set(state) - {bias}
    assert not report.unexpected
    assert not report.misshapen


def test_a_network_without_a_checkpoint_has_no_report():
    assert weights_report_of(build(entry())) is None


def test_a_description_has_the_references_figures():
    model = ModelEntry.model_validate({"name": "unet", "padding": "valid", "label": "the paper's"})
    description = describe_network(model, classes=2, channels=1, size=(572, 572))
    assert description.name == "the paper's"
    assert description.parameters == 31_030_658
    assert description.macs / 1e9 == pytest.approx(150.4, rel=1e-3)
    assert description.weights_bytes == 4 * 31_030_658
    assert description.activation_bytes > 4 * 64 * (570**2 + 568**2)  # the first two convolutions' outputs
    assert description.output_size == (388, 388)
    assert description.input_constraint.startswith("height and width at least 188, in steps of 16")
    assert "Ronneberger" in description.citation


def test_a_description_counts_what_is_built():
    model = entry(encoder="resnet18", norm="group")
    description = describe_network(model, classes=3, channels=2, size=(45, 61))
    assert description.parameters == count_parameters(build(model))
    assert description.output_size == (45, 61)


def test_a_description_refuses_an_impossible_size():
    with pytest.raises(ModelRefusal, match="unet cannot take 512x572 images"):
        describe_network(entry(padding="valid"), classes=3, channels=2, size=(512, 572))


def test_a_description_needs_no_weights(monkeypatch):
    monkeypatch.delenv("SEGBENCH_WEIGHTS", raising=False)
    model = entry(encoder="resnet18", pretrained="/no/such/file")
    assert describe_network(model, classes=3, channels=2, size=(64, 64)).parameters > 11_000_000


def test_a_families_network_is_built_by_its_target():
    model = ModelEntry.model_validate({"name": "python:segbench.models.networks.unet.unet", "width": 0.0625})
    assert build(model)(torch.rand(1, 2, 16, 16)).shape == (1, 3, 16, 16)


def test_contradicting_options_surface_as_usage_errors():
    with pytest.raises(UsageError, match="need an 'encoder'"):
        build(entry(pretrained=True))


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ({"name": "cnn"}, "vgg16"),
        ({"name": "segnet"}, "vgg16_bn"),
        ({"name": "unet", "encoder": "resnet10t"}, "resnet10t"),
        ({"name": "fcn8s", "encoder": "resnet10t"}, "resnet10t"),
    ],
)
def test_the_record_names_the_file_that_a_pretrained_encoder_reads(model, file, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    with torch.device("meta"):
        network = create(ModelEntry.model_validate(model), classes=3, channels=3)
    pretrained = ModelEntry.model_validate(model | {"pretrained": True})
    assert initial_weights_file(pretrained, network) is None
    (tmp_path / f"{file}.safetensors").touch()
    assert initial_weights_file(pretrained, network) == tmp_path / f"{file}.safetensors"
    assert initial_weights_file(ModelEntry.model_validate(model), network) is None


class Plain(torch.nn.Module):
    """A network of someone else's, with batch norm and without a VGG-16."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3))


def test_the_record_names_no_vgg_file_for_a_network_without_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    for name in ("vgg16", "vgg16_bn"):
        (tmp_path / f"{name}.safetensors").touch()
    pretrained = ModelEntry.model_validate({"name": "cnn", "pretrained": True})
    assert initial_weights_file(pretrained, Plain()) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "cnn", "width": 0.5}, r"need width 1\.0"),
        ({"name": "deeplab_largefov", "norm": "group"}, "norm: group"),
        ({"name": "segnet", "pretrained": "/no/such/file"}, r"/no/such/file: .*weights of vgg16_bn"),
        ({"name": "unet"}, "need an 'encoder'"),
        ({"name": "unet", "encoder": "resnet10t", "pretrained": "/no/such/file"}, r"/no/such/file: .*resnet10t"),
        ({"name": "deeplabv3plus", "encoder": "resnet5O"}, "unknown timm encoder 'resnet5O'"),
        ({"name": "densenet_fcn", "norm": "none"}, "batch norm"),
    ],
)
def test_impossible_pretraining_is_refused_before_and_at_construction(model, message):
    model = ModelEntry.model_validate({"pretrained": True} | model)
    with pytest.raises(UsageError, match=message) as early:
        check_pretrained(model)
    with pytest.raises(UsageError, match=message) as late:
        build_network(model, classes=3, channels=3, seed=0)
    assert type(early.value) is type(late.value)


@pytest.mark.parametrize(
    "model",
    [
        {"name": "cnn", "norm": "batch"},
        {"name": "unet", "encoder": "resnet10t"},
        {"name": "deeplabv3plus", "encoder": "resnet10t", "width": 0.5},
    ],
)
def test_possible_pretraining_is_checked_without_reading_the_file(model, tmp_path):
    (tmp_path / "empty.safetensors").touch()
    model = ModelEntry.model_validate(model | {"pretrained": str(tmp_path / "empty.safetensors")})
    before = torch.random.get_rng_state()
    check_pretrained(model)
    assert torch.equal(before, torch.random.get_rng_state())
    with pytest.raises(WeightsError, match=r"empty\.safetensors"):
        build_network(model, classes=3, channels=3, seed=0)


def test_networks_of_other_packages_are_not_built_to_check_their_weights():
    check_pretrained(ModelEntry.model_validate({"name": "python:no.such.network", "pretrained": True}))
    check_pretrained(ModelEntry.model_validate({"name": "torchvision:no_such_network", "pretrained": True}))


def test_the_record_names_a_whole_networks_checkpoint_and_nothing_of_other_packages():
    model = entry(weights="mine.pth")
    assert initial_weights_file(model, torch.nn.Identity()) == Path("mine.pth")
    theirs = ModelEntry.model_validate({"name": "torchvision:fcn_resnet50", "pretrained": "IMAGENET1K_V1"})
    assert initial_weights_file(theirs, torch.nn.Identity()) is None
