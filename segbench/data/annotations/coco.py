"""Reads COCO's instances: polygons and run lengths of objects, through pycocotools."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segbench.data.annotations.images import ImageFinder, check_size, relative_name
from segbench.data.annotations.regions import AnnotatedImage, BoolMask, Region, Size
from segbench.data.annotations.run_lengths import checked_run_lengths, decode_run_lengths
from segbench.data.annotations.source import (
    LARGEST_SIDE,
    AnnotationSource,
    another_type,
    by_id,
    crowd,
    entries,
    identifier,
    size_of,
    value,
)
from segbench.errors import DataError, UsageError

_LEAST_POINTS = 3
UNANNOTATED = "{} images have no annotation: they are background"
CROWDS = "{} regions are crowds (iscrowd): they are void (255) where no object is annotated"
WITHOUT_OUTLINE = "{} annotations have no outline but a box: their boxes are void (255) where nothing else is annotated"
WITHOUT_AREA = "{} annotations have neither outline nor box: they are left out"
TOO_FEW_POINTS = "{} parts of polygons have fewer than three points: they are left out"


def read_instances(
    content: Mapping[str, Any], file: Path, *, images: ImageFinder, prefix: str = ""
) -> AnnotationSource:
    """Return what a COCO file of instances says.

    Args:
        content: What it holds.
        file: Where that is from.
        images: Finds the images.
        prefix: What is put before their names.

    Raises:
        DataError: An image is missing or of another size, an annotation is of no image or category, or is damaged.
        UsageError: pycocotools is not installed.
    """
    _need_pycocotools(file)
    labels = category_names(content, file)
    shown = images_by_id(content, file)
    by_image: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for one in entries(content, "annotations", file):
        where = f"{file}: annotation {one.get('id')}"
        key = identifier(one, "image_id", where)
        if key not in shown:
            raise DataError(f"{where} is of the image {key!r}, which it lacks{another_type(key, shown)}")
        by_image[key].append(one)
    noticed: Counter[str] = Counter()
    found = []
    for key, entry in shown.items():
        image = annotated_image(entry, file, images=images, prefix=prefix)
        regions = [_region(one, labels, image, noticed) for one in by_image[key]]
        noticed[UNANNOTATED] += not by_image[key]
        found.append(_with(image, [region for region in regions if region is not None]))
    return AnnotationSource(tuple(found), tuple(labels.values()), noticed)


def images_by_id(content: Mapping[str, Any], file: Path) -> dict[int | str, Mapping[str, Any]]:
    """Return the images of a COCO file by their ids.

    Raises:
        DataError: One has no id, or two have the same.
    """
    return by_id(entries(content, "images", file), f"{file}: the image", same=("file_name", "height", "width"))


def category_names(content: Mapping[str, Any], file: Path) -> dict[Any, str]:
    """Return the name of each category by its id, in the order of the ids.

    Raises:
        DataError: One lacks a name or an id, or two of different names have one id.
    """
    found = {
        key: str(value(one, "name", f"{file}: category {key}")).strip()
        for key, one in by_id(entries(content, "categories", file), f"{file}: the category", same=("name",)).items()
    }
    return {key: found[key] for key in sorted(found, key=lambda key: (isinstance(key, str), key))}


def annotated_image(entry: Mapping[str, Any], file: Path, *, images: ImageFinder, prefix: str) -> AnnotatedImage:
    """Return an image of a COCO file, without regions.

    Raises:
        DataError: It is missing, or of another size than the file says.
    """
    name = str(value(entry, "file_name", f"{file}: image {entry.get('id')}"))
    size = size_of(entry, ("height", "width"), f"{file}: image {name}")
    found = images.find(name)
    if found is None:
        raise DataError(f"{file}: there is no image {name}; give --images, the folder that holds the images")
    is_turned = check_size(found, given=size, source=file)
    return AnnotatedImage(f"{prefix}{relative_name(name)}", size, file, file=found, is_turned=is_turned)


def _with(image: AnnotatedImage, regions: Sequence[Region]) -> AnnotatedImage:
    return AnnotatedImage(
        image.name, image.size, image.source, tuple(regions), file=image.file, is_turned=image.is_turned
    )


def _region(
    one: Mapping[str, Any], labels: Mapping[Any, str], image: AnnotatedImage, noticed: Counter[str]
) -> Region | None:
    where = f"{image.source}: annotation {one.get('id')} of {image.name}"
    key = identifier(one, "category_id", where)
    if key not in labels:
        raise DataError(f"{where}: has the category {key!r}, which the file does not list{another_type(key, labels)}")
    label, is_crowd = labels[key], crowd(one, where)
    outline = one.get("segmentation")
    if isinstance(outline, Mapping):
        noticed[CROWDS] += is_crowd
        return Region(
            label, partial(decode_run_lengths, checked_run_lengths(outline, image.size, where)), is_void=is_crowd
        )
    polygons = _polygons(outline, where, noticed)
    if polygons:
        noticed[CROWDS] += is_crowd
        return Region(label, partial(_filled, polygons), is_void=is_crowd)
    box = _box(one.get("bbox"), where)
    noticed[WITHOUT_AREA if box is None else WITHOUT_OUTLINE] += 1
    return None if box is None else Region(label, partial(_boxed, box), is_void=True)


def _polygons(outline: object, where: str, noticed: Counter[str]) -> list[list[float]]:
    """Return polygons as [x, y, x, y, ...]; those of fewer than three points are left out.

    pycocotools takes four numbers for a box.
    """
    if outline is None:
        return []
    if not isinstance(outline, list):
        raise DataError(f"{where}: its segmentation is neither polygons nor run lengths")
    parts = [outline] if outline and not isinstance(outline[0], list) else outline
    for part in parts:
        numbers = isinstance(part, list) and all(isinstance(one, int | float) and math.isfinite(one) for one in part)
        if numbers and any(abs(one) > LARGEST_SIDE for one in part):
            raise DataError(f"{where}: a polygon has a point more than {LARGEST_SIDE:,} pixels away")
        if not numbers or len(part) % 2:
            raise DataError(f"{where}: a polygon is no list of x, y, x, y, ...: {str(part)[:60]}")
    enough = [[float(one) for one in part] for part in parts if len(part) >= 2 * _LEAST_POINTS]
    noticed[TOO_FEW_POINTS] += sum(0 < len(part) < 2 * _LEAST_POINTS for part in parts)
    return enough


def _filled(polygons: Sequence[Sequence[float]], size: Size) -> BoolMask:
    from pycocotools import mask as coco_mask

    parts = coco_mask.frPyObjects([list(polygon) for polygon in polygons], *size)
    return np.asarray(coco_mask.decode(coco_mask.merge(parts)), dtype=np.bool_)


def _box(given: object, where: str) -> tuple[float, float, float, float] | None:
    """Return x, y, width and height of a box; None where there is none of any area."""
    if not isinstance(given, list) or not given:
        return None
    if len(given) != 4 or not all(isinstance(one, int | float) and math.isfinite(one) for one in given):
        raise DataError(f"{where}: its bbox is {given}; x, y, width and height are expected")
    x, y, width, height = map(float, given)
    return (x, y, width, height) if width > 0 and height > 0 else None


def _boxed(box: tuple[float, float, float, float], size: Size) -> BoolMask:
    x, y, width, height = box
    mask = np.zeros(size, dtype=np.bool_)
    mask[max(0, math.floor(y)) : math.ceil(y + height), max(0, math.floor(x)) : math.ceil(x + width)] = True
    return mask


def _need_pycocotools(file: Path) -> None:
    try:
        from pycocotools import mask as _  # noqa: F401
    except ImportError:
        raise UsageError(
            f"{file}: COCO's polygons and run lengths are drawn by pycocotools, which is not installed: "
            "pip install pycocotools"
        ) from None
