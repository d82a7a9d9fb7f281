"""Networks that work in PyTorch and nowhere else; named in suites by import path."""

from __future__ import annotations

import os
import signal

import torch
from torch import nn


class Opaque(nn.Conv2d):
    """Takes a factor out of exporters' sight."""

    def forward(self, images):
        return super().forward(images) * float(str(images.std().item()))


class KilledByExport(nn.Conv2d):
    """Its process is killed where it is traced, as by a fault in an exporter."""

    def forward(self, images):
        if torch.jit.is_tracing():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(images)


def opaque(classes, channels=3):
    return Opaque(channels, classes, 1)


def killed_by_export(classes, channels=3):
    return KilledByExport(channels, classes, 1)
