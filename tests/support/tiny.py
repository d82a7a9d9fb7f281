"""A suite small enough to be run whole in seconds."""

from __future__ import annotations

from typing import Any

TINY: dict[str, Any] = {
    "name": "tiny",
    "dataset": {
        "name": "scenes",
        "size": [32, 32],
        "train_images": 12,
        "validation_images": 4,
        "test_images": 6,
        "validation_split": "val",
    },
    "transforms": {"train": ["horizontal_flip", "normalize"], "test": ["normalize"]},
    "defaults": {"width": 0.0625},
    "models": ["unet", "cnn"],
    "train": {"epochs": 2, "batch_size": 4, "optimizer": {"name": "adamw", "lr": 0.003}},
    "evaluate": {"batch_size": 4, "samples": 1},
    "seeds": [0],
}


def document(**changes: Any) -> dict[str, Any]:
    """Return the tiny suite with top-level keys replaced; mappings are merged, unless the new one is empty."""
    merged = dict(TINY)
    for key, value in changes.items():
        merged[key] = {**merged[key], **value} if value and isinstance(value, dict) and key in merged else value
    return merged
