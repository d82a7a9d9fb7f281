"""Compute settings of a network: device, precision and memory layout."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segbench.config.suite import Precision
from segbench.errors import UsageError

_X86 = ("x86_64", "amd64")
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class ComputeConfig:
    """Device, precision and memory layout of forward passes.

    Attributes:
        device: The device.
        precision: fp32, tf32 (fp32 off CUDA), bf16 or fp16 (both through autocast).
        channels_last: Whether images and weights are laid out with channels last.
    """

    device: torch.device
    precision: Precision = "fp32"
    channels_last: bool = False

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of (N, C, H, W) tensors."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device and memory layout."""
        network.to(self.device)
        network.to(memory_format=self.memory_format)
        return network

    def images(self, images: Tensor) -> Tensor:
        """Move (N, C, H, W) images to the device and memory layout."""
        return images.to(self.device, non_blocking=True).contiguous(memory_format=self.memory_format)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the autocast context of forward passes."""
        if self.precision in _AUTOCAST:
            return torch.autocast(self.device.type, dtype=_AUTOCAST[self.precision])
        return nullcontext()

    @contextmanager
    def matrix_precision(self) -> Iterator[None]:
        """Allow TF32 within the context if the precision is tf32, else forbid it."""
        before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        tf32 = self.precision == "tf32"
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.backends.cudnn.allow_tf32 = before[1]

    def generators(self) -> tuple[Tensor, Tensor | None]:
        """Return the states of the random generators of the CPU and the CUDA device."""
        on_device = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return torch.get_rng_state(), on_device

    def set_generators(self, states: tuple[Tensor, Tensor | None]) -> None:
        """Restore the states that ``generators`` returned."""
        torch.set_rng_state(states[0])
        if states[1] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)

    def synchronize(self) -> None:
        """Wait until the device is idle."""
        synchronize(self.device)

    def reset_peak_memory(self) -> None:
        """Reset the peak, if the device records one."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_memory_bytes(self) -> int:
        """Return the peak of allocated memory in bytes; without CUDA, the peak resident set of this process."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return peak_resident_bytes()


def synchronize(device: torch.device) -> None:
    """Wait until a device is idle."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def peak_resident_bytes() -> int:
    """Return the peak resident set of this process since its start, in bytes."""
    import sys

    import psutil

    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def computes_bf16(device: torch.device) -> bool:
    """Return whether a device computes bf16 in hardware; others emulate it, more slowly than fp32."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and platform.machine().lower() in _X86:
        return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
    return True


@contextmanager
def deterministic(*, wanted: bool) -> Iterator[None]:
    """Use deterministic algorithms within the context; an operation without one raises an error.

    CUDA reads the setting on its first use in a process.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def choose_device(name: str) -> torch.device:
    """Return the device named auto, cpu, cuda, cuda:N or mps; a CUDA device always gets its number.

    No context is created on the device, since a process that only starts others must not use its memory.

    Raises:
        UsageError: The device does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name!r}: expected auto, cpu, cuda, cuda:N or mps") from None
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        there = ", ".join(kind for kind, present in available.items() if present)
        raise UsageError(f"--device {name}: this device does not exist here; available: {there}")
    if device.type != "cuda":
        return torch.device(device.type)
    if (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices here")
    return torch.device("cuda", _current_cuda_index() if device.index is None else device.index)


def use_device(name: str) -> torch.device:
    """Return what ``choose_device`` returns, and make it this process's current device.

    CUDA events, graphs and calls without a device use the current device.

    Raises:
        UsageError: The device does not exist here.
    """
    device = choose_device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _current_cuda_index() -> int:
    """Return the index of the current CUDA device without creating a CUDA context."""
    return torch.cuda.current_device() if torch.cuda.is_initialized() else 0  # type: ignore[no-untyped-call]
