"""A checkpoint of another tool gets the mean IoU that scikit-learn gets from its predictions, however it is wrapped.

The network and the suite are those of docs/checkpoints.md, the weights are tests/golden/checkpoint/six.pth. The oracle
shares no code with segbench: PIL reads the files, torch runs the network, scikit-learn counts.
"""

from __future__ import annotations

import json
import sys
from functools import cache

import foreign_checkpoint
import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score
from torch.nn import functional
from torchvision.transforms._presets import SemanticSegmentation
from typer.testing import CliRunner

from segbench.cli.app import app

NET = "python:their_network.Net"
MODELS = [
    {"label": "plain", "weights": "theirs.pth"},
    {"label": "weights_key", "weights": "nested.pth", "weights_key": "nets.best"},
    {"label": "prefix", "weights": "parallel.pth"},
    {"label": "of MMSegmentation", "weights": "mmseg.pth"},
    {"label": "class map", "weights": "six.pth", "classes_map": {"sky": 0, "road": [1, 2], "vehicle": [3, 4]}},
]
ALIKE = ("plain", "weights_key", "prefix", "of MMSegmentation")
"""The same weights in several wrappings."""

PUBLISHED = {"plain": 0.7490, "class map": 0.8678, "window": 0.7190}
"""Figures as their authors might have printed them; void left out."""

WINDOW = {"size": [16, 16], "stride": [8, 12]}
TOPS, LEFTS = (0, 8), (0, 12, 24)
"""Where the tiles of the window begin on streets of 24x40 pixels, by hand."""

VOID = 255


