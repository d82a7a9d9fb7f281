"""Which tensor of a checkpoint is which of a network: by names and shapes, whatever stands before the names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

_Shaped: TypeAlias = tuple[str, torch.Size]
"""A tensor's name and shape."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What DataParallel, Lightning and torch.compile put before every name."""

INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What compiling, sharding and checkpointing parts of a network put into names."""

COUNTERS = ("num_batches_tracked", "n_averaged")
"""Counters of batch norm and of averages of weights; whether they are there changes no output."""

STEPS = "steps"
"""Another one, beside the names of all layers."""

AUXILIARY = ("aux_classifier", "auxiliary_head", "aux_head", "auxiliary_classifier")
"""What heads are called that are of use in training only."""

_SHARE = 0.25
"""A prefix counts that this share of as many names as the network has begin with."""


@dataclass(frozen=True)
class Pairing:
    """The tensors of a checkpoint beside those of a network.

    Attributes:
        fitting: Names of the checkpoint by the network's names, where the shapes are equal.
        misshapen: The same where they are not.
        missing: Names that the network alone has, counters left out.
        unexpected: Names that the checkpoint alone has, counters and auxiliary heads left out.
        auxiliary: Names of auxiliary heads that the network does not have.
        rivals: Beginnings of names of the checkpoint that would all do as well, such as those of a student and a
            teacher; empty where it is clear which are meant.
    """

    fitting: dict[str, str]
    misshapen: dict[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    auxiliary: tuple[str, ...]
    rivals: tuple[str, ...] = ()


def pair(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Pairing:
    """Pair a network's tensors with a checkpoint's.

    Names are compared as they are, then without the ``PREFIXES`` and, where most fit so, without what stands before
    all names of a part of the checkpoint, however deep, with or without what stands before those of the network.

    Args:
        expected: The network's state dict.
        given: A state dict of the checkpoint.
    """
    change, rivals = _change(expected, given)
    renamed = _renamed(expected, given, change)
    bare_names = {bare(name): name for name in expected}
    fitting: dict[str, str] = {}
    misshapen: dict[str, str] = {}
    others: list[str] = []
    for key in sorted(given, key=lambda key: (key not in expected, key not in renamed)):
        name = key if key in expected else renamed.get(key) or bare_names.get(bare(key))
        if name is None or name in fitting or name in misshapen:
            others.append(key)
        elif given[key].shape == expected[name].shape:
            fitting[name] = key
        else:
            misshapen[name] = key
    missing = [name for name in expected if name not in fitting and name not in misshapen and not _counts(name)]
    auxiliary = [key for key in others if _is_auxiliary(key) and not any(map(_is_auxiliary, expected))]
    unexpected = [key for key in others if key not in auxiliary and not _counts(key)]
    return Pairing(fitting, misshapen, tuple(missing), tuple(unexpected), tuple(auxiliary), rivals)


def bare(name: str) -> str:
    """Return a tensor's name without the prefixes that training tools add."""
    stripped = _without_infixes(name)
    while stripped.startswith(PREFIXES):
        stripped = stripped.partition(".")[2]
    return stripped


class _Change(NamedTuple):
    """What stands before names: in the checkpoint, and in its place in the network."""

    old: str
    new: str


def _change(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> tuple[_Change, tuple[str, ...]]:
    """Return the change of prefix by which most values fit, and the beginnings of names that would do as well."""
    sizes = {(_without_infixes(key), tensor.shape): tensor.numel() for key, tensor in given.items()}
    shapes = {(name, tensor.shape) for name, tensor in expected.items()}
    least = max(1, round(_SHARE * len(expected)))
    pairs = product(_prefixes(map(_without_infixes, given), least), _prefixes(expected, least))
    changes = sorted((_Change(*each) for each in pairs), key=lambda change: len(change.old) + len(change.new))
    fitted = {change: _fitted(change, sizes, shapes) for change in changes}
    best = max(changes, key=lambda change: fitted[change])
    if best.old in ("", *PREFIXES) or not fitted[best]:
        return best, ()
    equal = dict.fromkeys(change.old for change in changes if fitted[change] == fitted[best])
    apart = [old for old in equal if not any(old != other and old.startswith(other) for other in equal)]
    return best, tuple(apart) if len(apart) > 1 else ()


def _renamed(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], change: _Change) -> dict[str, str]:
    """Return the network's names by the checkpoint's after a change of prefix."""
    plain = {key: _without_infixes(key) for key in given}
    names = {key: change.new + name[len(change.old) :] for key, name in plain.items() if name.startswith(change.old)}
    return {key: name for key, name in names.items() if name in expected}


def _fitted(change: _Change, sizes: Mapping[_Shaped, int], shapes: set[_Shaped]) -> int:
    """Return how many values of a checkpoint fit after a change of prefix."""
    old, new = change
    return sum(
        size for (key, shape), size in sizes.items() if key.startswith(old) and (new + key[len(old) :], shape) in shapes
    )


def _prefixes(names: Iterable[str], least: int) -> list[str]:
    """Return every beginning, up to a dot, that at least so many of some names share; the empty one first."""
    counted: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1]
        counted.update(f"{'.'.join(parts[:depth])}." for depth in range(1, len(parts) + 1))
    return ["", *(prefix for prefix, count in counted.items() if count >= least)]


def _without_infixes(name: str) -> str:
    for infix in INFIXES:
        name = name.replace(infix, "")
    return name


def _counts(name: str) -> bool:
    return name == STEPS or name.rpartition(".")[2] in COUNTERS


def _is_auxiliary(name: str) -> bool:
    return any(part in AUXILIARY for part in name.split("."))
