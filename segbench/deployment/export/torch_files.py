"""Exports networks to PyTorch's own formats, TorchScript and pt2, which run without segbench."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segbench.deployment.export.quiet import quiet


def write_torchscript(network: nn.Module, example: Tensor, file: Path) -> None:
    """Trace a network; see ``write_onnx``."""
    with quiet(), torch.no_grad():
        traced: Any = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
        traced.save(str(file))


def load_torchscript(file: Path) -> nn.Module:
    """Return what ``write_torchscript`` wrote."""
    with quiet():
        loaded: nn.Module = torch.jit.load(str(file))  # type: ignore[no-untyped-call]
    return loaded


def write_pt2(network: nn.Module, example: Tensor, file: Path) -> None:
    """Export a network by ``torch.export``, with open sizes where it allows them; see ``write_onnx``.

    ``torch.export`` takes a batch of one image for a constant, so that the example is taken twice.
    """
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    with quiet(), torch.no_grad():
        program = torch.export.export(network, (torch.cat([example, example]),), dynamic_shapes=(sizes,))
        torch.export.save(program, str(file))


def load_pt2(file: Path) -> nn.Module:
    """Return what ``write_pt2`` wrote."""
    return torch.export.load(str(file)).module()
