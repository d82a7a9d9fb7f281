"""What is beside found pairs is named by init: further images of a mask, doubles, and files without a partner."""

import numpy as np
import pytest
from PIL import Image

from segbench.data.guess.guess import guess
from segbench.data.guess.seen import what_was_seen

MASK = np.array([[0, 1, 1, 0]] * 4, np.uint8)


def put(root, *names):
    """Write a mask for names in a folder of masks or that end as masks do, else a photograph."""
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(name)).integers(0, 256, (16, 16, 3)).astype(np.uint8)
        is_mask = "labels" in name or "masks" in name or "_mask" in name
        Image.fromarray(MASK if is_mask else noise).save(file)


def listed(found):
    return sorted(image for image, _ in found.pairs)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("cases", [1, 3])
def test_modalities_of_nnunet_are_told_with_what_to_do(count, cases, tmp_path):
    for case in range(cases):
        put(tmp_path, f"labelsTr/la_{case:03d}.png")
        put(tmp_path, *(f"imagesTr/la_{case:03d}_{modality:04d}.png" for modality in range(count)))
    found = guess(tmp_path)
    assert len(found.pairs) == cases
    assert all(image.endswith("_0000.png") for image in listed(found))
    (note,) = [note for note in found.notes if "images:" in note]
    assert f"each mask has {count} images: {cases * (count - 1)} more end in _0001" in note
    assert "imagesTr/la_000_0001.png" in note
    assert "reads those that end in _0000 alone" in note
    assert f"dataset.channels: {count}" in note


@pytest.mark.parametrize(
    ("image", "further", "ending"),
    [("{}.jpg", "{}_depth.png", "_depth"), ("{}_rgb.png", "{}_nir.png", "_nir"), ("{}.tif", "{}-2.tif", "-2")],
)
def test_further_images_of_any_name_are_told(image, further, ending, tmp_path):
    for split in ("train", "test"):
        for name in ("x1", "x2", "y7"):
            put(tmp_path, f"images/{split}/{image.format(name)}", f"images/{split}/{further.format(name)}")
            put(tmp_path, f"masks/{split}/{name}.png")
    found = guess(tmp_path)
    assert len(found.layout.pairs) == 6
    (note,) = [note for note in found.notes if "each mask has 2 images" in note]
    chosen = {pair.image.name for pair in found.layout.pairs}
    assert chosen in (
        {image.format(name) for name in ("x1", "x2", "y7")},
        {further.format(n) for n in ("x1", "x2", "y7")},
    )
    assert ending in note or "_rgb" in note


def test_one_modality_is_nothing_to_tell(tmp_path):
    put(tmp_path, *(f"imagesTr/c_{n}_0000.png" for n in range(3)), *(f"labelsTr/c_{n}.png" for n in range(3)))
    assert not any("more end in" in note for note in guess(tmp_path).notes)


@pytest.mark.parametrize(
    "doubles", [("images/a.jpg", "images/a.png"), ("images/a.tif", "images/a.JPG", "images/a.png")]
)
def test_two_images_of_one_name_are_named_and_left_out(doubles, tmp_path):
    put(tmp_path, *doubles, *(f"images/{n}.jpg" for n in "bc"), *(f"masks/{n}.png" for n in "abc"))
    found = guess(tmp_path)
    assert listed(found) == ["images/b.jpg", "images/c.jpg"]
    (note,) = [note for note in found.notes if "which of" in note]
    assert note.startswith("left out: images/a.")
    assert all(name.removeprefix("images/") in note for name in doubles)
    assert not any("has no" in note for note in found.notes)


def test_two_masks_of_one_name_are_named_and_left_out(tmp_path):
    put(tmp_path, *(f"images/{n}.jpg" for n in "abc"), *(f"masks/{n}.png" for n in "abc"), "masks/a.tif")
    found = guess(tmp_path)
    assert listed(found) == ["images/b.jpg", "images/c.jpg"]
    (note,) = [note for note in found.notes if "left out" in note]
    assert "which of a.png, a.tif is meant" in note


@pytest.mark.parametrize("copy", ["a (1)", "a copy", "Copy of a", "unpaired"])
def test_copies_and_other_images_without_a_mask_are_named(copy, tmp_path):
    put(tmp_path, f"images/{copy}.jpg", *(f"images/{n}.jpg" for n in "abc"), *(f"masks/{n}.png" for n in "abc"))
    found = guess(tmp_path)
    assert listed(found) == ["images/a.jpg", "images/b.jpg", "images/c.jpg"]
    assert f"1 image has no mask and is left out: images/{copy}.jpg" in found.notes


@pytest.mark.parametrize("masks", ["masks/{}.png", "images/{}_mask.png"])
def test_masks_without_an_image_are_named(masks, tmp_path):
    put(tmp_path, *(f"images/{n}.jpg" for n in "abc"), *(masks.format(n) for n in "abcd"))
    found = guess(tmp_path)
    assert len(found.pairs) == 3
    assert f"1 mask has no image and is left out: {masks.format('d')}" in found.notes


def test_where_every_image_is_double_this_is_said(tmp_path):
    put(tmp_path, *(f"images/{n}.{kind}" for n in "abc" for kind in ("jpg", "png")), *(f"masks/{n}.png" for n in "abc"))
    assert guess(tmp_path) is None
    assert any("which of a.jpg, a.png is meant?" in line for line in what_was_seen(tmp_path))


@pytest.mark.parametrize("kind", ["double", "copy", "orphan", "modality"])
def test_the_suite_that_is_written_checks_out(kind, tmp_path):
    from typer.testing import CliRunner

    from segbench.cli.app import app

    end = "_0000" if kind == "modality" else ""
    for split in ("train", "test"):
        put(tmp_path, *(f"images/{split}/{split}{n}{end}.jpg" for n in "abc"))
        put(tmp_path, *(f"masks/{split}/{split}{n}.png" for n in "abc"))
        beside = {
            "double": f"images/{split}/{split}a.png",
            "copy": f"images/{split}/{split}a (1).png",
            "orphan": f"masks/{split}/d.png",
            "modality": f"images/{split}/{split}a_0001.jpg",
        }
        put(tmp_path, beside[kind])
    for index, file in enumerate(sorted(tmp_path.glob("images/*/*"))):
        noise = np.random.default_rng(index).integers(0, 256, (4, 4, 3)).astype(np.uint8)
        Image.fromarray(noise).save(file)
    started = CliRunner().invoke(app, ["init", str(tmp_path)])
    assert "note: " in started.output
    checked = CliRunner().invoke(app, ["data", "check", str(tmp_path / "suite.yaml")])
    assert checked.exit_code == 0, checked.output
