"""What a runtime is asked for, and what it has made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from segbench.config.sections.deploy import Target
from segbench.deployment.export.difference import Shape
from segbench.engine.device import ComputeConfig

Network = Callable[[], nn.Module]
"""Returns the network in PyTorch, float32, on the CPU; it may be changed, and is asked for once."""


@dataclass(frozen=True)
class Job:
    """One network for one target.

    Attributes:
        target: Runtime and precision.
        folder: Where the runtime puts its files.
        channels: Channels of the images.
        sizes: Heights and widths of the images that the network is given, the most frequent first.
        threads: CPU threads of one operation.
        device: cpu, cuda:N or mps.
        channels_last: Whether PyTorch lays images and weights out with channels last, as the suite says.
    """

    target: Target
    folder: Path
    channels: int
    sizes: tuple[tuple[int, int], ...]
    threads: int
    device: str
    channels_last: bool = False

    @property
    def compute(self) -> ComputeConfig:
        """The device, and how images are laid out."""
        return ComputeConfig(self.place, channels_last=self.channels_last)

    @property
    def place(self) -> torch.device:
        """The device."""
        return torch.device(self.device)

    def shapes(self, most: int = 3) -> list[Shape]:
        """Return shapes of one image of each size, at most so many."""
        return [(1, self.channels, height, width) for height, width in self.sizes[:most]]


@dataclass(frozen=True)
class Made:
    """What a runtime has made of a network.

    Attributes:
        exporter: How the ONNX file was made; None without one.
        checking_seconds: How long its scores were compared with PyTorch's, and exporters tried whose scores differed.
    """

    exporter: str | None = None
    checking_seconds: float = 0.0


class Runtime(Protocol):
    """Makes and runs networks of one kind; raises ``ModelRefusal`` for what it cannot do."""

    def refusal(self, target: Target, device: torch.device) -> str | None:
        """Return why this machine cannot run a target; None where it can."""

    def make(self, network: nn.Module, job: Job, calibration: list[Tensor]) -> Made:
        """Write the files of a network, which is on the CPU, into the job's folder.

        Args:
            network: In PyTorch, float32, in evaluation mode.
            job: What is asked for.
            calibration: (1, C, H, W) images to calibrate int8 on; empty for other precisions.
        """

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return a module that maps (N, C, H, W) images on the device to float32 scores on it.

        Args:
            network: Returns the network; runtimes that have files of their own do not call it.
            job: What was made.
        """
