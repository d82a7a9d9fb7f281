"""Reads the trained network that teaches a run's network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segbench.config.plan import Run
from segbench.data.base import DatasetInfo
from segbench.engine.checkpoint import Checkpoint, load_checkpoint
from segbench.engine.distributed import ProcessGroup
from segbench.errors import WeightsError
from segbench.results.run_files import WEIGHTS_FILE


@dataclass(frozen=True)
class TeacherNetwork:
    """A run's teacher.

    Attributes:
        network: The network with its trained weights, on the CPU.
        digest: SHA-256 of its tensors.
    """

    network: nn.Module
    digest: str


def read_teacher(
    run: Run, file: Path | None, *, info: DatasetInfo, group: ProcessGroup, scratch: Path
) -> TeacherNetwork:
    """Read the network of a run's teacher; collective call.

    Args:
        run: The run, which has a teacher.
        file: The teacher's checkpoint; only the first process of the group needs it.
        info: Facts about the data set.
        group: The processes that share the run; the first one sends the file to the others.
        scratch: A folder of this process for the received file.

    Raises:
        WeightsError: The weights are missing, cannot be read, or are not those of the teacher.
    """
    teacher = run.teacher
    assert teacher is not None
    name = f"the teacher {teacher.title}, seed {teacher.seed} ({teacher.id})"
    received = _received(file, group, scratch)
    if received is None:
        raise WeightsError(f"{name} has no stored weights: delete its folder, and do its run again")
    try:
        checkpoint = load_checkpoint(received)
    except WeightsError as error:
        raise WeightsError(f"{name} cannot be read: {error}") from None
    if not _is_of(checkpoint, teacher) or checkpoint.info.classes != info.classes:
        raise WeightsError(f"{file}: is not the network of {name}; delete its folder, and do its run again")
    return TeacherNetwork(checkpoint.network, tensors_digest(checkpoint.network))


def tensors_digest(network: nn.Module) -> str:
    """Return the SHA-256 of a network's tensors with their names, types and shapes; it has to be on the CPU."""
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _received(file: Path | None, group: ProcessGroup, scratch: Path) -> Path | None:
    """Return a file with the content of the first process's; None if that does not exist."""
    content = group.broadcast(_content(file)) if group.size > 1 else None
    if group.leads:
        return file if file is not None and file.is_file() else None
    if content is None:
        return None
    copy = scratch / WEIGHTS_FILE
    copy.write_bytes(content)
    return copy


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file is not None and file.is_file() else None


def _is_of(checkpoint: Checkpoint, teacher: Run) -> bool:
    """Return whether a checkpoint is of a run; files of initial weights may be elsewhere by now."""
    stored, expected = checkpoint.run, teacher
    networks = [(run.model.name, run.model.settings, run.seed, run.fold) for run in (stored, expected)]
    return networks[0] == networks[1]
