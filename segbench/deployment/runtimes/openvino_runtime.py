"""OpenVINO: fp32, bf16, fp16, and int8 by NNCF."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segbench.config.sections.deploy import Target
from segbench.deployment.export.export import onnx_that_agrees
from segbench.deployment.export.openvino_model import OpenVinoModel, write_openvino
from segbench.deployment.export.quiet import quiet
from segbench.deployment.runtimes.job import Job, Made, Network
from segbench.errors import ModelRefusal, typed_line

FINAL = "network.xml"
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


class OpenVino:
    """Converts the ONNX export; int8 is NNCF's post-training quantisation with its defaults."""

    def refusal(self, target: Target, device: torch.device) -> str | None:
        """Return that OpenVINO runs on CPUs, where the device is another; see ``Runtime``."""
        del target
        return None if device.type == "cpu" else f"OpenVINO is run on CPUs here, not on {device.type}"

    def make(self, network: nn.Module, job: Job, calibration: list[Tensor]) -> Made:
        """Write ``network.xml`` and ``network.bin``; see ``Runtime``."""
        onnx, final = job.folder / "network.onnx", job.folder / FINAL
        exported = onnx_that_agrees(network, onnx, job.shapes())
        if job.target.precision == "int8":
            self._quantise(job, calibration)
        else:
            write_openvino(onnx, final, half=job.target.precision != "fp32")
        for part in job.folder.glob("network.onnx*"):
            part.unlink()
        return Made(exported.exporter, exported.checking_seconds)

    def load(self, network: Network, job: Job) -> nn.Module:
        """Return the compiled model."""
        del network
        return OpenVinoModel(job.folder / FINAL, threads=job.threads, precision=_HINTS[job.target.precision])

    def _quantise(self, job: Job, calibration: list[Tensor]) -> None:
        import openvino

        model = openvino.Core().read_model(job.folder / "network.onnx")
        try:
            with quiet():
                import nncf

                images = nncf.Dataset([image.numpy() for image in calibration])
                quantised = nncf.quantize(model, images, subset_size=len(calibration))
        except Exception as error:  # nncf raises whatever it likes
            raise ModelRefusal(f"NNCF cannot quantise it: {typed_line(error, most=300)}") from error
        openvino.save_model(quantised, job.folder / FINAL, compress_to_fp16=False)
