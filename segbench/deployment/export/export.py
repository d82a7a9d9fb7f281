"""Exports a network to one format and checks its outputs; what differs is not kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch
from torch import Tensor, nn

from segbench.deployment.export.difference import Difference, Shape, difference_of, refuse_large
from segbench.deployment.export.onnx_model import Exporter, OnnxSession, write_onnx
from segbench.deployment.export.openvino_model import OpenVinoModel, write_openvino
from segbench.deployment.export.torch_files import load_pt2, load_torchscript, write_pt2, write_torchscript
from segbench.errors import ModelRefusal, SegbenchError, one_line, typed_line
from segbench.models.base import constraint_of
from segbench.results.files import storing

OTHER_SIZE_STEP = 32
"""How much larger the images are with which other sizes are tried."""


class Format(StrEnum):
    """Formats of exported networks."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCHSCRIPT = "torchscript"
    PT2 = "pt2"

    @property
    def suffix(self) -> str:
        """The suffix of the file."""
        return {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".ts", "pt2": ".pt2"}[self]


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Attributes:
        files: Its files; the first one is loaded.
        difference: How far its scores are from those of PyTorch.
        open_sizes: Whether it takes other image sizes and batches than the example's.
        seconds: How long the export took, without the check.
        exporter: How the ONNX file was made; None for formats that do not go through ONNX.
    """

    files: tuple[Path, ...]
    difference: Difference
    open_sizes: bool
    seconds: float
    exporter: Exporter | None = None

    @property
    def file_bytes(self) -> int:
        """The size of its files."""
        return sum(file.stat().st_size for file in self.files)


def export_network(network: nn.Module, to: Format, file: Path, *, channels: int, size: tuple[int, int]) -> Exported:
    """Export a network for float32 images of open size, and compare its scores with PyTorch's.

    Args:
        network: On the CPU, with its weights.
        to: The format.
        file: The file to write; nothing is written where the export is refused.
        channels: Channels of the images.
        size: Height and width of the images for the comparison.

    Raises:
        ModelRefusal: The network cannot be exported, or its scores are not those of PyTorch.
        StoreError: The file cannot be written.
    """
    with storing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}.") as folder:
            made = _first_that_agrees(network.eval(), to, Path(folder) / file.name, (1, channels, *size))
            files = tuple(one.replace(file.parent / one.name) for one in made.files)
    return Exported(files, made.difference, made.open_sizes, made.seconds, made.exporter)


@dataclass(frozen=True)
class OnnxExport:
    """An ONNX file whose scores are those of PyTorch.

    Attributes:
        exporter: How it was made.
        difference: How far its scores are from those of PyTorch.
        checking_seconds: How long scores were compared, and exporters tried whose scores differed.
    """

    exporter: Exporter
    difference: Difference
    checking_seconds: float


def onnx_that_agrees(network: nn.Module, file: Path, shapes: Sequence[Shape]) -> OnnxExport:
    """Export a network to ONNX by the first exporter whose scores are those of PyTorch, for every shape.

    Raises:
        ModelRefusal: None is; tells why.
    """
    reasons, begun = [], time.perf_counter()
    for exporter in Exporter:
        started = time.perf_counter()
        try:
            write_onnx(network, _example(shapes[0]), file, exporter=exporter)
            writing = time.perf_counter() - started
            found = difference_of(network, OnnxSession(file), shapes)
            refuse_large(found)
        except Exception as error:  # exporters raise whatever they like
            reasons.append(f"{exporter}: {_line(error)}")
            continue
        return OnnxExport(exporter, found, time.perf_counter() - begun - writing)
    raise ModelRefusal(f"cannot be exported to ONNX ({'; '.join(reasons)})")


def _example(shape: Shape) -> Tensor:
    """Return the images to export with: always the same, and not the check's, which finds what stayed of them."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def _first_that_agrees(network: nn.Module, to: Format, file: Path, shape: Shape) -> Exported:
    started, checking = time.perf_counter(), 0.0
    exporter: Exporter | None = None
    forward: Callable[[Tensor], Tensor]
    try:
        if to in (Format.ONNX, Format.OPENVINO):
            onnx = file if to is Format.ONNX else file.with_suffix(".onnx")
            exported = onnx_that_agrees(network, onnx, [shape])
            exporter, checking = exported.exporter, exported.checking_seconds
            forward = OnnxSession(onnx) if to is Format.ONNX else _openvino_forward(onnx, file)
        else:
            write, load = _TORCH[to]
            write(network, _example(shape), file)
            forward = load(file)
        seconds = time.perf_counter() - started - checking
        found = difference_of(network, forward, [shape])
    except SegbenchError:
        raise
    except Exception as error:  # exporters raise whatever they like
        raise ModelRefusal(f"cannot be exported to {to}: {_line(error)}") from error
    refuse_large(found)
    files = sorted(file.parent.iterdir(), key=lambda one: one != file)
    return Exported(tuple(files), found, _takes_other_sizes(network, forward, shape), seconds, exporter)


_TORCH = {Format.TORCHSCRIPT: (write_torchscript, load_torchscript), Format.PT2: (write_pt2, load_pt2)}


def _openvino_forward(onnx: Path, file: Path) -> Callable[[Tensor], Tensor]:
    """Convert an ONNX file, which is removed, and load what comes of it."""
    write_openvino(onnx, file)
    for part in onnx.parent.glob(f"{onnx.name}*"):
        part.unlink()
    return OpenVinoModel(file)


def _takes_other_sizes(network: nn.Module, forward: Callable[[Tensor], Tensor], shape: Shape) -> bool:
    """Return whether scores are those of PyTorch for two larger images, too."""
    _, channels, height, width = shape
    taller, wider = (constraint_of(network).next(side + OTHER_SIZE_STEP) for side in (height, width))
    try:
        refuse_large(difference_of(network, forward, [(2, channels, taller, wider)]))
    except Exception:  # runtimes raise whatever they like
        return False
    return True


def _line(error: BaseException) -> str:
    """Return an error in one line."""
    return one_line(error, most=300) if isinstance(error, SegbenchError) else typed_line(error, most=300)
