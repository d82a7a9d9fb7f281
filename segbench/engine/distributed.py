"""Process groups: the processes that share one run, each on its own device; a group may have one process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar
from warnings import catch_warnings, simplefilter

import torch
from torch import distributed, nn

from segbench.errors import SuiteError, TrainingError, UsageError
from segbench.results.record import Outcome

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""How long a process waits for the others; the first one also writes files and prepares the next run."""

ROLL_CALL = timedelta(minutes=10)
"""How long a process waits at the end of a run for the others to end it too."""


@dataclass(frozen=True)
class ProcessGroup:
    """A process's rank in the group of processes that share a run, with collective operations.

    Attributes:
        rank: Its number, from 0. Only the first process writes files and reports.
        size: Number of processes.
        ends: A separate group for exchanging outcomes at the end of a run.
    """

    rank: int = 0
    size: int = 1
    ends: Any = None

    @property
    def leads(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    def all_gather(self, part: T) -> list[T]:
        """Return all processes' parts in order of rank; collective call."""
        if self.size == 1:
            return [part]
        parts: list[Any] = [None] * self.size
        distributed.all_gather_object(parts, part)
        return parts

    def gather(self, part: T) -> list[T] | None:
        """Return all processes' parts in order of rank in the first process, None in the others; collective call."""
        if self.size == 1:
            return [part]
        parts: list[Any] | None = [None] * self.size if self.leads else None
        distributed.gather_object(part, parts)
        return parts

    def all_gather_ints(self, *numbers: int) -> list[list[int]]:
        """Return all processes' numbers, a row each; collective call with equal counts."""
        if self.size == 1:
            return [list(numbers)]
        own = torch.tensor(numbers)
        rows = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(rows, own)
        return [row.tolist() for row in rows]

    def broadcast(self, value: T) -> T:
        """Return the first process's value; collective call."""
        if self.size == 1:
            return value
        values: list[Any] = [value]
        distributed.broadcast_object_list(values, src=0)
        told: T = values[0]
        return told

    def gather_outcomes(self, outcome: Outcome) -> list[Outcome]:
        """Return the outcomes of all processes in order of rank, after all have ended the run.

        Raises:
            TrainingError: Some processes did not end: they wait for this one, or are gone.
        """
        if self.size == 1:
            return [outcome]
        outcomes: list[Any] = [None] * self.size
        try:
            distributed.all_gather_object(outcomes, outcome, group=self.ends)
        except (RuntimeError, ValueError) as error:
            mine = outcome.reason or f"the other processes are gone ({' '.join(str(error).split())[:200]})"
            raise TrainingError(f"process {self.rank} of {self.size} stopped alone: {mine}") from None
        return outcomes

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Wrap a network in DDP, which averages gradients over processes; unchanged for a single process."""
        if self.size == 1:
            return network
        devices = [device] if device.type == "cuda" else None
        # Some networks have weights without gradients; buffers are made equal before evaluation.
        options: dict[str, Any] = {"device_ids": devices, "find_unused_parameters": True, "broadcast_buffers": False}
        with catch_warnings():
            simplefilter("ignore", FutureWarning)  # broadcast_buffers has another name in some versions of torch
            return nn.parallel.DistributedDataParallel(network, **options)

    def broadcast_weights(self, network: nn.Module) -> None:
        """Copy the first process's weights and buffers of a network to all processes."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)


ALONE = ProcessGroup()


def with_sync_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a network with synchronized batch norm, whose statistics cover the images of all processes.

    Raises:
        SuiteError: The device is not CUDA; torch supports it only there.
    """
    if device.type != "cuda":
        raise SuiteError(f"torch can do so on CUDA only, not on {device.type}", key="train.sync_batch_norm")
    from timm.layers.norm_act import convert_sync_batchnorm  # torch's loses timm's activations

    converted: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted


def own_device(device: str) -> str:
    """Return this process's device if all were given the same name: each process gets its own GPU."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{torch.cuda.current_device()}"
    return device


@contextmanager
def torchrun_process_group(device: str) -> Iterator[ProcessGroup]:
    """Yield the group of all processes started by ``torchrun``.

    After an error the group is not shut down cleanly: other processes may wait for this one, and end with it.

    Args:
        device: The device name given to all: auto, cpu or cuda.

    Raises:
        UsageError: There are more processes than GPUs on this machine, or a single device is named for all.
    """
    if ":" in device:
        raise UsageError(f"--device {device}: torchrun's processes need a GPU each; leave the number out")
    on_cuda, local = device != "cpu" and torch.cuda.is_available(), int(os.environ["LOCAL_RANK"])
    if on_cuda and local >= torch.cuda.device_count():
        raise UsageError(f"torchrun: more processes than the {torch.cuda.device_count()} GPUs of this machine")
    if on_cuda:
        torch.cuda.set_device(local)
    distributed.init_process_group(None if on_cuda else "gloo", timeout=PATIENCE)
    ends = distributed.new_group(backend="gloo", timeout=ROLL_CALL)
    yield ProcessGroup(distributed.get_rank(), distributed.get_world_size(), ends)
    distributed.destroy_process_group()
