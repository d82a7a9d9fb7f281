"""OpenVINO's own format: written from ONNX files, and run as a module."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from segbench.errors import ModelRefusal

_CAPABILITIES = {"f32": "FP32", "f16": "FP16", "bf16": "BF16"}


class OpenVinoModel(nn.Module):
    """Maps (N, C, H, W) float32 images to the scores of an OpenVINO or ONNX file, on the CPU.

    Without a hint, OpenVINO computes in the fastest precision that the CPU has; ``precision`` fixes it.

    Args:
        file: The ``.xml`` or ``.onnx`` file.
        threads: CPU threads.
        precision: f32, f16 or bf16.

    Raises:
        ModelRefusal: This CPU does not compute in this precision.
    """

    def __init__(self, file: Path, *, threads: int = 1, precision: str = "f32") -> None:
        import openvino

        super().__init__()
        core = openvino.Core()
        if (wanted := _CAPABILITIES[precision]) not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ModelRefusal(f"this CPU does not compute in {wanted.lower()}, as OpenVINO says")
        settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": precision}
        self.compiled = core.compile_model(str(file), "CPU", settings)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, h, w) scores."""
        (scores,) = self.compiled(images.contiguous().numpy()).values()
        return torch.from_numpy(scores.copy())


def write_openvino(onnx: Path, file: Path, *, half: bool = False) -> None:
    """Write a network as ``.xml`` with its weights as ``.bin`` beside it.

    Args:
        onnx: The network in ONNX.
        file: The ``.xml`` file.
        half: Whether weights are stored in fp16.
    """
    import openvino

    openvino.save_model(openvino.Core().read_model(onnx), file, compress_to_fp16=half)
