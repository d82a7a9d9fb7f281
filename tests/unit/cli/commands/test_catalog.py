"""list and describe."""

import re
import sys

import pytest

from segbench import models
from segbench.registry import CATALOGS


@pytest.mark.parametrize("kind", CATALOGS)
def test_every_catalogue_is_listed_with_options(kind, segbench):
    entries = segbench("list", kind, "--json").json
    assert [entry["name"] for entry in entries] == list(CATALOGS[kind].entries())
    for entry in entries:
        assert entry["summary"]
        for option in entry["options"]:
            assert set(option) == {"name", "type", "required", "default", "help"}
    text = segbench("list", kind).out
    assert all(entry["name"] in text for entry in entries)
    assert "=" not in text.replace("==", "")


def test_models_are_listed_with_family_and_parameters(segbench):
    listed = {entry["name"]: entry for entry in segbench("list", "models", "--json").json}
    assert (listed["segnet_basic"]["family"], listed["segnet_basic"]["parameters"]) == ("SegNet", 1_417_237)
    assert listed["smp:"]["parameters"] is None
    line = next(line for line in segbench("list", "models").out.splitlines() if line.startswith("fcn8s "))
    assert line.split()[1:4] == ["FCN", "134", "M"]


def test_options_show_type_default_and_help(segbench):
    unet = next(entry for entry in segbench("list", "models", "--json").json if entry["name"] == "unet")
    width = next(option for option in unet["options"] if option["name"] == "width")
    assert (width["type"], width["default"], width["required"]) == ("PositiveFloat", 1.0, False)
    crop = next(entry for entry in segbench("list", "transforms", "--json").json if entry["name"] == "random_crop")
    assert [option["name"] for option in crop["options"] if option["required"]] == ["size"]


def test_an_entry_that_cannot_be_read_is_listed_with_the_reason(monkeypatch, segbench):
    monkeypatch.setitem(models.CATALOG, "broken", "not_installed:net")
    broken = segbench("list", "models", "--json").json[-1]
    assert broken["name"] == "broken"
    assert "there is no module 'not_installed'" in broken["summary"]


def test_a_model_is_described_by_published_figures(segbench):
    facts = segbench("describe", "fcn8s", "--classes", 11, "--size", "360x480", "--json").json
    assert facts["parameters"] == 134_314_081
    assert facts["macs"] == pytest.approx(74.51e9, rel=1e-3)
    assert (facts["name"], facts["classes"], facts["channels"], facts["size"]) == ("fcn8s", 11, 3, [360, 480])
    assert "arXiv:1411.4038" in facts["citation"]
    assert facts["input_constraint"]
    assert facts["options"]["width"] == 1.0


def test_a_model_is_described_for_people(segbench):
    answer = segbench("describe", "segnet", "--classes", 12, "--size", "64x64")
    assert answer.code == 0
    assert "29.4 M (29,449,932)" in answer.out
    assert " G multiply-adds an image" in segbench("describe", "segnet").out
    assert "width=1.0" in answer.out


def test_options_change_what_is_described(segbench):
    narrow = segbench("describe", "segnet", "--set", "width=0.25", "--size", "64x64", "--json").json
    assert narrow["options"]["width"] == 0.25
    assert narrow["parameters"] < 29_455_125 / 10


def test_pretrained_weights_are_not_fetched_to_describe_a_model(segbench):
    given = ("--classes", 21, "--size", "64x64", "--json")
    plain = segbench("describe", "segnet", *given).json
    assert segbench("describe", "segnet", "--set", "pretrained=true", *given).json["parameters"] == plain["parameters"]


def test_an_impossible_size_leaves_the_cost_open_with_the_reason(segbench):
    answer = segbench("describe", "deconvnet", "--size", "100x100", "--set", "width=0.1", "--json")
    assert answer.code == 0
    facts = answer.json
    assert facts["macs"] is None
    assert facts["parameters"] > 0
    assert "100x100" in facts["note"]
    text = segbench("describe", "deconvnet", "--size", "100x100", "--set", "width=0.1", "--set", "pretrained=true")
    assert "note: " in text.err
    assert re.search(r"^cost +-$", text.out, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unett"], "unknown model 'unett', did you mean 'unet'?"),
        (["unet", "--set", "widht=1"], "widht: unknown option of unet, did you mean 'width'?"),
        (["unet", "--set", "width"], "--set 'width': expected key=value"),
        (["unet", "--size", "360"], "--size '360': expected HEIGHTxWIDTH"),
        (["unet", "--size", "0x5"], "--size '0x5'"),
        (["unet", "--classes", "0"], "--classes"),
    ],
)
def test_wrong_arguments_exit_with_2(arguments, message, segbench):
    answer = segbench("describe", *arguments)
    assert answer.code == 2
    assert message in answer.err


