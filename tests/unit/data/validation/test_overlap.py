import numpy as np
import pytest

from segbench.data.cache.datasets import DiskCache, MemoryCache
from segbench.data.datasets.folder import folder
from segbench.data.datasets.voc import voc2012
from segbench.data.scenes.dataset import scenes
from segbench.data.subset import Subset
from segbench.data.validation.overlap import check_disjoint
from segbench.errors import DataError


@pytest.fixture
def lists(tmp_path, save):
    """Return a function that makes splits of one folder from strings of image names."""
    for name in "abcdef":
        save(np.zeros((4, 4, 3)), tmp_path / "images" / f"{name}.png")
        save(np.zeros((4, 4)), tmp_path / "masks" / f"{name}.png")

    def split(names):
        (tmp_path / "list.txt").write_text("".join(f"images/{name}.png masks/{name}.png\n" for name in names))
        return folder("any", root=str(tmp_path), classes=["x"], split_file="list.txt")

    return split


def test_disjoint_splits_pass(lists):
    check_disjoint({"train": lists("abc"), "validation": lists("d"), "test": lists("ef")}, select="best")
    check_disjoint({"test": lists("ef")})


def test_an_image_in_training_and_test_is_named(lists):
    with pytest.raises(DataError, match=r"folder: 2 of the 4 images for test are among those for train \(images/b, im"):
        check_disjoint({"test": lists("bcef"), "train": lists("abcd")})


def test_long_lists_of_images_are_cut(lists):
    with pytest.raises(DataError, match=r"5 of the 5 .*\(images/a, images/b, images/c, …\)"):
        check_disjoint({"train": lists("abcdef"), "test": lists("abcde")})


def test_validation_images_must_not_be_trained_on(lists):
    with pytest.raises(DataError, match="1 of the 1 images for validation are among those for train"):
        check_disjoint({"train": lists("abc"), "validation": lists("a"), "test": lists("d")})


def test_validation_on_the_test_split_is_refused_only_where_weights_are_selected_by_it(lists):
    splits = {"train": lists("ab"), "validation": lists("cd"), "test": lists("de")}
    check_disjoint(splits)
    check_disjoint(splits, select="last")
    with pytest.raises(DataError, match="1 of the 2 images for test are among those for validation"):
        check_disjoint(splits, select="best")


def test_a_link_is_the_image_that_it_points_to(tmp_path, save):
    for split in ("train", "test"):
        save(np.zeros((4, 4)), tmp_path / "masks" / split / "a.png")
    image = save(np.zeros((4, 4, 3)), tmp_path / "images" / "train" / "a.png")
    (tmp_path / "images" / "test").mkdir()
    (tmp_path / "images" / "test" / "a.png").symlink_to(image)
    splits = {split: folder(split, root=str(tmp_path), classes=["x"]) for split in ("train", "test")}
    with pytest.raises(DataError, match="1 of the 1 images"):
        check_disjoint(splits)


def test_equal_names_in_folders_of_their_own_are_different_images(tmp_path, save):
    for split in ("train", "test"):
        save(np.zeros((4, 4, 3)), tmp_path / "images" / split / "0001.png")
        save(np.zeros((4, 4)), tmp_path / "masks" / split / "0001.png")
    check_disjoint({split: folder(split, root=str(tmp_path), classes=["x"]) for split in ("train", "test")})


def test_data_sets_without_files_go_by_names(arrays):
    check_disjoint({split: scenes(split, train_images=5, test_images=5) for split in ("train", "test")})
    with pytest.raises(DataError, match="arrays: 3 of the 3 images for test"):
        check_disjoint({"train": arrays(5), "test": arrays(3)})


def test_vocs_official_splits_are_told_apart(voc_tree):
    splits = {split: voc2012(split, root=str(voc_tree)) for split in ("train", "val", "trainval")}
    check_disjoint({"train": splits["train"], "test": splits["val"]})
    with pytest.raises(DataError, match=r"voc2012: .* images for test are among those for train"):
        check_disjoint({"train": splits["trainval"], "test": splits["val"]})


def test_parts_and_caches_are_judged_by_the_images_that_they_keep(lists, tmp_path):
    whole = lists("abcdef")
    first, last = Subset(whole, [0, 1, 2]), Subset(whole, [3, 4, 5])
    check_disjoint({"train": MemoryCache(first), "test": DiskCache(last, folder=tmp_path / "cache")})
    with pytest.raises(DataError, match="3 of the 6 images"):
        check_disjoint({"train": MemoryCache(first), "test": whole})
