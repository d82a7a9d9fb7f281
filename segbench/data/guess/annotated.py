"""Names the command that draws masks, where a folder holds annotations of COCO or LabelMe in place of masks."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.data.annotations.json_files import Kind, has_boxes_alone, json_files, kind_of, kind_of_large, load_json
from segbench.errors import DataError

_LARGEST_JSON = 300_000_000
"""Larger files are searched, and not read."""
_MOST_FILES = 200
"""So many JSON files are looked into at first; more LabelMe files are counted by their names."""
_MOST_BOXES = 5
_MOST_NAMES = 6
_OF_SEGMENTS = ", whose PNG files hold the numbers of segments, and no classes"
_UNLIKE_INSTANCES = ("person_keypoints",)
"""Beginnings of COCO files that describe some of the objects of its instances again."""


@dataclass(frozen=True)
class _Annotated:
    file: Path
    kind: Kind
    images: int = 0
    names: tuple[str, ...] = ()


def annotation_lines(root: Path) -> list[str]:
    """Return what annotations a folder holds, and the command that draws them, in at most two pairs of lines."""
    files = json_files(root)
    found = [one for file in files[:_MOST_FILES] if (one := _look_into(file)) is not None]
    labelme = [one for one in found if one.kind is Kind.LABELME]
    if labelme:
        many = len(labelme) + max(0, len(files) - _MOST_FILES)
        return [
            f"LabelMe shapes in {many:,} files such as {labelme[0].file.name}: segbench reads masks, and draws them by",
            _command([root], root),
        ]
    lines: list[str] = []
    for kind in (Kind.PANOPTIC, Kind.INSTANCES):
        own = [one for one in found if one.kind is kind]
        own = [one for one in own if not one.file.name.startswith(_UNLIKE_INSTANCES)] or own
        if own:
            draws = "segbench reads masks, and draws them by" if not lines else "or draw these:"
            segments = _OF_SEGMENTS if kind is Kind.PANOPTIC else ""
            told = f"{kind} annotations ({_told(own)}){segments}: {draws}"
            lines += [told, _command([one.file for one in own], root)]
    return lines or [f"{file.name}: boxes without outlines, from which no mask can be drawn" for file in _boxes(files)]


def _boxes(files: Sequence[Path]) -> list[Path]:
    """Return the first file of boxes alone, if there is one among the first files."""
    for file in files[:_MOST_BOXES]:
        try:
            if file.stat().st_size < _LARGEST_JSON and has_boxes_alone(load_json(file)):
                return [file]
        except (OSError, DataError):
            continue
    return []


def _look_into(file: Path) -> _Annotated | None:
    """Return what annotations a file holds; None where it holds none, or cannot be read."""
    try:
        if file.stat().st_size >= _LARGEST_JSON:
            kind = kind_of_large(file)
            return None if kind is None else _Annotated(file, kind)
        content = load_json(file)
    except (OSError, DataError):
        return None
    kind = kind_of(content)
    if kind is None or kind is Kind.LABELME:
        return None if kind is None else _Annotated(file, kind, images=1)
    names = tuple(str(one.get("name")) for one in content["categories"] if isinstance(one, dict))
    return _Annotated(file, kind, len(content["images"]), names)


def _told(found: Sequence[_Annotated]) -> str:
    names = found[0].names
    images = sum(one.images for one in found)
    files = ", ".join(one.file.name for one in found[:2]) + (", …" if len(found) > 2 else "")
    if not names:
        return files
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    return f"{files}: {images:,} images, {len(names)} categories: {shown}"


def _command(annotations: Sequence[Path], root: Path) -> str:
    """Return the command that draws masks into a new folder beside the root, ready to be pasted."""
    name = root.resolve().name or "data"
    out = Path(os.path.normpath(root / ".." / f"{name}-masks"))
    words = ["segbench", "data", "convert", *map(str, annotations), "--images", str(root), "--out", str(out)]
    return f"  {shlex.join(words)}"
