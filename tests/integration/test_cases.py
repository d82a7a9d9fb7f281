"""Folders as people have them, made after public bug reports: each has a README that says what is right.

They are no part of the product. ``SEGBENCH_CASES`` names the folder that holds them.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from segbench.cli.app import app
from segbench.config.load import load_suite
from segbench.data.open import create_dataset

CASES = Path(os.environ.get("SEGBENCH_CASES", "/nowhere"))

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="needs SEGBENCH_CASES, a folder of cases")

THREE = [27716, 4025, 5123]
"""Pixels of the three classes that most cases hold, over all twelve masks."""

LIST_ENDS = ("train.txt", "test.txt")


def segbench(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def case(request, tmp_path, monkeypatch):
    """Return a copy of a case's folder, which is the working directory."""
    shutil.copytree(CASES / request.param, tmp_path / "case")
    monkeypatch.chdir(tmp_path / "case")
    return tmp_path / "case"


def of(name):
    """Run a test on a copy of this case."""
    TESTED.add(name)
    return pytest.mark.parametrize("case", [name], indirect=True)


TESTED: set[str] = set()


def checked(suite, *options):
    """Return what ``data check`` says of a suite: exit code, pixels of each class over all splits, and messages."""
    result = segbench("data", "check", suite, "--json", *options)
    if not result.stdout.strip():
        return result.exit_code, [], 0, result.stderr
    splits = json.loads(result.stdout)["splits"].values()
    pixels = np.sum([[row["pixels"] for row in split["classes"]] for split in splits if split["classes"]], axis=0)
    void = sum(split["void_pixels"] for split in splits)
    said = "\n".join([*(line for split in splits for line in (*split["problems"], *split["notes"])), result.stderr])
    return result.exit_code, np.asarray(pixels).tolist(), void, said


def started(case):
    """Write the starter suite of a folder; return its path and what was said."""
    for file in case.glob("*.yaml"):
        file.unlink()
    result = segbench("init", case)
    return case / "suite.yaml", result


