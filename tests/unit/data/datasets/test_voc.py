import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from voc_tree import SPLITS, save_palette_png

from segbench.data.datasets.voc import INFO, voc2012
from segbench.data.validation.check import check_dataset
from segbench.errors import DataError, MissingDataError

BASE = "VOCdevkit/VOC2012"


def test_splits_are_those_of_the_list_files(voc_tree):
    for split in ("train", "val"):
        assert voc2012(split, root=str(voc_tree)).names == tuple(SPLITS[split])
    assert len(voc2012("trainval", root=str(voc_tree))) == 7


def test_labels_are_the_palette_indices_with_void_borders(voc_tree):
    dataset = voc2012("train", root=str(voc_tree))
    label = dataset.read(0).label
    stored = np.asarray(Image.open(voc_tree / BASE / "SegmentationClass/2007_000001.png"))
    assert np.array_equal(label, stored)
    assert 255 in label
    report = check_dataset(dataset)
    assert report.problems == ()
    assert len(report.sizes) == 4


@pytest.mark.parametrize("below", ["", "VOCdevkit", BASE])
def test_the_root_may_name_any_of_the_three_folders(voc_tree, below):
    assert len(voc2012("val", root=str(voc_tree / below))) == 3


def test_palette_is_that_of_the_devkit():
    """Colours printed in the devkit's legend."""
    assert INFO.palette[0] == (0, 0, 0)
    assert INFO.palette[1] == (128, 0, 0)
    assert INFO.palette[15] == (192, 128, 128)
    assert INFO.palette[20] == (0, 64, 128)
    assert len(INFO.classes) == 21


def test_absent_data_names_the_command(tmp_path):
    with pytest.raises(MissingDataError, match=r"looked in .*nowhere.*segbench data download voc2012"):
        voc2012("train", root=str(tmp_path / "nowhere"))


def test_download_is_asked_for_only_when_needed(voc_tree, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("segbench.data.datasets.voc.fetch", lambda name, root: asked.append((name, root)))
    voc2012("train", root=str(voc_tree), download=True)
    assert asked == []
    with pytest.raises(DataError, match="cannot be listed"):
        voc2012("train", root=str(tmp_path / "new"), download=True)
    assert asked == [("voc2012", tmp_path / "new")]


def test_a_split_file_that_is_gone_is_named(voc_tree):
    (voc_tree / BASE / "ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(DataError, match="split val cannot be listed"):
        voc2012("val", root=str(voc_tree))


def test_missing_images_are_problems(voc_tree):
    (voc_tree / BASE / "JPEGImages/2007_000011.jpg").unlink()
    dataset = voc2012("val", root=str(voc_tree))
    assert len(dataset) == 2
    assert "2007_000011.jpg: is listed but does not exist" in dataset.problems[0]


@pytest.fixture(params=["png", "mat", "mat-beside"])
def sbd_tree(voc_tree, request):
    """SBD labels one image of VOC train, one of VOC val, and one of its own."""
    folders = {"png": f"{BASE}/SegmentationClassAug", "mat": "benchmark_RELEASE/dataset/cls", "mat-beside": "sbd/cls"}
    folder = voc_tree / folders[request.param]
    folder.mkdir(parents=True)
    for name in ("2007_000001", "2007_000011", "2011_009999"):
        label = np.full((9, 11), 5, dtype=np.uint8)
        if request.param == "png":
            save_palette_png(label, folder / f"{name}.png")
        else:
            record = np.array([(label,)], dtype=[("Segmentation", object)])
            savemat(folder / f"{name}.mat", {"GTcls": record})
    Image.new("RGB", (11, 9)).save(voc_tree / BASE / "JPEGImages/2011_009999.jpg")
    return voc_tree


def test_train_aug_is_train_and_sbd_without_val(sbd_tree):
    dataset = voc2012("train_aug", root=str(sbd_tree))
    assert dataset.names == (*SPLITS["train"], "2011_009999")
    assert np.unique(dataset.read(4).label).tolist() == [5]
    assert dataset.read(0).label.shape != (9, 11)


def test_hidden_files_are_no_labels_of_sbd(sbd_tree):
    expected = voc2012("train_aug", root=str(sbd_tree)).names
    for file in [*sbd_tree.rglob("2011_009999.png"), *sbd_tree.rglob("2011_009999.mat")]:
        (file.parent / f"._{file.name}").write_bytes(b"no label")
    assert voc2012("train_aug", root=str(sbd_tree)).names == expected


def test_train_aug_without_sbd_says_how_to_get_it(voc_tree):
    with pytest.raises(MissingDataError, match=r"SegmentationClassAug.*segbench data download sbd"):
        voc2012("train_aug", root=str(voc_tree))


def test_a_broken_sbd_label_is_named(voc_tree):
    folder = voc_tree / "sbd/cls"
    folder.mkdir(parents=True)
    (folder / "2011_009999.mat").write_bytes(b"no matlab file")
    Image.new("RGB", (11, 9)).save(voc_tree / BASE / "JPEGImages/2011_009999.jpg")
    with pytest.raises(DataError, match=r"2011_009999\.mat: cannot be read as a label of SBD"):
        voc2012("train_aug", root=str(voc_tree)).read(4)
