"""The runtimes by name."""

from __future__ import annotations

from importlib import import_module

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

FOLLOWS_LAYOUT = ("eager", "compile")
"""The runtimes that lay images and weights out as ``train.channels_last`` says; the others choose a layout themselves,
and are given contiguous images."""

_ONLY_ON = {"onnxruntime": ("cpu", "cuda"), "openvino": ("cpu",), "tensorrt": ("cuda",), "torchao": ("cpu",)}

_COMPILER = "torch._inductor.compile_fx"
_IMPORTED = {
    "eager": ("timm",),
    "compile": ("timm", _COMPILER),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt",),
    "torchao": ("torchao.quantization.pt2e", _COMPILER),
}
_IN_TORCHS_MEMORY = ("eager", "compile", "torchao")


def import_code(runtime: str) -> None:
    """Import what a runtime runs networks with, so that memory measured from then on is that of the network."""
    for name in ("segbench.models.build", *_IMPORTED[runtime]):
        import_module(name)


def knows_memory(runtime: str, device: torch.device) -> bool:
    """Return whether the memory of a network is seen: on CUDA, only what PyTorch itself allocates is."""
    return device.type != "cuda" or runtime in _IN_TORCHS_MEMORY


def runs_on(runtime: str, device: torch.device) -> bool:
    """Return whether a runtime is made for a kind of device; nothing is imported, and packages may be missing."""
    return device.type in _ONLY_ON.get(runtime, (device.type,))
