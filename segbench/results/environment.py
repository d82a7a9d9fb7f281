"""Captures the fingerprint of machine and software; it names no person, host or folder."""

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
    """Return the fingerprint of the machine and software of a run.

    Args:
        device: The device of the run, such as ``cpu`` or ``cuda:0``.
        extra: Further facts known to the caller, such as the CUDA version; they override those found here.
        threads: CPU threads that one operation may use.

    Returns:
        JSON values; ``None`` if absent or unknown. Sizes are in bytes.
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
    """Return the versions of the packages that results depend on; None if not installed."""
    return {name: package_version(name) for name in PACKAGES}


def precision_in_words(train: str | None, evaluate: str | None) -> str:
    """Return the precisions of training and evaluation, such as ``bf16`` or ``bf16, evaluated in fp32``.

    Args:
        train: Precision of training; None without training.
        evaluate: Precision of the evaluation; None means that of training, or fp32 without training.
    """
    if train is None:
        return evaluate or "fp32"
    return train if evaluate in (None, train) else f"{train}, evaluated in {evaluate}"


def processor_name() -> str:
    """Return the processor's model name, or its architecture if the name is unknown."""
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
    """Return name, driver and memory of the NVIDIA GPU that ``device`` refers to; None if there is none."""
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
    """Return the git commit of a working tree (default: the current folder), with ``-dirty`` if it has changes.

    ``$SEGBENCH_COMMIT`` takes precedence, since copies of a working tree on clusters and in containers have no history,
    or a different one.
    """
    return os.environ.get("SEGBENCH_COMMIT") or _output(
        "git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*", folder=folder
    )


def package_version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _accelerator_handle(nvml: Any, device: str | None) -> Any:
    """Return NVML's handle of a torch device; torch numbers only the visible GPUs."""
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
    """Return the output of a short command; None if it is missing, fails or takes too long."""
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
