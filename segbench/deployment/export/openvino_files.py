"""Converts ONNX files to OpenVINO's own format."""

from __future__ import annotations

from pathlib import Path


def write_openvino(onnx: Path, file: Path, *, half: bool = False) -> None:
    """Write a network as ``.xml`` with its weights as ``.bin`` beside it.

    Args:
        onnx: The network in ONNX.
        file: The ``.xml`` file.
        half: Whether weights are stored in fp16.
    """
    import openvino

    openvino.save_model(openvino.Core().read_model(onnx), file, compress_to_fp16=half)
