"""torchao: int8 by PyTorch's export quantisation, run by torch.compile."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.sections.deploy import Target
from segbench.deployment.export.quiet import quiet
from segbench.deployment.runtimes.job import Job, Made, Network
from segbench.deployment.runtimes.torch_runtimes import keep_compiled
from segbench.errors import ModelRefusal

FINAL = "network.pt2"
_X86 = ("x86_64", "amd64")


class OneByOne(nn.Module):
    """Runs a network of fixed input size image by image."""

    def __init__(self, network: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.networks = (network,)  # in a tuple, so that eval() does not reach it, which exported programs refuse
        self.size = size

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, H, W) float32 scores.

        Raises:
            ModelRefusal: The images have another size.
        """
        if tuple(images.shape[-2:]) != self.size:
            raise ModelRefusal(f"is fixed to images of {self.size[0]}x{self.size[1]}")
        (network,) = self.networks
        return torch.cat([network(image) for image in torch.split(images, 1)]).float()


class TorchAo:
    """Quantises by PT2E with the x86 quantiser of TorchInductor, for images of one size."""

    def refusal(self, target: Target, device: torch.device) -> str | None:
        """Return why a machine is not supported; see ``Runtime``."""
        del target
        if device.type != "cpu" or platform.machine().lower() not in _X86:
            return "torchao's quantisation by torch.compile is for x86 CPUs"
        return None

    def make(self, network: nn.Module, job: Job, calibration: list[Tensor]) -> Made:
        """Write ``network.pt2``; see ``Runtime``."""
        if len(job.sizes) > 1:
            raise ModelRefusal(
                f"takes images of one size, and these have {len(job.sizes)}: resize or crop them in transforms.test, "
                "or evaluate by a window"
            )
        with quiet(), torch.no_grad():
            self._quantise(network, torch.zeros(job.shapes()[0]), calibration, job.folder / FINAL)
        return Made()

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return the quantised network, compiled at its first call with its weights taken as constants."""
        del network
        import torch._inductor.config as compiler
        import torchao.quantization.pt2e  # noqa: F401 - registers the operations of the file

        keep_compiled(job)
        compiler.freezing = True
        quantised = torch.export.load(str(job.folder / FINAL)).module()
        return OneByOne(torch.compile(quantised), job.sizes[0])  # type: ignore[arg-type]

    def _quantise(self, network: nn.Module, example: Tensor, calibration: list[Tensor], file: Path) -> None:
        from torchao.quantization.pt2e import move_exported_model_to_eval
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

        quantiser: Any = x86.X86InductorQuantizer()
        quantiser.set_global(x86.get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(torch.export.export(network, (example,)).module(), quantiser)
        for image in calibration:
            prepared(image)
        quantised = convert_pt2e(prepared)
        move_exported_model_to_eval(quantised)
        torch.export.save(torch.export.export(quantised, (example,)), str(file))
