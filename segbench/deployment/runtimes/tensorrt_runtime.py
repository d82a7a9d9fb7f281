"""TensorRT: fp32, fp16 and int8 on NVIDIA GPUs, from typed ONNX files."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.sections.deploy import Target
from segbench.deployment.runtimes.job import Job, Made, Network
from segbench.deployment.runtimes.onnx_runtime import FINAL, write_typed
from segbench.errors import ModelRefusal

ENGINE = "network.engine"
LARGEST_BATCH = 64


class TensorRt:
    """Builds a strongly typed engine: the ONNX file says what is fp16, and its QDQ pairs what is int8."""

    def refusal(self, target: Target, device: torch.device) -> str | None:
        """Return what is missing; see ``Runtime``."""
        del target
        if device.type != "cuda":
            return f"TensorRT needs a CUDA device, this is {device.type}"
        return None if find_spec("tensorrt") else "TensorRT is not installed: pip install tensorrt"

    def make(self, network: nn.Module, job: Job, calibration: list[Tensor]) -> Made:
        """Write ``network.engine``; see ``Runtime``."""
        import tensorrt as trt

        made = write_typed(network, job, calibration, symmetric=True)
        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        definition = builder.create_network(flags)
        parser = trt.OnnxParser(definition, logger)
        if not parser.parse_from_file(str(job.folder / FINAL)):
            raise ModelRefusal(f"TensorRT cannot read its ONNX file: {parser.get_error(0)}")
        config = builder.create_builder_config()
        config.add_optimization_profile(self._profile(builder, definition.get_input(0).name, job))
        engine = builder.build_serialized_network(definition, config)
        if engine is None:
            raise ModelRefusal("TensorRT built no engine of its ONNX file")
        (job.folder / ENGINE).write_bytes(engine)
        for part in job.folder.glob(f"{FINAL}*"):
            part.unlink()
        return made

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return the engine as a module."""
        del network
        return TensorRtEngine(job)

    def _profile(self, builder: Any, name: str, job: Job) -> Any:
        """Return from which to which batch and size images may be; the engine is best for one of the usual size."""
        heights, widths = zip(*job.sizes, strict=True)
        profile = builder.create_optimization_profile()
        profile.set_shape(
            name,
            (1, job.channels, min(heights), min(widths)),
            (1, job.channels, *job.sizes[0]),
            (LARGEST_BATCH, job.channels, max(heights), max(widths)),
        )
        return profile


class TensorRtEngine(nn.Module):
    """Maps (N, C, H, W) images on a GPU to the scores of an engine."""

    def __init__(self, job: Job) -> None:
        import tensorrt as trt

        super().__init__()
        self.device = job.place
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self.engine = runtime.deserialize_cuda_engine((job.folder / ENGINE).read_bytes())
        self.context = self.engine.create_execution_context()
        self.input, self.output = (self.engine.get_tensor_name(place) for place in range(2))

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) images to (N, classes, h, w) scores."""
        images = images.contiguous().float()
        self.context.set_input_shape(self.input, tuple(images.shape))
        scores = torch.empty(tuple(self.context.get_tensor_shape(self.output)), device=self.device)
        self.context.set_tensor_address(self.input, images.data_ptr())
        self.context.set_tensor_address(self.output, scores.data_ptr())
        if not self.context.execute_async_v3(torch.cuda.current_stream(self.device).cuda_stream):
            raise ModelRefusal("TensorRT could not run the engine")
        return scores
