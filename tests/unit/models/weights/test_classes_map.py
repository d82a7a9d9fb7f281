"""Networks of other classes than the data set's: which output is which, and how many there are."""

from pathlib import Path

import pytest
import torch
from torch import nn

from segbench.config.component import ModelEntry
from segbench.config.load import check
from segbench.config.sections.classes_map import in_order, normalised
from segbench.errors import SuiteError, UsageError, WeightsError
from segbench.models.build import build_network, check_weights
from segbench.models.create import create
from segbench.models.weights.classes_map import MappedClasses, for_classes

UNET = {"name": "unet", "width": 0.0625}


class Fixed(nn.Module):
    """Gives the same logits for every pixel."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)[None, :, None, None]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1, *images.shape[-2:])


def entry(file: Path, **changes: object) -> ModelEntry:
    return ModelEntry.model_validate({**UNET, "weights": str(file), **changes})


def trained(file: Path, classes: int, **options: object) -> nn.Module:
    """Write the checkpoint of a network of so many classes, and return the network."""
    network = create(ModelEntry.model_validate(UNET | options), classes=classes, channels=3).eval()
    torch.save({"state_dict": {f"net.{key}": value for key, value in network.state_dict().items()}}, file)
    return network


def test_a_class_of_several_outputs_has_the_sum_of_their_probabilities() -> None:
    # softmax of these four: .4, .3, .2, .1; of a = {1, 2}, b = {0}, with output 3 left out: .5/.9, .4/.9
    network = MappedClasses(Fixed(*torch.tensor([0.4, 0.3, 0.2, 0.1]).log().tolist()), [(1, 2), (0,)])
    logits = network(torch.zeros(2, 3, 4, 5))
    assert logits.shape == (2, 2, 4, 5)
    expected = torch.tensor([5 / 9, 4 / 9])[None, :, None, None].expand(2, 2, 4, 5)
    torch.testing.assert_close(logits.softmax(dim=1), expected)


def test_outputs_of_no_class_are_left_out_even_where_they_are_largest() -> None:
    network = MappedClasses(Fixed(1.0, 9.0, 2.0), [(0,), (2,)])
    assert network(torch.zeros(1, 3, 2, 2)).argmax(dim=1).unique().tolist() == [1]


@pytest.mark.parametrize("classes", [2, 5, 12])
def test_the_number_of_outputs_is_found_in_the_file(tmp_path: Path, classes: int) -> None:
    source = trained(tmp_path / "w.pth", classes)
    model = entry(tmp_path / "w.pth", classes_map=[1, 0])
    check_weights(model, classes=2, channels=3)
    network = build_network(model, classes=2, channels=3, seed=0).eval()
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images), source(images)[:, [1, 0]])


@pytest.mark.parametrize(("name", "options"), [("fcn8s", {}), ("unet", {"padding": "valid"})])
def test_networks_of_several_score_layers_and_of_valid_convolutions_are_mapped_too(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    trained(tmp_path / "w.pth", 7, name=name, **options)
    model = entry(tmp_path / "w.pth", classes_map=[6, [0, 1], 3], name=name, **options)
    network = build_network(model, classes=3, channels=3, seed=0).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 64, 48)).shape == (1, 3, 64, 48)


def test_a_map_by_name_follows_the_data_sets_order() -> None:
    given = normalised({"road": [3, 4], "sky": 0})
    assert in_order(given, ("sky", "road")) == ((0,), (3, 4))
    with pytest.raises(UsageError, match="no class 'road', did you mean 'roads'"):
        in_order(given, ("sky", "roads"))
    with pytest.raises(UsageError, match="there is none for car"):
        in_order(given, ("sky", "road", "car"))
    with pytest.raises(UsageError, match="has 1 entries; the data set has 2 classes: sky, road"):
        in_order(normalised([0]), ("sky", "road"))


def test_the_order_of_a_map_by_name_changes_no_prediction(tmp_path: Path) -> None:
    trained(tmp_path / "w.pth", 5)
    images = torch.randn(1, 3, 32, 32)
    found = []
    for given in ({"a": 4, "b": [1, 2]}, {"b": [1, 2], "a": 4}):
        model = for_classes(entry(tmp_path / "w.pth", classes_map=given), ("a", "b"))
        with torch.no_grad():
            found.append(build_network(model, classes=2, channels=3, seed=0).eval()(images))
    assert torch.equal(*found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": 0, "b": 0}, "output 0 stands for two classes"),
        ({"a": [], "b": 1}, "a: needs at least one output"),
        ({"a": -1, "b": 1}, r"a: an output is a whole number from 0 \(given -1\)"),
        ({"a": True, "b": 1}, "a: an output is a whole number"),
        ({1: 0}, "put quotes around 1"),
        ([], "is empty"),
        ("all", "expected a list"),
    ],
)
def test_a_map_that_is_none_is_refused(given: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normalised(given)


def test_outputs_that_the_file_does_not_have_are_refused(tmp_path: Path) -> None:
    trained(tmp_path / "w.pth", 4)
    with pytest.raises(UsageError, match=r"names output 4; .*w\.pth has 4, 0 to 3"):
        check_weights(entry(tmp_path / "w.pth", classes_map=[0, 4]), classes=2, channels=3)
    torch.save({"x": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="does not tell how many classes unet was trained on"):
        check_weights(entry(tmp_path / "other.pth", classes_map=[0, 1]), classes=2, channels=3)


def suite(**model: object) -> dict[str, object]:
    return {
        "dataset": "scenes",
        "transforms": {"train": ["normalize"], "test": ["normalize"]},
        "models": [UNET | model],
        "train": None,
    }


def test_what_is_about_a_checkpoint_needs_one() -> None:
    for key, value in (("classes_map", [0, 1]), ("min_fit", 0.2), ("weights_key", "model")):
        with pytest.raises(SuiteError, match=rf"models\[0\]\.{key}: is about a checkpoint: needs weights"):
            check(suite(**{key: value}))
    with pytest.raises(SuiteError, match="strict: false only"):
        check(suite(weights="w.pth", min_fit=0.2))


def test_a_network_that_is_trained_has_the_classes_of_the_data_set() -> None:
    document = suite(weights="w.pth", classes_map=[0, 1]) | {"train": {"epochs": 1}}
    with pytest.raises(SuiteError, match=r"models\[0\]\.classes_map: is for networks that are evaluated as loaded"):
        check(document)
