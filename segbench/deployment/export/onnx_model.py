"""ONNX files with open batch and image sizes: written by PyTorch's two exporters, and run as a module."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segbench.deployment.export.quiet import quiet
from segbench.errors import ModelRefusal

OPSET = 18
INPUT, OUTPUT = "images", "scores"
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"


class Exporter(StrEnum):
    """PyTorch's exporters, in the order in which they are tried."""

    TRACE = "trace"
    """Records one forward pass: takes a second, and what depends on values or sizes of the images is fixed."""
    DYNAMO = "dynamo"
    """Compiles the forward pass; takes half a minute."""


def write_onnx(network: nn.Module, example: Tensor, file: Path, *, exporter: Exporter) -> None:
    """Export a network; weights above 2 GB go into a second file beside it.

    Args:
        network: On the CPU, in evaluation mode.
        example: (N, C, H, W) images of a size that the network supports.
        file: The file to write.
        exporter: How.

    Raises:
        Exception: Whatever the exporter raises for networks that it cannot export.
    """
    with quiet():
        if exporter is Exporter.TRACE:
            _traced(network, example, file)
            return
        program: Any = torch.onnx.export(
            network, (example,), dynamo=True, verbose=False, dynamic_shapes=(_open_sizes(),)
        )
        program.save(str(file))


def _traced(network: nn.Module, example: Tensor, file: Path) -> None:
    torch.onnx.export(
        network,
        (example,),
        str(file),
        dynamo=False,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_axes={name: {0: "batch", 2: "height", 3: "width"} for name in (INPUT, OUTPUT)},
    )


def _open_sizes() -> dict[int, Any]:
    return dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)


class OnnxSession(nn.Module):
    """Maps (N, C, H, W) float32 images to the scores of an ONNX file, (N, classes, h, w) float32.

    Args:
        file: The ONNX file.
        threads: CPU threads of one operation.
        device: Where images come from, and scores go.

    Raises:
        ModelRefusal: onnxruntime has no provider for the device.
    """

    def __init__(self, file: Path, *, threads: int = 1, device: torch.device | None = None) -> None:
        import onnxruntime

        super().__init__()
        self.device = device or torch.device("cpu")
        provider = CUDA if self.device.type == "cuda" else CPU
        if provider not in onnxruntime.get_available_providers():
            raise ModelRefusal(f"onnxruntime has no {provider} here: install onnxruntime-gpu in place of onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        chosen: Any = (provider, {"device_id": self.device.index or 0}) if provider == CUDA else provider
        self.session = onnxruntime.InferenceSession(str(file), options, providers=[chosen])
        self.input, self.output = self.session.get_inputs()[0].name, self.session.get_outputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, h, w) scores."""
        if self.device.type == "cuda":
            return self._on_cuda(images)
        (scores,) = self.session.run([self.output], {self.input: images.contiguous().numpy()})
        return torch.from_numpy(scores)

    def _on_cuda(self, images: Tensor) -> Tensor:
        """Run without copying the images to the host; scores are copied from device to device."""
        images, index = images.contiguous().float(), self.device.index or 0
        binding = self.session.io_binding()
        binding.bind_input(self.input, "cuda", index, np.float32, tuple(images.shape), images.data_ptr())
        binding.bind_output(self.output, "cuda", index)
        torch.cuda.current_stream(self.device).synchronize()
        self.session.run_with_iobinding(binding)
        scores: Tensor = torch.utils.dlpack.from_dlpack(binding.get_outputs()[0]._ortvalue)
        return scores.clone()
