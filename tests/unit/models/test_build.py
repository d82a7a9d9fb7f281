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
    create,
    describe_network,
    initial_seed,
    initial_weights_file,
)

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


def test_a_description_has_the_references_figures():
    model = ModelEntry.model_validate({"name": "unet", "padding": "valid", "label": "the paper's"})
    description = describe_network(model, classes=2, channels=1, size=(572, 572))
    assert description.name == "the paper's"
    assert description.parameters == 31_030_658
    assert description.macs / 1e9 == pytest.approx(150.4, rel=1e-3)
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
    model = ModelEntry.model_validate({"name": "python:segbench.models.unet.unet", "width": 0.0625})
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
        ({"name": "fcn8s", "backbone": "resnet10t"}, "resnet10t"),
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


def test_the_record_names_a_whole_networks_checkpoint_and_nothing_of_other_packages():
    model = entry(weights="mine.pth")
    assert initial_weights_file(model, torch.nn.Identity()) == Path("mine.pth")
    theirs = ModelEntry.model_validate({"name": "torchvision:fcn_resnet50", "pretrained": "IMAGENET1K_V1"})
    assert initial_weights_file(theirs, torch.nn.Identity()) is None
