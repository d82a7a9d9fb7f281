"""PASCAL VOC 2012 segmentation, with the additional labels of SBD if available."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segbench.data.base import DatasetInfo, LabelArray, SegmentationDataset
from segbench.data.datasets.download import download as fetch
from segbench.data.datasets.file_dataset import FileDataset
from segbench.data.files.image_folder import is_hidden
from segbench.data.files.pair import Pair
from segbench.data.masks.masks import read_index_label
from segbench.data.paths import candidates, locate
from segbench.data.splits import check_split
from segbench.errors import DataError, MissingDataError

SPLITS = ("train", "val", "trainval", "train_aug")
BASE = Path("VOCdevkit", "VOC2012")

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)

REMEDY = "Get it with 'segbench data download voc2012' (2 GB), or set dataset.download: true"
SBD_REMEDY = (
    "The split train_aug needs SBD: get it with 'segbench data download sbd' (1.4 GB), or put the label PNGs "
    "SegmentationClassAug/ into VOCdevkit/VOC2012"
)


def voc_palette() -> tuple[tuple[int, int, int], ...]:
    """Return the colours of the VOC devkit: the bits of the class index, distributed over three channels."""

    def channel(index: int, offset: int) -> int:
        return sum((index >> (3 * bit + offset) & 1) << (7 - bit) for bit in range(8))

    return tuple((channel(index, 0), channel(index, 1), channel(index, 2)) for index in range(len(CLASSES)))


INFO = DatasetInfo(
    name="voc2012",
    classes=CLASSES,
    palette=voc_palette(),
    citation=(
        "M. Everingham et al., The PASCAL Visual Object Classes Challenge, IJCV 2010; train_aug: B. Hariharan et al., "
        "Semantic contours from inverse detectors, ICCV 2011."
    ),
)


def voc2012(split: str, *, root: str | None = None, download: bool = False) -> SegmentationDataset:
    """PASCAL VOC 2012 segmentation: 20 classes and background; 1,464 training and 1,449 validation images.

    Args:
        split: ``train``, ``val``, ``trainval``, or ``train_aug``: 10,582 images, the VOC training images with their
            own labels and all other images that SBD labels, without those of VOC ``val``. The test labels are not
            public, so suites set ``test_split: val``.
        root: Folder that holds VOCdevkit/VOC2012; else ``$SEGBENCH_DATA/voc2012``, else the user's data folder.
        download: Whether to download VOC 2012 if it is missing (verifies the checksum).

    Raises:
        DataError: The split is unknown, or a download fails.
        MissingDataError: The data is not there.
    """
    check_split("voc2012", split, SPLITS)
    place = _locate(root, download=download)
    pairs = _augmented(place) if split == "train_aug" else _official(place, split)
    complete = [pair for pair in pairs if pair.image.is_file() and pair.label.is_file()]
    absent = [path for pair in pairs for path in (pair.image, pair.label) if not path.is_file()]
    problems = [f"{path}: is listed but does not exist" for path in absent]
    return FileDataset(INFO, complete, decoder=_read_label, problems=problems)


def _locate(root: str | None, *, download: bool) -> Path:
    """Return the folder that contains VOCdevkit/VOC2012; the root may also be one of these two."""
    given = root
    if root is not None:
        path = Path(root).expanduser()
        above = {"VOC2012": path.parent.parent, "VOCdevkit": path.parent}
        given = str(above.get(path.name, path))
    try:
        return locate("voc2012", given, holds=_holds_voc, remedy=REMEDY)
    except MissingDataError:
        if not download:
            raise
    place = candidates("voc2012", given)[0]
    fetch("voc2012", root=place)
    return place


def _holds_voc(place: Path) -> bool:
    return (place / BASE / "ImageSets" / "Segmentation").is_dir()


def _official(place: Path, split: str) -> list[Pair]:
    """List one of VOC's own splits, through torchvision."""
    from torchvision.datasets import VOCSegmentation

    try:
        listed = VOCSegmentation(place, year="2012", image_set=split)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{place / BASE}: the split {split} cannot be listed: {error}") from None
    files = zip(map(Path, listed.images), map(Path, listed.targets), strict=True)
    return [Pair(image.stem, image, label) for image, label in files]


def _augmented(place: Path) -> list[Pair]:
    """List the union of VOC train and SBD without VOC val, by name; VOC's labels take precedence."""
    images = place / BASE / "JPEGImages"
    pairs = {label.stem: Pair(label.stem, images / f"{label.stem}.jpg", label) for label in _sbd_labels(place)}
    pairs |= {pair.name: pair for pair in _official(place, "train")}
    for pair in _official(place, "val"):
        pairs.pop(pair.name, None)
    return [pairs[name] for name in sorted(pairs)]


def _sbd_labels(place: Path) -> Sequence[Path]:
    """Return SBD's label files: PNGs in SegmentationClassAug, or .mat files in the layout of the SBD archive."""
    folders = {
        place / BASE / "SegmentationClassAug": "*.png",
        place / "benchmark_RELEASE" / "dataset" / "cls": "*.mat",
        place / "sbd" / "cls": "*.mat",
    }
    for folder, pattern in folders.items():
        if found := sorted(file for file in folder.glob(pattern) if not is_hidden(file.name)):
            return found
    looked = ", ".join(map(str, folders))
    raise MissingDataError(f"voc2012: no labels of SBD found; looked in {looked}. {SBD_REMEDY}")


def _read_label(path: Path) -> LabelArray:
    """Read a palette PNG, or a .mat file of SBD."""
    if path.suffix != ".mat":
        return read_index_label(path)
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return np.array(loadmat(path)["GTcls"][0]["Segmentation"][0], dtype=np.uint8)
    except (MatReadError, OSError, ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as a label of SBD: {error}") from None
