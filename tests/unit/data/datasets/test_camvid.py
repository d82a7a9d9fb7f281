import os
import time

import numpy as np
import pytest

from segbench.data.datasets.camvid import INFO, camvid
from segbench.data.validation.check import check_dataset, median_frequency_weights
from segbench.data.validation.overlap import check_disjoint
from segbench.errors import DataError, MissingDataError

PUBLISHED_WEIGHTS = {
    "sky": 0.2595,
    "building": 0.1826,
    "pole": 4.5640,
    "road": 0.1417,
    "pavement": 0.9051,
    "tree": 0.3826,
    "sign": 9.6446,
    "fence": 1.8418,
    "car": 0.6823,
    "pedestrian": 6.2478,
    "bicyclist": 7.3614,
}
"""V. Badrinarayanan, A. Kendall, R. Cipolla, SegNet: the class weights of the released network."""


def test_foreign_prefixes_and_other_suffixes_are_resolved(camvid_tree):
    dataset = camvid("train", root=str(camvid_tree))
    assert dataset.names == ("0001TP_train.0", "0001TP_train.1", "0001TP_train.2")
    assert [pair.image.suffix for pair in dataset.pairs] == [".png", ".jpg", ".webp"]
    assert dataset.problems == ()


def test_void_becomes_the_ignored_label(camvid_tree):
    label = camvid("test", root=str(camvid_tree)).read(1).label
    expected = np.arange(192).reshape(12, 16) % 12
    expected[expected == 11] = 255
    assert np.array_equal(label, expected)


def test_without_a_list_file_the_folder_is_listed(camvid_tree):
    listed = camvid("train", root=str(camvid_tree)).names
    (camvid_tree / "train.txt").unlink()
    assert camvid("train", root=str(camvid_tree)).names == listed


@pytest.mark.parametrize("listed", [True, False])
def test_an_image_kept_in_two_formats_is_a_problem(camvid_tree, save, listed):
    """The list names the PNG, which is gone: it does not say which of the others is meant."""
    save(np.zeros((12, 16, 3)), camvid_tree / "train" / "0001TP_train.1.bmp")
    save(np.zeros((12, 16, 3)), camvid_tree / "train" / "._0001TP_train.0.png")
    if not listed:
        (camvid_tree / "train.txt").unlink()
    dataset = camvid("train", root=str(camvid_tree))
    assert dataset.names == ("0001TP_train.0", "0001TP_train.2")
    (problem,) = dataset.problems
    assert "which of 0001TP_train.1.bmp, 0001TP_train.1.jpg is meant" in problem


def test_missing_files_are_problems_not_surprises(camvid_tree):
    (camvid_tree / "testannot" / "0001TP_test.1.png").unlink()
    dataset = camvid("test", root=str(camvid_tree))
    assert dataset.names == ("0001TP_test.0",)
    assert len(dataset.problems) == 1
    assert "testannot/0001TP_test.1.png: is listed but does not exist" in dataset.problems[0]


def test_a_line_with_one_word_is_named(camvid_tree):
    (camvid_tree / "val.txt").write_text("val/a.png valannot/a.png\n\nval/b.png\n")
    with pytest.raises(DataError, match=r"val\.txt:3: expected an image and a label"):
        camvid("val", root=str(camvid_tree))


def test_an_unreadable_list_is_named(camvid_tree):
    (camvid_tree / "val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"val\.txt: cannot be read"):
        camvid("val", root=str(camvid_tree))


def test_absent_data_says_what_to_provide(tmp_path):
    with pytest.raises(MissingDataError, match=r"looked in .*nothing.* trainannot/"):
        camvid("train", root=str(tmp_path / "nothing"))


def test_an_unknown_split_is_refused(camvid_tree):
    with pytest.raises(DataError, match="did you mean 'val'"):
        camvid("vall", root=str(camvid_tree))


def test_fingerprint_follows_the_files(camvid_tree, save):
    before = camvid("test", root=str(camvid_tree))
    fingerprint, key = before.fingerprint(), before.cache_key()
    assert camvid("test", root=str(camvid_tree)).fingerprint() == fingerprint
    save(np.zeros((12, 16)), camvid_tree / "testannot" / "0001TP_test.0.png")
    assert camvid("test", root=str(camvid_tree)).fingerprint() != fingerprint
    assert camvid("test", root=str(camvid_tree)).cache_key() != key


def test_a_label_changed_in_place_changes_the_fingerprint(camvid_tree):
    """Same name, same size, same time of change: only the content tells."""
    file = camvid_tree / "testannot" / "0001TP_test.1.png"
    before, times = camvid("test", root=str(camvid_tree)).fingerprint(), file.stat()
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_size == times.st_size
    assert camvid("test", root=str(camvid_tree)).fingerprint() != before


def test_fingerprint_does_not_follow_the_place(camvid_tree, tmp_path):
    before = camvid("test", root=str(camvid_tree)).fingerprint()
    moved = camvid_tree.rename(tmp_path / "elsewhere")
    for file in moved.rglob("*.png"):
        os.utime(file, (1, 1))
    assert camvid("test", root=str(moved)).fingerprint() == before


def test_classes_are_in_the_published_order():
    assert INFO.classes == tuple(PUBLISHED_WEIGHTS)


@pytest.mark.data
def test_the_real_splits_are_complete(camvid_root):
    for split, count in {"train": 367, "val": 101, "test": 233}.items():
        dataset = camvid(split, root=str(camvid_root))
        assert (len(dataset), list(dataset.problems)) == (count, [])
        sample = dataset.read(0)
        assert sample.image.shape == (360, 480, 3)
        assert set(np.unique(sample.label)) <= {*range(11), 255}


@pytest.mark.data
def test_the_real_files_are_hashed_in_a_moment(camvid_root):
    splits = [camvid(split, root=str(camvid_root)) for split in ("train", "val", "test")]
    began = time.process_time()
    assert len({split.fingerprint() for split in splits}) == 3
    assert time.process_time() - began < 1.5
    check_disjoint(dict(zip(("train", "validation", "test"), splits, strict=True)), select="best")


@pytest.mark.slow(reason="reads all labels of CamVid")
@pytest.mark.data
def test_median_frequency_weights_agree_with_the_published_ones(camvid_root, monkeypatch):
    """Up to a common factor (void took part in the published median), and but for signs, which those labels lack."""
    monkeypatch.setattr(
        "segbench.data.decoding.images.read_image", lambda path, *, page: np.zeros((360, 480, 3), np.uint8)
    )
    report = check_dataset(camvid("train", root=str(camvid_root)))
    weights = np.array(median_frequency_weights(report))
    assert report.images == 367
    ratios = weights / np.array(list(PUBLISHED_WEIGHTS.values()))
    ratios /= np.median(ratios)
    deviations = dict(zip(report.classes, np.abs(ratios - 1), strict=True))
    assert 0.5 < deviations.pop("sign") < 0.7
    assert max(deviations.values()) < 0.13
    assert sorted(deviations.values())[len(deviations) // 2] < 0.04
