"""A suite that tests segbench's own checkpoints without training says what differs from their training."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image
from tiny import document

from segbench.config.load import check
from segbench.engine.events import Notice
from segbench.engine.suite.run_suite import run_suite
from segbench.errors import SuiteError

CLASSES = ["sky", "road", "tram"]
MODEL = {"name": "cnn", "width": 0.0625}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder of images and masks, and the checkpoint of a network that was trained on it."""
    root = tmp_path_factory.mktemp("trained")
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("test", 3)):
        for kind in ("images", "masks"):
            (root / "data" / kind / split).mkdir(parents=True)
        for index in range(count):
            mask = random.integers(0, 3, (4, 4)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(mask).save(root / "data" / "masks" / split / f"{index}.png")
            pixels = (mask[:, :, None] * 80 + random.integers(0, 60, (32, 32, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(root / "data" / "images" / split / f"{index}.png")
    outcome = run_suite(check(suite(root)), results=root / "results", in_process=True)
    assert outcome.complete
    return root, outcome.store.folder / outcome.records[0].id / "checkpoint.safetensors"


def suite(root, **changes):
    dataset = {"name": "folder", "root": str(root / "data"), "classes": CLASSES, **changes.pop("data", {})}
    return document(models=[MODEL], defaults={}, train={"epochs": 1}) | {"dataset": dataset} | changes


def told(trained, tmp_path, **changes):
    """Test the checkpoint without training; return the notices."""
    root, checkpoint = trained
    events = []
    models = [{**MODEL, "weights": str(checkpoint), **changes.pop("model", {})}]
    tested = suite(root, models=models, train=None, **changes)
    assert run_suite(check(tested), results=tmp_path, in_process=True, observer=events.append).complete
    return [event.text for event in events if isinstance(event, Notice)]


def test_nothing_is_said_where_nothing_differs(trained, tmp_path):
    assert not [text for text in told(trained, tmp_path) if text.startswith("cnn:")]


def test_other_classes_are_refused_unless_a_map_is_given(trained, tmp_path):
    turned = {"classes": ["tram", "road", "sky"], "values": [2, 1, 0]}
    with pytest.raises(
        SuiteError, match="was trained on the classes sky, road, tram; the data set has tram, road, sky"
    ):
        told(trained, tmp_path, data=turned)
    told(trained, tmp_path, data=turned, model={"classes_map": {"tram": 2, "road": 1, "sky": 0}})


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "normalize there, no transforms here"),
        ([{"name": "resize", "size": [16, 16]}, "normalize"], "normalize there, resize, normalize here"),
        ([{"name": "normalize", "mean": [0, 0, 0]}], r"normalize: mean is .* there, \[0.0, 0.0, 0.0\] here"),
    ],
)
def test_other_transforms_are_told(trained, tmp_path, steps, said):
    (text,) = (line for line in told(trained, tmp_path, transforms={"test": steps}) if line.startswith("cnn:"))
    assert text.startswith("cnn: test images are prepared otherwise than in the run that trained it: ")
    assert re.search(said, text)


def test_images_that_were_trained_on_are_told(trained, tmp_path):
    texts = told(trained, tmp_path, data={"train_split": "test", "test_split": "train"})
    assert any(text.startswith("cnn: the checkpoint was trained on 6 of these 6 images") for text in texts)


def test_weights_of_another_origin_are_taken_as_they_are(trained, tmp_path):
    import torch
    from safetensors.torch import load_file

    foreign = tmp_path / "foreign.pt"
    torch.save(load_file(trained[1]), foreign)
    turned = {"classes": ["tram", "road", "sky"], "values": [2, 1, 0]}
    texts = told(trained, tmp_path, data=turned, model={"weights": str(foreign)}, transforms={"test": []})
    assert not [text for text in texts if text.startswith("cnn:")], "nobody knows what it was trained on"
    (run,) = (json.loads(file.read_text()) for file in tmp_path.glob("tiny/*/run.json"))
    assert (run["outcome"]["status"], run["data"]["classes"]) == ("completed", ["tram", "road", "sky"])
