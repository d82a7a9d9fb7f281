"""The state dicts in a checkpoint of any tool: found below whatever keys, with no code of the file run."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from segbench.errors import WeightsError
from segbench.models.weights.foreign_file import FileKind, kind_of
from segbench.results import wording

State: TypeAlias = dict[str, Tensor]
"""Tensors by name."""

SHOWN = 5
"""So many names of a kind are spelled out in a message."""

_DEPTH = 8
"""How many keys deep state dicts are looked for."""

_NESTING = (dict, list, tuple)
"""What may hold state dicts inside a list or tuple; tensors that stand there themselves have no names."""
_OF_OPTIMIZERS = "param_groups"

_REMEDY = "save network.state_dict()"

_REFUSED_MODULES = (
    "builtins", "__builtin__", "os", "posix", "nt", "sys", "subprocess", "shutil", "importlib", "runpy", "pty",
    "socket", "operator", "functools", "ctypes", "webbrowser", "commands", "code", "multiprocessing", "asyncio",
)  # fmt: skip
"""A file that names something of these would run code; nothing of it is read."""

_PLAIN = ("bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "slice", "str",
          "tuple", "type")  # fmt: skip
"""What is harmless of the built-in names."""

_SAFETENSORS_TYPES = {
    "I8": torch.int8, "U8": torch.uint8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64,
    "BOOL": torch.bool, "C64": torch.complex64,
}  # fmt: skip
"""The types that are not floating, as safetensors calls them."""

_UNREADABLE = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError,
    AssertionError, ImportError, pickle.UnpicklingError, struct.error,
)  # fmt: skip
"""What readers raise on files that are cut off or are something else."""


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        path: The file.
        states: Its state dicts, by the dotted key that they stand under; empty for the file's own names.
        keys: The names of what it holds, in words where it is no mapping.
        objects: Classes and functions of which it holds objects; none of them was imported.
    """

    path: Path
    states: dict[str, State]
    keys: tuple[str, ...]
    objects: tuple[str, ...] = ()

    def check_not_empty(self) -> None:
        """Refuse a file without a state dict.

        Raises:
            WeightsError: It has none; its keys are named.
        """
        if self.states:
            return
        keys = f"; it holds the keys {first(self.keys)}, none of which is a state_dict" if self.keys else ""
        objects = f"; it holds objects of {first(self.objects)}: {_REMEDY}" if self.objects else ""
        wanted = "" if self.objects else "; a state_dict is expected"
        raise WeightsError(f"{self.path}: holds no named tensors{keys}{objects}{wanted}")

    def under(self, key: str) -> State:
        """Return the state dict under a dotted key, or the part of one whose names begin so.

        Raises:
            WeightsError: There is none.
        """
        key = key.rstrip(".")
        if key in self.states:
            return self.states[key]
        for outer, state in self.states.items():
            beginning = f"{key.removeprefix(f'{outer}.')}."
            part = {name[len(beginning) :]: tensor for name, tensor in state.items() if name.startswith(beginning)}
            if part:
                return part
        known = first(tuple(name for name in self.states if name)) or "none: the tensors stand under no key"
        raise WeightsError(f"{self.path}: has no state_dict under weights_key {key!r}; those that it has: {known}")


