"""What every network of the catalogue promises, whatever its architecture."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from segbench.config.component import ModelEntry, options_schema
from segbench.errors import ModelRefusal
from segbench.models import CATALOG
from segbench.models.base import InputConstraint, OverlapTile, constraint_of, count_parameters
from segbench.models.build import build_network, check_input
from segbench.models.create import create
from segbench.models.skeleton import describe_network
from segbench.registry import MODELS

CLASSES = 3


@dataclass(frozen=True)
class Case:
    """One network, small enough for a test.

    Attributes:
        name: The registered name.
        options: Options that make it small.
        scalable: Whether it has widths, norms and activations.
        channels: Channels of its images.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    scalable: bool = True
    channels: int = 3

    def __str__(self) -> str:
        own = {key: value for key, value in self.options.items() if key != "width"}
        return "-".join([self.name, *map(str, own.values())])

    def entry(self, **changes: Any) -> ModelEntry:
        return ModelEntry.model_validate({"name": self.name, **self.options, **changes})


SMALL = {"width": 0.0625}
CASES = [
    Case("cnn", SMALL),
    Case("keras_cnn", {"width": 0.03125}),
    Case("fcn32s", SMALL),
    Case("fcn16s", SMALL),
    Case("fcn16s", SMALL | {"deconvolution": "learned"}),
    Case("fcn8s", SMALL),
    Case("fcn8s", SMALL | {"at_once": True}),
    Case("fcn8s", {"encoder": "resnet10t"}, scalable=False),
    Case("unet", SMALL),
    Case("unet", SMALL | {"padding": "valid"}),
    Case("unet", SMALL | {"up": "bilinear"}),
    Case("unet", SMALL | {"pad_to": 16}, scalable=False),
    Case("unet", {"width": 0.125, "encoder": "resnet10t"}),
    Case("deconvnet", SMALL),
    Case("segnet", SMALL),
    Case("segnet_basic", {"width": 0.125}),
    Case("fc_densenet56", {"width": 0.125}),
    Case("fc_densenet67", {"width": 0.125}),
    Case("fc_densenet103", {"width": 0.125}),
    Case("fc_densenet", {"width": 0.25, "down_layers": [2, 3], "bottleneck_layers": 2}),
    Case("densenet_fcn", {"width": 0.125}),
    Case("deeplab_largefov", SMALL),
    Case("deeplabv3plus", {"width": 0.125, "encoder": "resnet10t"}),
    Case("deeplabv3plus", {"width": 0.125, "encoder": "resnet10t", "output_stride": 8}),
    Case("torchvision:lraspp_mobilenet_v3_large", scalable=False),
    Case("smp:Unet", {"encoder_name": "resnet18", "decoder_channels": [16, 8, 8, 4, 4]}, scalable=False),
    Case("python:segbench.models.networks.unet.unet", SMALL, scalable=False),
]
every_network = pytest.mark.parametrize("case", CASES, ids=str)
every_scalable_network = pytest.mark.parametrize("case", [case for case in CASES if case.scalable], ids=str)
every_norm_of_every_network = pytest.mark.parametrize(
    ("case", "options"),
    [
        pytest.param(case, options, id="-".join([str(case), *options.values()]))
        for case in CASES
        for options in ([{"norm": norm} for norm in ("none", "batch", "group")] if case.scalable else [{}])
    ],
)


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    case = request.node.callspec.params.get("case") if hasattr(request.node, "callspec") else None
    if case is not None and case.name.startswith("smp:"):
        pytest.importorskip("segmentation_models_pytorch")


@cache
def _built(key: str) -> nn.Module:
    case = next(case for case in CASES if str(case) == key)
    return build_network(case.entry(), classes=CLASSES, channels=case.channels, seed=0)


def built(case: Case) -> nn.Module:
    """Return the network of a case in evaluation mode; tests share it and leave its tensors as they are."""
    return _built(str(case)).eval()


def image_sizes(network: nn.Module) -> list[tuple[int, int]]:
    """Return an even and an odd size that the network takes."""
    constraint = constraint_of(network)
    return [(constraint.next(64), constraint.next(96)), (constraint.next(67), constraint.next(93))]


def images_for(case: Case, count: int, size: tuple[int, int]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, case.channels, *size, generator=generator)


