"""What each scheme of ``train.init`` draws, what it leaves, and that it treats every network alike."""

import math
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from segbench.config.component import ModelEntry
from segbench.models.blocks import bilinear_kernel, fan_in, he_normal, init_he
from segbench.models.build import build_network, initial_weights_of
from segbench.models.initial import SCORE_STD, fan_out, find_score_layers, glorot_normal, initialise

SCHEMES = ["torch", "kaiming", "xavier"]


def build(init, *, seed=0, classes=3, **entry):
    return build_network(
        ModelEntry.model_validate({"name": "unet", "width": 0.0625} | entry),
        classes=classes,
        channels=3,
        seed=seed,
        init=init,
    )


def same(one, other):
    return all(torch.equal(left, right) for left, right in zip(one.values(), other.values(), strict=True))


def seeded(draw, layer):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        draw(layer)
    return layer.weight.detach().clone()


def initialised(make, scheme, *, classes=3, channels=3):
    """Build a network twice and initialise it; return it with what was done."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        network, twin = make(), make()
        return network, initialise(network, scheme, twin=twin, classes=classes, channels=channels)


# What a layer is drawn from


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(8, 16, 3), nn.Conv2d(8, 16, 3, groups=4), nn.Conv1d(6, 4, 5), nn.Linear(12, 7)]
)
def test_he_and_glorot_are_torchs_own_formulas(layer):
    expected = seeded(lambda own: nn.init.kaiming_normal_(own.weight, nonlinearity="relu"), layer)
    assert torch.allclose(seeded(he_normal, layer), expected, rtol=1e-5)
    if getattr(layer, "groups", 1) == 1:
        expected = seeded(lambda own: nn.init.xavier_normal_(own.weight), layer)
        assert torch.allclose(seeded(glorot_normal, layer), expected, rtol=1e-5)


def test_fans_by_hand():
    assert fan_in(nn.Conv2d(8, 16, 3)) == 8 * 9
    assert fan_out(nn.Conv2d(8, 16, 3)) == 16 * 9
    assert fan_in(nn.Conv2d(8, 16, 3, groups=4)) == 2 * 9
    assert fan_out(nn.Conv2d(8, 16, 3, groups=4)) == 4 * 9
    assert fan_in(nn.ConvTranspose2d(8, 16, 4, stride=2)) == 8 * 16 // 4
    assert fan_out(nn.ConvTranspose2d(8, 16, 4, stride=2)) == 16 * 16
    assert fan_in(nn.Linear(12, 7)) == 12
    assert fan_out(nn.Linear(12, 7)) == 7


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(64, 64, 3, padding=1), nn.ConvTranspose2d(64, 64, 4, 2, padding=1), nn.Linear(256, 256)]
)
def test_he_keeps_the_mean_square_of_what_relu_lets_through(layer):
    seeded(he_normal, layer)
    given = torch.randn((64, 256) if isinstance(layer, nn.Linear) else (4, 64, 16, 16), generator=generator())
    with torch.no_grad():
        middle = layer(functional.relu(given) * math.sqrt(2))
    if middle.ndim == 4:
        middle = middle[..., 2:-2, 2:-2]
    assert float(middle.square().mean()) == pytest.approx(2, rel=0.1)  # twice one: what ReLU then halves again


def generator():
    return torch.Generator().manual_seed(0)


def test_kaiming_draws_what_the_papers_networks_draw_but_for_their_scores():
    layer = nn.ConvTranspose2d(5, 6, 2, 2)
    assert torch.equal(seeded(he_normal, layer), seeded(init_he, layer))


# What a scheme makes of a network


def test_each_scheme_has_its_spread():
    spreads = {init: build(init).down[-1][3].weight.std().item() for init in SCHEMES}
    inputs = fan_in(build("paper").down[-1][3])
    assert spreads["kaiming"] == pytest.approx(math.sqrt(2 / inputs), rel=0.05)
    assert spreads["xavier"] == pytest.approx(math.sqrt(1 / inputs), rel=0.05)
    assert spreads["torch"] == pytest.approx(math.sqrt(1 / inputs / 3), rel=0.05)


@pytest.mark.parametrize("init", ["kaiming", "xavier"])
def test_biases_start_at_zero_and_scores_small(init):
    network = build(init, width=0.5)
    assert network.score.weight.std().item() == pytest.approx(SCORE_STD, rel=0.3)
    assert all(not parameter.any() for name, parameter in network.named_parameters() if name.endswith("bias"))
    assert initial_weights_of(network).small == ("score",)


def test_torch_is_what_reset_parameters_draws():
    network, done = initialised(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 1)), "torch")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        for _ in range(2):  # the network and its twin
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 1))
        expected = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 1))
    assert same(network.state_dict(), expected.state_dict())
    assert done.small == ()


@pytest.mark.parametrize("init", SCHEMES)
def test_norms_start_as_the_identity(init):
    def make():
        norms = [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True)]
        for norm in norms:
            nn.init.zeros_(norm.weight)
        return nn.Sequential(nn.Conv2d(3, 4, 3), *norms, nn.Conv2d(4, 3, 1))

    network, _ = initialised(make, init)
    for norm in network[1:4]:
        assert norm.weight.tolist() == [1] * 4
        assert norm.bias.tolist() == [0] * 4


# What keeps its values


@pytest.mark.parametrize("init", SCHEMES)
def test_bilinear_kernels_keep_their_values(init):
    fixed = build(init, name="fcn8s")
    learned = build(init, name="fcn8s", deconvolution="learned")
    paper = build("paper", name="fcn8s", deconvolution="learned")
    for double, as_before in zip(learned.doublings, paper.doublings, strict=True):
        assert torch.equal(double.weight, as_before.weight)
    assert torch.equal(fixed.upsampling.weight, paper.upsampling.weight)


class Upsampled(nn.Module):
    """A network as others write FCN: torch's own transposed convolution, filled with a bilinear kernel."""

    def __init__(self, classes=3, channels=3):
        super().__init__()
        self.body = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.score = nn.Conv2d(8, classes, 1)
        self.up = nn.ConvTranspose2d(classes, classes, 4, 2, padding=1, bias=False)
        self.up.weight.data = torch.eye(classes)[:, :, None, None] * bilinear_kernel(4)

    def forward(self, images):
        return self.up(self.score(functional.relu(self.body(images))))


