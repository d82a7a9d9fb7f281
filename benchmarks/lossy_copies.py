"""Tells how far copies of a data set's images are from the originals, by how they are encoded.

    python benchmarks/lossy_copies.py [--dataset camvid] [--split test]

Encodes every image in memory and decodes it again. Files on disk stay as they are. A lossless copy changes nothing.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from segbench.config.component import DatasetEntry
from segbench.data.base import ImageArray
from segbench.data.open import create_dataset

ENCODINGS: dict[str, dict[str, Any]] = {
    "PNG": {"format": "PNG"},
    "WebP, lossless": {"format": "WEBP", "lossless": True},
    "WebP, quality 92": {"format": "WEBP", "quality": 92},
    "JPEG, quality 95": {"format": "JPEG", "quality": 95},
}


@dataclass
class Differences:
    """What was found so far in the copies of one encoding."""

    samples: int = 0
    total: int = 0
    pixels: int = 0
    changed: int = 0
    largest: int = 0
    encoded_bytes: int = 0

    def add(self, image: ImageArray, encoding: dict[str, Any]) -> None:
        """Encode one image, decode it, and compare."""
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, **encoding)
        self.encoded_bytes += stream.tell()
        difference = np.abs(np.asarray(Image.open(stream).convert("RGB")).astype(np.int64) - image)
        self.samples += difference.size
        self.total += int(difference.sum())
        self.pixels += difference[..., 0].size
        self.changed += int(difference.any(axis=2).sum())
        self.largest = max(self.largest, int(difference.max()))

    def __str__(self) -> str:
        return (
            f"{self.changed / self.pixels:7.2%} of the pixels changed, channels by {self.total / self.samples:.2f} of "
            f"255 on average and {self.largest} at most; {self.encoded_bytes / 1e6:.1f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="camvid")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    dataset = create_dataset(DatasetEntry(name=arguments.dataset), arguments.split)
    found = {name: Differences() for name in ENCODINGS}
    for index in range(len(dataset)):
        image = dataset.read(index).image
        for name, encoding in ENCODINGS.items():
            found[name].add(image, encoding)
    print(f"{arguments.dataset}, {arguments.split}: {len(dataset)} images")
    for name, differences in found.items():
        print(f"{name:<18}{differences}")


if __name__ == "__main__":
    main()
