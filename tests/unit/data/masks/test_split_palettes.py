"""Splits whose palettes give one number different colours."""

import numpy as np
import pytest
from PIL import Image

from segbench.data.datasets.folder import folder
from segbench.data.datasets.pool import Pool
from segbench.data.masks.split_palettes import differing_splits
from segbench.data.subset import take

RED, GREEN, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 0)


def make_split(root, split, *palettes, used=(0, 1, 2)):
    """Write an image and a palette mask for each palette."""
    for number, palette in enumerate(palettes):
        name = f"{split}{number}.png"
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((6, 6, 3), number, np.uint8)).save(root / "images" / split / name)
        mask = Image.fromarray(np.resize(np.array(used, np.uint8), (6, 6)))
        if palette is not None:
            mask.putpalette([part for color in palette for part in color])
        mask.save(root / "masks" / split / name)


def opened(root, **options):
    """Return the splits train and test of a folder, by name."""
    return {split: folder(split, root=str(root), classes=["a", "b", "c"], **options) for split in ("train", "test")}


def found_in(splits):
    return [text for _, text in differing_splits(splits, {name: name for name in splits})]


def test_swapped_colours_name_both_splits_and_a_file_of_each(tmp_path):
    make_split(tmp_path, "train", (BLACK, RED, GREEN), (BLACK, RED, GREEN))
    make_split(tmp_path, "test", (BLACK, GREEN, RED))
    splits = opened(tmp_path)
    assert not any(split.problems for split in splits.values())
    (text,) = found_in(splits)
    assert "train and of test" in text
    assert str(tmp_path / "masks/train/train0.png") in text
    assert str(tmp_path / "masks/test/test0.png") in text
    assert "'palette'" in text


def test_one_number_of_another_colour_is_enough(tmp_path):
    make_split(tmp_path, "train", (BLACK, RED, GREEN))
    make_split(tmp_path, "test", (BLACK, GREEN), used=(0, 1))
    assert len(found_in(opened(tmp_path))) == 1


@pytest.mark.parametrize("other", [(BLACK, RED, GREEN, RED), (BLACK, RED), None], ids=["longer", "shorter", "grey"])
def test_palettes_that_agree_where_they_are_used_are_fine(tmp_path, other):
    make_split(tmp_path, "train", (BLACK, RED, GREEN))
    make_split(tmp_path, "test", other, used=(0, 1))
    assert found_in(opened(tmp_path)) == []


def test_with_a_palette_given_colours_decide_and_may_have_any_number(tmp_path):
    make_split(tmp_path, "train", (BLACK, RED, GREEN))
    make_split(tmp_path, "test", (BLACK, GREEN, RED))
    assert found_in(opened(tmp_path, palette=[list(color) for color in (BLACK, RED, GREEN)])) == []


def test_parts_of_a_split_are_compared_as_the_whole(tmp_path):
    make_split(tmp_path, "train", (BLACK, RED, GREEN), (BLACK, RED, GREEN))
    make_split(tmp_path, "test", (BLACK, GREEN, RED), (BLACK, GREEN, RED))
    assert len(found_in({name: take(split, 1) for name, split in opened(tmp_path).items()})) == 1


def test_pooled_splits_are_wrong_where_their_palettes_differ(tmp_path):
    make_split(tmp_path, "train", (BLACK, RED, GREEN))
    make_split(tmp_path, "test", (BLACK, GREEN, RED))
    (problem,) = Pool(opened(tmp_path)).problems
    assert "train and of test" in problem
