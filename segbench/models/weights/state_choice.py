"""Chooses the state dict of a checkpoint: the one that matches, preferring a moving average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from segbench.errors import WeightsError
from segbench.models.weights.averages import is_choice_beside, is_copy, is_moving_average
from segbench.models.weights.foreign_states import Contents, State
from segbench.models.weights.tensor_matching import Pairing, pair

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Common keys of weights; of several that match equally, the first is taken."""

SWAPPED = "message_hub"
"""A key of mmengine's files, in which ``state_dict`` is the average and ``ema_state_dict`` the raw weights."""


class Found(NamedTuple):
    """The chosen state dict of a checkpoint, matched with a network, and the keys of equally matching ones."""

    key: str
    state: State
    pairing: Pairing
    rivals: tuple[str, ...] = ()


def choose(expected: Mapping[str, Tensor], contents: Contents, key: str | None) -> Found:
    """Choose a state dict.

    Args:
        expected: The network's state dict.
        contents: The content of the file.
        key: The dotted key of the state dict, or the prefix of its names; None finds it.

    Raises:
        WeightsError: There is none (under the key), or several match equally well and none is preferred.
    """
    contents.check_not_empty()
    candidates = {key: contents.under(key)} if key is not None else {**contents.states, **dict(_joined(contents))}
    found = [Found(name, state, pair(expected, state)) for name, state in candidates.items()]
    fitted = [sum(expected[name].numel() for name in one.pairing.fitting) for one in found]
    equal = [one for one, size in zip(found, fitted, strict=True) if size == max(fitted)]
    equal = [one for one in equal if one.key in contents.states] or equal
    best = _preferred(equal, contents)
    within = tuple(_dotted(best.key, beginning) for beginning in best.pairing.rivals)
    own = _dotted(best.key, best.pairing.own) if within else best.key
    if best.pairing.undecided:
        raise _ambiguous(contents, (best.pairing.own, *best.pairing.rivals))
    others = tuple(one.key for one in equal if one is not best) if max(fitted) else ()
    return best._replace(key=own, rivals=(*within, *others))


def _joined(contents: Contents) -> Iterator[tuple[str, State]]:
    """Yield combinations of several state dicts that hold parts of one network, such as encoder and decoder."""
    parts = [key for key in contents.states if key and "." not in key]
    if len(parts) > 1:
        joined = {f"{key}.{name}": tensor for key in parts for name, tensor in contents.states[key].items()}
        yield " + ".join(parts), joined


def _preferred(equal: list[Found], contents: Contents) -> Found:
    """Return the preferred one of equally matching state dicts.

    Raises:
        WeightsError: None is preferred.
    """
    if len(equal) == 1 or not equal[0].pairing.fitting:
        return equal[0]
    averages = [] if SWAPPED in contents.keys else [one for one in equal if is_moving_average(one.key)]
    if len(averages) == 1:
        return averages[0]
    weights = [] if averages else [one for one in equal if not is_copy(one.key)]
    wrapped = [[one for one in weights if _last(one.key) == name] for name in WRAPPERS]
    meant = next(filter(None, wrapped), weights)
    if len(meant) == 1 and not any(is_choice_beside(one.key, meant[0].key) for one in equal):
        return meant[0]
    raise _ambiguous(contents, tuple(one.key for one in equal))


def _ambiguous(contents: Contents, keys: tuple[str, ...]) -> WeightsError:
    named = ", ".join(key.removesuffix(".") or "the names at the top" for key in keys)
    return WeightsError(f"{contents.path}: {named} fit the network equally well; say which by weights_key")


def _dotted(key: str, beginning: str) -> str:
    return ".".join(part for part in (key, beginning.removesuffix(".")) if part)


def _last(key: str) -> str:
    return key.rpartition(".")[2]
