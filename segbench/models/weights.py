"""Whole-network checkpoints: reading, fitting into a network, writing."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from segbench.errors import StoreError, WeightsError

State: TypeAlias = dict[str, Tensor]
"""Tensors by name."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What DataParallel, Lightning and torch.compile put before every name."""

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts keep the weights."""

SHOWN = 5
"""So many names of a kind are spelled out in a message."""

_UNREADABLE = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError,
    AssertionError, ImportError, pickle.UnpicklingError, struct.error,
)  # fmt: skip
"""What readers raise on files that are cut off or are something else."""


@dataclass(frozen=True)
class WeightsReport:
    """What became of a checkpoint.

    Attributes:
        loaded: Names that were copied into the network.
        missing: Names that the network has and the file has not.
        unexpected: Names that the file has and the network has not.
        misshapen: ``name (file's shape, network's shape)`` of tensors whose shapes differ.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether file and network agree in every name and shape."""
        return not (self.missing or self.unexpected or self.misshapen)


def load_weights(network: nn.Module, path: str | Path, *, strict: bool = True) -> WeightsReport:
    """Load a checkpoint of a whole network.

    Names are compared without the prefixes of ``PREFIXES``. An absent ``num_batches_tracked`` is not counted as
    missing: older files have none and it changes nothing. Nothing is changed when the file is refused.

    Args:
        network: Its tensors are overwritten in place.
        path: A ``.safetensors`` file, or a file of ``torch.save`` that holds tensors only.
        strict: Refuse a file that does not fit exactly; otherwise what fits is loaded.

    Returns:
        What was loaded and what was not.

    Raises:
        WeightsError: The file cannot be read, does not fit (``strict``) or has nothing that fits.
    """
    fit = _fit(network.state_dict(), read_state(path))
    if strict and not fit.report.complete:
        raise WeightsError(f"{path} does not fit the network: {describe(fit.report)}; strict: false loads what fits")
    if not fit.tensors:
        raise WeightsError(f"{path} has no tensor that fits the network: {describe(fit.report)}")
    network.load_state_dict(fit.tensors, strict=False)
    return fit.report


def read_state(path: str | Path) -> State:
    """Read the tensors of a checkpoint onto the CPU, from beneath the keys of ``WRAPPERS``.

    Args:
        path: ``.safetensors``, or ``.pt``, ``.pth``, ``.bin``, ``.ckpt`` or ``.tar`` as ``torch.save`` writes them. The
            latter are read with ``weights_only=True``: a file that would run code is refused.

    Raises:
        WeightsError: There is no such file, or it cannot be read, or it holds no tensors; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file")
    state = _unwrap(_read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path))
    if not state:
        raise WeightsError(f"{path}: holds no named tensors; a state_dict is expected")
    return state


def save_weights(network: nn.Module, path: str | Path, *, metadata: Mapping[str, str]) -> None:
    """Write a network's tensors as safetensors, all or nothing.

    Args:
        network: What to write.
        path: Overwritten if it exists; its folder is made.
        metadata: Facts to keep beside the tensors.

    Raises:
        StoreError: The file cannot be written; a full disk is no fault of the network.
    """
    path = Path(path)
    state = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in network.state_dict().items()}
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, partial, metadata=dict(metadata))
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{path}: cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; the file is read in pieces.

    Raises:
        WeightsError: The file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


def describe(report: WeightsReport) -> str:
    """Return a report's misfits in words, the first few of each kind by name."""
    kinds = (("missing", report.missing), ("unexpected", report.unexpected), ("misshapen", report.misshapen))
    return "; ".join(f"{len(names)} {kind}: {_first(names)}" for kind, names in kinds if names)


class _Fit(NamedTuple):
    tensors: State
    report: WeightsReport


def _fit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> _Fit:
    """Pair a network's tensors with a file's, by bare name and shape."""
    names = {bare(name): name for name in expected} | {name: name for name in expected}
    tensors: State = {}
    misshapen: dict[str, str] = {}
    unexpected = []
    for key, tensor in sorted(given.items(), key=lambda item: item[0] not in names):
        name = names.get(key) or names.get(bare(key))
        if name is None or name in tensors or name in misshapen:
            unexpected.append(key)
        elif tensor.shape != expected[name].shape:
            misshapen[name] = f"{name} ({tuple(tensor.shape)} in the file, {tuple(expected[name].shape)} here)"
        else:
            tensors[name] = tensor
    missing = [
        name
        for name in expected
        if name not in tensors and name not in misshapen and not name.endswith("num_batches_tracked")
    ]
    return _Fit(tensors, WeightsReport(tuple(tensors), tuple(missing), tuple(unexpected), tuple(misshapen.values())))


def bare(name: str) -> str:
    """Return a tensor's name without the prefixes that training tools add."""
    stripped = name.replace("_orig_mod.", "")
    while stripped.startswith(PREFIXES):
        stripped = stripped.partition(".")[2]
    return stripped


def _first(names: tuple[str, ...]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _read_safetensors(path: Path) -> Any:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: is not a readable safetensors file: {error}") from error


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: holds code or is damaged; only plain tensors are read (weights_only): save network.state_dict()"
        ) from error
    except _UNREADABLE as error:
        raise WeightsError(f"{path}: is not a readable torch file: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _unwrap(content: Any) -> State:
    """Return the tensors of a mapping, or of the mapping under one of its ``WRAPPERS`` keys."""
    if not isinstance(content, Mapping):
        return {}
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _unwrap(content[key])
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
