"""Reads annotation files and folders of them, whatever their kind, as one list of images with regions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.data.annotations.coco import read_instances
from segbench.data.annotations.images import ImageFinder
from segbench.data.annotations.json_files import Kind, has_boxes_alone, json_files, kind_of, load_json
from segbench.data.annotations.labelme import read_labelme
from segbench.data.annotations.panoptic import read_panoptic
from segbench.data.annotations.source import AnnotationSource
from segbench.errors import DataError

_ANNOTATION_FOLDERS = ("annotations", "annotation", "annots", "labels", "jsons", "json")


@dataclass(frozen=True)
class Annotations:
    """What annotation files of one kind say together.

    Attributes:
        kind: Their kind.
        source: Images, labels and what was noticed.
    """

    kind: Kind
    source: AnnotationSource

    @property
    def has_background(self) -> bool:
        """Whether pixels of no region are a class; they are void in panoptic annotations."""
        return self.kind is not Kind.PANOPTIC


@dataclass(frozen=True)
class _Read:
    file: Path
    content: Mapping[str, Any]
    root: Path


def read_annotations(
    given: Sequence[Path], *, images: Path | None = None, line_width: int | None = None
) -> Annotations:
    """Read annotations.

    Args:
        given: JSON files, or folders that hold them; of several COCO files, each is a split.
        images: The folder that holds the images; they are looked for beside the annotations otherwise.
        line_width: How many pixels wide LabelMe's lines are drawn.

    Raises:
        DataError: There are none, they are of several kinds, describe one image twice, or are damaged.
        UsageError: A package is missing that they need.
    """
    if images is not None and not images.is_dir():
        raise DataError(f"{images}: there is no such folder of images")
    kinds: dict[Kind, list[_Read]] = {}
    for kind, read in (found for path in given for found in _found(path)):
        kinds.setdefault(kind, []).append(read)
    if not kinds:
        raise DataError(f"{', '.join(map(str, given))}: no annotations of COCO or LabelMe are there")
    if len(kinds) > 1:
        told = " and ".join(f"{kind} ({reads[0].file})" for kind, reads in kinds.items())
        raise DataError(f"there are annotations of several kinds, {told}: name the files of one of them")
    ((kind, reads),) = kinds.items()
    sources = _labelme(reads, images, line_width) if kind is Kind.LABELME else _coco(kind, reads, images)
    _refuse_doubles(sources)
    return Annotations(kind, _joined(sources))


def split_names(files: Sequence[Path]) -> list[str]:
    """Return what the splits of annotation files are called: what tells their names, or their folders, apart.

    One file alone is no split, and has an empty name.
    """
    if len(files) < 2:
        return [""] * len(files)
    stems = [file.name.split(".")[0] for file in files]
    if len(set(stems)) < len(stems):
        stems = [file.resolve().parent.name for file in files]
    if len(set(stems)) < len(stems):
        return [str(number) for number in range(1, len(files) + 1)]
    shared = os.path.commonprefix(stems)  # noqa: RUF071 - names, not paths
    start = max((shared.rfind(separator) + 1 for separator in "_-. "), default=0)
    return [stem[start:] or stem for stem in stems]


def _found(path: Path) -> list[tuple[Kind, _Read]]:
    """Return the annotations of a file, or of all files of a folder that are some.

    Raises:
        DataError: There is no such file, or it is no annotation.
    """
    if path.is_dir():
        read = [_Read(file, content, path) for file in json_files(path) if (content := _readable(file)) is not None]
        return [(kind, one) for one in read if (kind := kind_of(one.content)) is not None]
    if not path.is_file():
        raise DataError(f"{path}: there is no such file or folder of annotations")
    content = load_json(path)
    kind = kind_of(content)
    if has_boxes_alone(content):
        raise DataError(f"{path}: holds boxes without outlines, from which no mask can be drawn")
    if kind is None:
        raise DataError(
            f"{path}: is neither of COCO's instances (images, annotations with a segmentation, categories), nor of its "
            "panoptic segments, nor of LabelMe's shapes"
        )
    return [(kind, _Read(path, content, path.parent))]


def _readable(file: Path) -> Any:
    try:
        return load_json(file)
    except DataError:
        if file.stat().st_size:
            raise
        return None


def _labelme(reads: Sequence[_Read], images: Path | None, line_width: int | None) -> list[AnnotationSource]:
    by_root: dict[Path, list[_Read]] = {}
    for read in reads:
        by_root.setdefault(read.root, []).append(read)
    names = dict(zip(by_root, split_names(list(by_root)), strict=True))
    return [
        read_labelme(
            [(read.file, read.content) for read in held],
            root=root,
            images=ImageFinder([images] if images is not None else [], split=names[root]),
            prefix=f"{names[root]}/" if names[root] else "",
            line_width=line_width,
        )
        for root, held in by_root.items()
    ]


def _coco(kind: Kind, reads: Sequence[_Read], images: Path | None) -> list[AnnotationSource]:
    found = []
    for read, split in zip(reads, split_names([read.file for read in reads]), strict=True):
        parent = read.file.parent
        above = [parent.parent] if parent.resolve().name.lower() in _ANNOTATION_FOLDERS else []
        folders = [images] if images is not None else [parent, *above]
        near = [folder / split for folder in folders if split]
        finder = ImageFinder(folders, near=near, split=split)
        prefix = f"{split}/" if split else ""
        if kind is Kind.INSTANCES:
            found.append(read_instances(read.content, read.file, images=finder, prefix=prefix))
            continue
        own = [read.file.with_suffix(""), parent]
        segments = ImageFinder([parent, *above, *folders], near=own, split=read.file.stem)
        found.append(read_panoptic(read.content, read.file, images=finder, segments=segments, prefix=prefix))
    return found


def _refuse_doubles(sources: Sequence[AnnotationSource]) -> None:
    """Refuse images that are described twice, or would have one mask.

    Raises:
        DataError: There is one; names both annotation files.
    """
    seen: dict[str, Path] = {}
    files: dict[Path, Path] = {}
    for image in (image for source in sources for image in source.images):
        stem = image.name.rpartition(".")[0] or image.name
        real = image.file.resolve() if image.file is not None else None
        other = seen.get(stem) or (files.get(real) if real is not None else None)
        if other is not None:
            raise DataError(
                f"{image.name}: is described in {other} and in {image.source}, or two images have this name; name "
                "annotation files that describe each image once"
            )
        seen[stem] = image.source
        if real is not None:
            files[real] = image.source


def _joined(sources: Sequence[AnnotationSource]) -> AnnotationSource:
    noticed: Counter[str] = Counter()
    for source in sources:
        noticed += source.noticed
    return AnnotationSource(
        tuple(image for source in sources for image in source.images),
        tuple(dict.fromkeys(label for source in sources for label in source.labels)),
        noticed,
        tuple(dict.fromkeys(note for source in sources for note in source.notes)),
    )
