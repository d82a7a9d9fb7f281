"""Small data sets made of real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segbench.data.base import DatasetInfo, Sample, SegmentationDataset
from segbench.errors import DataError


class ArrayDataset(SegmentationDataset):
    """Samples held in memory; those in ``broken`` cannot be read. Counts its reads."""

    def __init__(self, samples, *, classes=3, broken=()):
        self.info = DatasetInfo("arrays", tuple(map(str, range(classes))), tuple((i, i, i) for i in range(classes)))
        self.samples, self.broken, self.reads = list(samples), frozenset(broken), 0

    @property
    def names(self):
        return [sample.name for sample in self.samples]

    def read(self, index):
        self.reads += 1
        if index in self.broken:
            raise DataError(f"{self.names[index]}.png: cannot be read")
        return self.samples[index]

    def fingerprint(self):
        return f"arrays-{len(self.samples)}"


def random_samples(count, *, size=(20, 24), classes=3, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Sample(
            f"image-{index:03d}",
            rng.integers(0, 256, (*size, 3)).astype(np.uint8),
            rng.integers(0, classes, size).astype(np.uint8),
        )
        for index in range(count)
    ]


@pytest.fixture
def arrays():
    """Return a function that makes a data set in memory."""

    def make(count=10, *, size=(20, 24), classes=3, broken=(), samples=None):
        return ArrayDataset(
            samples or random_samples(count, size=size, classes=classes), classes=classes, broken=broken
        )

    return make


@pytest.fixture
def mixed_sizes():
    """Return a data set whose images differ in size: two of 20x24, one of 24x20, one of 20x24."""
    sizes = [(20, 24), (20, 24), (24, 20), (20, 24)]
    samples = [random_samples(1, size=size, seed=index)[0] for index, size in enumerate(sizes)]
    return ArrayDataset([sample._replace(name=f"image-{index}") for index, sample in enumerate(samples)])


@pytest.fixture
def camvid_tree(tmp_path):
    """Return a folder in CamVid's layout, with a foreign prefix in its lists and images of three kinds."""
    root = tmp_path / "camvid"
    rng = np.random.default_rng(1)
    for split, suffixes in {"train": ("png", "jpg", "webp"), "val": ("png",), "test": ("png", "png")}.items():
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        lines = []
        for index, suffix in enumerate(suffixes):
            stem = f"0001TP_{split}.{index}"
            save(rng.integers(0, 256, (12, 16, 3)), root / split / f"{stem}.{suffix}")
            save(np.arange(192).reshape(12, 16) % 12, root / f"{split}annot" / f"{stem}.png")
            lines.append(f"/SegNet/CamVid/{split}/{stem}.png /SegNet/CamVid/{split}annot/{stem}.png\n")
        (root / f"{split}.txt").write_text("".join(lines))
    return root


def save(array, file: Path, **options) -> Path:
    """Write an array as uint8, or as given, to an image file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(array)
    Image.fromarray(array if array.dtype == np.uint16 else array.astype(np.uint8)).save(file, **options)
    return file


@pytest.fixture(name="save")
def save_fixture():
    """Return the function that writes an array to an image file."""
    return save
