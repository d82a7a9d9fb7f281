"""The command that says what this machine has, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from segbench.cli.options import AsJson
from segbench.cli.output import write_facts, write_json
from segbench.errors import SegbenchError

GIGABYTE = 10**9

OPTIONAL_PACKAGES = {
    "segmentation_models_pytorch": ("models smp:NAME", "pip install 'segbench[smp]'"),
    "pynvml": ("name and driver of NVIDIA accelerators in results", "pip install nvidia-ml-py"),
}
"""By import name: what a package is for, and how to get it."""

_PROBED_SPLITS = {"camvid": "train", "voc2012": "val"}
"""Data sets that have to be fetched, with a split that each has."""


@dataclass(frozen=True)
class Presence:
    """Whether something is there.

    Attributes:
        name: What.
        there: Where it was found, or why it is not there and how to get it.
        found: Whether it was found.
    """

    name: str
    there: str
    found: bool


def doctor(*, as_json: AsJson = False) -> None:
    """Show versions, devices, memory and data sets: what is there, what is missing, and how to get it."""
    machine = _machine()
    data = [_data_set(name) for name in ("scenes", *_PROBED_SPLITS)]
    packages = [_package(name) for name in OPTIONAL_PACKAGES]
    if as_json:
        write_json({**machine, "datasets": _as_mapping(data), "optional": _as_mapping(packages)})
        return
    write_facts(_flat(machine))
    for title, presences in (("data sets", data), ("optional packages", packages)):
        typer.echo(f"\n{title}")
        for presence in presences:
            typer.echo(f"  {'found  ' if presence.found else 'missing'}  {presence.name}: {presence.there}")


def _machine() -> dict[str, Any]:
    import psutil

    from segbench.results.environment import capture

    known = capture()
    memory = psutil.virtual_memory()
    return {
        "versions": known["versions"],
        "python": known["python"],
        "platform": known["platform"],
        "processor": known["processor"],
        "cores": known["cores"],
        "memory_bytes": memory.total,
        "memory_available_bytes": memory.available,
        "shared_memory_bytes": _shared_memory_bytes(),
        "devices": _devices(),
    }


def _devices() -> list[dict[str, Any]]:
    """Return the devices that torch can use, with the precisions that make sense on each."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [{"device": "none", "problem": f"torch cannot be imported: {error}"}]
    devices: list[dict[str, Any]] = [{"device": "cpu", "threads": torch.get_num_threads()}]
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        devices.append({"device": f"cuda:{index}", "name": facts.name, "memory_bytes": facts.total_memory})
    if torch.backends.mps.is_available():
        devices.append({"device": "mps"})
    return devices


def _shared_memory_bytes() -> int | None:
    """Return the size of /dev/shm, through which loader workers send images; containers often have little."""
    import shutil

    return shutil.disk_usage("/dev/shm").total if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112


def _data_set(name: str) -> Presence:
    if name == "scenes":
        return Presence(name, "embedded, always there", found=True)
    from segbench.data.locate import candidates
    from segbench.registry import DATASETS

    try:
        DATASETS.create(name, _PROBED_SPLITS[name])
    except SegbenchError as error:
        return Presence(name, str(error).removeprefix(f"{name}: "), found=False)
    places = [str(place) for place in candidates(name, None) if place.is_dir()]
    return Presence(name, ", ".join(places[:1]), found=True)


def _package(name: str) -> Presence:
    purpose, remedy = OPTIONAL_PACKAGES[name]
    found = importlib.util.find_spec(name) is not None
    return Presence(name, f"for {purpose}" + ("" if found else f"; {remedy}"), found=found)


def _as_mapping(presences: list[Presence]) -> dict[str, Any]:
    return {presence.name: {"found": presence.found, "detail": presence.there} for presence in presences}


def _flat(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts for people: versions one a line, sizes in GB."""
    shown: dict[str, Any] = {name: version or "not installed" for name, version in machine["versions"].items()}
    for name, value in machine.items():
        if name.endswith("_bytes"):
            shown[name.removesuffix("_bytes").replace("_", " ")] = _gigabytes(value)
        elif name == "devices":
            shown |= {device["device"]: _device_text(device) for device in value}
        elif name != "versions":
            shown[name] = value
    return shown


def _device_text(device: Mapping[str, Any]) -> str:
    write: dict[str, Callable[[Any], str]] = {"memory_bytes": _gigabytes, "threads": lambda count: f"{count} threads"}
    parts = [write.get(key, str)(value) for key, value in device.items() if key != "device"]
    return ", ".join(parts) or "usable"


def _gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / GIGABYTE:.1f} GB"