@pytest.mark.parametrize("init", SCHEMES)
def test_a_bilinear_kernel_of_any_layer_stays_and_what_is_before_it_scores(init):
    network, done = initialised(Upsampled, init)
    assert torch.equal(network.up.weight, Upsampled().up.weight)
    assert done.kept == ("up",)
    assert done.drawn == ("body", "score")
    assert done.small == (() if init == "torch" else ("score",))


class WithPrior(nn.Module):
    """A network whose last biases say how frequent each class is, as for the focal loss."""

    def __init__(self, classes=3, channels=3):
        super().__init__()
        self.body = nn.Conv2d(channels, 8, 3, padding=1)
        self.score = nn.Conv2d(8, classes, 1)
        self.score.bias.data = torch.arange(classes) - 4.0

    def forward(self, images):
        return self.score(functional.relu(self.body(images)))


@pytest.mark.parametrize("init", SCHEMES)
def test_biases_that_no_seed_changes_stay_beside_weights_that_are_drawn(init):
    network, done = initialised(WithPrior, init)
    assert network.score.bias.tolist() == [-4.0, -3.0, -2.0]
    assert not torch.equal(network.score.weight, initialised(WithPrior, "paper")[0].score.weight)
    assert done.drawn == ("body", "score")
    assert done.kept == ()


@pytest.mark.parametrize("init", SCHEMES)
def test_a_pretrained_trunk_stays_and_the_rest_is_drawn(tmp_path, init):
    from segbench.models.networks.timm_encoders import timm_encoder

    source = timm_encoder("test_resnet", channels=3, pretrained=False).body
    state = {
        name: torch.randn_like(tensor) if tensor.is_floating_point() else tensor
        for name, tensor in source.state_dict().items()
    }
    save_file(state, tmp_path / "trunk.safetensors")
    entry = {"encoder": "test_resnet", "pretrained": str(tmp_path / "trunk.safetensors")}
    network, paper = build(init, **entry), build("paper", **entry)
    assert same(network.encoder.state_dict(), paper.encoder.state_dict())
    assert same(network.encoder.body.state_dict(), state)
    assert not torch.equal(network.up[0].up.convolution.weight, paper.up[0].up.convolution.weight)
    done = initial_weights_of(network)
    assert all(name.startswith("encoder.") for name in done.kept)
    assert not any(name.startswith("encoder.") for name in done.drawn)


def test_without_weights_the_trunk_is_drawn_too():
    done = initial_weights_of(build("kaiming", encoder="test_resnet"))
    assert done.kept == ()
    assert any(name.startswith("encoder.") for name in done.drawn)


def test_a_checkpoint_of_the_whole_network_comes_after_the_scheme(tmp_path):
    source = build("paper", seed=5)
    save_file(source.state_dict(), tmp_path / "all.safetensors")
    network = build("kaiming", weights=str(tmp_path / "all.safetensors"))
    assert same(network.state_dict(), source.state_dict())


