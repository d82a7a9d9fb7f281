"""Finds the logits in a network's output: a tensor, or one in a mapping, list, tuple or object."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from torch import Tensor

from segbench.errors import ModelRefusal

LOGITS_NAMES = ("out", "logits")
"""Default names of logits in structures with names: torchvision's and transformers'."""

AUXILIARY_PREFIX = "aux"
"""Prefix of the names of auxiliary outputs, case-insensitive."""

Part = str | int
"""Type of ``output``: a key, an index, or several separated by dots."""


class Found(NamedTuple):
    """A tensor in an output.

    Attributes:
        path: Its keys and indices separated by dots; empty if the output is the tensor itself.
        value: The tensor.
    """

    path: str
    value: Tensor


class _Place(NamedTuple):
    """The value at a path, and the structure that contains it."""

    path: str
    value: Any
    holder: Any


def find_logits(returned: Any, *, classes: int, name: str, output: Part | None = None) -> Found:
    """Return the logits, (N, classes, h, w), in a network's output.

    A tensor is the logits itself. In a structure with names (mapping, named tuple, dataclass, object with ``logits`` or
    ``out``) they are ``out`` or else ``logits``. In a list or tuple they are the first member. ``output`` overrides
    this.

    Args:
        returned: The network's output.
        classes: Expected number of classes.
        name: Name of the network in messages.
        output: Location of the logits, such as ``pred``, ``1``, ``-1`` or ``decoder.0``.

    Raises:
        ModelRefusal: There are no such logits; the message describes the output and what to write.
    """
    place = _logits_place(returned, name, output)
    if not isinstance(place.value, Tensor):
        raise ModelRefusal(f"{name} returns {in_words(returned)}; {_remedy(returned, place, classes)}")
    if (problem := wrong_logits(place.value, classes)) is not None:
        which = f", of which the logits would be {place.path!r}" if place.path else ""
        raise ModelRefusal(f"{name} returns {in_words(returned)}{which}: {problem}")
    return Found(place.path, place.value)


def find_auxiliary(
    returned: Any, *, classes: int, name: str, output: Part | None = None, also: Collection[str] = ()
) -> tuple[Found, ...]:
    """Return the auxiliary outputs, each (N, classes, h, w), in a network's output; none if it is a tensor.

    In a list or tuple, they are all other members that are scores of these classes. In a structure with names, they are
    tensors or lists of tensors under names that begin with ``aux``.

    Args:
        returned: The network's output.
        classes: Expected number of classes.
        name: Name of the network in messages.
        output: Location of the logits; see ``find_logits``.
        also: Further names of auxiliary outputs.

    Raises:
        ModelRefusal: There are no logits, or a value with the name of an auxiliary output is no scores of these
            classes.
    """
    place = _logits_place(returned, name, output)
    if place.holder is None:
        return ()
    prefix = place.path.rpartition(".")[0]
    candidates = {_joined(prefix, key): value for key, value in (members(place.holder) or {}).items()}
    if prefix:
        candidates |= {key: value for key, value in (members(returned) or {}).items() if _is_auxiliary(key)}
    positional = not _has_names(place.holder)
    found: list[Found] = []
    for path, value in candidates.items():
        if path == place.path:
            continue
        if path in also or _is_auxiliary(path.rpartition(".")[2]):
            found += [_checked(leaf, classes, name) for leaf in leaves(value, path)]
        elif positional and isinstance(value, Tensor) and wrong_logits(value, classes) is None:
            found.append(Found(path, value))
    return tuple(found)


def wrong_logits(tensor: Tensor, classes: int) -> str | None:
    """Return why a tensor is no logits of these classes; None if it is (N, classes, h, w) of a floating type."""
    shape = tuple(tensor.shape)
    expected = f"logits (N, {classes}, height, width) are expected"
    problem = None
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        problem = f"{kind} numbers are no scores, but what an argmax or a threshold makes of them; {expected}"
    elif len(shape) == 3:
        problem = f"one number a pixel is no score of each class; {expected}"
    elif len(shape) != 4:
        problem = expected
    elif shape[1] != classes and shape[-1] == classes:
        problem = f"the classes come last; {expected}: return it.permute(0, 3, 1, 2)"
    elif shape[1] == 1 and classes == 2:
        problem = f"one score for two classes, as a sigmoid takes it; {expected}: give the network 2 output channels"
    elif shape[1] != classes:
        problem = f"scores of {shape[1]} classes, and the data set has {classes}; {expected}"
    return problem


def members(value: Any) -> dict[str, Any] | None:
    """Return the members of a structure by key or index; None if it is no structure."""
    if isinstance(value, Mapping):
        return {str(key): part for key, part in value.items()}
    if isinstance(value, list | tuple):
        names = getattr(value, "_fields", range(len(value)))
        return {str(name): part for name, part in zip(names, value, strict=True)}
    return None if isinstance(value, Tensor) else _attributes(value)


def _attributes(value: Any) -> dict[str, Any] | None:
    """Return the fields of a dataclass, or the attributes of an object with logits; else None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    named = {name: getattr(value, name) for name in LOGITS_NAMES if hasattr(value, name)}
    others = {key: part for key, part in getattr(value, "__dict__", {}).items() if not key.startswith("_")}
    return others | named if named else None


