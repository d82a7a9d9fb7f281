"""Who does a suite's runs, and where: the options that say it, and the launcher that they come to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from segbench.errors import UsageError

if TYPE_CHECKING:
    from segbench.engine.launchers import Launcher
    from segbench.engine.stopping import Stop
    from segbench.results.store import Store


class LauncherName(StrEnum):
    """Who does the runs."""

    LOCAL = "local"
    RAY = "ray"


InProcess = Annotated[
    bool, typer.Option("--in-process", help="Do all runs in this process, for debugging, and measure no speed.")
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="Runs at a time, else 1: a GPU each, or a part of the cores."),
]
LauncherOption = Annotated[
    LauncherName, typer.Option("--launcher", metavar="NAME", help="local, or ray: a Ray cluster.")
]
Address = Annotated[
    str | None, typer.Option("--address", metavar="HOST:PORT", help="Of the Ray cluster; one is started without.")
]
CpusPerRun = Annotated[
    int | None, typer.Option("--cpus-per-run", metavar="N", min=1, help="Cores that a run on Ray is given, else 1.")
]
GpusPerRun = Annotated[
    float | None, typer.Option("--gpus-per-run", metavar="X", min=0, help="GPUs that a run on Ray is given, else 0.")
]

SharedResults = Annotated[
    bool,
    typer.Option(
        "--shared-results", help="All machines of the Ray cluster see the results folder: runs go on from there."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Launching:
    """How runs are to be done, as options say it; None stands for an option that was not given.

    Attributes:
        launcher: Who does them.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether they share this process.
        jobs: How many at a time.
        address: The Ray cluster's.
        cpus_per_run: Cores that a run on Ray is given.
        gpus_per_run: GPUs that a run on Ray is given.
        shared_results: Whether all machines of the Ray cluster see the results.
    """

    launcher: LauncherName = LauncherName.LOCAL
    device: str = "auto"
    in_process: bool = False
    jobs: int | None = None
    address: str | None = None
    cpus_per_run: int | None = None
    gpus_per_run: float | None = None
    shared_results: bool = False

    def check(self) -> None:
        """Refuse options that do not go together.

        Raises:
            UsageError: Names them.
        """
        on_ray = self.launcher is LauncherName.RAY
        if started_by_torchrun() and (on_ray or (self.jobs or 1) > 1):
            raise UsageError("torchrun's processes do one run at a time, together; leave --jobs and --launcher out")
        if self.in_process and (on_ray or (self.jobs or 1) > 1):
            raise UsageError("--in-process does one run at a time, here; leave --jobs and --launcher out")
        of_ray = {
            "--address": self.address,
            "--cpus-per-run": self.cpus_per_run,
            "--gpus-per-run": self.gpus_per_run,
            "--shared-results": "" if self.shared_results else None,
        }
        if not on_ray and (given := _given(of_ray)):
            raise UsageError(f"{given}: of a Ray cluster; add --launcher ray, or leave it out")
        of_this_machine = {"--jobs": self.jobs, "--device": None if self.device == "auto" else self.device}
        if on_ray and (given := _given(of_this_machine)):
            raise UsageError(
                f"{given}: not with --launcher ray, which does as many runs at a time as the cluster has room for, "
                "each on what --cpus-per-run and --gpus-per-run say"
            )

    @property
    def here(self) -> bool:
        """Whether runs are done in this process."""
        return self.in_process or started_by_torchrun()

    @property
    def can_be_tried_here(self) -> bool:
        """Whether runs are done on this machine in processes of their own, so that a trial tells what they take."""
        return not self.here and self.launcher is LauncherName.LOCAL

    @contextmanager
    def launcher_into(self, store: Store, *, stop: Stop) -> Iterator[Launcher | None]:
        """Give who does the runs and puts them into a store; None for one after the other on the device.

        Of torchrun's processes the first goes on; the others take part in its runs, and leave the command after them.
        """
        from segbench.engine.launchers import SeveralAtOnce
        from segbench.engine.ray_launcher import RayLauncher

        if started_by_torchrun():
            with _leading(self.device) as leader:
                yield leader
        elif self.launcher is LauncherName.RAY:
            cpus, gpus = self.cpus_per_run or 1, self.gpus_per_run or 0.0
            yield RayLauncher(store, self.address, cpus=cpus, gpus=gpus, shared=self.shared_results, stop=stop)
        elif self.jobs is not None and self.jobs > 1:
            yield SeveralAtOnce(self.jobs, devices=devices_for(self.jobs, self.device))
        else:
            yield None


@contextmanager
def _leading(device: str) -> Iterator[Launcher]:
    from segbench.engine.team import own_device, torchrun_team
    from segbench.engine.together import follow, leading

    with torchrun_team(device) as team:
        own = own_device(device)
        if team.leads:
            with leading(team, own) as leader:
                yield leader
            return
        follow(team, device=own)
    raise typer.Exit


def started_by_torchrun() -> bool:
    """Return whether this is one of several processes that are to work together."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def devices_for(jobs: int, device: str) -> list[str]:
    """Return what several runs at a time are done on: every CUDA device, where that is what was asked for."""
    import torch

    count = torch.cuda.device_count() if device in ("auto", "cuda") and torch.cuda.is_available() else 0
    return [f"cuda:{number}" for number in range(min(jobs, count))] or [device]


def _given(options: Mapping[str, object]) -> str:
    """Return the options that were given, as they were given."""
    return " ".join(f"{name} {value}".strip() for name, value in options.items() if value is not None)
