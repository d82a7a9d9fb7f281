"""PyTorch itself as a runtime, eager and compiled."""

from __future__ import annotations

import copy
import os

import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from segbench.config.sections.deploy import Target
from segbench.deployment.runtimes.job import Job, Made, Network
from segbench.engine.device import ComputeConfig

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WEIGHTS_FILE = "weights.safetensors"


class Cast(nn.Module):
    """A network whose weights are cast and laid out once: images are made like them, scores float32 again."""

    def __init__(self, network: nn.Module, kind: torch.dtype, compute: ComputeConfig) -> None:
        super().__init__()
        self.network, self.kind, self.compute = compute.place(network.to(kind)), kind, compute

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) float32 images to (N, classes, H, W) float32 scores."""
        scores: Tensor = self.network(self.compute.images(images.to(self.kind)))
        return scores.float()


class Eager:
    """PyTorch, operation by operation."""

    def refusal(self, target: Target, device: torch.device) -> str | None:
        """Return None: every device runs it."""

    def make(self, network: nn.Module, job: Job, calibration: list[Tensor]) -> Made:
        """Write the weights in their precision; see ``Runtime``."""
        del calibration
        cast = copy.deepcopy(network).to(_TYPES[job.target.precision])
        save_model(cast, str(job.folder / WEIGHTS_FILE))
        return Made()

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return the network on its device."""
        return Cast(network(), _TYPES[job.target.precision], job.compute).eval()


class Compiled(Eager):
    """PyTorch's compiler; what it compiled is kept among the job's files for the next process."""

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return the compiled network; it is compiled at its first call."""
        keep_compiled(job)
        compiled: nn.Module = torch.compile(super().load(network, job))  # type: ignore[assignment]
        return compiled


def keep_compiled(job: Job) -> None:
    """Have the compiler keep its work in the job's folder, and nowhere else."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(job.folder / "compiled")
