"""Chooses the launcher of a suite's runs from the options of a command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from segbench.cli.support.options import LauncherName
from segbench.cli.terminal.output import counted, tell
from segbench.engine.concurrency import runs_at_once
from segbench.engine.estimate.estimate import SuiteEstimate
from segbench.engine.launchers.local import Launcher, Parallel
from segbench.engine.launchers.ray import RayLauncher
from segbench.engine.launchers.torchrun import join_runs, leading
from segbench.engine.stopping import Stop
from segbench.errors import UsageError
from segbench.results.store import Store

AUTO = "auto"
"""Value of ``--jobs``: as many runs at a time as cores and memory allow."""


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """Options for how to execute runs; None for an option that was not given.

    Attributes:
        launcher: Executes the runs.
        device: auto, cpu, cuda, cuda:N or mps.
        in_process: Whether they share this process.
        jobs: Number of runs at a time, or auto.
        address: Address of the Ray cluster.
        cpus_per_run: Cores per run on Ray.
        gpus_per_run: GPUs per run on Ray.
        shared_results: Whether all machines of the Ray cluster see the results.
    """

    launcher: LauncherName = LauncherName.LOCAL
    device: str = "auto"
    in_process: bool = False
    jobs: str | None = None
    address: str | None = None
    cpus_per_run: int | None = None
    gpus_per_run: float | None = None
    shared_results: bool = False

    def check(self) -> None:
        """Refuse contradictory options.

        Raises:
            UsageError: Names them.
        """
        on_ray = self.launcher is LauncherName.RAY
        several = (self.number_of_jobs or 1) > 1
        if started_by_torchrun() and (on_ray or several):
            raise UsageError("torchrun's processes do one run at a time, together; leave --jobs and --launcher out")
        if self.in_process and (on_ray or several):
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
    def number_of_jobs(self) -> int | None:
        """Number of runs at a time; None for auto.

        Raises:
            UsageError: ``--jobs`` is neither auto nor a positive whole number.
        """
        if self.jobs is None or self.jobs == AUTO:
            return None
        if not self.jobs.isdecimal() or int(self.jobs) < 1:
            raise UsageError(f"--jobs {self.jobs}: expected auto or a whole number, at least 1")
        return int(self.jobs)

    @property
    def here(self) -> bool:
        """Whether runs share this process."""
        return self.in_process or started_by_torchrun()

    @property
    def can_be_tried_here(self) -> bool:
        """Whether runs have their own processes on this machine, so that they can be estimated here."""
        return not self.here and self.launcher is LauncherName.LOCAL

    def jobs_for(self, pending: int, *, threads: int, estimate: SuiteEstimate | None = None) -> int:
        """Return the number of runs at a time: as given, else as cores and memory allow.

        Args:
            pending: Number of runs to execute.
            threads: Threads per operation in each.
            estimate: Their estimate, if known.

        Raises:
            UsageError: There is no such device.
        """
        if self.number_of_jobs is not None or not self.can_be_tried_here:
            return self.number_of_jobs or 1
        peak_bytes = estimate.peak_memory_bytes if estimate else 0
        found = runs_at_once(pending, device=self.device, threads=threads, peak_memory_bytes=peak_bytes)
        if found > 1:
            each = f"{counted(threads, 'thread')} each"
            tell(f"{found} runs at a time, {each}; --jobs 1 does one after the other, with the same results")
        return found

    @contextmanager
    def launcher_into(self, store: Store, *, stop: Stop, jobs: int = 1, threads: int = 1) -> Iterator[Launcher | None]:
        """Yield the launcher of runs into a store; None for one after another on the device.

        Under torchrun, only the first process continues; the others join its runs and then exit.

        Args:
            store: The store of the results.
            stop: When to stop.
            jobs: Number of runs at a time on this machine.
            threads: Threads per operation in each.
        """
        if started_by_torchrun():
            with _leading(self.device) as leader:
                yield leader
        elif self.launcher is LauncherName.RAY:
            cpus, gpus = self.cpus_per_run or threads, self.gpus_per_run or 0.0
            yield RayLauncher(store, self.address, cpus=cpus, gpus=gpus, shared=self.shared_results, stop=stop)
        elif jobs > 1:
            devices = [self.device] if self.number_of_jobs is None else devices_for(jobs, self.device)
            yield Parallel(jobs, devices=devices, threads=threads)
        else:
            yield None


@contextmanager
def _leading(device: str) -> Iterator[Launcher]:
    from segbench.engine.distributed import own_device, torchrun_process_group

    with torchrun_process_group(device) as group:
        own = own_device(device)
        if group.leads:
            with leading(group, own) as leader:
                yield leader
            return
        join_runs(group, device=own)
    raise typer.Exit


def started_by_torchrun() -> bool:
    """Return whether torchrun started several processes, of which this is one."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def devices_for(jobs: int, device: str) -> list[str]:
    """Return the devices for runs at a time: several CUDA devices if ``device`` allows them."""
    import torch

    count = torch.cuda.device_count() if device in ("auto", "cuda") and torch.cuda.is_available() else 0
    return [f"cuda:{number}" for number in range(min(jobs, count))] or [device]


def _given(options: Mapping[str, object]) -> str:
    """Return the given options as text."""
    return " ".join(f"{name} {value}".strip() for name, value in options.items() if value is not None)
