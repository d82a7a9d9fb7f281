"""What is told of images and masks that can be read, but perhaps not as they are meant."""

import numpy as np
import pytest
from PIL import Image

from segbench.config.component import DatasetEntry
from segbench.data.datasets.folder import folder
from segbench.data.datasets.pool import Pool
from segbench.data.subset import take
from segbench.data.validation.check import check_dataset
from segbench.data.validation.facts import facts_of, from_json, to_json
from segbench.data.validation.judging import CheckedSplit, judge

SIZE = 48


def disk(number, *, value=255):
    """Return (H, W) uint8 with a disk."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.where((rows - 20 - number) ** 2 + (columns - 22) ** 2 < 150, value, 0).astype(np.uint8)


def make_split(root, split="train", *, count=3, masks="png", image=None, mode="L", **saving):
    """Write images, and masks of disks in a format; ``image`` makes an image of its number."""
    for kind in ("images", "masks"):
        (root / kind / split).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        made = (
            image(number)
            if image
            else Image.fromarray(np.random.default_rng(number).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))
        )
        options = {"exif": made.getexif()} if made.getexif() else {}
        made.save(root / "images" / split / f"{split}{number}.png", **options)
        mask = Image.fromarray(disk(number))
        mask.convert(mode).save(root / "masks" / split / f"{split}{number}.{masks}", **saving)


def opened(root, split="train", **options):
    options = {"values": [0, 255], "ignore": None, **options}
    return folder(split, root=str(root), classes=["ground", "disk"], **options)


def findings(root, *, allow=(), **options):
    options = {"values": [0, 255], "ignore": None, **options}
    written = {"name": "folder", "classes": ["ground", "disk"], "allow": list(allow), **options}
    entry = DatasetEntry.model_validate(written)
    stored = to_json(check_dataset(opened(root, **options)), "train")
    return judge({"train": CheckedSplit("train", from_json(stored))}, entry)


def remarks(dataset):
    return list(dataset.remarks(range(len(dataset))))


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(("masks", "saving"), [("jpg", {"quality": 95}), ("tif", {"compression": "jpeg"})])
def test_a_lossy_mask_whose_void_is_invented_is_a_problem_unless_it_is_allowed(mode, masks, saving, tmp_path):
    make_split(tmp_path, masks=masks, mode=mode, **saving)
    (problem,) = findings(tmp_path, ignore="others")
    assert (problem.kind, problem.level) == ("lossy", "problem")
    assert f"train0.{masks}" in problem.message
    assert "threshold" in problem.message
    assert "dataset.allow: [lossy]" in problem.message
    (note,) = findings(tmp_path, ignore="others", allow=["lossy"])
    assert (note.kind, note.level) == ("lossy", "note")


def test_colours_that_jpeg_invents_are_no_void_either(tmp_path):
    make_split(tmp_path, masks="jpg", mode="RGB")
    options = {"values": None, "palette": [[0, 0, 0], [255, 255, 255]], "ignore_color": "others"}
    assert [remark.kind for remark in remarks(opened(tmp_path, **options))] == ["lossy"]


def test_an_exact_mask_may_ignore_others(tmp_path):
    make_split(tmp_path)
    for file in (tmp_path / "masks/train").iterdir():
        numbers = np.array(Image.open(file))
        numbers[:4, :4] = 100  # a class that is left out
        Image.fromarray(numbers).save(file)
    assert remarks(opened(tmp_path, ignore="others")) == []


def saved_anew(root):
    """Write the masks as JPEG, and what that shows as PNG."""
    make_split(root, masks="jpg", quality=95)
    for file in (root / "masks/train").glob("*.jpg"):
        Image.open(file).save(file.with_suffix(".png"))
        file.unlink()


def test_values_of_a_lossy_format_in_a_png_are_noted_where_others_are_void(tmp_path):
    saved_anew(tmp_path)
    (note,) = findings(tmp_path, ignore="others")
    assert (note.kind, note.level) == ("smooth-edges", "note")
    assert "threshold" in note.message


def test_values_of_a_lossy_format_in_a_png_are_not_advised_to_be_void(tmp_path):
    saved_anew(tmp_path)
    problem = check_dataset(opened(tmp_path)).problems[0]
    assert "others" not in problem
    assert "threshold" in problem


def test_further_classes_are_advised_to_be_void(tmp_path):
    make_split(tmp_path, count=1)
    Image.fromarray(np.resize(np.arange(20, dtype=np.uint8), (SIZE, SIZE))).save(tmp_path / "masks/train/train0.png")
    assert "ignore: others" in check_dataset(opened(tmp_path, values=[0, 1])).problems[0]


def rgba(number, *, levels):
    pixels = np.random.default_rng(number).integers(0, 255, (SIZE, SIZE, 4), dtype=np.uint8)
    pixels[..., 3] = np.random.default_rng(number).choice(levels, (SIZE, SIZE))
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("levels", "kinds"), [(range(256), ["opacity"]), ([0, 255], []), ([255], []), ([7], [])])
def test_a_fourth_band_that_holds_something_is_noted_unless_it_is_read(levels, kinds, tmp_path):
    make_split(tmp_path, image=lambda number: rgba(number, levels=list(levels)))
    found = remarks(opened(tmp_path))
    assert [remark.kind for remark in found] == kinds
    assert all("channels: 4" in remark.text for remark in found)
    assert remarks(opened(tmp_path, channels=4)) == []


def turned(number):
    image = Image.fromarray(np.random.default_rng(number).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))
    image.getexif()[0x0112] = 6 if number else 1
    return image


def test_turned_images_are_counted_for_each_split_and_its_parts(tmp_path):
    make_split(tmp_path, "train", count=4, image=turned)
    make_split(tmp_path, "test", count=2, image=turned)
    splits = {split: opened(tmp_path, split) for split in ("train", "test")}
    assert [remark.text[:17] for split in splits.values() for remark in remarks(split)] == [
        "3 images were tur",
        "1 image was turne",
    ]
    assert [remark.text[:20] for remark in remarks(Pool(splits))] == ["train: 3 images were", "test: 1 image was tu"]
    part = take(splits["train"], 1)
    assert len(remarks(part)) == (0 if part.names == ("train0",) else 1)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (None, "3 masks were turned as EXIF says; the images of 3 were not: look whether they fit"),
        (turned, "3 masks were turned as EXIF says; the images of 1 were not: look whether they fit"),
    ],
)
def test_masks_that_exif_turns_are_told_with_those_whose_image_it_does_not(tmp_path, image, told):
    rotation = Image.Exif()
    rotation[0x0112] = 6
    make_split(tmp_path, image=image, exif=rotation)
    assert [remark.text for remark in remarks(opened(tmp_path)) if remark.kind == "turned-mask"] == [told]


@pytest.mark.parametrize("way", ["list", "link"])
def test_one_mask_of_several_images_is_told(tmp_path, way):
    make_split(tmp_path)
    options = {}
    if way == "link":
        mask = tmp_path / "masks" / "train" / "train2.png"
        mask.unlink()
        mask.symlink_to(mask.with_name("train1.png"))
    else:
        lines = [
            f"images/train/train{image}.png,masks/train/train{mask}.png" for image, mask in ((0, 0), (1, 1), (2, 1))
        ]
        (tmp_path / "list.csv").write_text("\n".join(lines))
        options = {"split_file": "list.csv"}
    told = "1 mask is the mask of several images (train1.png of train1.png and train2.png): look whether it is"
    assert [remark.text for remark in remarks(opened(tmp_path, **options)) if remark.kind == "shared-mask"] == [told]


def test_remarks_are_stored_and_told(tmp_path):
    make_split(tmp_path, image=turned)
    facts = facts_of(check_dataset(opened(tmp_path)))
    assert [remark.kind for remark in facts.remarks] == ["turned"]
    assert [(finding.kind, finding.level) for finding in findings(tmp_path)] == [("turned", "note")]
