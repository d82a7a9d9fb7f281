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

from segbench.data.annotations.coco import annotated_image, category_names, images_by_id
from segbench.data.annotations.images import ImageFinder
from segbench.data.annotations.regions import AnnotatedImage, BoolMask, Region, Size
from segbench.data.annotations.source import AnnotationSource, another_type, by_id, crowd, entries, identifier, value
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
    by_image = by_id(entries(content, "annotations", file), f"{file}: the annotation of image", key="image_id")
    shown = images_by_id(content, file)
    for key in by_image.keys() - shown.keys():
        raise DataError(f"{file}: describes segments of the image {key!r}, which it lacks{another_type(key, shown)}")
    noticed: Counter[str] = Counter()
    found = []
    for key, entry in shown.items():
        image = annotated_image(entry, file, images=images, prefix=prefix)
        one = by_image.get(key)
        noticed[UNANNOTATED] += one is None
        found.append(image if one is None else _with_segments(image, one, labels, segments, noticed))
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
    described = by_id(entries(one, "segments_info", image.source), f"{where}: the segment")
    for number, segment in described.items():
        if not isinstance(number, int):
            raise DataError(f"{where}: the segment {number!r} is no number, as the colours of {path} are")
        key = identifier(segment, "category_id", where)
        if key not in labels:
            raise DataError(f"{where}: a segment has the category {key!r}, which the file lacks")
    _check_segments(path, described, image, where)
    crowds = {number: crowd(segment, where) for number, segment in described.items()}
    noticed[CROWDS] += sum(crowds.values())
    regions = [
        Region(labels[segment["category_id"]], partial(_pixels, path, number), is_void=crowds[number])
        for number, segment in described.items()
    ]
    return replace(image, regions=tuple(regions))


def _check_segments(path: Path, described: Mapping[int | str, object], image: AnnotatedImage, where: str) -> None:
    numbers = _numbers(path)
    if numbers.shape != image.size:
        shapes = ["{}x{}".format(*shape) for shape in (numbers.shape, image.size)]
        raise DataError(f"{path}: is {shapes[0]} pixels (height x width), but its image {shapes[1]}")
    unknown = set(np.unique(numbers).tolist()) - {0, *described}
    if unknown:
        raise DataError(f"{where}: {path} holds the segment {min(unknown)}, which its segments_info does not describe")


def _pixels(path: Path, number: int | str, size: Size) -> BoolMask:
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