def leaves(value: Any, path: str = "") -> Iterator[Found]:
    """Yield the tensors in a structure in order, each with its path."""
    if isinstance(value, Tensor):
        yield Found(path, value)
        return
    for key, part in (members(value) or {}).items():
        yield from leaves(part, _joined(path, key))


def in_words(value: Any) -> str:
    """Describe a structure with shapes, such as ``a list of 0: (2, 5, 8, 8), 1: (2, 5, 4, 4)``."""
    if isinstance(value, Tensor):
        number = str(value.dtype).removeprefix("torch.")
        kind = "a tensor" if value.is_floating_point() else f"{_article(number)} {number} tensor"
        return f"{kind} {tuple(value.shape)}"
    parts = members(value)
    kind = f"{_article(type(value).__name__)} {type(value).__name__}"
    if parts is None:
        return kind
    held = [f"{key}: {_part_in_words(part)}" for key, part in parts.items() if part is not None]
    return f"{kind} of {', '.join(held)}" if held else f"{kind} of nothing"


def _article(word: str) -> str:
    return "an" if word[:1] in "AEIOaeio" else "a"


def _part_in_words(value: Any) -> str:
    if isinstance(value, Tensor):
        return in_words(value).partition("tensor ")[2] if value.is_floating_point() else in_words(value)
    return f"({in_words(value)})" if members(value) is not None else in_words(value)


def _logits_place(returned: Any, name: str, output: Part | None) -> _Place:
    """Return the place of the logits.

    Raises:
        ModelRefusal: There is no such place.
    """
    if isinstance(returned, Tensor):
        return _Place("", returned, None)
    parts = members(returned)
    if parts is None:
        return _Place("", returned, None)
    if output is not None:
        return _named_place(returned, name, str(output))
    first = next((key for key in LOGITS_NAMES if parts.get(key) is not None), None)
    if first is None and isinstance(returned, list | tuple):
        first = next(iter(parts), None)
    return _Place("", returned, None) if first is None else _Place(first, parts[first], returned)


def _named_place(returned: Any, name: str, output: str) -> _Place:
    """Follow a path of keys and indices; keys may contain dots.

    Raises:
        ModelRefusal: The path does not exist.
    """
    place, rest = _Place("", returned, None), output
    while rest:
        parts = members(place.value) or {}
        keys = list(parts)
        step = rest if rest in parts else rest.partition(".")[0]
        if step.startswith("-") and step[1:].isdigit() and 0 < int(step[1:]) <= len(keys):
            key = keys[int(step)]
        elif step in parts:
            key = step
        elif step.isdigit() and isinstance(place.value, tuple) and int(step) < len(keys):
            key = keys[int(step)]  # a field of a named tuple
        else:
            raise ModelRefusal(f"{name} returns {in_words(returned)}; there is no 'output: {output}' in it")
        place = _Place(_joined(place.path, key), parts[key], place.value)
        rest = rest[len(step) + 1 :]
    return place


def _remedy(returned: Any, place: _Place, classes: int) -> str:
    """Return advice for an output without logits at the expected place."""
    fitting = [leaf.path for leaf in leaves(place.value, place.path) if wrong_logits(leaf.value, classes) is None]
    elsewhere = [leaf.path for leaf in leaves(returned) if wrong_logits(leaf.value, classes) is None]
    where = "its logits belong in 'out' or 'logits'"
    if place.path:
        where = f"what stands under {place.path!r} is no tensor"
    if paths := (fitting or elsewhere):
        several = f" (or {', '.join(paths[1:4])})" if len(paths) > 1 else ""
        return f"{where}: write 'output: {paths[0]}'{several} in the model's entry"
    return f"{where}, and it holds no logits (N, {classes}, height, width)"


def _checked(found: Found, classes: int, name: str) -> Found:
    if (problem := wrong_logits(found.value, classes)) is not None:
        raise ModelRefusal(f"{name} returns {in_words(found.value)} as its auxiliary output {found.path!r}: {problem}")
    return found


def _is_auxiliary(key: str) -> bool:
    return key.lower().startswith(AUXILIARY_PREFIX)


def _has_names(value: Any) -> bool:
    """Return whether logits are in a structure by name; a named tuple without these names counts as a tuple."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return any(name in value._fields for name in LOGITS_NAMES)
    return not isinstance(value, list | tuple)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