NETWORKS = """
from torch import nn
from torch.nn import functional

class Skipping(nn.Module):
    def __init__(self, classes, channels, nested=False):
        super().__init__()
        self.whole, self.coarse = nn.Conv2d(channels, classes, 1), nn.Conv2d(channels, classes, 2, 2)
        self.nested = nested
    def forward(self, images):
        half = self.coarse(images)
        scores = self.whole(images) + functional.interpolate(half, scale_factor=2.0)
        return {"out": [scores]} if self.nested else {"out": half, "aux": scores}
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    (tmp_path / "skipping_networks.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "python:skipping_networks.Skipping"
    sys.modules.pop("skipping_networks", None)


def test_what_a_foreign_network_returns_is_described(theirs, segbench):
    facts = segbench("describe", theirs, "--classes", 5, "--size", "32x48", "--json").json
    assert facts["returns"] == (
        "a dict of out: (2, 5, 32, 48), aux: (2, 5, 64, 96) for images (2, 3, 64, 96); scores: out; scores are resized "
        "by 2, bilinearly (align_corners=False); auxiliary: aux"
    )


def test_a_foreign_network_whose_sizes_or_outputs_do_not_fit_is_told_what_to_write(theirs, segbench):
    odd = segbench("describe", theirs, "--size", "45x61")
    assert odd.code != 0
    assert "fails on 45x61 images" in odd.err
    assert "write 'pad_to: 8' in the model's entry" in odd.err
    padded = segbench("describe", theirs, "--size", "45x61", "--set", "pad_to=8", "--json").json
    assert (padded["pad_to"], padded["output_size"]) == (8, [45, 61])
    nested = segbench("describe", theirs, "--set", "nested=true")
    assert "write 'output: out.0' in the model's entry" in nested.err


def test_a_model_that_refuses_every_size_says_why(segbench):
    answer = segbench("describe", "python:misbehaving.never_working")
    assert answer.code == 2
    assert "cannot take 512x512 images: the flux capacitor is empty" in answer.err


@pytest.mark.slow(reason="builds a large network for real")
def test_a_network_of_torchvision_is_described_for_any_channels(segbench):
    assert "4 channels" in segbench("describe", "torchvision:fcn_resnet50", "--channels", 4).out


def test_memory_and_disk_are_described_in_bytes_for_programs_and_in_units_for_people(segbench):
    given = ("describe", "segnet", "--classes", 12, "--size", "64x64")
    facts = segbench(*given, "--json").json
    assert facts["weights_bytes"] == pytest.approx(4 * 29_449_932, rel=1e-3)  # running statistics beside
    assert facts["activation_bytes"] > 64 * 64 * 3 * 4
    text = segbench(*given).out
    assert "weights on disk  118 MB" in text
    assert "MB an image, kept for the backward pass" in text


def test_activations_of_an_impossible_size_are_open_and_the_weights_are_not(segbench):
    given = ("describe", "deconvnet", "--size", "100x100", "--set", "width=0.1")
    facts = segbench(*given, "--json").json
    assert facts["activation_bytes"] is None
    assert facts["weights_bytes"] >= 4 * facts["parameters"]


NETWORKS_OF_A_STRANGER = """
import torch
from torch import nn

class Looks(nn.Module):
    '''Looks at values while it is built, and in every pass.'''
    def __init__(self, classes, channels):
        super().__init__()
        self.depth = int(torch.linspace(1, 2, 2)[-1].item())
        self.score = nn.Conv2d(channels, classes, 1)
    def forward(self, images):
        return self.score(images) * (1 if float(images.sum()) >= 0 else 2)

class Fixed(nn.Module):
    '''Takes images of one size.'''
    def __init__(self, classes, channels):
        super().__init__()
        self.score = nn.Conv2d(channels, classes, 1)
    def forward(self, images):
        assert images.shape[-1] == 32, "images have to be 32 wide"
        return self.score(images)

class Broken(nn.Module):
    '''Cannot be built.'''
    def __init__(self, classes, channels):
        super().__init__()
        {}["depth"]

