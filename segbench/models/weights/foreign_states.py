"""Finds the state dicts in a checkpoint of any tool, under any keys and without running code of the file."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Iterator, Mapping
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
from segbench.results import misfits

State: TypeAlias = dict[str, Tensor]
"""Tensors by name."""

SHOWN = 5
"""Number of names of a kind listed in a message."""

_DEPTH = 4
"""Depth of keys searched for state dicts."""

_NESTING = (dict, list, tuple)
"""Types searched inside a list or tuple; tensors directly in it have no names."""
_OF_OPTIMIZERS = "param_groups"

_REMEDY = "save network.state_dict()"

_REFUSED_MODULES = (
    "builtins", "__builtin__", "os", "posix", "nt", "sys", "subprocess", "shutil", "importlib", "runpy", "pty",
    "socket", "operator", "functools", "ctypes", "webbrowser", "commands", "code", "multiprocessing", "asyncio",
)  # fmt: skip
"""Modules that run code; a file that uses them is not read."""

_PLAIN = ("bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "slice", "str",
          "tuple", "type")  # fmt: skip
"""Harmless built-in names."""

_UNREADABLE = (
    OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError,
    AssertionError, ImportError, pickle.UnpicklingError, struct.error,
)  # fmt: skip
"""Errors of readers for truncated files and other formats."""


@dataclass(frozen=True)
class Contents:
    """The content of a checkpoint.

    Attributes:
        path: The file.
        states: Its state dicts by dotted key; the key is empty for the top level.
        keys: Names of its content; a description if it is no mapping.
        objects: Classes and functions of its objects; none of them was imported.
    """

    path: Path
    states: dict[str, State]
    keys: tuple[str, ...]
    objects: tuple[str, ...] = ()

    def check_not_empty(self) -> None:
        """Refuse a file without a state dict.

        Raises:
            WeightsError: It has none; names its keys.
        """
        if self.states:
            return
        keys = f"; it holds the keys {first(self.keys)}, none of which is a state_dict" if self.keys else ""
        objects = f"; it holds objects of {first(self.objects)}: {_REMEDY}" if self.objects else ""
        wanted = "" if self.objects else "; a state_dict is expected"
        raise WeightsError(f"{self.path}: holds no named tensors{keys}{objects}{wanted}")

    def under(self, key: str) -> State:
        """Return the state dict under a dotted key, or the tensors with that prefix.

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
        path: A file of safetensors or ``torch.save`` with any suffix. The latter are read with ``weights_only=True``.
            Other objects, such as arguments and configurations, are replaced by empty ones; their classes are not
            imported.
        shapes_only: Return tensors without values on the meta device, without reading large files fully.

    Raises:
        WeightsError: The file does not exist, cannot be read, has another format, or would run code.
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
        states = {key: _on_meta(state) for key, state in states.items()}
    keys = tuple(map(str, content)) if isinstance(content, Mapping) else ()
    return Contents(path, states, keys, objects)


def first(names: tuple[str, ...]) -> str:
    """List the first few names and the number of further ones."""
    return misfits.first(names, SHOWN)


def _states(content: Any, key: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, State]]:
    """Yield the parts of nested mappings and sequences that hold named tensors, with dotted keys; outer ones first."""
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
        if isinstance(name, str) and name != _OF_OPTIMIZERS:  # optimizer states have numbers as keys
            yield from _states(value, f"{key}.{name}" if key else name, depth - 1)


def _on_meta(state: State) -> State:
    return {name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta") for name, tensor in state.items()}


def _safetensors(path: Path) -> State:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise _no_safetensors(path, error) from error


def _safetensors_shapes(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise _no_safetensors(path, error) from error
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _no_safetensors(path: Path, error: Exception) -> WeightsError:
    return WeightsError(f"{path}: is not a readable safetensors file: {error}")


class _Nothing:
    """Placeholder for NumPy objects that ignores all arguments."""

    def __new__(cls, *_: Any) -> _Nothing:
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Keep nothing."""


class _Mapping:
    """Placeholder for classes of any package: an empty mapping that keeps the items of dict subclasses."""

    def __new__(cls, *_: Any) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def _empty_list(*_: Any) -> list[Any]:
    return []


def _stand_in(name: str) -> Any:
    """Return the placeholder for a class or function of a checkpoint; it imports nothing."""
    if name == "collections.deque":
        return _empty_list
    return _Nothing if name.startswith("numpy.") else _Mapping


def _objects(path: Path) -> tuple[str, ...]:
    """Return the classes and functions in a checkpoint that torch does not read itself.

    Raises:
        WeightsError: Some of them run code.
    """
    try:
        names = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
    except _UNREADABLE:  # torch.load will refuse what cannot be parsed here
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
            if path.suffix == ".safetensors":  # newer torch versions check the name, which an opened file lacks
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
    """Return the class named in torch's error; empty if there is none."""
    _, found, rest = str(error).partition("GLOBAL ")
    return rest.split()[0] if found and rest.split() else ""
