"""Recognises the format of a file of weights by its first bytes; errors suggest a remedy."""

from __future__ import annotations

import io
import re
import zipfile
from enum import Enum
from pathlib import Path

from segbench.errors import WeightsError

_HEAD_BYTES = 4096
_LENGTH_BYTES = 8
"""Format of the length of the JSON header at the start of a safetensors file, little-endian."""

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "is an HDF5 file, as Keras writes them",
    b"\x1f\x8b": "is a gzip archive: unpack it",
    b"BZh": "is a bzip2 archive: unpack it",
    b"\xfd7zXZ\x00": "is an xz archive: unpack it",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive: unpack it",
    b"Rar!": "is a RAR archive: unpack it",
    b"\x28\xb5\x2f\xfd": "is a Zstandard archive: unpack it",
    b"GGUF": "is a GGUF file",
    b"\x93NUMPY": "is a NumPy array",
    b"%PDF": "is a PDF document",
    b"\x89PNG": "is a PNG image",
    b"\xff\xd8\xff": "is a JPEG image",
}
"""First bytes of other file formats."""

_EXPECTED = "a state_dict is expected, as torch.save or safetensors write it"
_AGAIN = "download it again"
_UNKNOWN = f"is not a readable file of weights: it is damaged or something else; {_EXPECTED}"


class FileKind(Enum):
    """The format of a file of weights."""

    SAFETENSORS = "safetensors"
    TORCH = "torch"
    """A zip archive, written by ``torch.save`` since torch 1.6."""
    OLD_TORCH = "old torch"
    """Concatenated pickles, written by older versions of ``torch.save``."""


def kind_of(path: Path) -> FileKind:
    """Return the format of a file, independent of its suffix.

    Raises:
        WeightsError: The file does not exist, cannot be read, or has another format; names the format.
    """
    if not path.is_file():
        folder = " (it is a folder: name a file in it)" if path.is_dir() else ""
        raise WeightsError(f"weights {path}: there is no such file{folder}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        size = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head.startswith(b"PK"):
        _check_zip(path)
        return FileKind.TORCH
    if head.startswith(b"\x80") and path.suffix != ".safetensors":
        return FileKind.OLD_TORCH
    problem = _problem(head, size, named_safetensors=path.suffix == ".safetensors")
    if problem is None:
        _check_length(path, head, size)
        return FileKind.SAFETENSORS
    raise WeightsError(f"{path}: {problem}")


def _problem(head: bytes, size: int, *, named_safetensors: bool) -> str | None:
    """Describe a file that is neither a zip archive nor a pickle; None if it may be safetensors."""
    if size == 0:
        return f"is empty (0 bytes): {_AGAIN}"
    if not any(head):
        return f"begins with {len(head)} zero bytes, as a download that was cut off: {_AGAIN}"
    magic = next((magic for magic in _MAGIC if head.startswith(magic)), None)
    if magic is not None:
        return f"{_MAGIC[magic]}; {_EXPECTED}"
    if head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{":
        return None
    text = _text(head)
    if text is not None:
        return _problem_of_text(text, size)
    return None if named_safetensors else _UNKNOWN


def _text(head: bytes) -> str | None:
    """Return the beginning of a text file; None for other files."""
    try:
        text = head.decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < _HEAD_BYTES or error.start < len(head) - 4:  # the last character may be truncated
            return None
        text = head[: error.start].decode("utf-8-sig")
    return text if all(sign.isprintable() or sign.isspace() for sign in text) else None


def _problem_of_text(text: str, size: int) -> str:
    start = text.lstrip().lower()
    if start.startswith("version https://git-lfs"):
        stated = re.search(r"^size (\d+)", text, re.MULTILINE)
        meant = f" for a file of {int(stated[1]):,} bytes" if stated else ""
        return f"is a Git LFS pointer{meant}, not the file itself: run 'git lfs pull' where it was cloned"
    if "annex/objects/" in start[:200]:
        return "is a git-annex pointer, not the file itself: run 'git annex get' where it was cloned"
    if start.startswith(("<!doctype html", "<html")) or "<html" in start or "<body" in start:
        return f"is a web page, such as a server sends in place of the file: {_AGAIN}, from the file's own address"
    if start.startswith("<"):
        return f"is an XML text, such as a server sends in place of the file: {_AGAIN}"
    if start.startswith(("{", "[")):
        hint = ": name the file of weights itself" if "weight_map" in start else ""
        return f"is a JSON text of {size:,} bytes{hint}; {_EXPECTED}"
    first = next(iter(text.strip().splitlines()), "")[:60]
    return f"is a text that begins with {first!r}; {_EXPECTED}"


def _check_length(path: Path, head: bytes, size: int) -> None:
    """Check that the stated header length of a safetensors file fits the file.

    Raises:
        WeightsError: The header is longer than the file.
    """
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if length > size - _LENGTH_BYTES:
        raise WeightsError(
            f"{path}: is not a readable safetensors file: its header would be {length:,} bytes long and the whole file "
            f"has {size:,}; it is cut off, damaged or something else: {_AGAIN}"
        )


def _check_zip(path: Path) -> None:
    """Check that a zip archive is complete and was written by ``torch.save``.

    Raises:
        WeightsError: It is truncated, or has other content.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, io.UnsupportedOperation) as error:
        raise WeightsError(
            f"{path}: is not a readable torch file: it begins as one (a zip archive) and is cut off or damaged: "
            f"{_AGAIN}"
        ) from error
    if any(name.endswith("constants.pkl") for name in names):
        raise WeightsError(
            f"{path}: is a TorchScript archive, which holds code; save its tensors: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )
    if not any(name.endswith("data.pkl") for name in names):
        inside = ", ".join(names[:3]) or "nothing"
        raise WeightsError(f"{path}: is a zip archive of other things ({inside}): unpack it; {_EXPECTED}")
