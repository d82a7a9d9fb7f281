"""Finds annotation files in JSON, and tells their kind."""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from segbench.data.files.image_folder import folders_below, is_folder, visible
from segbench.errors import DataError


class Kind(StrEnum):
    """Kinds of annotation files."""

    INSTANCES = "COCO"
    PANOPTIC = "COCO panoptic"
    LABELME = "LabelMe"


def json_files(folder: Path) -> list[Path]:
    """Return the JSON files of a folder and of those below it, sorted."""
    return sorted(
        Path(entry.path)
        for place in folders_below(folder)
        for entry in visible(place)
        if entry.name.lower().endswith(".json") and not is_folder(entry)
    )


def load_json(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON: {error}") from None


def kind_of(content: Any) -> Kind | None:
    """Return the kind of annotations that the content of a JSON file is; None where it is none."""
    if not isinstance(content, Mapping):
        return None
    if isinstance(content.get("shapes"), list) and ("imagePath" in content or "imageHeight" in content):
        return Kind.LABELME
    parts = [content.get(key) for key in ("images", "annotations", "categories")]
    if not all(isinstance(part, list) for part in parts):
        return None
    annotations = [one for one in content["annotations"] if isinstance(one, Mapping)]
    if any("segments_info" in one for one in annotations):
        return Kind.PANOPTIC
    return Kind.INSTANCES if not annotations or any("segmentation" in one for one in annotations) else None


def has_boxes_alone(content: Any) -> bool:
    """Whether the content of a JSON file is COCO's boxes of objects, without any outline."""
    found = content.get("annotations") if isinstance(content, Mapping) else None
    boxes = [one for one in found if isinstance(one, Mapping) and "bbox" in one] if isinstance(found, list) else []
    return bool(boxes) and not any("segmentation" in one for one in boxes)


def kind_of_large(file: Path) -> Kind | None:
    """Return the kind of COCO annotations of a file of any size, which is searched and not read into memory."""
    if mentions(file, b'"segments_info"'):
        return Kind.PANOPTIC
    is_coco = mentions(file, b'"segmentation"') and mentions(file, b'"categories"')
    return Kind.INSTANCES if is_coco else None


def mentions(file: Path, text: bytes) -> bool:
    """Whether a file holds some bytes; files of any size are searched, and none is read into memory."""
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(text) >= 0
    except (OSError, ValueError):  # it is empty, or cannot be read
        return False
