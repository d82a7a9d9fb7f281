"""The processes that do one run together, each on a device of its own; a run in one process is a team of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from segbench.errors import SuiteError

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first one also writes, draws and looks for what is done."""


@dataclass(frozen=True)
class Team:
    """A process's place among those that do a run together.

    Attributes:
        rank: Its number, from 0; the first leads: it alone writes and tells.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the first."""
        return self.rank == 0

    def gathered(self, part: T) -> list[T]:
        """Return every process's part, in order of rank; all have to ask."""
        if self.size == 1:
            return [part]
        parts: list[Any] = [None] * self.size
        distributed.all_gather_object(parts, part)
        return parts

    def total(self, *numbers: int) -> list[int]:
        """Return the sums over all processes; all have to ask."""
        if self.size == 1:
            return list(numbers)
        sums = torch.tensor(numbers)
        distributed.all_reduce(sums)
        totals: list[int] = sums.tolist()
        return totals

    def told(self, value: T) -> T:
        """Return the first process's value; all have to ask."""
        if self.size == 1:
            return value
        values: list[Any] = [value]
        distributed.broadcast_object_list(values, src=0)
        told: T = values[0]
        return told

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return a network whose gradients are the mean over all processes; a team of one gets its own."""
        if self.size == 1:
            return network
        devices = [device] if device.type == "cuda" else None
        # Some networks have weights that no loss reaches.
        return nn.parallel.DistributedDataParallel(network, device_ids=devices, find_unused_parameters=True)

    def equalise(self, network: nn.Module) -> None:
        """Give every process the first one's weights and statistics of a network."""
        if self.size > 1:
            for tensor in network.state_dict().values():
                distributed.broadcast(tensor, src=0)


ALONE = Team()


def synchronised(network: nn.Module, device: torch.device) -> nn.Module:
    """Return a network whose batch norm takes its statistics over the images of all processes.

    Raises:
        SuiteError: The device is not CUDA, the only one for which torch can do it.
    """
    if device.type != "cuda":
        raise SuiteError(f"torch can do so on CUDA only, not on {device.type}", key="train.sync_batch_norm")
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted


@contextmanager
def torchrun_team() -> Iterator[Team]:
    """Join the processes that ``torchrun`` has started, for as long as the context lasts."""
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    distributed.init_process_group(None if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield Team(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