class Ending(nn.Module):
    '''Ends the program.'''
    def __init__(self, classes, channels, at_once=False):
        super().__init__()
        self.score = nn.Conv2d(channels, classes, 1)
        if at_once:
            raise SystemExit(3)
    def forward(self, images):
        raise SystemExit(3)

class Finished(nn.Module):
    '''Returns probabilities.'''
    def __init__(self, classes, channels, form):
        super().__init__()
        self.score = nn.Conv2d(channels, classes, 1)
        self.form = form
    def forward(self, images):
        scores = self.score(images)
        return {"softmax": scores.softmax(1), "sigmoid": scores.sigmoid(), "none": scores}[self.form]
"""


@pytest.fixture
def networks(tmp_path, monkeypatch):
    (tmp_path / "networks_of_a_stranger.py").write_text(NETWORKS_OF_A_STRANGER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "python:networks_of_a_stranger"


def test_a_network_that_looks_at_values_is_described(networks, segbench):
    facts = segbench("describe", f"{networks}.Looks", "--classes", 4, "--size", "10x20", "--json").json
    assert facts["parameters"] == 3 * 4 + 4
    assert facts["macs"] == 3 * 4 * 10 * 20


def test_a_size_that_does_not_fit_is_told(networks, segbench):
    assert segbench("describe", f"{networks}.Fixed", "--size", "16x32").code == 0
    answer = segbench("describe", f"{networks}.Fixed", "--size", "16x33")
    assert answer.code == 2
    assert f"{networks}.Fixed fails on 16x33 images (images have to be 32 wide) and takes 32x32 ones" in answer.err


def test_a_size_that_padding_would_mend_is_told_with_what_to_write(networks, segbench):
    answer = segbench("describe", f"{networks}.Fixed", "--size", "16x31")
    assert answer.code == 2
    assert f"{networks}.Fixed fails on 16x31 images (images have to be 32 wide)" in answer.err
    assert "write 'pad_to: 8' in the model's entry" in answer.err


def test_a_network_that_cannot_be_built_is_told(networks, segbench):
    answer = segbench("describe", f"{networks}.Broken")
    assert answer.code == 2
    assert f"{networks}.Broken cannot be built: KeyError: 'depth'" in answer.err


@pytest.mark.parametrize("at_once", ["true", "false"])
def test_a_network_that_ends_the_program_is_told(networks, segbench, at_once):
    answer = segbench("describe", f"{networks}.Ending", "--set", f"at_once={at_once}", "--size", "16x16")
    assert answer.code in (1, 2)
    assert f"{networks}.Ending ends the program (SystemExit: 3)" in answer.err


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_a_network_that_returns_probabilities_is_told(networks, segbench, form):
    given = ("describe", f"{networks}.Finished", "--set", f"form={form}", "--size", "16x16")
    (note,) = segbench(*given, "--json").json["notes"]
    assert f"as after a {form}" in note
    assert f"Leave the {form} out of the network" in segbench(*given).err


def test_a_network_that_returns_logits_has_no_notes(networks, segbench):
    assert "notes" not in segbench("describe", f"{networks}.Finished", "--set", "form=none", "--json").json


@pytest.mark.parametrize(
    ("model", "option"), [("smp:Segformer", "encoder_weights"), ("torchvision:fcn_resnet50", "weights_backbone")]
)
def test_no_weights_by_the_name_of_the_package_names_pretrained(segbench, model, option):
    if model.startswith("smp"):
        pytest.importorskip("segmentation_models_pytorch")
    answer = segbench("describe", model, "--set", f"{option}=null")
    assert answer.code == 2
    assert f"leave {option} out; 'pretrained' decides which weights are loaded" in answer.err


@pytest.mark.slow(reason="builds a large network for real")
def test_a_swin_transformer_through_smp_is_described(segbench):
    """It looks at values while it is built, so that the meta device does not do."""
    pytest.importorskip("segmentation_models_pytorch")
    encoder = "encoder_name=tu-swin_tiny_patch4_window7_224"
    answer = segbench("describe", "smp:Unet", "--set", encoder, "--size", "224x224", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["parameters"] > 27_000_000  # 28.3 million of Swin-T less its head (Liu et al., ICCV 2021)
    assert answer.json["macs"] > 0


def test_segformer_is_described(segbench):
    pytest.importorskip("segmentation_models_pytorch")
    answer = segbench("describe", "smp:Segformer", "--set", "encoder_name=mit_b0", "--size", "64x64", "--json")
    assert answer.json["parameters"] > 3_000_000
    assert answer.json["macs"] > 0
