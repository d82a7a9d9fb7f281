"""What a network from elsewhere is seen to return before it is trained."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from segbench.config.component import ModelEntry
from segbench.errors import ModelRefusal
from segbench.models.build import build_network
from segbench.models.external import ExternalNetwork
from segbench.models.fitting_sizes import refuse_sizes
from segbench.models.skeleton import skeleton
from segbench.models.tryout import activation_of, try_outputs


class Theirs(nn.Module):
    """A small network whose output a function makes of its scores."""

    def __init__(self, made=lambda scores, training: scores, *, classes=4, stride=1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Conv2d(8, classes, 1)
        )
        self.made = made

    def forward(self, images):
        return self.made(self.layers(images), self.training)


def tried(made=lambda scores, training: scores, *, output=None, classes=4, size=(64, 64), **options):
    network = ExternalNetwork(Theirs(made, **options), classes, name="python:theirs", output=output)
    return try_outputs(network, channels=3, size=size)


SOFTMAX = lambda scores, training: scores.softmax(1)  # noqa: E731
LOG_SOFTMAX = lambda scores, training: scores.log_softmax(1)  # noqa: E731
SIGMOID = lambda scores, training: scores.sigmoid()  # noqa: E731
ONLY_IN_EVALUATION = lambda scores, training: scores if training else scores.softmax(1)  # noqa: E731


@pytest.mark.parametrize(
    ("made", "activations"),
    [
        (lambda scores, training: scores, {}),
        (lambda scores, training: scores.relu(), {}),
        (lambda scores, training: functional.layer_norm(scores, scores.shape[1:]).relu() / 100, {}),
        (lambda scores, training: scores * 0, {}),
        (lambda scores, training: scores / 1e4, {}),
        (lambda scores, training: scores.tanh(), {}),
        (SOFTMAX, {"training": "softmax", "evaluation": "softmax"}),
        (lambda scores, training: scores.half().softmax(1), {"training": "softmax", "evaluation": "softmax"}),
        (lambda scores, training: (scores * 0).softmax(1), {"training": "softmax", "evaluation": "softmax"}),
        (SIGMOID, {"training": "sigmoid", "evaluation": "sigmoid"}),
        (LOG_SOFTMAX, {"training": "log_softmax", "evaluation": "log_softmax"}),
        (ONLY_IN_EVALUATION, {"evaluation": "softmax"}),
        (
            lambda scores, training: {"out": scores.softmax(1), "aux": scores},
            {"training": "softmax", "evaluation": "softmax"},
        ),
    ],
)
def test_what_was_applied_to_the_scores_is_seen(made, activations):
    torch.manual_seed(0)
    assert tried(made).activations == activations


@pytest.mark.parametrize(("kind", "seen"), [("softmax2d", "softmax"), ("sigmoid", "sigmoid")])
def test_the_activations_of_smp_are_seen(kind, seen):
    pytest.importorskip("segmentation_models_pytorch")
    entry = ModelEntry.model_validate({"name": "smp:Unet", "encoder_name": "resnet18", "activation": kind})
    network = build_network(entry, classes=3, channels=3, seed=0)
    assert try_outputs(network, channels=3, size=(64, 64)).activations == {"training": seen, "evaluation": seen}


def test_only_what_all_scores_show_counts():
    probabilities = torch.rand(2, 3, 4, 4).softmax(1)
    assert activation_of([probabilities, probabilities]) == "softmax"
    assert activation_of([probabilities, probabilities * 2]) is None


def test_probabilities_are_told_with_what_they_spoil():
    (trained,) = tried(SOFTMAX).notes(trained=True)
    assert trained.startswith("returns probabilities, as after a softmax")
    assert "the loss takes them for logits" in trained
    assert "test loss and calibration are not those" in trained
    assert "Leave the softmax out" in trained
    (evaluated,) = tried(SOFTMAX).notes(trained=False)
    assert "the loss takes them" not in evaluated
    (late,) = tried(ONLY_IN_EVALUATION).notes(trained=True)
    assert late.startswith("in evaluation returns probabilities")
    assert "the loss takes them" not in late
    (logarithms,) = tried(LOG_SOFTMAX).notes(trained=True)
    assert "no cross-entropy depends on it" in logarithms
    assert tried().notes(trained=True) == []


def test_log_probabilities_have_the_cross_entropy_of_their_logits():
    logits, labels = torch.randn(2, 4, 5, 5), torch.randint(4, (2, 5, 5))
    assert torch.allclose(
        functional.cross_entropy(logits.log_softmax(1), labels), functional.cross_entropy(logits, labels)
    )


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda scores, training: scores.permute(0, 2, 3, 1), "the classes come last"),
        (lambda scores, training: scores.argmax(1), r"an int64 tensor \(2, 64, 96\): int64 numbers are no scores"),
        (lambda scores, training: scores if training else scores.argmax(1), "int64 numbers are no scores"),
        (lambda scores, training: [[scores]] if training else scores, "write 'output: 0.0'"),
        (lambda scores, training: scores.mT, r"for images of 64x96: height and width are exchanged"),
        (lambda scores, training: scores[:1], r"a tensor \(1, 4, 64, 96\) for a batch of 2 images"),
    ],
)
def test_what_would_go_wrong_in_either_mode_is_refused_at_once(made, problem):
    with pytest.raises(ModelRefusal, match=problem):
        tried(made)


def test_another_number_of_classes_is_refused_with_both():
    with pytest.raises(ModelRefusal, match="scores of 21 classes, and the data set has 4"):
        tried(classes=4, made=lambda scores, training: scores.repeat(1, 6, 1, 1)[:, :21])


def test_an_output_that_names_nothing_is_refused():
    with pytest.raises(ModelRefusal, match="in which 'output' names nothing: leave it out"):
        tried(output="logits")


def test_a_list_of_which_the_first_is_taken_unasked_is_told():
    found = tried(lambda scores, training: [scores, scores] if training else scores)
    assert (found.unnamed, found.auxiliary) == (2, ("1",))
    first, ignored = found.notes(trained=True)
    assert "the first is taken for its scores; 'output' names another" in first
    assert "has auxiliary outputs (1), which are not trained;" in ignored
    assert tried(lambda scores, training: [scores, scores], output=-1).unnamed == 1
    assert tried(lambda scores, training: {"out": scores, "aux": scores}).unnamed == 1
    assert tried(lambda scores, training: (scores, scores.mean(1))).unnamed == 1


def test_a_stride_is_told():
    found = tried(stride=2)
    assert found.stride == 2
    assert "resized by 2, bilinearly (align_corners=False)" in found.in_words


def test_scores_that_are_not_finite_are_told():
    found = tried(lambda scores, training: scores / 0)
    assert not found.finite
    assert any("not finite" in note for note in found.notes(trained=False))


def test_a_trial_leaves_network_and_random_state_as_they_were():
    network = ExternalNetwork(Theirs(), 4, name="python:theirs")
    network.model.layers[1].eval()
    modes = [module.training for module in network.modules()]
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    try_outputs(network, channels=3, size=(32, 32))
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_that_takes_one_size_only_is_tried_on_it():
    class Fixed(Theirs):
        def forward(self, images):
            return self.layers(images) + torch.zeros(40, 50)

    network = ExternalNetwork(Fixed(), 4, name="python:fixed")
    assert try_outputs(network, channels=3, size=(40, 50)).images == (2, 3, 40, 50)
    assert try_outputs(network, channels=3, size=(30, 30)) is not None, "what was found before stays"
    assert try_outputs(ExternalNetwork(Fixed(), 4, name="python:fixed"), channels=3, size=(30, 30)) is None


def test_built_in_networks_are_not_tried():
    entry = ModelEntry.model_validate({"name": "cnn", "width": 0.0625})
    assert try_outputs(build_network(entry, classes=3, channels=3, seed=0), channels=3, size=(32, 32)) is None


def test_shapes_are_seen_without_memory():
    entry = ModelEntry.model_validate({"name": "torchvision:lraspp_mobilenet_v3_large"})
    found = try_outputs(skeleton(entry, classes=4, channels=3), channels=3, size=(64, 64))
    assert (found.logits, found.training) == ("out", "an OrderedDict of out: (2, 4, 64, 96)")
    assert found.activations == {}


class Skipping(nn.Module):
    """Concatenates what was pooled twice with what was not, as most U-Nets do."""

    def __init__(self):
        super().__init__()
        self.score = nn.Conv2d(6, 4, 1)

    def forward(self, images):
        pooled = functional.max_pool2d(functional.max_pool2d(functional.max_pool2d(images, 2), 2), 2)
        return self.score(torch.cat([images, functional.interpolate(pooled, scale_factor=8.0)], 1))


def test_a_size_on_which_a_network_fails_is_refused_with_the_padding_that_mends_it():
    network = ExternalNetwork(Skipping(), 4, name="python:skipping")
    refuse_sizes(network, channels=3, sizes=[(64, 40)])
    with pytest.raises(ModelRefusal, match=r"fails on 47x61 images \(.*\) and takes them padded: write 'pad_to: 8'"):
        refuse_sizes(network, channels=3, sizes=[(64, 40), (47, 61)])
    refuse_sizes(ExternalNetwork(Skipping(), 4, name="python:skipping", step=8), channels=3, sizes=[(47, 61)])


class Fixed(nn.Module):
    """Takes one size, as transformers with windows or absolute positions do."""

    def __init__(self, side, text):
        super().__init__()
        self.side, self.text = side, text
        self.score = nn.Conv2d(3, 4, 1)

    def forward(self, images):
        assert images.shape[-2:] == (self.side, self.side), self.text.format(images.shape[-2], self.side)
        return self.score(images)


@pytest.mark.parametrize(
    ("side", "text"), [(224, "Input height ({}) doesn't match model ({})."), (384, "no"), (160, "{1} only")]
)
def test_a_network_of_one_size_tells_it_with_what_brings_images_to_it(side, text):
    network = ExternalNetwork(Fixed(side, text), 4, name="python:fixed", step=32)
    refuse_sizes(network, channels=3, sizes=[(side, side)])
    with pytest.raises(
        ModelRefusal, match=rf"fails on 100x120 images \(.*\) and takes them padded: write 'pad_to: {side}'"
    ):
        refuse_sizes(network, channels=3, sizes=[(100, 120), (90, 90)])
    message = rf"fails on 400x300 images \(.*\) and takes {side}x{side} ones: resize images.*evaluate\.window"
    with pytest.raises(ModelRefusal, match=message):
        refuse_sizes(network, channels=3, sizes=[(100, 120), (400, 300)])
    pad_to = ExternalNetwork(Fixed(side, text), 4, name="python:fixed", step=side)
    refuse_sizes(pad_to, channels=3, sizes=[(100, 120), (90, 90)])


def test_a_network_that_fails_on_every_size_is_left_to_its_run():
    network = ExternalNetwork(Theirs(), 4, name="python:theirs")
    with pytest.raises(RuntimeError, match="to have 3 channels, but got 7"):
        network(torch.zeros(2, 7, 47, 61))
    assert refuse_sizes(network, channels=7, sizes=[(47, 61)]) is None


ODD_SIZES = {
    "larger": (lambda scores, training: functional.pad(scores, (0, 3, 0, 3)), (67, 99)),
    "wider": (lambda scores, training: functional.pad(scores, (2, 2, 0, 0)), (64, 100)),
    "a border left out": (lambda scores, training: scores[:, :, 2:-2, 2:-2], (60, 92)),
    "stride 4 without a border": (lambda scores, training: functional.avg_pool2d(scores, 4)[:, :, 1:], (15, 24)),
}


@pytest.mark.parametrize("case", ODD_SIZES)
def test_scores_of_a_size_by_no_whole_stride_are_told(case):
    made, size = ODD_SIZES[case]
    found = tried(made)
    assert found.odd_size == size
    (note,) = found.notes(trained=False)
    assert f"returns scores of {size[0]}x{size[1]} for images of 64x96, by no whole stride" in note
    assert ("crop them" in note) is (size[0] > 64 or size[1] > 96)


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
def test_scores_of_a_whole_stride_or_factor_are_nothing_to_tell(stride):
    for made in (
        lambda scores, training: functional.avg_pool2d(scores, stride),
        lambda scores, training: functional.interpolate(scores, scale_factor=stride) if stride < 8 else scores,
    ):
        found = tried(made)
        assert found.odd_size is None
        assert found.notes(trained=False) == []


def test_a_stride_that_does_not_divide_the_image_is_nothing_to_tell():
    for stride in (3, 5, 7):
        assert tried(stride=stride).odd_size is None
        assert tried(lambda scores, training, by=stride: functional.avg_pool2d(scores, by)).odd_size is None
