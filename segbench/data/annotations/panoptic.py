"""Reads COCO's panoptic annotations: PNG files whose colours are the numbers of segments, each of one category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segbench.data.annotations.coco import annotated_image, category_names
from segbench.data.annotations.images import ImageFinder
from segbench.data.annotations.regions import AnnotatedImage, BoolMask, Region, Size
from segbench.data.annotations.source import AnnotationSource, entries, value
from segbench.data.masks.stored import read_stored
from segbench.errors import DataError

CROWDS = "{} segments are crowds (iscrowd): they are void (255)"
UNANNOTATED = "{} images have no annotation: all of it is void (255)"
UNLABELLED = "pixels of no segment are void (255), as COCO's panoptic format has it"
_PLACES = np.array([1, 256, 256**2], dtype=np.int64)
"""A segment's number is R + 256 G + 256² B."""


def read_panoptic(
    content: Mapping[str, Any], file: Path, *, images: ImageFinder, segments: ImageFinder, prefix: str = ""
) -> AnnotationSource:
    """Return what a COCO panoptic file says.

    Args:
        content: What it holds.
        file: Where that is from.
        images: Finds the images.
        segments: Finds the PNG files of segments.
        prefix: What is put before the images' names.

    Raises:
        DataError: A file is missing or of another size, or a segment is not described or of no category.
    """
    labels = category_names(content, file)
    by_image = {one.get("image_id"): one for one in entries(content, "annotations", file)}
    noticed: Counter[str] = Counter()
    found = []
    for entry in entries(content, "images", file):
        image = annotated_image(entry, file, images=images, prefix=prefix)
        one = by_image.pop(value(entry, "id", f"{file}: an image"), None)
        noticed[UNANNOTATED] += one is None
        found.append(image if one is None else _with_segments(image, one, labels, segments, noticed))
    if by_image:
        raise DataError(f"{file}: describes segments of the image {next(iter(by_image))}, which it lacks")
    return AnnotationSource(tuple(found), tuple(labels.values()), noticed, (UNLABELLED,))


def _with_segments(
    image: AnnotatedImage,
    one: Mapping[str, Any],
    labels: Mapping[Any, str],
    segments: ImageFinder,
    noticed: Counter[str],
) -> AnnotatedImage:
    where = f"{image.source}: annotation of {image.name}"
    name = str(value(one, "file_name", where))
    path = segments.find(name)
    if path is None:
        raise DataError(
            f"{where}: there is no {name}; the PNG files of segments are looked for in a folder of the name of the "
            "JSON file beside it, and below --images"
        )
    described = {}
    for segment in entries(one, "segments_info", image.source):
        if segment.get("category_id") not in labels:
            raise DataError(f"{where}: a segment has the category {segment.get('category_id')}, which the file lacks")
        described[int(value(segment, "id", where))] = segment
    _check_segments(path, described, image, where)
    noticed[CROWDS] += sum(bool(segment.get("iscrowd")) for segment in described.values())
    regions = [
        Region(labels[segment["category_id"]], partial(_pixels, path, number), is_void=bool(segment.get("iscrowd")))
        for number, segment in described.items()
    ]
    return replace(image, regions=tuple(regions))


def _check_segments(path: Path, described: Mapping[int, object], image: AnnotatedImage, where: str) -> None:
    numbers = _numbers(path)
    if numbers.shape != image.size:
        shapes = ["{}x{}".format(*shape) for shape in (numbers.shape, image.size)]
        raise DataError(f"{path}: is {shapes[0]} pixels (height x width), but its image {shapes[1]}")
    unknown = set(np.unique(numbers).tolist()) - {0, *described}
    if unknown:
        raise DataError(f"{where}: {path} holds the segment {min(unknown)}, which its segments_info does not describe")


def _pixels(path: Path, number: int, size: Size) -> BoolMask:
    found = _numbers(path)
    assert found.shape == size
    return np.asarray(found == number)


@lru_cache(maxsize=1)
def _numbers(path: Path) -> NDArray[np.int64]:
    """Return the (H, W) numbers of the segments in a PNG file.

    Raises:
        DataError: It cannot be read, or is no colour image.
    """
    stored = read_stored(path)
    if stored.colors is not None:
        return np.asarray(stored.colors.astype(np.int64) @ _PLACES)
    if stored.palette is not None and stored.numbers is not None:
        return np.asarray(stored.palette.astype(np.int64) @ _PLACES)[stored.numbers]
    raise DataError(f"{path}: is grey; the colours of panoptic PNG files are the numbers of segments")
