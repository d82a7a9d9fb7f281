"""The fingerprint of the machine and the software that a run was done with; it names no person, host or folder."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("segbench", "torch", "torchvision", "timm", "numpy", "pandas", "pillow")

_COMMAND_TIMEOUT_SECONDS = 2.0
_CPU_INFORMATION = Path("/proc/cpuinfo")


def capture(
    device: str | None = None, extra: Mapping[str, Any] | None = None, *, threads: int | None = None
) -> dict[str, Any]:
    """Describe where a run is done.

    Args:
        device: The device of the run, such as ``cpu`` or ``cuda:0``.
        extra: Further facts that only the caller knows, such as the CUDA version; they win over those found here.
        threads: Threads that one operation may use on the processor.

    Returns:
        JSON values; ``None`` for what is absent or cannot be found out. Sizes are in bytes.
    """
    return {
        "versions": package_versions(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": processor_name(),
        "cores": _usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "threads": threads,
        "device": device,
        "accelerator": None if device is not None and device.startswith("cpu") else accelerator(device),
        "commit": commit(),
        **(extra or {}),
    }


def package_versions() -> dict[str, str | None]:
    """Return the versions of what results are computed with; None for what is not installed."""
    return {name: _version(name) for name in PACKAGES}


def precision_in_words(train: str | None, evaluate: str | None) -> str:
    """Return the precisions of training and evaluation, such as ``bf16`` or ``bf16, evaluated in fp32``.

    Args:
        train: That of training; None without any.
        evaluate: That of the evaluation; None where it is that of training, or fp32 without any.
    """
    if train is None:
        return evaluate or "fp32"
    return train if evaluate in (None, train) else f"{train}, evaluated in {evaluate}"


def processor_name() -> str:
    """Return the processor's name as its maker gives it, or its architecture where that is not told."""
    with suppress(OSError):
        for line in _CPU_INFORMATION.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    if platform.system() == "Darwin":
        named = _output("sysctl", "-n", "machdep.cpu.brand_string")
        if named:
            return named
    return platform.processor() or platform.machine()


def accelerator(device: str | None = None) -> dict[str, Any] | None:
    """Return name, driver and memory of the NVIDIA accelerator that ``device`` means, or None without one."""
    try:
        nvml = import_module("pynvml")
        nvml.nvmlInit()
    except Exception:
        return None
    try:
        handle = _accelerator_handle(nvml, device)
        return {
            "name": _text(nvml.nvmlDeviceGetName(handle)),
            "driver": _text(nvml.nvmlSystemGetDriverVersion()),
            "memory_bytes": int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        }
    except Exception:
        return None
    finally:
        with suppress(Exception):
            nvml.nvmlShutdown()


def commit(folder: Path | None = None) -> str | None:
    """Return the git commit of a working tree (by default the current folder's), ``-dirty`` when it was changed.

    ``$SEGBENCH_COMMIT`` wins: copies of a working tree, as clusters and containers get, have no history or another one.
    """
    return os.environ.get("SEGBENCH_COMMIT") or _output(
        "git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", folder=folder
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _accelerator_handle(nvml: Any, device: str | None) -> Any:
    """Return NVML's handle of a torch device, whose numbers count only the visible accelerators."""
    _, _, number = (device or "").partition(":")
    index = int(number or 0)
    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    if not visible:
        return nvml.nvmlDeviceGetHandleByIndex(index)
    chosen = visible[index]
    if chosen.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(chosen))
    return nvml.nvmlDeviceGetHandleByUUID(chosen)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _output(*command: str, folder: Path | None = None) -> str | None:
    """Return what a short command prints, or None when it is missing, fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands, no shell
            command,
            cwd=folder,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
