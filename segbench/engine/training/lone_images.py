"""Detects networks that cannot be trained on a batch of one image (batch norm after global pooling)."""

from __future__ import annotations

import torch
from torch import nn

from segbench.config.sections.training import Train
from segbench.errors import ModelRefusal

REMEDY = (
    "raise train.batch_size, leave out the last batch of one image (train.drop_last: true), or take a network without "
    "batch norm after global pooling"
)

_TORCHS_WORDS = "Expected more than 1 value per channel"


def least_images(train: Train, images: int) -> int:
    """Return the number of images in the smallest forward pass of an epoch.

    Args:
        train: The recipe; splits by ``micro_batch: auto`` are not known in advance.
        images: Images of the training split; if they do not fill a batch, a full batch is assumed.
    """
    rest = images % train.batch_size
    keeps_rest = not train.drop_last or train.accumulate == "epoch"
    batches = ([train.batch_size] if images >= train.batch_size else []) + ([rest] if rest and keeps_rest else [])
    part = train.micro_batch if isinstance(train.micro_batch, int) else None
    return min(size // -(-size // (part or size)) for size in batches or [train.batch_size])


def check_lone_image(network: nn.Module, *, channels: int, size: tuple[int, int]) -> None:
    """Refuse a network whose batch norm cannot train on one image; other errors are ignored.

    Args:
        network: The network on the meta device.
        channels: Channels of the image.
        size: Its height and width in training.

    Raises:
        ModelRefusal: It cannot be trained on one image; says what to do.
    """
    network.train()
    try:
        network(torch.empty(1, channels, *size, device="meta"))
    except ValueError as error:
        if is_lone_image(error):
            text = "batch norm finds one value per channel in a batch of one image, which this recipe has"
            raise ModelRefusal(f"{text}: {REMEDY}") from None
        raise


def is_lone_image(error: BaseException) -> bool:
    """Return whether an error means that batch norm got a batch of one image."""
    return _TORCHS_WORDS in str(error)
