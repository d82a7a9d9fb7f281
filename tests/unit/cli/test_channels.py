"""From images beyond 8-bit RGB to scores, masks and a report: four bands, and 12 bits in 16."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from safetensors import safe_open

from segbench.engine.checkpoint import METADATA_KEY

pytestmark = pytest.mark.slow(reason="trains networks on images of several bands")

SUITE = """\
name: deep
dataset: {name: folder, root: ., classes: [ground, thing], ignore: null, channels: CHANNELS}
transforms:
  train: [horizontal_flip, {name: random_crop, size: [32, 32]}, {name: normalize, statistics: measured}]
  test: [{name: normalize, statistics: measured}]
models:
  - {name: unet, width: 0.05}
  - {name: 'smp:Segformer', encoder_name: resnet18, decoder_segmentation_channels: 16}
train: {steps: 2, batch_size: 2, optimizer: {name: adamw, lr: 0.001}}
evaluate: {samples: 1}
seeds: [0]
"""
SIZE = (40, 48)


def four_bands(generator, mask):
    bands = generator.integers(20, 90, (*mask.shape, 4)) + 99 * mask[:, :, None] * [0, 0, 0, 1]
    return bands.astype(np.uint8)


def twelve_bits(generator, mask):
    return (generator.integers(900, 1800, (*mask.shape, 1)) + 900 * mask[:, :, None]).astype(np.uint16)


KINDS = {"four bands": (four_bands, 4, "tif"), "12 bits in 16": (twelve_bits, 1, "png")}


@pytest.fixture(scope="module", params=KINDS)
def deep(request, tmp_path_factory, segbench):
    """A folder of such images with a suite that was run; the pixels of its training images."""
    pytest.importorskip("segmentation_models_pytorch")
    make, channels, suffix = KINDS[request.param]
    folder, generator, trained = tmp_path_factory.mktemp("deep"), np.random.default_rng(0), []
    for split, count in {"train": 4, "test": 2}.items():
        for part in ("images", "masks"):
            (folder / part / split).mkdir(parents=True)
        for index in range(count):
            mask = (generator.random((SIZE[0] // 8, SIZE[1] // 8)) > 0.5).astype(int).repeat(8, 0).repeat(8, 1)
            pixels = make(generator, mask)
            file = folder / "images" / split / f"{index}.{suffix}"
            if suffix == "tif":
                tifffile.imwrite(file, pixels, photometric="rgb", compression="zlib")
            else:
                Image.fromarray(pixels[:, :, 0]).save(file)
            Image.fromarray(mask.astype(np.uint8)).save(folder / "masks" / split / f"{index}.png")
            trained += [pixels.reshape(-1, channels)] if split == "train" else []
    (folder / "suite.yaml").write_text(SUITE.replace("CHANNELS", str(channels)), encoding="utf-8")
    places = ("--results", folder / "results", "--reports", folder / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", folder / "suite.yaml", *places)
    assert answer.code == 0, answer.err
    return folder, np.concatenate(trained).astype(np.float64)


def run_folders(folder) -> list[Path]:
    return sorted(path.parent for path in (folder / "results/deep").glob("*/checkpoint.safetensors"))


def test_both_networks_are_trained_on_what_was_measured_in_the_training_images(deep):
    folder, trained = deep
    scale = 255 if trained.shape[1] == 4 else 1
    found = [json.loads((run / "run.json").read_text())["data"] for run in run_folders(folder)]
    assert [run.name.split("-seed")[0] for run in run_folders(folder)] == ["smp-Segformer", "unet"]
    assert found[0]["statistics"] == found[1]["statistics"]
    assert found[0]["train_digest"] == found[1]["train_digest"]
    assert np.allclose(found[0]["statistics"]["mean"], trained.mean(axis=0) / scale, rtol=1e-6)
    assert np.allclose(found[0]["statistics"]["std"], trained.std(axis=0) / scale, rtol=1e-6)
    assert (found[0]["channels"], found[0]["dtype"]) == (trained.shape[1], "uint8" if scale == 255 else "uint16")


def test_a_checkpoint_is_evaluated_with_the_same_numbers(deep, segbench):
    folder, _ = deep
    rows = segbench("leaderboard", folder / "results", "--format", "json").json["rows"]
    expected = {row["model"]: row["mean_iou"] for row in rows}
    for run in run_folders(folder):
        checkpoint = run / "checkpoint.safetensors"
        found = segbench("evaluate", checkpoint, "--set", f"root={folder}", "--device", "cpu", "--json").json
        assert found["mean_iou"] == pytest.approx(expected[found["model"]], abs=1e-12)
        with safe_open(checkpoint, framework="pt") as tensors:
            facts = json.loads(tensors.metadata()[METADATA_KEY])
        assert facts["statistics"] == json.loads((run / "run.json").read_text())["data"]["statistics"]


def test_masks_are_predicted_as_the_run_predicted_them(deep, tmp_path, segbench):
    folder, _ = deep
    run = run_folders(folder)[1]
    answer = segbench(
        "predict", run / "checkpoint.safetensors", folder / "images/test", "--output", tmp_path, "--device", "cpu"
    )
    assert answer.code == 0, answer.err
    (kept,) = (run / "samples").glob("*-prediction.png")
    index = kept.name.split("-")[1]
    with Image.open(kept) as ours, Image.open(tmp_path / f"{index}.png") as predicted:
        assert predicted.size == SIZE[::-1]
        assert np.array_equal(np.asarray(ours), np.asarray(predicted))


def test_other_images_are_refused_with_the_key(deep, tmp_path, segbench):
    folder, trained = deep
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / "photo.png")
    checkpoint = run_folders(folder)[1] / "checkpoint.safetensors"
    answer = segbench("predict", checkpoint, tmp_path / "photo.png", "--output", tmp_path / "out", "--device", "cpu")
    assert answer.code == 2
    assert f"holds 3 bands, but dataset.channels is {trained.shape[1]}" in answer.err


def test_the_report_says_what_it_shows_of_the_images(deep):
    folder, trained = deep
    text = (folder / "reports/deep/index.html").read_text(encoding="utf-8")
    assert ("channels 0, 1 and 2 of 4" if trained.shape[1] == 4 else "stretched from ") in text
    for picture in (folder / "results/deep/gallery").glob("*/*-image.png"):
        with Image.open(picture) as shown:
            assert shown.mode in ("RGB", "L")
            assert np.ptp(np.asarray(shown)) > 60


def test_each_page_of_a_stack_gets_its_mask(tmp_path, segbench):
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for part in ("images", "masks"):
            (tmp_path / part / split).mkdir(parents=True)
        pages = generator.integers(0, 256, (3, 34, 36, 3)).astype(np.uint8)
        tifffile.imwrite(tmp_path / "images" / split / "stack.tif", pages, photometric="rgb")
        tifffile.imwrite(tmp_path / "masks" / split / "stack.tif", pages[..., 0] % 2, photometric="minisblack")
    pages_of_folder = SUITE.partition("transforms")[0].replace("channels: CHANNELS", "pages: each")
    rest = "models: [{name: cnn, width: 0.05}]\ntrain: {steps: 1, batch_size: 3}\nseeds: [0]\n"
    (tmp_path / "suite.yaml").write_text(pages_of_folder + rest, encoding="utf-8")
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "--device", "cpu", "--in-process")
    answer = segbench("run", tmp_path / "suite.yaml", *places)
    assert answer.code == 0, answer.err
    (run,) = run_folders(tmp_path)
    assert json.loads((run / "run.json").read_text())["data"]["test_images"] == 3
    stack, masks = tmp_path / "images/test/stack.tif", tmp_path / "predicted"
    answer = segbench("predict", run / "checkpoint.safetensors", stack, "--output", masks, "--device", "cpu", "--json")
    assert answer.json["masks"] == {f"{stack}#{page}": str(masks / f"stack#{page}.png") for page in (1, 2, 3)}
    assert sorted(file.name for file in masks.iterdir()) == ["stack#1.png", "stack#2.png", "stack#3.png"]
