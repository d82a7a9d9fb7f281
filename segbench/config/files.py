"""Files that a suite names: what is in them counts, not where they lie."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import NamedTuple

WEIGHTS_FOLDER = "SEGBENCH_WEIGHTS"
"""Environment variable that names the folder of ``<timm name>.safetensors`` files."""

_SETTLED_NS = 2_000_000_000
"""A file that was touched so recently may change again without its times showing it: clocks tick in milliseconds."""


class FileState(NamedTuple):
    """What does not stay the same when a file's content changes.

    Attributes:
        size: Bytes.
        modified_ns: Nanoseconds at which the content was last written, which anybody may set.
        changed_ns: Nanoseconds at which the file's entry last changed, which nobody may set.
    """

    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: str | Path) -> FileState:
        """Return a file's state now.

        Raises:
            OSError: There is no such file.
        """
        facts = os.stat(path)  # noqa: PTH116 - for thousands of files, which need not become paths
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    @property
    def settled(self) -> bool:
        """Whether a later change will show: an equal state then means equal content."""
        return max(self.modified_ns, self.changed_ns) < time.time_ns() - _SETTLED_NS


def content_digest(path: str | Path) -> str | None:
    """Return the SHA-256 of a file's content, or None when there is no such file."""
    return remembered_digest(Path(path).resolve()) if Path(path).is_file() else None


def remembered_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file's content; this process does not read a file again that did not change.

    Raises:
        OSError: It cannot be read.
    """
    state = FileState.of(path)
    return _digest(path, state) if state.settled else read_digest(path)


def read_digest(path: str | Path) -> str:
    """Read a file and return the SHA-256 of its content.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as stream:  # noqa: PTH123 - as above
        return hashlib.file_digest(stream, "sha256").hexdigest()


def encoder_weights(name: str) -> Path | None:
    """Return the file that supplies the weights of timm's network ``name``.

    Returns:
        ``$SEGBENCH_WEIGHTS/<name>.safetensors`` if there is such a file; else None, and timm fetches its own.
    """
    folder = os.environ.get(WEIGHTS_FOLDER)
    if not folder:
        return None
    path = Path(folder).expanduser() / f"{name}.safetensors"
    return path if path.is_file() else None


def module_source(module: str) -> Path | None:
    """Return the source file of a module, found without importing it or the packages that it is in.

    Args:
        module: Its dotted name.

    Returns:
        The file; None when there is no such module or it has no source.
    """
    first, *others = module.split(".")
    spec = _top_level(first)
    if spec is None:
        return None
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for name in others:
        files = (folder / path for folder in folders for path in (f"{name}/__init__.py", f"{name}.py"))
        file = next((path for path in files if path.is_file()), None)
        folders = [folder / name for folder in folders]
    return file if file is not None and file.suffix == ".py" else None


def _top_level(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name) if name else None
    except (ImportError, ValueError):  # ValueError: the running script, which was not found by name
        return None


@cache
def _digest(file: str | Path, _state: FileState) -> str:
    return read_digest(file)
