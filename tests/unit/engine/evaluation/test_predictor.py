"""Sliding windows, scales and mirroring against direct computations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from segbench.config.suite import Evaluate, Window
from segbench.engine.device import ComputeConfig
from segbench.engine.evaluation.predictor import Predictor, class_map, resized, slide, tile_starts
from segbench.errors import ModelRefusal

CPU = ComputeConfig(torch.device("cpu"))


def pointwise(classes: int = 3) -> nn.Module:
    """A network whose output at a pixel depends on that pixel alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Conv2d(3, classes, 1)


def images(height: int = 13, width: int = 17) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_plain_prediction_is_the_networks_logits():
    network = pointwise()
    scores = Predictor(network, Evaluate(), classes=3, compute=CPU).scores(images())
    torch.testing.assert_close(scores, network(images()))


def test_sliding_window_over_a_pointwise_network_changes_nothing():
    network = pointwise()
    settings = Evaluate(window=Window(size=(5, 7), stride=(3, 4)))
    scores = Predictor(network, settings, classes=3, compute=CPU).scores(images())
    torch.testing.assert_close(scores, network(images()).log_softmax(1))


def test_mirroring_a_pointwise_network_changes_nothing():
    network = pointwise()
    scores = Predictor(network, Evaluate(flip=True), classes=3, compute=CPU).scores(images())
    torch.testing.assert_close(scores, network(images()).log_softmax(1))


def test_mirroring_averages_the_two_views():
    network = nn.Conv2d(3, 2, 3, padding=1)
    scores = Predictor(network, Evaluate(flip=True), classes=2, compute=CPU).scores(images())
    straight = network(images()).softmax(1)
    mirrored = network(images().flip(-1)).flip(-1).softmax(1)
    torch.testing.assert_close(scores.exp(), (straight + mirrored) / 2)


def test_scales_are_averaged_at_the_image_size():
    network = pointwise()
    scores = Predictor(network, Evaluate(scales=(1.0, 2.0)), classes=3, compute=CPU).scores(images())
    doubled = resized(network(resized(images(), (26, 34))).softmax(1), (13, 17))
    torch.testing.assert_close(scores.exp(), (network(images()).softmax(1) + doubled) / 2)


def test_a_coarse_output_is_resized_to_the_image():
    network = nn.Sequential(nn.AvgPool2d(4), pointwise())
    scores = Predictor(network, Evaluate(), classes=3, compute=CPU).scores(images(16, 24))
    torch.testing.assert_close(scores, resized(network(images(16, 24)), (16, 24)))


def test_a_wrong_number_of_classes_is_refused():
    with pytest.raises(ModelRefusal, match=r"expected \(N, 5, H, W\)"):
        Predictor(pointwise(3), Evaluate(), classes=5, compute=CPU).scores(images())


class Watching(nn.Module):
    """Remembers in which precision matrices were multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seen = pointwise(), []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return self.layer(images)


@pytest.mark.parametrize(("precision", "seen"), [("fp32", ("highest", False)), ("tf32", ("high", True))])
@pytest.mark.parametrize(
    "settings", [Evaluate(), Evaluate(flip=True), Evaluate(window=Window(size=(5, 7), stride=(3, 4)))]
)
def test_a_predictor_computes_in_its_own_precision_whoever_calls_it(precision, seen, settings):
    network = Watching()
    Predictor(network, settings, classes=3, compute=ComputeConfig(torch.device("cpu"), precision)).scores(images())
    assert set(network.seen) == {seen}


@given(length=st.integers(1, 200), size=st.integers(1, 90), stride=st.integers(1, 90))
def test_tiles_cover_everything_and_stay_inside(length, size, stride):
    stride = min(stride, size)
    starts = tile_starts(length, size, stride)
    covered = {place for start in starts for place in range(start, min(start + size, length))}
    assert covered == set(range(length))
    assert len(set(starts)) == len(starts)
    assert starts[-1] == max(length - size, 0)


def test_overlapping_tiles_are_averaged_by_visits():
    counter = iter(range(1, 10))

    def probabilities(tiles: torch.Tensor) -> torch.Tensor:
        return torch.full((1, 1, *tiles.shape[-2:]), float(next(counter)))

    total = slide(probabilities, torch.zeros(1, 3, 2, 4), Window(size=(2, 3), stride=(2, 1)), 1)
    assert total[0, 0].tolist() == [[1.0, 1.5, 1.5, 2.0]] * 2


def test_class_map_is_argmax_for_ties_and_nan_too():
    draw = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 3, (7, 31, 17), generator=draw).float()
    scores[torch.rand(scores.shape, generator=draw) < 0.02] = float("nan")
    assert (class_map(scores) == scores.argmax(0).numpy()).all()


def test_class_map_takes_the_best_class():
    scores = torch.tensor([[[0.1, 2.0]], [[0.3, -1.0]], [[0.2, 1.0]]])
    assert class_map(scores).tolist() == [[1, 0]]
