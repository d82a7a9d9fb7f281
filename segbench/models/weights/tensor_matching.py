"""Which tensor of a checkpoint is which of a network: by names and shapes, whatever stands before the names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product, takewhile
from typing import NamedTuple

from torch import Tensor

from segbench.models.weights.averages import is_choice_beside, is_copy

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What DataParallel, Lightning and torch.compile put before every name."""

INFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What compiling, sharding and checkpointing parts of a network put into names."""

COUNTERS = ("num_batches_tracked", "n_averaged", "num_updates", "updates")
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
        unexpected: Names that the checkpoint alone has, counters and what follows left out.
        auxiliary: Names of auxiliary heads that the network does not have.
        unused: Names beside those of the network, such as buffers of a loss or of a metric, and averages.
        moved: What names begin with in the checkpoint, and in its place in the network, where a part is called
            otherwise; None where no part is.
        own: What the paired names of the checkpoint begin with, where others fit as well.
        rivals: Beginnings of names of the checkpoint that fit as well, such as those of an average.
        undecided: Whether it is not clear which are meant, as with a student and a teacher.
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
    """Pair a network's tensors with a checkpoint's.

    Names are compared as they are, then without the ``PREFIXES`` and, where most fit so, without what stands before
    all names of a part of the checkpoint, however deep, with or without what stands before those of the network.

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
    """What stands before names: in the checkpoint, and in its place in the network."""

    old: str
    new: str

    def moves_part(self, whole: str) -> bool:
        """Tell whether a part of a network, not the ``whole`` of it, is called otherwise in the checkpoint."""
        return not whole.startswith(bare(self.new))

    def __str__(self) -> str:
        """Return it in words, such as ``backbone.* as encoder.*``."""
        return f"{self.old}* as {self.new}*"


class _Candidate(NamedTuple):
    """What fits after a change of prefix.

    Attributes:
        change: The change.
        pairs: The network's names and the checkpoint's.
        values: How many values are in them.
        moves: Whether a part of the network is called otherwise.
    """

    change: Change
    pairs: frozenset[tuple[str, str]]
    values: int
    moves: bool = False

    @property
    def outer(self) -> str:
        """What the checkpoint's names begin with."""
        return _outer(dict(self.pairs))


def _candidates(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[_Candidate]:
    """Return what fits after each change of prefix that many names allow, the best and shortest first.

    Parts that are called otherwise come last of those that fit equally, and only where one alone can be meant.
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
    """Return the best candidate and others that fit as well, with other tensors of the checkpoint alone."""
    sets: list[_Candidate] = []
    for one in candidates:
        keys = {key for _, key in one.pairs}
        equal = one.values == candidates[0].values and one.moves == candidates[0].moves
        if equal and not any(keys & {key for _, key in other.pairs} for other in sets):
            sets.append(one)
    return sets if sets[0].pairs else sets[:1]


def _preferred(sets: list[_Candidate]) -> tuple[_Candidate, tuple[str, ...], bool]:
    """Return the set that is meant, what the others begin with, and whether that is a mere guess.

    The file's own names are meant before those under a prefix, and weights before averages and copies of them.
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
    """Return the checkpoint's names by the network's, where the shapes are equal and where not, and all others."""
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
    """Return what stands before all paired names of a checkpoint, without what the network's own begin with."""
    before = _common(map(_without_infixes, paired.values()))
    own = _common(map(bare, paired))
    return before.removesuffix(own) if before.endswith(own) else before


def _common(names: Iterable[str]) -> str:
    """Return the beginning, up to a dot, that all names share."""
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    return "".join(f"{level[0]}." for level in takewhile(lambda level: len(set(level)) == 1, levels))


def _belongs(key: str, beginnings: Iterable[str]) -> bool:
    return any(beginning and _without_infixes(key).startswith(beginning) for beginning in beginnings)


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


def is_counter(name: str) -> bool:
    """Tell whether a tensor counts steps; whether it is there changes no output."""
    return name == STEPS or name.rpartition(".")[2] in COUNTERS


def _is_auxiliary(name: str) -> bool:
    return any(part in AUXILIARY for part in name.split("."))
