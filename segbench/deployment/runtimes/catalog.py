"""The runtimes by name."""

from __future__ import annotations

import torch

from segbench.deployment.runtimes.job import Runtime
from segbench.deployment.runtimes.onnx_runtime import OnnxRuntime
from segbench.deployment.runtimes.openvino_runtime import OpenVino
from segbench.deployment.runtimes.tensorrt_runtime import TensorRt
from segbench.deployment.runtimes.torch_runtimes import Compiled, Eager
from segbench.deployment.runtimes.torchao_runtime import TorchAo

RUNTIMES: dict[str, Runtime] = {
    "eager": Eager(),
    "compile": Compiled(),
    "onnxruntime": OnnxRuntime(),
    "openvino": OpenVino(),
    "tensorrt": TensorRt(),
    "torchao": TorchAo(),
}

_ONLY_ON = {"onnxruntime": ("cpu", "cuda"), "openvino": ("cpu",), "tensorrt": ("cuda",), "torchao": ("cpu",)}


def runs_on(runtime: str, device: torch.device) -> bool:
    """Return whether a runtime is made for a kind of device; nothing is imported, and packages may be missing."""
    return device.type in _ONLY_ON.get(runtime, (device.type,))