def segbench(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Enter a folder with the page's files, from which its modules can be imported."""
    folder = tmp_path_factory.mktemp("published")
    foreign_checkpoint.build(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        yield folder
        for module in ("their_network", "their_images"):
            sys.modules.pop(module, None)


def run(name, *, models=MODELS[:1], **keys):
    """Run the page's suite under a name, with dotted keys changed; return what it prints."""
    entries = json.dumps([{"name": NET, **model} for model in models])
    settings = {"name": name, "models": entries, **{key: json.dumps(value) for key, value in keys.items()}}
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    return segbench("run", "published.yaml", "--in-process", "--no-estimate", "--no-report", *changes)


def scores(name, *options):
    """Return the mean IoU of each row of a leaderboard."""
    found = json.loads(leaderboard(name, *options, "--format", "json"))
    return {row["model"]: row["mean_iou"] for row in (found if options else found["rows"])}


@cache
def leaderboard(name, *options):
    """Return a leaderboard as it is printed; results are complete before the first one is asked for."""
    return segbench("leaderboard", f"results/{name}", *options)


@pytest.fixture(scope="module")
def whole_images(folder):
    """Score every wrapping on whole images; return what is printed."""
    return run("whole", models=MODELS)


def network(folder, outputs):
    """Return the page's network with all of its outputs, or some."""
    shown = {}
    exec(foreign_checkpoint.files(foreign_checkpoint.PAGE)["their_network.py"], shown)
    found = shown["Net"](6).eval()
    found.load_state_dict(torch.load(folder / "six.pth", weights_only=True))
    return lambda pixels: found(pixels)[:, outputs]


def authors_pixels(image):
    return (torch.from_numpy(image).permute(2, 0, 1)[None] / 255 - 0.45) / 0.25


def enlarged(maps, size):
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)


def whole(logits, image):
    """The authors' script: scores of the whole image, enlarged to it."""
    return enlarged(logits(authors_pixels(image)), image.shape[:2])


def of_tiles(logits, image):
    """The authors' script with tiles: the mean of their probabilities."""
    pixels = authors_pixels(image)
    total, visits = torch.zeros(1, 3, *image.shape[:2]), torch.zeros(image.shape[:2])
    for top in TOPS:
        for left in LEFTS:
            place = (..., slice(top, top + 16), slice(left, left + 16))
            total[place] += enlarged(logits(pixels[place]), (16, 16)).softmax(1)
            visits[place] += 1
    return total / visits


def figure(folder, scores_of, *, void_as_error=False):
    """Return the mean IoU of all test images by scikit-learn: void is left out, or a class that nothing predicts."""
    labels, predictions = [], []
    for file in sorted((folder / "street" / "images" / "test").iterdir()):
        with Image.open(file) as image, Image.open(folder / "street" / "masks" / "test" / file.name) as mask:
            labels.append(np.asarray(mask))
            with torch.no_grad():
                predictions.append(scores_of(np.array(image))[0].argmax(0).numpy())
    label, prediction = np.stack(labels).ravel(), np.stack(predictions).ravel()
    kept = np.ones_like(label, bool) if void_as_error else label != VOID
    return jaccard_score(label[kept], prediction[kept], labels=[0, 1, 2], average="macro")


def summed(logits):
    """Return a class map by hand: probabilities of two outputs each are summed, those of trees are not looked at."""
    return lambda image: torch.einsum(
        "nohw,oc->nchw",
        whole(logits, image).softmax(1),
        torch.tensor([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=torch.float32),
    )


@pytest.mark.parametrize("label", ALIKE)
@pytest.mark.parametrize("void_as_error", [False, True])
def test_a_wrapped_checkpoint_gets_the_figure_of_scikit_learn(label, void_as_error, folder, whole_images):
    theirs = network(folder, foreign_checkpoint.OURS)
    expected = figure(folder, lambda image: whole(theirs, image), void_as_error=void_as_error)
    options = ("--convention", "void-as-error") if void_as_error else ()
    assert scores("whole", *options)[label] == pytest.approx(expected, abs=1e-12)
    assert f"{expected:.3f}" in (leaderboard("whole", *options) if void_as_error else whole_images)


@pytest.mark.parametrize("void_as_error", [False, True])
def test_a_class_map_gets_the_figure_of_scikit_learn(void_as_error, folder, whole_images):
    expected = figure(folder, summed(network(folder, range(6))), void_as_error=void_as_error)
    options = ("--convention", "void-as-error") if void_as_error else ()
    assert scores("whole", *options)["class map"] == pytest.approx(expected, abs=1e-12)
    assert f"{expected:.3f}" in (leaderboard("whole", *options) if void_as_error else whole_images)


def test_a_window_gets_the_figure_of_scikit_learn(folder):
    printed = run("window", **{"evaluate.window": WINDOW})
    theirs = network(folder, foreign_checkpoint.OURS)
    expected = figure(folder, lambda image: of_tiles(theirs, image))
    assert scores("window")["plain"] == pytest.approx(expected, abs=1e-12)
    assert f"{expected:.3f}" in printed
    assert expected != pytest.approx(figure(folder, lambda image: whole(theirs, image)), abs=1e-3)
    assert expected == pytest.approx(PUBLISHED["window"], abs=1e-3)


def test_the_published_figures_are_met(folder, whole_images):
    """Rounded, as published ones are: a pixel on the edge may fall otherwise on another processor."""
    found = scores("whole")
    assert {label: found[label] for label in ("plain", "class map")} == pytest.approx(
        {label: PUBLISHED[label] for label in ("plain", "class map")}, abs=1e-3
    )


def test_what_the_suite_writes_is_evaluated_with_the_same_figures(folder, whole_images):
    for label in ("plain", "class map"):
        (file,) = folder.glob(f"results/whole/{label.replace(' ', '-')}-seed0-*/checkpoint.safetensors")
        found = json.loads(segbench("evaluate", file, "--json"))
        assert found["mean_iou"] == scores("whole")[label]
        assert found["mean_iou_void_as_error"] == scores("whole", "--convention", "void-as-error")[label]


def test_the_file_of_another_tool_is_not_evaluated_and_the_remedy_is_told(folder):
    from safetensors.torch import save_file

    save_file(foreign_checkpoint.checkpoints()["theirs.pth"], folder / "theirs.safetensors")
    result = CliRunner().invoke(app, ["evaluate", "theirs.safetensors"])
    assert result.exit_code == 2
    assert "name it as `weights:` of a model in a suite" in " ".join(result.stderr.split())


def test_the_pages_shorter_side_is_that_of_torchvisions_presets(folder):
    run("shorter", **{"transforms.test": [{"name": "python:their_images.shorter_side", "pixels": 18}, "normalize"]})
    theirs, preset = network(folder, foreign_checkpoint.OURS), SemanticSegmentation(resize_size=18)

    def preset_scores(image):
        pixels = preset(torch.from_numpy(image).permute(2, 0, 1))[None]
        return enlarged(enlarged(theirs(pixels), pixels.shape[-2:]), image.shape[:2])

    expected = figure(folder, preset_scores)
    assert scores("shorter")["plain"] == pytest.approx(expected, abs=2e-3)  # the preset's older kernel rounds otherwise
    assert expected != pytest.approx(PUBLISHED["plain"], abs=0.05)


def test_the_pages_caffe_colours_are_blue_green_red_less_the_means(folder):
    run("caffe", **{"transforms.test": ["python:their_images.caffe"]})
    theirs = network(folder, foreign_checkpoint.OURS)

    def caffe_scores(image):
        pixels = np.stack([image[..., 2] - 103.939, image[..., 1] - 116.779, image[..., 0] - 123.68])
        return enlarged(theirs(torch.tensor(pixels, dtype=torch.float32)[None]), image.shape[:2])

    assert scores("caffe")["plain"] == pytest.approx(figure(folder, caffe_scores), abs=1e-12)
