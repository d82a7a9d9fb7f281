"""Small streets with known classes: what the golden checkpoint was trained on, and is scored on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 24, 40
THEIR_CLASSES = ("sky", "road", "pavement", "car", "bus", "tree")
"""The classes of the golden checkpoint, in the order of its outputs."""

TO_OURS = np.array([0, 1, 1, 2, 2, 255], np.uint8)
"""Their classes in the masks: sky, road, vehicle; trees are void."""

_COLORS = np.array([(150, 180, 220), (110, 100, 100), (140, 135, 120), (150, 60, 60), (170, 100, 40), (60, 110, 60)])


def street(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image (H, W, 3) and the classes of its pixels (H, W); no generator is used, so the same everywhere."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    label = np.where(rows < 10 + number % 4, 0, np.where(columns < 8 + 3 * (number % 5), 2, 1)).astype(np.uint8)
    label[13 - number % 3 : 19, 4 + 5 * (number % 4) : 15 + 5 * (number % 4)] = 3 + number % 2
    label[5 : 14 + number % 2, 31 - number % 6 : 37 - number % 6] = 5
    texture = (rows * 37 + columns * 91 + number * 53 + rows * columns * 13) % 97 - 48
    image = _COLORS[label] + texture[..., None] + 6 * (number % 3)
    return image.clip(0, 255).astype(np.uint8), label


def draw(folder: Path, numbers: range, *, split: str) -> None:
    """Write streets into ``images/SPLIT`` and ``masks/SPLIT``, the masks in our classes."""
    for part in ("images", "masks"):
        (folder / part / split).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image, label = street(number)
        Image.fromarray(image).save(folder / "images" / split / f"{number:02}.png")
        Image.fromarray(TO_OURS[label]).save(folder / "masks" / split / f"{number:02}.png")
