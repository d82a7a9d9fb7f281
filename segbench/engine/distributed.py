"""The processes that do one run together, each on a device of its own; a run in one process is a team of one."""

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
"""How long a process waits for the others: the first one also writes, draws and looks for what is done."""

ROLL_CALL = timedelta(minutes=10)
"""How long a process that has ended its part of a run waits for the others to end theirs."""


@dataclass(frozen=True)
class ProcessGroup:
    """A process's place among those that do a run together.

    Attributes:
        rank: Its number, from 0; the first leads: it alone writes and tells.
        size: How many there are.
        ends: The group in which they tell each other how their parts ended, apart from what is exchanged within.
    """

    rank: int = 0
    size: int = 1
    ends: Any = None

    @property
    def leads(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    def all_gather(self, part: T) -> list[T]:
        """Return every process's part, in order of rank; all have to ask."""
        if self.size == 1:
            return [part]
        parts: list[Any] = [None] * self.size
        distributed.all_gather_object(parts, part)
        return parts

    def gather(self, part: T) -> list[T] | None:
        """Return every process's part, in order of rank, in the first process, None in the others; all have to ask."""
        if self.size == 1:
            return [part]
        parts: list[Any] | None = [None] * self.size if self.leads else None
        distributed.gather_object(part, parts)
        return parts

    def all_gather_ints(self, *numbers: int) -> list[list[int]]:
        """Return every process's numbers, a row each; all have to ask, for as many."""
        if self.size == 1:
            return [list(numbers)]
        own = torch.tensor(numbers)
        rows = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(rows, own)
        return [row.tolist() for row in rows]

    def broadcast(self, value: T) -> T:
        """Return the first process's value; all have to ask."""
        if self.size == 1:
            return value
        values: list[Any] = [value]
        distributed.broadcast_object_list(values, src=0)
        told: T = values[0]
        return told

    def gather_outcomes(self, outcome: Outcome) -> list[Outcome]:
        """Return how each process's part of a run ended, in order of rank, once all have ended theirs.

        Raises:
            TrainingError: Not all did: some wait for what this one will not send any more, or are gone.
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
        """Return a network whose gradients are the mean over all processes; a team of one gets its own."""
        if self.size == 1:
            return network
        devices = [device] if device.type == "cuda" else None
        # Some networks have weights that no loss reaches; buffers are made equal before they are looked at.
        options: dict[str, Any] = {"device_ids": devices, "find_unused_parameters": True, "broadcast_buffers": False}
        with catch_warnings():
            simplefilter("ignore", FutureWarning)  # broadcast_buffers has another name in some versions of torch
            return nn.parallel.DistributedDataParallel(network, **options)

    def broadcast_weights(self, network: nn.Module) -> None:
        """Give every process the first one's weights and statistics of a network."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)


ALONE = ProcessGroup()


def with_sync_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a network whose batch norm takes its statistics over the images of all processes.

    Raises:
        SuiteError: The device is not CUDA, the only one for which torch can do it.
    """
    if device.type != "cuda":
        raise SuiteError(f"torch can do so on CUDA only, not on {device.type}", key="train.sync_batch_norm")
    from timm.layers.norm_act import convert_sync_batchnorm  # torch's own loses the activations of timm's layers

    converted: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted


def own_device(device: str) -> str:
    """Return the device of a process of ``torchrun_team``, where all were given the same name: a GPU each."""
    if device in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{torch.cuda.current_device()}"
    return device


@contextmanager
def torchrun_process_group(device: str) -> Iterator[ProcessGroup]:
    """Join the processes that ``torchrun`` has started, for as long as the context lasts.

    After an error nothing is taken apart in good order: others may wait for this process, and end with it.

    Args:
        device: What all were given: auto, cpu or cuda.

    Raises:
        UsageError: There are more processes on this machine than it has GPUs, or all are to share one.
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
