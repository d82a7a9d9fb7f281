"""onnxruntime: fp32, fp16, and int8 by its static quantisation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segbench.config.sections.deploy import Target
from segbench.deployment.export.export import onnx_that_agrees
from segbench.deployment.export.onnx_model import CUDA, OnnxSession
from segbench.deployment.export.quiet import quiet
from segbench.deployment.runtimes.job import Job, Made, Network

FULL, FINAL = "fp32.onnx", "network.onnx"


class OnnxRuntime:
    """Exports by ONNX; int8 is QDQ, with one scale for each output channel of weights."""

    def refusal(self, target: Target, device: torch.device) -> str | None:
        """Return why a device is not supported; see ``Runtime``."""
        del target
        if device.type == "cpu":
            return None
        if device.type != "cuda":
            return f"onnxruntime is not run on {device.type} here, only on cpu and cuda"
        import onnxruntime

        there = CUDA in onnxruntime.get_available_providers()
        return None if there else "this onnxruntime has no CUDA: install onnxruntime-gpu in place of onnxruntime"

    def make(self, network: nn.Module, job: Job, calibration: list[Tensor]) -> Made:
        """Write ``network.onnx``; see ``Runtime``."""
        return write_typed(network, job, calibration, symmetric=False)

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return a session."""
        del network
        return OnnxSession(job.folder / FINAL, threads=job.threads, device=job.place)


def write_typed(network: nn.Module, job: Job, calibration: list[Tensor], *, symmetric: bool) -> Made:
    """Write an ONNX file in the target's precision; images and scores stay float32.

    Args:
        network: See ``Runtime``.
        job: What is asked for.
        calibration: See ``Runtime``.
        symmetric: Whether int8 of activations has no zero point, as TensorRT wants it.

    Raises:
        ModelRefusal: The network cannot be exported.
    """
    final, full = job.folder / FINAL, job.folder / FULL
    wanted = final if job.target.precision == "fp32" else full
    exported = onnx_that_agrees(network, wanted, job.shapes())
    if job.target.precision == "fp16":
        _halve(full, final)
    elif job.target.precision == "int8":
        _quantise(full, final, calibration, symmetric=symmetric)
    if wanted is full:
        for part in job.folder.glob(f"{FULL}*"):
            part.unlink()
    return Made(exported.exporter, exported.checking_seconds)


def _halve(full: Path, final: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(full)), keep_io_types=True), str(final))


def _quantise(full: Path, final: Path, calibration: list[Tensor], *, symmetric: bool) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]
        """Hands the calibration images out, one by one."""

        def __init__(self, name: str) -> None:
            self.images: Iterator[dict[str, Any]] = ({name: image.numpy()} for image in calibration)

        def get_next(self) -> dict[str, Any] | None:
            """Return the next image."""
            return next(self.images, None)

    prepared = full.with_name("prepared.onnx")
    with quiet():
        quant_pre_process(str(full), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(final),
            Images(OnnxSession(full).input),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            extra_options={"ActivationSymmetric": symmetric},
        )
    prepared.unlink()