def test_what_a_checkpoint_lacks_is_drawn_by_the_scheme(tmp_path):
    state = build("paper", seed=5).state_dict()
    lacking = {name: tensor for name, tensor in state.items() if not name.startswith("score.")}
    save_file(lacking, tmp_path / "part.safetensors")
    entry = {"weights": str(tmp_path / "part.safetensors"), "strict": False}
    network = build("kaiming", **entry)
    assert same({name: network.state_dict()[name] for name in lacking}, lacking)
    assert torch.equal(
        network.score.weight, build("kaiming", weights=str(tmp_path / "part.safetensors"), strict=False).score.weight
    )
    assert network.score.weight.abs().max() < 5 * SCORE_STD


# Where the scores come from


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "unet", "padding": "valid"}, ("model.score",)),
        ({"name": "fcn8s"}, ("score", "skip_scores.0", "skip_scores.1")),
        ({"name": "fcn16s", "deconvolution": "learned"}, ("score", "skip_scores.0")),
        ({"name": "segnet"}, ("classifier",)),
        ({"name": "keras_cnn"}, ("classifier",)),
        ({"name": "unet", "encoder": "test_resnet"}, ("score",)),
        ({"name": "unet", "width": 3 / 64}, ("score",)),
    ],
)
def test_score_layers_are_found(entry, expected):
    assert initial_weights_of(build("kaiming", **entry)).small == expected


def test_a_hidden_layer_with_as_many_channels_as_classes_is_no_score_layer():
    make = lambda: nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 1))  # noqa: E731
    network, done = initialised(make, "kaiming")
    assert done.small == ("4",)
    assert network[2].weight.std() > 10 * SCORE_STD


def test_scores_are_found_through_norms_and_resizing():
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Upsample(scale_factor=2))
    assert find_score_layers(network, {"0", "1"}, classes=3, channels=3) == {"1"}


def test_frozen_layers_are_followed_as_well():
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 1)).requires_grad_(False)
    assert find_score_layers(network, {"0", "1"}, classes=3, channels=3) == {"1"}


class Fussy(nn.Module):
    """Takes images of one size only."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, images):
        if images.shape[-1] != 100:
            raise ValueError("100 pixels wide, please")
        return self.last(self.first(images))


def test_a_network_that_refuses_the_trial_has_its_last_fitting_layer_taken():
    assert find_score_layers(Fussy(), {"first", "last"}, classes=3, channels=3) == {"last"}
    assert find_score_layers(Fussy(), {"first", "last"}, classes=4, channels=3) == set()


# One rule for all networks


FOREIGN = """
import torch
from torch import nn
from segbench.models.networks.unet import unet

def network(*, classes, channels):
    return unet(classes, channels, width=0.0625)

def pretrained(*, classes, channels):
    made = network(classes=classes, channels=channels)
    made.load_state_dict(torch.load({file!r}, weights_only=True))
    return made
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A module outside the package whose networks are the built-in U-Net, fresh or with weights of a file."""
    torch.save(build("paper", seed=9).state_dict(), tmp_path / "weights.pt")
    (tmp_path / "foreign_nets.py").write_text(FOREIGN.format(file=str(tmp_path / "weights.pt")))
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("foreign_nets", None)


@pytest.mark.parametrize("init", SCHEMES)
def test_the_same_module_starts_alike_whether_it_is_built_in_or_not(foreign, init):
    own, given = (
        build(init),
        build_network(
            ModelEntry.model_validate({"name": "python:foreign_nets.network"}), classes=3, channels=3, seed=0, init=init
        ),
    )
    assert initial_weights_of(own) == initial_weights_of(given)
    for (name, left), right in zip(own.named_parameters(), given.parameters(), strict=True):
        assert not torch.equal(left, right) or not left.any(), name
        if left.numel() > 500:
            assert left.std().item() == pytest.approx(right.std().item(), rel=0.15), name


@pytest.mark.parametrize("init", SCHEMES)
def test_weights_that_a_foreign_network_loads_are_never_drawn_over(foreign, init):
    entry = ModelEntry.model_validate({"name": "python:foreign_nets.pretrained"})
    network = build_network(entry, classes=3, channels=3, seed=0, init=init)
    assert same(network.state_dict(), build("paper", seed=9).state_dict())
    assert initial_weights_of(network).drawn == ()


def test_paper_is_the_networks_own_constructor(foreign):
    entry = ModelEntry.model_validate({"name": "python:foreign_nets.network"})
    network = build_network(entry, classes=3, channels=3, seed=0, init="paper")
    assert same(network.state_dict(), build_network(entry, classes=3, channels=3, seed=0).state_dict())
    assert initial_weights_of(network) is None


# Randomness


@pytest.mark.parametrize("init", SCHEMES)
def test_weights_depend_on_entry_seed_and_scheme_alone(init):
    before = torch.random.get_rng_state()
    first = build(init).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(7)
    assert same(first, build(init, label="another name").state_dict())
    for other in (build(init, seed=1), build("paper"), *(build(scheme) for scheme in SCHEMES if scheme != init)):
        assert not same(first, other.state_dict())