def read_contents(path: str | Path, *, shapes_only: bool = False) -> Contents:
    """Read the state dicts of a checkpoint onto the CPU.

    Args:
        path: A file of safetensors or ``torch.save``, whatever its name ends in. The latter are read with
            ``weights_only=True``. Objects beside the tensors, such as arguments and configurations, are left out: in
            place of their classes, which are not imported, stand empty ones.
        shapes_only: Tensors come without values, as one that is repeated. Those that are on the meta device, sparse or
            quantized in the file remain so.

    Raises:
        WeightsError: There is no such file, it cannot be read, it is something else, or it would run code; the message
            names it.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind is FileKind.SAFETENSORS:
        state = _safetensors_shapes(path) if shapes_only else _safetensors(path)
        return Contents(path, {"": state} if state else {}, ())
    objects = _objects(path) if kind is FileKind.TORCH else ()
    content = _torch(path, objects, mapped=shapes_only and kind is FileKind.TORCH)
    states = dict(_states(content))
    if shapes_only:
        states = {key: _without_values(state) for key, state in states.items()}
    keys = tuple(map(str, content)) if isinstance(content, Mapping) else ()
    return Contents(path, states, keys, objects)


def first(names: tuple[str, ...]) -> str:
    """Return the first few names, and how many more there are."""
    return wording.first(names, SHOWN)


def _states(content: Any, key: str = "", depth: int = _DEPTH + 1) -> Iterator[tuple[str, State]]:
    """Yield what of nested mappings and sequences holds named tensors, with its dotted key; outer ones come first."""
    if depth == 0:
        return
    if isinstance(content, list | tuple):
        content = {str(index): value for index, value in enumerate(content) if isinstance(value, _NESTING)}
    if not isinstance(content, Mapping):
        return
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield key, tensors
    for name, value in content.items():
        if isinstance(name, str) and name != _OF_OPTIMIZERS:  # the states of an optimizer stand under numbers
            yield from _states(value, f"{key}.{name}" if key else name, depth - 1)


def why_no_weights(tensor: Tensor, *, floating: bool) -> str:
    """Return why a tensor cannot be a network's weights, in a few words; empty where it can.

    Args:
        tensor: A tensor of a checkpoint.
        floating: Whether the network's is of a floating type.
    """
    if tensor.is_meta:
        return "on the meta device, without values"
    if tensor.layout is not torch.strided:
        return "sparse"
    return "" if tensor.is_floating_point() or not floating else str(tensor.dtype).removeprefix("torch.")


def _without_values(state: State) -> State:
    return {
        name: tensor
        if tensor.is_meta or tensor.is_quantized or tensor.layout is not torch.strided
        else _of_shape(tensor.shape, tensor.dtype)
        for name, tensor in state.items()
    }


def _of_shape(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a tensor that takes no memory."""
    return torch.zeros((), dtype=dtype).expand(tuple(shape))


def _safetensors(path: Path) -> State:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise _no_safetensors(path, error) from error


def _safetensors_shapes(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {
                name: _of_shape(held.get_shape(), _SAFETENSORS_TYPES.get(held.get_dtype(), torch.float32))
                for name, held in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise _no_safetensors(path, error) from error


def _no_safetensors(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path}: is not a readable safetensors file: {error}")


class _Nothing:
    """Stands for an object of NumPy: takes whatever it is made of and keeps nothing."""

    def __new__(cls, *_: Any) -> _Nothing:
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Keep nothing."""


class _Mapping:
    """Stands for a class of any package: makes an empty mapping, which then holds what a subclass of dict holds."""

    def __new__(cls, *_: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def _empty_list(*_: Any) -> list[Any]:
    return []


def _stand_in(name: str) -> Any:
    """Return what is called in place of a class or function of a checkpoint; it imports and does nothing."""
    if name == "collections.deque":
        return _empty_list
    return _Nothing if name.startswith("numpy.") else _Mapping


def _objects(path: Path) -> tuple[str, ...]:
    """Return the classes and functions that a checkpoint names and torch does not read itself.

    Raises:
        WeightsError: It names some that run code.
    """
    try:
        names = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
    except _UNREADABLE:  # what it cannot look through, torch.load will refuse
        return ()
    code = tuple(name for name in names if _runs_code(name))
    if code:
        raise WeightsError(f"{path}: holds code ({first(code)}), which is not run; {_REMEDY}")
    return names


def _runs_code(name: str) -> bool:
    package, _, rest = name.partition(".")
    return package in _REFUSED_MODULES and not ("builtin" in package and rest in _PLAIN)


def _torch(path: Path, objects: tuple[str, ...], *, mapped: bool) -> Any:
    stand_ins = torch.serialization.safe_globals([(_stand_in(name), name) for name in objects])
    try:
        with stand_ins if objects else nullcontext():
            if path.suffix == ".safetensors":  # newer versions of torch go by the name, an opened file has none
                with path.open("rb") as file:
                    return torch.load(file, map_location="cpu", weights_only=True)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped or None)
    except pickle.UnpicklingError as error:
        named = first(objects) or _named_in(error)
        what = f"objects of {named}" if named else "code, or is damaged"
        raise WeightsError(f"{path}: holds {what}; only plain tensors are read (weights_only): {_REMEDY}") from error
    except _UNREADABLE as error:
        line = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(f"{path}: is not a readable torch file: {line}") from error


def _named_in(error: Exception) -> str:
    """Return the class that torch refuses, as its message names it; empty where it names none."""
    _, found, rest = str(error).partition("GLOBAL ")
    return rest.split()[0] if found and rest.split() else ""
