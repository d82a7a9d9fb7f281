"""What docs/checkpoints.md speaks of, in the small: its files, streets to score on, a checkpoint in several forms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import streets
import torch
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "checkpoints.md"
CHECKPOINT = ROOT / "tests" / "golden" / "checkpoint" / "six.pth"
"""The weights of the page's network with the six outputs of ``streets.THEIR_CLASSES``; ``make.py`` beside it."""

OURS = (0, 1, 3)
"""The outputs for sky, road and car: a checkpoint of three classes."""

TEST_STREETS = range(12)


def files(page: Path) -> dict[str, str]:
    """Return the files that a page shows: blocks whose first line names one in a comment."""
    text = page.read_text(encoding="utf-8")
    return {
        name: f"# {name}\n{content}"
        for name, content in re.findall(r"^```\w+\n# (\S+\.(?:py|yaml))\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    }


def build(folder: Path) -> None:
    """Write the page's files, streets of the split ``test``, predictions of them, and the checkpoints."""
    for name, content in files(PAGE).items():
        (folder / name).write_text(content, encoding="utf-8")
    streets.draw(folder / "street", TEST_STREETS, split="test")
    (folder / "theirs").mkdir()
    for number in TEST_STREETS:
        Image.fromarray(np.roll(streets.street(number)[1] % 3, 1, axis=0)).save(folder / "theirs" / f"{number:02}.png")
    for name, content in checkpoints().items():
        torch.save(content, folder / name)


def checkpoints() -> dict[str, Any]:
    """Return the content of each file: the same weights, as tools and authors wrap them."""
    six: dict[str, Tensor] = torch.load(CHECKPOINT, weights_only=True)
    three = {key: tensor[list(OURS)] if key.startswith("decode_head") else tensor for key, tensor in six.items()}
    worse = {key: tensor.roll(1, 0) if tensor.ndim else tensor for key, tensor in three.items()}
    return {
        "theirs.pth": three,
        "nested.pth": {"nets": {"last": worse, "best": three}, "epoch": 9},
        "parallel.pth": {f"module.{key}": tensor for key, tensor in three.items()},
        "mmseg.pth": {
            "meta": {"epoch": 9, "dataset_meta": {"classes": ["sky", "road", "vehicle"]}},
            "state_dict": {**three, "auxiliary_head.conv_seg.weight": torch.ones(3, 8, 1, 1)},
            "message_hub": {"lr": 0.1},
        },
        "six.pth": six,
    }
