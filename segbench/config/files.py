"""Files named by a suite, identified by content instead of path."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
from collections.abc import Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

WEIGHTS_FOLDER = "SEGBENCH_WEIGHTS"
"""Environment variable with the folder of ``<timm name>.safetensors`` files."""

_FETCHING_FAMILIES = ("torchvision:", "smp:")
"""Network families whose pretrained weights never come from ``$SEGBENCH_WEIGHTS``."""

_SETTLED_NS = 2_000_000_000
"""A file modified this recently may change again without a change of its times, because clocks have limited
resolution."""


class FileState(NamedTuple):
    """File attributes that change with a file's content.

    Attributes:
        size: Size in bytes.
        modified_ns: Modification time in nanoseconds, which users can set.
        changed_ns: Change time of the directory entry in nanoseconds, which users cannot set.
    """

    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: str | Path) -> FileState:
        """Return the current state of a file.

        Raises:
            OSError: There is no such file.
        """
        facts = os.stat(path)  # noqa: PTH116 - for thousands of files, which need not become paths
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    @property
    def settled(self) -> bool:
        """Whether any later change will show in the state, so that equal states mean equal content."""
        return max(self.modified_ns, self.changed_ns) < time.time_ns() - _SETTLED_NS


def content_digest(path: str | Path) -> str | None:
    """Return the SHA-256 of a file's content; None if there is no such file."""
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
        OSError: The file cannot be read.
    """
    with open(path, "rb") as stream:  # noqa: PTH123 - as above
        return hashlib.file_digest(stream, "sha256").hexdigest()


def encoder_weights(name: str) -> Path | None:
    """Return the local file of weights for timm's network ``name``.

    Returns:
        ``$SEGBENCH_WEIGHTS/<name>.safetensors`` if it exists; else None, and timm downloads its own.
    """
    folder = os.environ.get(WEIGHTS_FOLDER)
    if not folder:
        return None
    path = Path(folder).expanduser() / f"{name}.safetensors"
    return path if path.is_file() else None


def module_source(module: str) -> Path | None:
    """Return the source file of a module without importing the module or its packages.

    Args:
        module: Its dotted name.

    Returns:
        The file; None if the module does not exist or has no source.
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
    except (ImportError, ValueError):  # ValueError: the running script, which has no module spec
        return None


@cache
def _digest(file: str | Path, _state: FileState) -> str:
    return read_digest(file)


def supplied_weights(name: str, options: Mapping[str, Any]) -> list[str]:
    """Return the SHA-256 of each file in ``$SEGBENCH_WEIGHTS`` that a pretrained network may load.

    If ``norm`` does not decide which of the two VGG-16 files is loaded, both are included.

    Args:
        name: The network's registered name.
        options: Its options.
    """
    if name.startswith(_FETCHING_FAMILIES):
        return []
    encoder, norm = options.get("encoder"), str(options.get("norm"))
    if encoder in (None, "vgg16"):
        known = {"none": ["vgg16"], "batch": ["vgg16_bn"]} if encoder is None else {}
        names = known.get(norm, ["vgg16", "vgg16_bn"])
    else:
        names = [str(encoder)]
    digests = [content_digest(file) for file in map(encoder_weights, names) if file is not None]
    return [digest for digest in digests if digest is not None]
