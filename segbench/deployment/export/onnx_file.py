"""Exports networks to ONNX with open batch and image sizes, by PyTorch's two exporters."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segbench.deployment.export.quiet import quiet

OPSET = 18
INPUT, OUTPUT = "images", "scores"


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