def written(case, **dataset):
    """Write a suite by hand."""
    document = {
        "dataset": {"name": "folder", "root": ".", "images": "images", "masks": "masks", **dataset},
        "models": [{"name": "cnn", "width": 0.05}],
        "train": {"steps": 1, "batch_size": 2},
        "transforms": {split: [{"name": "normalize", "statistics": "measured"}] for split in ("train", "test")},
    }
    (case / "own.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return case / "own.yaml"


def half(pixels):
    """Return counts of one folder that stands for training and test split alike."""
    return [count // 2 for count in pixels]


@of("01-binary-0-255")
def test_black_and_white_masks_are_two_classes_or_refused(case):
    code, _, _, said = checked(case / "by-hand.yaml")
    assert code == 2
    assert "values: [0, 255]" in said
    run = segbench("run", case / "by-hand.yaml", "--results", case / "r", "--in-process")
    assert run.exit_code == 2
    suite, _ = started(case)
    code, pixels, void, _ = checked(suite)
    assert code == 0
    assert (len(pixels), void) == (2, 0)
    assert min(pixels) > 0


@of("02-jpeg-mask")
def test_jpeg_masks_are_said_to_be_lossy(case):
    suite, result = started(case)
    assert "lossy" in result.output + (suite.read_text() if suite.exists() else "")
    assert not suite.exists() or len(load_suite(suite).dataset.options["classes"]) <= 2


@of("04-voc-palette")
def test_palette_indices_with_void_borders_are_read(case):
    code, pixels, void, _ = checked(written(case, classes=["a", "b", "c"]))
    assert (code, len(pixels), void) == (0, 3, 2 * 755)
    suite, _ = started(case)
    code, pixels, void, _ = checked(suite)
    assert (code, len(pixels), void) == (0, 3, 755)


@of("05-palette-order-differs")
def test_colours_decide_where_palettes_differ(case):
    truth = json.loads((case / "truth.json").read_text())["class_pixels_all_images"]
    code, pixels, _, _ = checked(case / "suite.yaml")
    assert (code, pixels) == (0, truth)
    code, _, _, said = checked(written(case, classes=["background", "red", "green"]))
    assert code == 2
    assert "palette" in said
    suite, _ = started(case)
    code, pixels, _, _ = checked(suite)
    assert (code, sorted(pixels)) == (0, sorted(truth))


@of("06-grey-0-128-255")
def test_three_levels_of_grey_are_three_classes(case):
    code, pixels, void, _ = checked(case / "suite.yaml")
    assert (code, half(pixels), void) == (0, THREE, 0)
    suite, _ = started(case)
    code, pixels, void, _ = checked(suite)
    assert (code, pixels, void) == (0, THREE, 0)


@of("07-cityscapes-labelids")
def test_some_ids_are_classes_and_several_are_void(case):
    code, _, _, said = checked(case / "suite.yaml")
    assert code == 2
    assert "value of no class" in said
    for ignore in ([0, 1, 2, 3, 4], "others"):
        code, pixels, void, _ = checked(case / "suite.yaml", "--set", f"ignore={ignore}")
        assert code == 0
        assert min(pixels) > 0 < void


@of("08-mask-16bit")
def test_masks_of_16_bits_are_indices(case):
    code, pixels, _, _ = checked(written(case, classes=["a", "b", "c"]))
    assert (code, half(pixels)) == (0, THREE)


@of("09-mask-float-tiff")
def test_whole_floats_are_indices(case):
    code, pixels, _, _ = checked(written(case, classes=["a", "b", "c"]))
    assert (code, half(pixels)) == (0, THREE)


@of("10-mask-int32-minus1")
def test_minus_one_is_named_or_void(case):
    code, _, _, said = checked(written(case, classes=["a", "b", "c"]))
    assert code == 2
    assert "-1" in said
    code, pixels, void, _ = checked(written(case, classes=["a", "b", "c"], ignore=-1))
    assert code == 0
    assert min(pixels) > 0 < void


@of("11-mask-half-size")
def test_masks_of_half_the_size_are_refused_with_both_sizes(case):
    code, _, _, said = checked(written(case, classes=["a", "b", "c"]))
    assert code == 2
    image = Image.open(next((case / "images").iterdir()))
    mask = Image.open(next((case / "masks").iterdir()))
    assert f"{mask.height}x{mask.width}" in said
    assert f"{image.height}x{image.width}" in said


@of("13-exif-rotated-180")
def test_images_are_turned_as_viewers_show_them(case):
    suite = written(case, classes=["a", "b"])
    assert checked(suite)[0] == 0
    sample = create_dataset(load_suite(suite).dataset, "train").read(0)
    with Image.open(sorted((case / "images").iterdir())[0]) as stored:
        assert stored.getexif()[0x0112] == 3
        assert np.array_equal(sample.image, np.asarray(stored)[::-1, ::-1])


@of("14-nested-by-city")
def test_folders_of_cities_are_found_or_told(case):
    code, _, _, said = checked(case / "suite.yaml")
    assert code == 2
    assert "recursive" in said
    code, pixels, _, _ = checked(case / "suite.yaml", "--set", "recursive=true")
    assert code == 0
    assert min(pixels) > 0
    suite, _ = started(case)
    assert checked(suite)[0] == 0


@of("15-same-folder-same-stem")
def test_a_listed_file_is_that_file(case):
    code, pixels, _, _ = checked(case / "suite.yaml")
    assert code == 0
    assert len(pixels) == 2
    for split in ("train", "test"):
        dataset = create_dataset(load_suite(case / "suite.yaml").dataset, split)
        for index in range(len(dataset)):
            sample = dataset.read(index)
            assert dataset.pairs[index].image.suffix == ".jpg"
            assert not np.array_equal(sample.image[..., 0], sample.label)


@of("16-roboflow-layout")
def test_masks_beside_images_are_paired_by_suffix(case):
    assert checked(case / "suite.yaml")[0] == 0
    suite, _ = started(case)
    assert checked(suite)[0] == 0


@of("18-mixed-suffixes")
def test_images_of_all_kinds_are_paired(case):
    suite = written(case, classes=["a", "b"], mask_suffix="_mask")
    assert checked(suite)[0] == 0
    assert len(create_dataset(load_suite(suite).dataset, "train")) == 12


@of("19-tiff-4-band")
def test_a_fourth_band_is_never_dropped_silently(case):
    code, _, _, said = checked(written(case, classes=["a", "b"]))
    assert code == 2
    assert "4 bands" in said
    assert "channels" in said
    suite = written(case, classes=["a", "b"], channels=4)
    assert checked(suite)[0] == 0
    assert create_dataset(load_suite(suite).dataset, "train").read(0).image.shape[2] == 4


@of("20-image-12bit-in-16")
def test_images_of_12_bits_keep_their_depth(case):
    code, _, _, said = checked(written(case, classes=["a", "b"]))
    assert code == 2
    assert "channels" in said
    suite = written(case, classes=["a", "b"], channels=1)
    image = create_dataset(load_suite(suite).dataset, "train").read(0).image
    assert image.dtype == np.uint16
    with Image.open(sorted((case / "images").iterdir())[0]) as stored:
        assert np.array_equal(image[..., 0], np.asarray(stored))
    assert len(np.unique(image)) > 16


@of("21-list-bom-crlf-backslash")
def test_lists_of_windows_are_read_whole(case):
    assert checked(case / "suite.yaml")[0] == 0
    entry = load_suite(case / "suite.yaml").dataset
    assert [len(create_dataset(entry, split)) for split in ("train", "test")] == [8, 4]


@of("23-test-without-masks")
def test_a_test_split_without_masks_is_not_proposed(case):
    suite, result = started(case)
    entry = load_suite(suite).dataset
    assert (entry.train_split, entry.test_split) == ("train", "val")
    assert "test" in result.output
    assert checked(suite)[0] == 0


@of("24-mixed-grey-and-rgb-bw")
def test_grey_and_rgb_masks_of_two_colours_are_one_set(case):
    truth = json.loads((case / "truth.json").read_text())
    suite, _ = started(case)
    code, pixels, void, _ = checked(suite)
    assert (code, void) == (0, 0)
    assert pixels == [truth["all_pixels"] - truth["foreground_pixels"], truth["foreground_pixels"]]


@of("25-mmseg-img_dir-ann_dir")
def test_img_dir_and_ann_dir_are_found(case):
    suite, _ = started(case)
    assert checked(suite)[0] == 0


def scored(predictions, labels, *options):
    result = segbench("score", "--predictions", predictions, "--labels", labels, "--json", *options)
    return result.exit_code, json.loads(result.stdout) if result.exit_code == 0 else None, result.output


@of("30-score-0-255")
def test_foreground_is_never_counted_as_void(case):
    truth = json.loads((case / "truth.json").read_text())
    for name, key in (("noisy", "noisy_iou"), ("half-missed", "half_missed_iou")):
        assert scored(case / name, case / "labels", "--classes", 2)[0] == 2
        code, found, _ = scored(case / name, case / "labels", "--values", "0,255")
        assert code == 0
        assert [row["iou"] for row in found["per_class"]] == pytest.approx(truth[key])
    assert scored(case / "noisy-0-1", case / "labels", "--classes", 2)[0] == 2
    _, found, _ = scored(case / "noisy-0-1", case / "labels", "--values", "0,255", "--prediction-values", "0,1")
    assert [row["iou"] for row in found["per_class"]] == pytest.approx(truth["noisy_iou"])


@of("31-score-probability-png")
@pytest.mark.parametrize("kind", ["png", "npy"])
def test_probability_maps_are_refused_with_the_reason(case, kind):
    code, _, said = scored(case / kind, case / "labels", "--classes", 2)
    assert code == 2
    assert "probabilit" in said


@of("33-score-names-sizes")
def test_names_are_paired_by_suffixes_and_sizes_told(case):
    assert scored(case / "predictions", case / "labels", "--classes", 3)[0] == 2
    ends = ("--prediction-suffix", "_leftImg8bit", "--label-suffix", "_gtFine_labelTrainIds")
    code, found, _ = scored(case / "predictions", case / "labels", "--classes", 3, *ends)
    assert (code, found["mean_iou"]) == (0, 1)
    assert scored(case / "half", case / "l2", "--classes", 3)[0] == 2


@of("34-score-ignore-zero")
def test_an_ignored_zero_is_in_no_mean(case):
    truth = json.loads((case / "truth.json").read_text())
    code, found, _ = scored(case / "predictions", case / "labels", "--classes", 3, "--ignore-index", 0)
    assert code == 0
    assert found["mean_iou"] == pytest.approx(truth["mean_over_1_2"])
    assert found["averaged_classes"] == 2


@of("35-score-16bit-1bit")
@pytest.mark.parametrize(("folder", "classes"), [("p16", 3), ("p1", 2)])
def test_any_depth_of_masks_is_scored(case, folder, classes):
    code, found, said = scored(case / folder, case / "labels", "--classes", classes)
    if classes == 2 and code == 2:  # the labels hold three classes
        assert "no class" in said
    else:
        assert (code, found["mean_iou"]) == (0, 1)


@of("36-absent-class")
def test_an_absent_class_is_left_out(case):
    code, found, _ = scored(case / "predictions", case / "labels", "--classes", 3)
    assert (code, found["mean_iou"], found["averaged_classes"]) == (0, 1, 2)


@of("37-mask-2bit-grey")
def test_grey_of_2_bits_is_read_as_stored(case):
    truth = json.loads((case / "truth.json").read_text())["masks4"]
    code, pixels, void, _ = checked(case / "suite.yaml")
    assert (code, half(pixels), void) == (0, truth, 0)
    code, pixels, void, _ = checked(case / "suite3.yaml")
    assert (code, len(pixels), void) == (0, 3, 0)


@of("40-mask-named-jpg-png")
def test_masks_named_after_the_image_file_are_paired(case):
    suite, _ = started(case)
    assert checked(suite)[0] == 0


@of("43-yaml-class-names")
@pytest.mark.parametrize("name", ["a.yaml", "b.yaml"])
def test_class_names_that_yaml_reads_otherwise_are_refused_clearly(case, name):
    result = segbench("validate", case / name)
    assert result.exit_code == 2
    assert "quotes" in result.output


@of("44-ade-zero-is-other")
def test_a_class_that_can_never_occur_is_told(case):
    code, pixels, void, _ = checked(case / "suite.yaml")
    assert code == 0
    assert len(pixels) == 3
    assert void > 0
    for trap in ("trap.yaml", "trap4.yaml"):
        code, _, _, said = checked(case / trap)
        assert code == 2
        assert "never occur" in said


@of("48-labelme2voc")
def test_labelmes_export_is_found(case):
    suite, _ = started(case)
    assert checked(suite)[0] == 0
    options = load_suite(suite).dataset.options
    assert "SegmentationClassPNG" in f"{options}" + "".join(file.read_text() for file in case.glob("*.txt"))


def ran(suite, *options):
    folder = suite.parent / "results"
    places = ("--results", folder, "--reports", suite.parent / "reports", "--in-process", "--device", "cpu")
    result = segbench("run", suite, *places, "--seeds", 0, "--no-speed", *options)
    records = [json.loads(file.read_text()) for file in sorted(folder.glob("*/*/run.json"))]
    return result, records


@pytest.mark.slow(reason="trains networks")
@of("50-run-odd-sizes")
def test_images_of_odd_sizes_are_scored_at_full_size_or_told(case):
    small = case / "small.yaml"
    document = yaml.safe_load((case / "suite.yaml").read_text())
    document["models"] = [model for model in document["models"] if model in ("cnn", "fcn32s", "segnet_basic")]
    small.write_text(yaml.safe_dump(document))
    result, records = ran(small, "--set", "train.epochs=1")
    assert result.exit_code == 0
    assert [record["outcome"]["status"] for record in records] == ["completed"] * 3
    result = segbench("run", case / "nocrop.yaml", "--results", case / "r2", "--in-process", "--no-report")
    assert result.exit_code != 0
    assert "random_crop" in result.output


@pytest.mark.slow(reason="trains networks")
@of("51-batchnorm-batch-of-one")
def test_batch_norm_of_one_image_is_a_row_with_the_remedy(case):
    result, records = ran(case / "last.yaml", "--set", "train.epochs=1")
    by_name = {record["label"]: record["outcome"] for record in records}
    refused = by_name["torchvision:deeplabv3_mobilenet_v3_large"]
    assert refused["status"] == "skipped"
    assert "drop_last" in refused["reason"] or "batch_size" in refused["reason"]
    assert by_name["unet"]["status"] == "completed"
    assert segbench("run", case / "toobig.yaml", "--results", case / "r2", "--in-process").exit_code == 2
    del result


@pytest.mark.slow(reason="trains networks")
@of("52-class-weights-absent")
def test_a_class_that_never_occurs_weighs_nothing(case):
    assert checked(case / "suite.yaml")[0] == 2
    result, records = ran(case / "suite.yaml", "--set", "dataset.allow=[absent-class]", "--set", "train.epochs=1")
    (record,) = records
    assert record["outcome"]["status"] == "completed"
    assert np.isfinite(record["test_loss"])
    assert "only_test" in result.output + json.dumps(record["data"].get("notes"))


@of("53-test-all-void")
def test_a_test_split_of_void_is_refused(case):
    assert checked(case / "suite.yaml")[0] == 2
    result, records = ran(case / "suite.yaml")
    assert (result.exit_code, records) == (2, [])


@of("56-same-picture-in-two-splits")
def test_a_picture_in_two_splits_is_refused(case):
    code, _, _, said = checked(case / "suite.yaml")
    assert code == 2
    assert "picture" in said
    assert ran(case / "suite.yaml")[0].exit_code == 2


@of("57-appledouble-everywhere")
def test_hidden_files_are_skipped(case):
    suite, _ = started(case)
    code, pixels, _, _ = checked(suite)
    assert (code, len(pixels)) == (0, 3)


def write_checkpoints(case):
    """Write the network of the case's suites as tools do: its weights under their keys, and what is no checkpoint."""
    import torch
    from safetensors.torch import save_file

    from segbench.config.component import ModelEntry
    from segbench.models.build import build_network

    entry = ModelEntry(name="unet", width=0.05, norm="batch")
    network = build_network(entry, classes=3, channels=3, seed=0)
    state = network.state_dict()

    def under(prefix):
        return {f"{prefix}{name}": tensor for name, tensor in state.items()}

    stored = {
        "plain.pth": state,
        "dataparallel.pth": under("module."),
        "half.pth": {name: x.half() if x.is_floating_point() else x for name, x in state.items()},
        "lightning-model.ckpt": {"state_dict": under("model."), "epoch": 3, "hyper_parameters": {"lr": 0.1}},
        "lightning-net.ckpt": {"state_dict": under("net.")},
        "lightning-with-loss-weight.ckpt": {"state_dict": {**under("model."), "loss.weight": torch.ones(3)}},
        "torchvision-reference.pth": {"model": state, "epoch": 1, "args": {"lr": 0.1}},
        **{f"{key}.pth": {key: state} for key in ("net", "model_state", "weights")},
        "ema.pth": {"state_dict_ema": state},
        "five-classes.pth": build_network(entry, classes=5, channels=3, seed=0).state_dict(),
        "pickled-model.pt": network,
    }
    for name, content in stored.items():
        if not (case / name).exists():  # what a case brings is what it is about
            torch.save(content, case / name)
    if not (case / "model.safetensors").exists():
        save_file(under("model."), case / "model.safetensors")
    (case / "lfs.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    (case / "page.pth").write_text("<!DOCTYPE html><html><body>not found</body></html>")


@pytest.mark.slow(reason="trains networks")
@of("60-checkpoints")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        *((name, None) for name in ("plain.pth", "dataparallel.pth", "half.pth", "lightning-model.ckpt")),
        *((name, None) for name in ("torchvision-reference.pth", "model.safetensors", "lightning-net.ckpt")),
        *((name, None) for name in ("net.pth", "model_state.pth", "weights.pth", "ema.pth")),
        ("lightning-with-loss-weight.ckpt", None),  # what is beside the whole network is not its own
        ("lfs.pth", "Git LFS pointer"),
        ("page.pth", "web page"),
        ("five-classes.pth", "shape"),
        ("pickled-model.pt", "pickled"),
    ],
)
def test_checkpoints_load_or_are_named_as_what_they_are(case, name, words):
    write_checkpoints(case)
    result = segbench("validate", case / f"{name}.yaml")
    assert result.exit_code == (0 if words is None else 2), result.output
    assert words is None or words in result.output


@of("62-multipage-tiff")
def test_stacks_are_refused_or_read_page_by_page(case):
    code, _, _, said = checked(case / "suite.yaml")
    assert code == 2
    assert "3 pages" in said
    code, pixels, _, _ = checked(case / "suite.yaml", "--set", "pages=each")
    assert code == 0
    assert len(pixels) == 2


def test_every_case_is_tested():
    assert {file.parent.name for file in CASES.glob("*/README")} == TESTED
