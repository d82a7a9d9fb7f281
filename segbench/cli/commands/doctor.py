"""The command that checks the machine and installed packages: doctor."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from segbench.cli.support.network_doctor import JsonCommand, JsonOrFile, NetworkOptions, Seconds, check_suite
from segbench.cli.support.options import Device, Models, Overrides
from segbench.cli.terminal.completion import complete_suite
from segbench.cli.terminal.output import write_facts, write_json
from segbench.data.paths import candidates
from segbench.errors import SegbenchError, UsageError
from segbench.registry import DATASETS
from segbench.results.environment import capture, package_version

COMMAND_CLASS = JsonCommand
"""The class that parses the arguments of the command."""

GIGABYTE = 10**9

OPTIONAL_PACKAGES = {
    "segmentation_models_pytorch": ("models smp:NAME", "pip install segmentation-models-pytorch"),
    "pynvml": ("driver, energy, clocks and throttling of NVIDIA accelerators", "pip install nvidia-ml-py"),
    "ray": ("run --launcher ray", "pip install ray"),
    "tensorboard": ("run --tensorboard", "pip install tensorboard"),
    "mlflow": ("run --mlflow", "pip install mlflow-skinny alembic sqlalchemy"),
}
"""By import name: the purpose of a package, and how to install it."""

FOLDERS = {
    "SEGBENCH_DATA": "the folder of all data sets; else the user's data folder",
    "SEGBENCH_WEIGHTS": "the folder of encoders' weights; else timm fetches them",
}
"""Environment variables for folders: their purpose, and the default."""

_PROBED = {"camvid": ("camvid", "train"), "voc2012": ("voc2012", "val"), "sbd": ("voc2012", "train_aug")}
"""Data sets to look for, each with a split that needs its files."""

_WIDTH = 96
"""Width to which long lines are wrapped."""


@dataclass(frozen=True)
class Presence:
    """Whether an item is available.

    Attributes:
        name: The item.
        there: Where it was found, or why not and how to get it.
        found: Whether it was found.
    """

    name: str
    there: str
    found: bool


def doctor(
    suite: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SUITE]",
            help="With --networks: a suite; the catalogue without.",
            autocompletion=complete_suite,
        ),
    ] = None,
    *,
    networks: Annotated[bool, typer.Option("--networks", help="Try networks on this machine instead.")] = False,
    models: Models = None,
    overrides: Overrides = None,
    device: Device = "auto",
    seconds: Seconds = None,
    json_to: JsonOrFile = None,
) -> None:
    """Show what this machine has and what it lacks.

    Versions, devices, memory, data sets, folders and optional packages; for what is missing, how to get it.

    With --networks, try every network of a suite, or of the catalogue, for some seconds: logits and gradients against
    the CPU's, two short trainings against each other, times and memory, and the speed of the suite's loader. On a
    processor with small images. A problem is named and makes the exit code 1.
    """
    options = NetworkOptions(
        suite=suite, models=models, overrides=overrides, device=device, seconds=seconds, json_to=json_to
    )
    if networks:
        check_suite(options)
        return
    if options.needs_networks:
        raise UsageError(f"{options.needs_networks} goes with --networks: segbench doctor --networks [SUITE]")
    _show_machine(as_json=json_to is not None)


def _show_machine(*, as_json: bool) -> None:
    machine = _machine()
    groups = {
        "data sets": [_data_set(name) for name in ("scenes", *_PROBED)],
        "folders": [_folder(name) for name in FOLDERS],
        "optional packages": [_package(name) for name in OPTIONAL_PACKAGES],
    }
    if as_json:
        keys = {"data sets": "datasets", "optional packages": "optional"}
        found = {keys.get(title, title): _as_mapping(group) for title, group in groups.items()}
        write_json({**machine, "ready": not _lacking(machine), **found})
        return
    write_facts(_flat(machine))
    for title, group in groups.items():
        typer.echo(f"\n{title}")
        for presence in group:
            typer.echo(_line(presence))
    typer.echo()
    typer.echo(_fill(_readiness(machine)))


def _lacking(machine: Mapping[str, Any]) -> str:
    """Return the requirements of a run that this machine lacks."""
    missing = [name for name, version in machine["versions"].items() if version is None]
    if missing:
        return f"missing: {', '.join(missing)}; get it with: pip install {' '.join(missing)}"
    problems = [device["problem"] for device in machine["devices"] if "problem" in device]
    return problems[0] if problems else ""


def _readiness(machine: Mapping[str, Any]) -> str:
    """Return whether a suite can be run here and, if not, what is missing; optional items are not included."""
    if lacking := _lacking(machine):
        return f"not ready, {lacking}"
    best = machine["devices"][-1]
    return f"ready, on {best.get('name', best['device'])}; try it with: segbench run quickstart"


def _machine() -> dict[str, Any]:
    known = capture()
    memory = psutil.virtual_memory()
    return {
        "versions": {**known["versions"], **_declared_versions()},
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
    """Return the devices that torch can use, with the useful precisions on each."""
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
    return shutil.disk_usage("/dev/shm").total if os.path.isdir("/dev/shm") else None  # noqa: S108, PTH112


def _declared_versions() -> dict[str, str | None]:
    """Return the version of each package that segbench depends on; None if not installed."""
    try:
        declared = requires("segbench") or []
    except PackageNotFoundError:  # run from its source without being installed
        return {}
    names = [re.split(r"[^\w.-]", line)[0] for line in declared if "extra ==" not in line]
    return {name: package_version(name) for name in names}


def _data_set(name: str) -> Presence:
    if name == "scenes":
        return Presence(name, "embedded, always there", found=True)

    dataset, split = _PROBED[name]
    try:
        DATASETS.create(dataset, split)
    except SegbenchError as error:
        return Presence(name, str(error).removeprefix(f"{dataset}: "), found=False)
    places = [str(place) for place in candidates(dataset, None) if place.is_dir()]
    return Presence(name, ", ".join(places[:1]), found=True)


def _folder(variable: str) -> Presence:
    given = os.environ.get(variable)
    if not given:
        return Presence(variable, f"not set; names {FOLDERS[variable]}", found=False)
    there = Path(given).expanduser().is_dir()
    return Presence(variable, given if there else f"{given}: there is no such folder", found=there)


def _line(presence: Presence) -> str:
    """Return a line, wrapped if it is long."""
    text = f"  {'found  ' if presence.found else 'missing'}  {presence.name}: {presence.there}"
    return _fill(text, indent=" " * 11)


def _fill(text: str, *, indent: str = "") -> str:
    width = min(_WIDTH, shutil.get_terminal_size((_WIDTH, 0)).columns)
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _package(name: str) -> Presence:
    purpose, remedy = OPTIONAL_PACKAGES[name]
    found = importlib.util.find_spec(name) is not None
    return Presence(name, f"for {purpose}" + ("" if found else f"; {remedy}"), found=found)


def _as_mapping(presences: list[Presence]) -> dict[str, Any]:
    return {presence.name: {"found": presence.found, "detail": presence.there} for presence in presences}


def _flat(machine: Mapping[str, Any]) -> dict[str, Any]:
    """Format facts: one version per line, sizes in GB."""
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
