"""Networks that batch norm keeps from being trained on one image are refused before training, with the remedy."""

import pytest
import torch
from tiny import document
from torch import nn

from segbench.config.load import check
from segbench.config.plan import plan
from segbench.engine.run.data import open_run_data
from segbench.engine.suite.preflight_models import try_models
from segbench.engine.training.lone_images import check_lone_image, is_lone_image, least_images
from segbench.errors import ModelRefusal


class Pooled(nn.Module):
    """A head with global pooling, as in DeepLab v3: one value per channel is left of an image."""

    def __init__(self, norm):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1), norm)

    def forward(self, images):
        return self.layers(images)


def train_of(**changes):
    return check(document(train=changes)).train


@pytest.mark.parametrize(
    ("recipe", "images", "least"),
    [
        ({"batch_size": 4}, 9, 4),
        ({"batch_size": 4, "drop_last": False}, 9, 1),
        ({"batch_size": 4, "drop_last": False}, 8, 4),
        ({"batch_size": 16, "drop_last": False}, 9, 9),
        ({"batch_size": 1}, 9, 1),
        ({"batch_size": 4, "micro_batch": 3}, 8, 2),
        ({"batch_size": 3, "micro_batch": 2}, 6, 1),
        ({"batch_size": 4, "accumulate": "epoch"}, 9, 1),
    ],
)
def test_the_smallest_forward_pass_worked_out_by_hand(recipe, images, least):
    assert least_images(train_of(**recipe), images) == least


def test_what_is_refused_is_what_torch_cannot_train():
    with pytest.raises(ValueError, match="more than 1 value") as caught:
        Pooled(nn.BatchNorm2d(4))(torch.zeros(1, 3, 8, 8))
    assert is_lone_image(caught.value)
    with pytest.raises(ModelRefusal, match=r"batch norm finds one value per channel.*train\.batch_size"):
        check_lone_image(Pooled(nn.BatchNorm2d(4)).to("meta"), channels=3, size=(8, 8))


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.Identity()])
def test_what_torch_trains_is_not_refused(norm):
    assert Pooled(norm)(torch.zeros(1, 3, 8, 8)).shape == (1, 4, 1, 1)
    check_lone_image(Pooled(norm).to("meta"), channels=3, size=(8, 8))


@pytest.mark.parametrize("images", [9, 8])
def test_a_last_batch_of_one_image_is_found_before_training(images, tmp_path, monkeypatch):
    (tmp_path / "pooled_net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, classes, channels=3):\n"
        "        super().__init__()\n"
        "        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, classes, 1))\n"
        "        self.pool = nn.Sequential(pool, nn.BatchNorm2d(classes))\n"
        "        self.local = nn.Conv2d(channels, classes, 1)\n"
        "    def forward(self, images):\n"
        "        return self.local(images) + self.pool(images)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    suite = check(
        document(
            dataset={"train_images": images},
            models=["python:pooled_net.Net", "cnn"],
            train={"batch_size": 4, "drop_last": False},
        )
    )
    runs = plan(suite)
    run_data = open_run_data(runs[0])
    reasons = try_models(runs, run_data, {run_data.test.cache_key(): {"sizes": {"32x32": 6}}})
    assert list(reasons) == ([runs[0].id] if images == 9 else [])
