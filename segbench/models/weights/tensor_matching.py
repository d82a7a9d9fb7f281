"""Matches the tensors of a checkpoint and a network by name and shape, ignoring prefixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product, takewhile
from typing import NamedTuple

from torch import Tensor

from segbench.models.weights.averages import is_choice_beside, is_copy

PREFIXES = ("module.", "model.", "_orig_mod.")
"""Prefixes added by DataParallel, Lightning and torch.compile."""

INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Name parts added by compiling, sharding and checkpointing modules."""

COUNTERS = ("num_batches_tracked", "n_averaged", "num_updates", "updates")
"""Counters of batch norm and of averages, which do not affect outputs."""

STEPS = "steps"
"""A further counter, at the top level."""

AUXILIARY = ("aux_classifier", "auxiliary_head", "aux_head", "auxiliary_classifier")
"""Names of heads that are only used in training."""

_SHARE = 0.25
"""A prefix is tried if the number of names with it is at least this fraction of the network's names."""


@dataclass(frozen=True)
class Pairing:
    """The tensors of a checkpoint matched with those of a network.

    Attributes:
        fitting: Names of the checkpoint by the network's names, with equal shapes.
        misshapen: The same with different shapes.
        missing: Names that are only in the network, without counters.
        unexpected: Names that are only in the checkpoint, without counters and the groups below.
        auxiliary: Names of auxiliary heads that the network does not have.
        unused: Names besides the network's, such as buffers of a loss or metric, and averages.
        moved: Prefixes of a part that has different names in checkpoint and network; None if there is none.
        own: Prefix of the matched names in the checkpoint, if others match as well.
        rivals: Prefixes of other names in the checkpoint that match as well, such as those of an average.
        undecided: Whether the choice is ambiguous, as with a student and a teacher.
    """

    fitting: dict[str, str]
    misshapen: dict[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    auxiliary: tuple[str, ...]
    unused: tuple[str, ...] = ()
    moved: Change | None = None
    own: str = ""
    rivals: tuple[str, ...] = ()
    undecided: bool = False


def pair(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Pairing:
    """Match a network's tensors with a checkpoint's.

    Names are compared unchanged, then without the ``PREFIXES``. If most names match that way, they are also compared
    without the common prefix of a part of the checkpoint, with or without the network's common prefix.

    Args:
        expected: The network's state dict.
        given: A state dict of the checkpoint.
    """
    candidates = _candidates(expected, given)
    meant, rivals, undecided = _preferred(_rival_sets(candidates))
    fitting, misshapen, others = _paired(expected, given, meant.change)
    missing = [name for name in expected if name not in fitting and name not in misshapen and not is_counter(name)]
    others = [key for key in others if not is_counter(key) and not _belongs(key, rivals)]
    auxiliary = [key for key in others if _is_auxiliary(key) and not any(map(_is_auxiliary, expected))]
    outer = _outer({**fitting, **misshapen})
    beside = [] if missing or not outer else [key for key in others if not _without_infixes(key).startswith(outer)]
    copies = [key for key in others if is_copy(_without_infixes(key).removeprefix(outer).partition(".")[0])]
    unused = [key for key in others if key in {*beside, *copies} and key not in auxiliary]
    return Pairing(
        fitting,
        misshapen,
        tuple(missing),
        tuple(key for key in others if key not in {*auxiliary, *unused}),
        tuple(auxiliary),
        unused=tuple(unused),
        moved=meant.change if meant.moves else None,
        own=outer if rivals else "",
        rivals=rivals,
        undecided=undecided,
    )


def bare(name: str) -> str:
    """Return a tensor's name without the prefixes that training tools add."""
    stripped = _without_infixes(name)
    while stripped.startswith(PREFIXES):
        stripped = stripped.partition(".")[2]
    return stripped


class Change(NamedTuple):
    """A change of prefix: that of the checkpoint, and its replacement in the network."""

    old: str
    new: str

    def moves_part(self, whole: str) -> bool:
        """Return whether a part of a network (not ``whole``) has different names in the checkpoint."""
        return not whole.startswith(bare(self.new))

    def __str__(self) -> str:
        """Return a description, such as ``backbone.* as encoder.*``."""
        return f"{self.old}* as {self.new}*"


class _Candidate(NamedTuple):
    """The matches after a change of prefix.

    Attributes:
        change: The change.
        pairs: The network's names and the checkpoint's.
        values: Number of values in the matched tensors.
        moves: Whether a part of the network has different names.
    """

    change: Change
    pairs: frozenset[tuple[str, str]]
    values: int
    moves: bool = False

    @property
    def outer(self) -> str:
        """Prefix of the checkpoint's names."""
        return _outer(dict(self.pairs))


def _candidates(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[_Candidate]:
    """Return the matches after each change of prefix that many names share, best and shortest first.

    Among equal matches, changes of a part's names come last, and only if they are unambiguous.
    """
    plain = {key: _without_infixes(key) for key in given}
    least = max(1, round(_SHARE * len(expected)))
    changes = [Change(*each) for each in product(_prefixes(plain.values(), least), _prefixes(expected, least))]
    whole = _common(map(bare, expected))
    found = [_fitted(change, plain, expected, given)._replace(moves=change.moves_part(whole)) for change in changes]
    found.sort(key=lambda one: (-one.values, one.moves, len(one.change.old) + len(one.change.new)))
    most = found[0].values
    equal = {one.pairs for one in found if one.values == most}
    return found if not found[0].moves or len(equal) == 1 else [one for one in found if not one.moves]


def _fitted(
    change: Change, plain: Mapping[str, str], expected: Mapping[str, Tensor], given: Mapping[str, Tensor]
) -> _Candidate:
    names = {key: change.new + name[len(change.old) :] for key, name in plain.items() if name.startswith(change.old)}
    pairs = frozenset(
        (name, key) for key, name in names.items() if name in expected and expected[name].shape == given[key].shape
    )
    return _Candidate(change, pairs, sum(given[key].numel() for _, key in pairs))


def _rival_sets(candidates: list[_Candidate]) -> list[_Candidate]:
    """Return the best candidate and equally good ones that use other tensors of the checkpoint."""
    sets: list[_Candidate] = []
    for one in candidates:
        keys = {key for _, key in one.pairs}
        equal = one.values == candidates[0].values and one.moves == candidates[0].moves
        if equal and not any(keys & {key for _, key in other.pairs} for other in sets):
            sets.append(one)
    return sets if sets[0].pairs else sets[:1]


def _preferred(sets: list[_Candidate]) -> tuple[_Candidate, tuple[str, ...], bool]:
    """Return the preferred set, the prefixes of the others, and whether the choice is ambiguous.

    Names without prefix are preferred over those with one, and weights over their averages and copies.
    """
    exact = [one for one in sets if not one.outer]
    weights = exact or [one for one in sets if not is_copy(one.outer)]
    meant = weights[0] if weights else sets[0]
    rivals = tuple(one.outer for one in sets if one is not meant)
    choice = not exact and any(is_choice_beside(rival, meant.outer) for rival in rivals)
    return meant, rivals, choice or (len(sets) > 1 and len(weights) != 1)


def _paired(
    expected: Mapping[str, Tensor], given: Mapping[str, Tensor], change: Change
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return the checkpoint's names by the network's, with equal and with different shapes, and all other names."""
    renamed = _renamed(expected, given, change)
    bare_names = {bare(name): name for name in expected}
    fitting: dict[str, str] = {}
    misshapen: dict[str, str] = {}
    others: list[str] = []
    for key in sorted(given, key=lambda key: (key not in renamed, key not in expected)):
        name = renamed.get(key) or (key if key in expected else bare_names.get(bare(key)))
        if name is None or name in fitting or name in misshapen:
            others.append(key)
        elif given[key].shape == expected[name].shape:
            fitting[name] = key
        else:
            misshapen[name] = key
    return fitting, misshapen, others


def _renamed(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], change: Change) -> dict[str, str]:
    """Return the network's names by the checkpoint's after a change of prefix."""
    plain = {key: _without_infixes(key) for key in given}
    names = {key: change.new + name[len(change.old) :] for key, name in plain.items() if name.startswith(change.old)}
    return {key: name for key, name in names.items() if name in expected}


def _outer(paired: Mapping[str, str]) -> str:
    """Return the common prefix of all matched names of a checkpoint, without the network's own prefix."""
    before = _common(map(_without_infixes, paired.values()))
    own = _common(map(bare, paired))
    return before.removesuffix(own) if before.endswith(own) else before


def _common(names: Iterable[str]) -> str:
    """Return the common prefix of all names, up to a dot."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}." for level in takewhile(lambda level: len(set(level)) == 1, levels))


def _belongs(key: str, beginnings: Iterable[str]) -> bool:
    return any(beginning and _without_infixes(key).startswith(beginning) for beginning in beginnings)


def _prefixes(names: Iterable[str], least: int) -> list[str]:
    """Return all prefixes, up to a dot, that at least a number of names share; the empty one first."""
    counted: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")[:-1]
        counted.update(f"{'.'.join(parts[:depth])}." for depth in range(1, len(parts) + 1))
    return ["", *(prefix for prefix, count in counted.items() if count >= least)]


def _without_infixes(name: str) -> str:
    for infix in INFIXES:
        name = name.replace(infix, "")
    return name


def is_counter(name: str) -> bool:
    """Return whether a tensor is a step counter, which does not affect outputs."""
    return name == STEPS or name.rpartition(".")[2] in COUNTERS


def _is_auxiliary(name: str) -> bool:
    return any(part in AUXILIARY for part in name.split("."))
