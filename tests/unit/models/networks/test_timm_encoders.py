import logging
import os
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from segbench.errors import UnknownNameError, UsageError, WeightsError
from segbench.models.networks.timm_encoders import timm_encoder, weights_file

LITE = "tf_efficientnet_lite0"


@pytest.fixture
def no_folder(monkeypatch):
    monkeypatch.delenv("SEGBENCH_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """Weights of timm's resnet10t, seeded, as timm would save them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = timm.create_model("resnet10t")
    path = tmp_path_factory.mktemp("weights") / "resnet10t.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture
def lite_file():
    folder = os.environ.get("SEGBENCH_WEIGHTS")
    path = Path(folder or ".") / f"{LITE}.safetensors"
    if not folder or not path.is_file():
        pytest.skip(f"needs {LITE}.safetensors in the folder that SEGBENCH_WEIGHTS names")
    return path


def encoder_on_meta(name, **options):
    with torch.device("meta"):
        return timm_encoder(name, channels=3, pretrained=False, **options).eval()


def sizes(encoder, height, width):
    return [tuple(features.shape[1:]) for features in encoder(torch.empty(1, 3, height, width, device="meta"))]


def test_the_maps_are_timms_own():
    encoder = timm_encoder("resnet10t", channels=3, pretrained=False).eval()
    images = torch.rand(2, 3, 67, 93)
    with torch.no_grad():
        pairs = list(zip(encoder(images), encoder.body(images), strict=True))
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert encoder.channels == [ours.shape[1] for ours, _ in pairs]
    assert encoder.strides == [2, 4, 8, 16, 32]


@pytest.mark.slow(reason="builds networks at full width")
@pytest.mark.parametrize(
    "name", ["resnet10t", "densenet121", "vgg11", "hrnet_w18_small", "swin_tiny_patch4_window7_224"]
)
def test_maps_have_about_the_size_of_the_image_over_the_stride(name):
    encoder = encoder_on_meta(name)
    for size in [(64, 96), (75, 101), (5, 1)]:
        found = sizes(encoder, *size)
        assert [channels for channels, _, _ in found] == encoder.channels
        for (_, *measured), stride in zip(found, encoder.strides, strict=True):
            for got, full in zip(measured, size, strict=True):
                assert max(full // stride, 1) <= got <= -(-full // stride)


def test_networks_that_need_multiples_are_padded_and_others_are_not():
    assert encoder_on_meta("resnet10t").step == 1
    assert encoder_on_meta("hrnet_w18_small").step == 32


def test_a_padded_network_gives_what_it_gives_on_zeros_around_the_image():
    encoder = timm_encoder("resnet10t", channels=3, pretrained=False).eval()
    images = torch.rand(1, 3, 20, 40)
    padded = torch.zeros(1, 3, 32, 40)
    padded[..., :20, :] = images
    with torch.no_grad():
        expected = encoder.body(padded)[2][..., :3, :]
        assert torch.equal(encoder(images)[2], expected)


def test_an_output_stride_dilates_instead_of_striding():
    encoder = encoder_on_meta("resnet10t", output_stride=8)
    assert encoder.strides == [2, 4, 8, 8, 8]
    assert sizes(encoder, 64, 64)[-1][1:] == (8, 8)
    assert encoder.at_stride(8) == 4, "the deepest of several"


def test_a_missing_stride_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=r"encoder resnet10t has no features of stride 1, .*it has 2, 4, 8, 16, 32"):
        encoder_on_meta("resnet10t").at_stride(1)


def test_an_impossible_output_stride_is_refused():
    with pytest.raises(UsageError, match="densenet121 gives no feature maps at output stride 8"):
        encoder_on_meta("densenet121", output_stride=8)


def test_a_network_of_one_image_size_is_refused():
    with pytest.raises(UsageError, match="takes images of one size only"):
        encoder_on_meta("maxvit_tiny_tf_224")


def test_unknown_names_are_answered_with_the_nearest_or_the_list():
    with pytest.raises(UnknownNameError, match="unknown timm encoder 'resnet5O', did you mean 'resnet50'"):
        timm_encoder("resnet5O", channels=3, pretrained=False)
    with pytest.raises(UsageError, match=r"timm.list_models\(\)"):
        timm_encoder("#", channels=3, pretrained=False)


def test_no_weights_file_without_pretraining_or_without_a_folder(no_folder):
    assert weights_file(LITE, False) is None
    assert weights_file(LITE, True) is None


def test_the_weights_folder_answers_for_true(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(tmp_path))
    assert weights_file("resnet10t", True) is None
    file = tmp_path / "resnet10t.safetensors"
    file.touch()
    assert weights_file("resnet10t", True) == file
    assert weights_file("resnet10t", False) is None


def test_a_path_answers_for_itself_and_must_exist(tmp_path):
    file = tmp_path / "mine.safetensors"
    with pytest.raises(WeightsError, match=r"mine\.safetensors: there is no such file \(weights of resnet10t\)"):
        weights_file("resnet10t", str(file))
    file.touch()
    assert weights_file("resnet10t", str(file)) == file


def test_a_files_tensors_arrive_unchanged(small_file):
    encoder = timm_encoder("resnet10t", channels=3, pretrained=str(small_file))
    given = load_file(small_file)
    loaded = encoder.body.state_dict()
    assert loaded
    assert all(torch.equal(tensor, given[name]) for name, tensor in loaded.items())


def test_the_weights_folder_is_read_for_true(small_file, monkeypatch):
    monkeypatch.setenv("SEGBENCH_WEIGHTS", str(small_file.parent))
    encoder = timm_encoder("resnet10t", channels=3, pretrained=True)
    assert torch.equal(encoder.body.state_dict()["conv1.0.weight"], load_file(small_file)["conv1.0.weight"])


def test_a_first_convolution_is_adapted_to_grey_images_by_summing(small_file):
    encoder = timm_encoder("resnet10t", channels=1, pretrained=str(small_file))
    expected = load_file(small_file)["conv1.0.weight"].sum(dim=1, keepdim=True)
    assert torch.allclose(encoder.body.state_dict()["conv1.0.weight"], expected)


def test_a_file_of_another_network_is_refused(small_file):
    with pytest.raises(WeightsError, match=r"resnet10t\.safetensors: these are no weights of timm's resnet18"):
        timm_encoder("resnet18", channels=3, pretrained=str(small_file))


def test_a_file_in_another_key_layout_is_refused(small_file, tmp_path):
    path = tmp_path / "prefixed.safetensors"
    save_file({f"backbone.{name}": tensor for name, tensor in load_file(small_file).items()}, path)
    with pytest.raises(WeightsError, match=r"only 0 of the .* is it in timm's key layout"):
        timm_encoder("resnet10t", channels=3, pretrained=str(path))


def test_a_file_that_holds_no_tensors_is_refused(tmp_path):
    path = tmp_path / "noise.safetensors"
    path.write_bytes(b"noise" * 10)
    with pytest.raises(WeightsError, match=r"noise\.safetensors: these are no weights"):
        timm_encoder("resnet10t", channels=3, pretrained=str(path))


def test_without_a_network_the_message_says_where_to_put_which_file(no_folder, monkeypatch):
    create = timm.create_model

    def offline(name, *, pretrained=False, **options):
        if pretrained:
            raise OSError("no route to host")
        return create(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        WeightsError, match=r"no route to host.* put resnet10t\.safetensors .*SEGBENCH_WEIGHTS .*not set"
    ):
        timm_encoder("resnet10t", channels=3, pretrained=True)


def test_timms_logger_is_as_before(small_file):
    logger = logging.getLogger("timm.models._builder")
    before = logger.level
    timm_encoder("resnet10t", channels=3, pretrained=str(small_file))
    assert logger.level == before


def test_real_imagenet_weights_give_timms_own_features(lite_file):
    encoder = timm_encoder(LITE, channels=3, pretrained=True).eval()
    reference = timm.create_model(LITE)
    reference.load_state_dict(load_file(lite_file))
    reference.eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features = reference.blocks(reference.bn1(reference.conv_stem(images)))
        assert torch.allclose(encoder(images)[-1], features, atol=1e-5)
