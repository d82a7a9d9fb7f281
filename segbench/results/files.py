"""Writes files atomically and explains write errors."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

from segbench.errors import StoreError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WRITE_FAULTS = _FULL | {errno.EROFS}


def is_write_fault(error: OSError) -> bool:
    """Return whether an error means that the disk is full or read-only."""
    return error.errno in _WRITE_FAULTS


@contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Convert operating system errors of writing below ``folder`` into StoreErrors.

    Errors about other files, such as an unreadable image, pass through unchanged.

    Raises:
        StoreError: A file below ``folder`` could not be written; names the path and the reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _WRITE_FAULTS and not _below(error.filename, folder):
            raise
        raise StoreError(_explain(error, folder)) from error


def checked_name(name: str, what: str) -> str:
    """Return the name if it is a safe folder name.

    Raises:
        StoreError: The name could point to another folder, or is hidden.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise StoreError(
            f"{name!r} cannot name the folder of a {what}: use letters, digits, '.', '_' and '-', "
            "with a letter, a digit or '_' first"
        )
    return name


def safe_name(text: str) -> str:
    """Turn any text into a safe file or folder name: unsafe characters become ``-``."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.+")[:80] or "unnamed"


@cache
def host_mark() -> str:
    """Return an 8-hex-digit hash of this machine and container, for file names in shared folders.

    Containers may have equal host names and equal process numbers; the machine's start and the namespace of its process
    numbers, which Linux tells, are part of the hash.
    """
    return hashlib.sha256("\n".join((platform.node(), *_process_space())).encode()).hexdigest()[:8]


def temporary_path(target: Path, kind: Literal["tmp", "old"] = "tmp") -> Path:
    """Return the temporary path beside ``target`` where this process writes the new content or keeps the old."""
    return target.with_name(f".{target.name}.{host_mark()}-{os.getpid()}.{kind}")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; what is there replaces the file at once if the block succeeds."""
    temporary = temporary_path(file)
    try:
        yield temporary
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_text(file: Path, text: str) -> None:
    """Atomically write a UTF-8 text file; creates its folder if needed.

    Raises:
        StoreError: The file cannot be written; the earlier content is kept.
    """
    with storing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())


def flush_to_disk(path: Path) -> None:
    """Flush a file, or all files below a folder, to disk, so that a later rename cannot precede the contents."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file() and not file.is_symlink():
            with file.open("r+b") as stream:
                os.fsync(stream.fileno())


def _process_space() -> Iterator[str]:
    with suppress(OSError):
        yield Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        yield str(Path("/proc/self/ns/pid").stat().st_ino)


def _below(filename: object, folder: Path) -> bool:
    if not isinstance(filename, str | os.PathLike):
        return False
    path = Path(os.path.abspath(filename))  # noqa: PTH100 - resolve() would follow links
    home = Path(os.path.abspath(folder))  # noqa: PTH100
    return path.is_relative_to(home) or home.is_relative_to(path)


def _explain(error: OSError, folder: Path) -> str:
    place = error.filename if isinstance(error.filename, str) else folder
    reason = error.strerror or str(error)
    remedy = "free some space" if error.errno in _FULL else "make it writable"
    return f"{place}: cannot be written: {reason}; {remedy} or choose another folder"