def without_zeros(network: nn.Module) -> nn.Module:
    """Fill the parameters that start at zero: behind a score layer of zeros nothing can be seen."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def test_every_built_in_network_is_under_contract():
    names = {name for name in CATALOG if not name.endswith(":")}
    assert names == {case.name for case in CASES if ":" not in case.name}
    assert {name for name in CATALOG if name.endswith(":")} == {
        f"{case.name.partition(':')[0]}:" for case in CASES if ":" in case.name
    }


@every_network
def test_logits_have_the_size_of_the_image(case):
    network = built(case)
    for size in image_sizes(network):
        with torch.no_grad():
            logits = network(images_for(case, 1, size))
        assert logits.shape == (1, CLASSES, *size)
        assert logits.isfinite().all()


@every_network
def test_evaluation_is_deterministic_and_each_image_alone(case):
    # In float64: in float32 another order of summation can flip a pooling switch between two near values.
    network = deepcopy(built(case)).double()
    images = images_for(case, 2, image_sizes(network)[1]).double()
    with torch.no_grad():
        together = network(images)
        assert torch.equal(together, network(images))
        alone = torch.cat([network(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-9, rtol=1e-9)


@every_network
def test_gradient_reaches_every_learned_parameter(case):
    smooth = {"activation": "silu"} if case.scalable else {}  # narrow ReLU layers may be dead
    network = build_network(case.entry(**smooth), classes=CLASSES, channels=case.channels, seed=0)
    without_zeros(network).eval()  # with running statistics: a bias before batch norm has no gradient
    learned = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    logits = network(images_for(case, 1, image_sizes(network)[0]))
    (logits * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    starved = [name for name, parameter in learned.items() if parameter.grad is None or not parameter.grad.any()]
    assert learned
    assert not starved


@every_network
def test_a_seed_makes_the_weights_and_another_makes_others(case):
    def tensors(seed: int) -> list[torch.Tensor]:
        network = build_network(case.entry(), classes=CLASSES, channels=case.channels, seed=seed)
        return list(network.state_dict().values())

    first = list(built(case).state_dict().values())
    assert all(torch.equal(one, other) for one, other in zip(first, tensors(0), strict=True))
    assert any(not torch.equal(one, other) for one, other in zip(first, tensors(1), strict=True))


@every_network
def test_the_description_without_weights_counts_what_is_built(case):
    network = built(case)
    bare = create(case.entry(), classes=CLASSES, channels=case.channels)  # without tiles
    size = tuple(constraint_of(bare).next(length) for length in (67, 93))
    description = describe_network(case.entry(), classes=CLASSES, channels=case.channels, size=size)
    assert description.parameters == count_parameters(network)
    assert description.macs > 0
    assert description.citation == network.citation != ""


@every_network
def test_classes_and_channels_are_respected(case):
    with torch.device("meta"):
        network = create(case.entry(), classes=7, channels=1).eval()
    size = tuple(constraint_of(network).next(64) for _ in range(2))
    logits = network(torch.empty(2, 1, *size, device="meta"))
    assert logits.shape[:2] == (2, 7)


@every_network
def test_a_network_learns_from_each_of_four_channels(case):
    """Two steps; every channel of the image has a part in them."""
    network = without_zeros(build_network(case.entry(), classes=CLASSES, channels=4, seed=0)).train()
    size = tuple(constraint_of(network).next(32) for _ in range(2))
    images = torch.randn(2, 4, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), torch.zeros(2, *size, dtype=torch.long))
        loss.backward()
        optimizer.step()
    assert loss.isfinite()
    assert images.grad is not None
    assert (images.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


@every_scalable_network
def test_width_scales_the_parameters_down(case):
    def parameters(width: float) -> int:
        with torch.device("meta"):
            return count_parameters(create(case.entry(width=width), classes=CLASSES, channels=case.channels))

    assert parameters(0.125) < parameters(0.5)


@every_norm_of_every_network
def test_any_norm_will_do_and_no_activation_overwrites_what_is_still_needed(case, options):
    network = build_network(case.entry(**options), classes=CLASSES, channels=case.channels, seed=0)
    without_zeros(network).eval()
    careful = deepcopy(network)
    for part in careful.modules():
        if hasattr(part, "inplace"):
            part.inplace = False
    size = tuple(constraint_of(network).next(length) for length in (32, 45))
    with torch.no_grad():
        logits, expected = (each(images_for(case, 1, size)) for each in (network, careful))
    spread = expected.std().item()
    assert spread > 0
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-5 * spread)


@every_scalable_network
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "gelu"])
def test_any_activation_will_do(case, activation):
    with torch.device("meta"):
        network = create(case.entry(activation=activation), classes=CLASSES, channels=case.channels).eval()
    size = tuple(constraint_of(network).next(64) for _ in range(2))
    logits = network(torch.empty(1, case.channels, *size, device="meta"))
    assert logits.shape[1] == CLASSES


@every_network
def test_an_impossible_image_size_is_refused_in_words(case):
    with torch.device("meta"):
        network = create(case.entry(), classes=CLASSES, channels=case.channels)
    constraint = constraint_of(network)
    assert isinstance(constraint, InputConstraint)
    if constraint.minimum == 1:
        check_input(network, 1, 1)
        assert str(constraint).startswith("any size")
    else:
        too_small = constraint.minimum - 1
        with pytest.raises(
            ModelRefusal, match=f"cannot take {too_small}x{too_small} images: it needs height and width"
        ):
            check_input(network, too_small, too_small)
        for size in [(too_small, constraint.minimum), (constraint.minimum, too_small)]:
            with pytest.raises(ModelRefusal, match=f"cannot take {size[0]}x{size[1]} images"):
                network.eval()(torch.empty(1, case.channels, *size, device="meta"))


@every_network
def test_the_smallest_image_is_labelled(case):
    network = built(case)
    if isinstance(network, OverlapTile):
        network = network.model
    smallest = constraint_of(network).minimum
    with torch.no_grad():
        logits = network(images_for(case, 1, (smallest, smallest)))
    margin = getattr(network, "output_margin", 0)
    assert logits.shape == (1, CLASSES, smallest - 2 * margin, smallest - 2 * margin)
    assert logits.isfinite().all()


def test_every_signature_is_read_without_torch():
    code = (
        "import sys; from segbench.registry import MODELS\n"
        "for entry in MODELS.entries().values(): entry.signature\n"
        "print('torch' in sys.modules, 'timm' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", CATALOG)
def test_every_option_has_a_type_and_a_help_text(name):
    entry = MODELS.entries()[name]
    assert entry.signature.summary.endswith((".", ")"))
    assert entry.signature.parameters or entry.signature.open
    fields = options_schema(entry).model_fields
    for option in entry.signature.parameters:
        assert option.help, f"{name}: option {option.name} is not under Args:"
        assert fields[option.name].annotation is not Any, f"{name}: {option.name}: {option.annotation} is not checked"
