"""Reads class names from files that annotation tools write beside masks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segbench.data.base import Color

CLASS_FILES = (
    *("_classes.csv", "class_dict.csv", "classes.csv", "labelmap.txt", "label_colors.txt", "colormap.txt"),
    *("class_names.txt", "classes.txt", "labels.txt", "names.txt", "dataset.json"),
)
"""Names of class files (of Roboflow, CamVid, CVAT, labelme, nnU-Net and others); the first existing one is read."""

_MOST_NAMES = 255
_LONGEST_NAME = 80
_LARGEST_BYTES = 1_000_000
_IGNORED = ("__ignore__",)
"""Labelme's name for -1, which is no class."""


@dataclass(frozen=True)
class ClassFile:
    """The content of a file of class names; only one of the fields is filled.

    Attributes:
        path: The file.
        in_order: The names of the classes 0, 1, ...
        by_value: The name of each mask value.
        by_color: The name of each colour.
    """

    path: Path
    in_order: tuple[str, ...] = ()
    by_value: Mapping[int, str] = field(default_factory=dict)
    by_color: Mapping[Color, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the file's order."""
        return self.in_order or tuple(self.by_value.values()) or tuple(self.by_color.values())


def find_class_file(folders: Iterable[Path]) -> ClassFile | None:
    """Read the first file of class names that can be parsed; None if there is none."""
    for folder in folders:
        for name in CLASS_FILES:
            found = _read(folder / name)
            if found is not None and _plausible(found.names):
                return found
    return None


def _plausible(names: tuple[str, ...]) -> bool:
    short = all(0 < len(name) <= _LONGEST_NAME and name.isprintable() for name in names)
    return short and 0 < len(names) <= _MOST_NAMES and len(set(names)) == len(names)


def _read(path: Path) -> ClassFile | None:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
            return None
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    return _of_nnunet(path, text) if path.suffix == ".json" else _of_lines(path, text)


def _of_lines(path: Path, text: str) -> ClassFile:
    """Parse lines of a name, a value and a name, or a colour and a name in either order."""
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    colored = {color: name for line in kept if (color := _color(line)) and (name := _besides_color(line))}
    if colored:
        return ClassFile(path, by_color=colored)
    numbered = [match for line in kept if (match := re.fullmatch(r"(-?\d+)\s*[\s,;:=]\s*(\D.*)", line))]
    if numbered and len(numbered) >= len(kept) - 1:
        named = {int(match[1]): _clean(match[2]) for match in numbered}
        return ClassFile(path, by_value={value: name for value, name in named.items() if name not in _IGNORED})
    names = kept if path.suffix == ".txt" else []
    return ClassFile(path, in_order=tuple(_clean(name) for name in names if name not in _IGNORED))


_NUMBERS = re.compile(r"(?<![\w.])(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?![\w.])")


def _color(line: str) -> Color | None:
    match = _NUMBERS.search(line)
    color = (int(match[1]), int(match[2]), int(match[3])) if match else None
    return color if color and max(color) <= 255 else None


def _besides_color(line: str) -> str:
    """Return the name in a line without its colour and separators."""
    match = _NUMBERS.search(line)
    assert match is not None
    before, after = line[: match.start()], line[match.end() :]
    return _clean(before.strip(" \t,;:")) or _clean(after.strip(" \t,;:"))


def _clean(name: str) -> str:
    return name.strip().strip("\"'").strip()


def _of_nnunet(path: Path, text: str) -> ClassFile | None:
    """Read nnU-Net's ``labels``: names to values, or in older files values to names."""
    try:
        labels = json.loads(text).get("labels")
    except (ValueError, AttributeError):
        return None
    if not isinstance(labels, dict):
        return None
    named = {
        value: name
        for key, given in labels.items()
        for value, name in ((_whole(given), str(key)), (_whole(key), str(given)))
        if value is not None and not name.lstrip("-").isdigit() and name != "ignore"
    }
    return ClassFile(path, by_value=dict(sorted(named.items())))


def _whole(given: object) -> int | None:
    if isinstance(given, int):
        return given
    return int(given) if isinstance(given, str) and re.fullmatch(r"-?\d+", given) else None
